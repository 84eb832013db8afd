"""A batch of decoded images in, rows of the audit's table out: explained, certified, or with the reason why not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from blackbox_explain.auditing.decoded_image import DecodedImage
from blackbox_explain.auditing.ledger.columns import CERTIFICATES, Row
from blackbox_explain.auditing.plan import AuditPlan, top_classes
from blackbox_explain.box.batches.splitting import split_until_done
from blackbox_explain.box.class_lookup import class_index
from blackbox_explain.box.class_names import shown_name
from blackbox_explain.box.oracle import Oracle
from blackbox_explain.box.protocols import BlackBox
from blackbox_explain.box.targets import Target
from blackbox_explain.data.annotations import cut_to_photo, regions_from_boxes
from blackbox_explain.data.objects import Object
from blackbox_explain.errors import BlackBoxExplainError, ModelError, OutOfMemoryError, TargetError, UnreachableError
from blackbox_explain.explaining import explain
from blackbox_explain.explanation.explanation import Explanation
from blackbox_explain.explanation.suppression import effect
from blackbox_explain.metrics.representativeness import Transfer
from blackbox_explain.report.picture_files import levels_of, map_png

__all__ = ["RowMaker"]

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]

CERTIFIED_BY = {name: Transfer(name.removeprefix("transfer_")) for name in CERTIFICATES}
"""How regions are checked, by the name of the column: by what they were not found with."""

PLAIN = frozenset({"constant", "zero", "middle", "low"})
"""Perturbations of one kind, a plain colour: what was found with one of them is hardly checked by another."""

BORDER = 1 / 16
"""Of an image's height and width, on each side."""


@dataclass(frozen=True)
class RowMaker:
    """Makes the rows of an audit.

    Attributes
    ----------
    box
        The model.
    plan
        How images are explained.
    """

    box: BlackBox
    plan: AuditPlan

    def rows(self, batch: Sequence[DecodedImage]) -> list[Row]:
        """Return the rows of some images, of each in the order of methods and classes.

        Raises
        ------
        UnreachableError
            If the model cannot be asked at all.
        """
        good = [one for one in batch if one.pixels is not None]
        found: dict[int, list[Row]] = {one.entry.position: [] for one in batch}
        for name, settings in self.plan.methods.items() if good else ():
            for position, rows in self._explained(good, name, dict(settings)).items():
                found[position].extend(rows)
        for one in batch:
            if one.error is not None:
                found[one.entry.position].append(self._failed(one, "", 0, one.error))
        return [row for one in batch for row in found[one.entry.position]]

    def _explained(self, good: Sequence[DecodedImage], method: str, settings: dict[str, Any]) -> dict[int, list[Row]]:
        many = self.plan.top or 1
        images = np.stack([cast("Floats", one.pixels) for one in good]).repeat(many, axis=0)
        try:
            target: Target | list[Target | None] | None = self.plan.target
            if self.plan.top is not None:
                target = [*top_classes(self.box, images[::many], self.plan.top).ravel().tolist()]
            result = explain(
                self.box,
                images,
                target,
                method=method,
                suppress=self.plan.suppress,
                seed=self.plan.seed,
                batch_size=self.plan.batch_size,
                progress=False,
                **settings,
            ).judged(
                ()
            )  # What is doubted is told of the whole data set, before the first row: no row depends on company.
        except UnreachableError:
            raise
        except (ModelError, OutOfMemoryError, TargetError) as error:
            if len(good) > 1:
                # Nothing worked; each image alone tells its own reason.
                return {key: rows for one in good for key, rows in self._explained([one], method, settings).items()}
            return {good[0].entry.position: [self._failed(good[0], method, 0, error)]}
        checked, unchecked = self._certified(result)
        return {
            one.entry.position: [
                self._row(
                    one,
                    result,
                    place * many + rank,
                    rank,
                    {name: by[place * many + rank] for name, by in checked.items()},
                    unchecked,
                )
                for rank in range(many)
            ]
            for place, one in enumerate(good)
        }

    def _certified(self, result: Explanation) -> tuple[dict[str, Floats], str]:
        """Return how well the regions do what they were not found with, and why that cannot be told, or ""."""
        kind = PLAIN if result.perturbation in PLAIN else {result.perturbation}
        others = {name: one for name, one in CERTIFIED_BY.items() if one.perturbation not in kind}
        good, explained = result.good, result[result.good]
        oracle = Oracle.of(self.box, len(good), batch_size=self.plan.batch_size)

        def check(part: slice) -> list[Floats]:
            some = explained[part]
            view = oracle.take(part)
            return list(np.stack([one.measure(view, some, some.score) for one in others.values()], axis=1))

        answers = split_until_done(len(good), self.plan.batch_size, check)
        failures = [one for one in answers if isinstance(one, BlackBoxExplainError)]
        if unreachable := next((one for one in failures if isinstance(one, UnreachableError)), None):
            raise unreachable
        if len(failures) == len(answers):
            return {}, f"the region could not be checked: {failures[0]}"
        found = np.full((len(result), len(others)), np.nan)
        for row, answer in zip(good, answers, strict=True):
            if not isinstance(answer, BlackBoxExplainError):
                found[row] = answer
        return {name: found[:, place] for place, name in enumerate(others)}, ""

    def _about(self, image: DecodedImage, method: str, rank: int) -> Row:
        """Return what a row says of its image."""
        label, names = image.entry.label, self.box.spec.class_names
        return {
            "path": image.entry.source.name,
            "sha256": image.digest,
            "position": image.entry.position,
            "width": image.size[0],
            "height": image.size[1],
            "look": image.look,
            "label": label,
            "label_name": None if label is None else shown_name(label, names),
            "method": method,
            "rank": rank,
        }

    def _failed(self, image: DecodedImage, method: str, rank: int, error: BlackBoxExplainError) -> Row:
        return self._about(image, method, rank) | {"outcome": "failed", "message": str(error), "error": str(error)}

    def _row(
        self,
        image: DecodedImage,
        result: Explanation,
        place: int,
        rank: int,
        certified: Mapping[str, float],
        unchecked: str,
    ) -> Row:
        outcome = result.outcome[place]
        about = self._about(image, result.method, rank)
        queries = {"queries": int(result.queries[place, 0]), "gradients": int(result.queries[place, 1])}
        if outcome.failed:
            return about | queries | {"outcome": "failed", "message": outcome.message, "error": outcome.message}
        region = result.region[place]
        boxed, outside = self._boxed(region, image, _index(result.weights[place]))
        done = effect(result.score[place], result.score_region[place], result.lowest[place], result.game)
        return {
            **about,
            **queries,
            **_placed(region),
            **boxed,
            **certified,
            "target": result.target[place],
            "target_index": _index(result.weights[place]),
            "top_predictions": [
                {"name": name, "score": score} for name, score in result.predictions[place].before
            ],
            "score": float(result.score[place]),
            "score_region": float(result.score_region[place]),
            "score_perturbed": float(result.score_perturbed[place]),
            "outcome": outcome.kind,
            "message": "; ".join(one for one in (outcome.message, unchecked, outside) if one) or None,
            "suppression": float(done),
            "share": float(result.share[place]),
            "curve": result.curve[place].astype(np.float32),
            "mask": _cells(result.importance(place), self.plan.grid(self.box)),
            "ranking": map_png(levels_of(result.saliency[place], result.curve_shares)),
            "region": map_png(region),
        }  # fmt: skip

    def _boxed(self, region: np.ndarray[Any, Any], image: DecodedImage, target: int | None) -> tuple[Row, str]:
        """Return the boxes of the class, or of none that is named, how a region lies to them, and what is wrong.

        Nothing where there is no such box.  Where one lies outside of its photo, which is said, or none in what the
        model reads, their share is 0; how much of the region lies in them is then unknown, as it is without a region.
        """
        objects = image.entry.objects
        own = [one.box for one in objects or () if self._is(one, target)]
        if not own:
            return {}, ""
        try:
            boxes = [cut_to_photo(box, image.size, image.entry.source.name) for box in own]
        except BlackBoxExplainError as error:
            return {"boxes_share": 0.0}, str(error)
        within = regions_from_boxes([boxes], [image.size], self.box.spec, self.plan.fit)[0]
        width, height = image.size
        shares = np.asarray(boxes) / (width, height, width, height)
        found: Row = {"boxes": shares.ravel().tolist(), "boxes_share": float(within.mean())}
        if not within.any():
            return found, "none of the boxes lies in what the model reads"
        if region.any():
            found["inside_boxes"] = float((region & within).sum() / region.sum())
        return found, ""

    def _is(self, one: Object, target: int | None) -> bool:
        if one.label == "":
            return True
        names = self.box.spec.class_names
        try:
            return target is not None and class_index(one.label, np.iinfo(np.int64).max, names) == target
        except TargetError:
            return False


def _index(weights: Floats) -> int | None:
    """Return the class that a target is; None of a sum or a difference of several."""
    chosen = np.flatnonzero(weights)
    return int(chosen[0]) if len(chosen) == 1 and weights[chosen[0]] == 1 else None


def _placed(region: np.ndarray[Any, Any]) -> Row:
    """Say where in the image a region is."""
    down, across = np.nonzero(region)
    height, width = region.shape
    if not len(down):
        return {}
    rows, columns = max(1, round(BORDER * height)), max(1, round(BORDER * width))
    outer = (down < rows) | (down >= height - rows) | (across < columns) | (across >= width - columns)
    return {
        "at_border": float(outer.mean()),
        "center_x": float((across.mean() + 0.5) / width),
        "center_y": float((down.mean() + 0.5) / height),
    }


def _cells(importance: Floats, grid: tuple[int, int]) -> np.ndarray[Any, np.dtype[np.float16]]:
    """Return the means of a map in the cells of a grid, row after row."""
    from PIL import Image

    picture = Image.fromarray(importance.astype(np.float32))
    small = picture.resize((grid[1], grid[0]), Image.Resampling.BOX)
    return np.asarray(small, dtype=np.float16).ravel()
