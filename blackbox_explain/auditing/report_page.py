"""What the report of an audit shows, read from its folder; photos are read from where they were, and made smaller."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from blackbox_explain.auditing.auditor import read_audit
from blackbox_explain.auditing.findings.everything import findings_of
from blackbox_explain.auditing.findings.sampled_rules import failures_of_rules, read_rules, rows_of_rules
from blackbox_explain.auditing.ledger.manifest import Manifest
from blackbox_explain.data.decoding import decoded
from blackbox_explain.data.image_sources import SHARDS, SourceImage, source_images
from blackbox_explain.data.photos import Fit, part_read
from blackbox_explain.errors import ResultError
from blackbox_explain.report.page.content import Card, Finding, Page
from blackbox_explain.report.page.writing import write_page
from blackbox_explain.report.picture_files import jpeg

__all__ = ["page_of_audit", "write_report"]

MOST_CARDS = 1000
"""Images of the page; of more, those that something was found of come first, then some of the others."""

LONGEST, SHORTEST, QUALITY = 1600, 240, 80
"""Pixels on the long side of photos on the page, at most and at least, and quality of their JPEG files."""

BYTES = 20 * 2**20
"""What all photos of a page may take, which is a third more once they are text; of many large ones each is made
smaller."""

MAPS = ("mask", "curve", "ranking", "region")
"""Columns of what takes room."""

MOST_CLASSES = 60
"""Classes whose mean maps are shown: those with most images."""


def write_report(folder: str | Path, out: str | Path | None = None, *, most: int = MOST_CARDS) -> Path:
    """Write the report of an audit as one HTML file that needs nothing else.

    Parameters
    ----------
    folder
        The `out` of `audit`.
    out
        Of the page; None is ``report.html`` in the folder.
    most
        Images that have a card of their own, at most.

    Raises
    ------
    ResultError
        If there is no audit, it is damaged, or the page cannot be written.
    BackendMissingError
        If pyarrow or Jinja2 is not installed.
    """
    path = Path(folder) / "report.html" if out is None else Path(out)
    return write_page(page_of_audit(folder, most=most), path)


def page_of_audit(folder: str | Path, *, most: int = MOST_CARDS) -> Page:
    """Read what the report of an audit shows; parameters and errors are those of `write_report`."""
    place = Path(folder)
    table = read_audit(place, to="arrow")
    manifest = Manifest.read(place)
    if manifest is None:
        raise ResultError("There is no manifest in this folder", got=str(place), expected="the --out of an audit")
    plan = manifest.plan
    method = next(iter(plan["methods"]), "")
    findings = findings_of(table, method)
    # Maps are taken out of the table for the cards alone: in Python a map takes twenty times the memory.
    rows: list[dict[str, Any]] = table.drop_columns(list(MAPS)).to_pylist()
    chosen = table.take(_chosen(rows, findings, most)).to_pylist()
    rules = read_rules(place)
    photos = _Photos(Path(manifest.folder), BYTES // max(1, len(chosen)), plan["white"])
    named = _named(findings)
    cards = [_card(row, photos, plan, named.get(row["position"], ())) for row in chosen]
    game = next(iter(plan["methods"].values()), {}).get("game", "deletion")
    return Page(
        title=f"Audit of {_model_name(manifest)}",
        summary=_summary(rows, manifest),
        cards=cards,
        curve_shares=[float(one) for one in plan["curve_shares"]],
        warnings=[*map(str, manifest.first_look.get("doubts", ())), *failures_of_rules(rules)],
        findings=findings,
        left_out=len({row["position"] for row in rows}) - len({row["position"] for row in chosen}),
        game="preservation" if game == "preservation" else "deletion",
        perturbation=next((one for one in (_perturbation(row) for row in plan["methods"].values()) if one), "blur"),
        classes=_classes(rows, table.column("mask").combine_chunks(), method, plan["grid"]),
        rules=rows_of_rules(rules),
        rules_images=len(rules.get("photos", ())),
        command=manifest.command,
        versions=dict(manifest.runs[-1]["versions"]) if manifest.runs else {},
    )


class _Photos:
    """Photos as small JPEG files, read again from where they were."""

    def __init__(self, start: Path, most: int, white: float | None) -> None:
        self._start, self._most, self._white = start, most, white
        self._shards: dict[str, dict[str, SourceImage]] = {}

    def jpeg(self, name: str, digest: str) -> bytes | None:
        """Return a photo as a JPEG file of limited size; None where it is not there any more, or is another."""
        try:
            content = self._source(name).content()
            if hashlib.sha256(content).hexdigest() != digest:
                return None
            picture = decoded(content, name, self._white)
        except Exception:  # a photo that cannot be decoded any more, in whatever way, is one that is not shown
            return None
        side = min(LONGEST, max(picture.size))
        while True:
            small = picture.copy()
            small.thumbnail((side, side))
            file = jpeg(small, QUALITY)
            if len(file) <= self._most or side <= SHORTEST:
                return file
            side = max(SHORTEST, round(0.8 * side))

    def _source(self, name: str) -> SourceImage:
        shard = next((part for part in Path(name).parents if part.suffix in SHARDS), None)
        if shard is None:
            return SourceImage(name, str(self._found(Path(name))))
        if str(shard) not in self._shards:
            self._shards[str(shard)] = {
                one.name.removeprefix(str(self._found(shard))): one for one in source_images([self._found(shard)])
            }
        known = self._shards[str(shard)].get(name.removeprefix(str(shard)))
        return known or SourceImage(name, name, error=f"{name}: it is not in the shard")

    def _found(self, path: Path) -> Path:
        return self._start / path if (self._start / path).exists() else path


def _chosen(rows: Sequence[dict[str, Any]], findings: Sequence[Finding], most: int) -> list[int]:
    """Return the rows that have cards, in the order of the data set: the clearest of each finding before others."""
    if len(rows) <= most:
        return list(range(len(rows)))
    wanted: dict[int, None] = {}
    queues = [list(one.positions) for one in findings if one.severity != "none"]
    for turn in range(max(map(len, queues), default=0)):
        for one in queues:
            if turn < len(one):
                wanted.setdefault(one[turn])
    others = [row["position"] for row in rows]
    # The rest at equal distances over the data set.
    for place in np.linspace(0, len(others) - 1, most).round().astype(int).tolist():
        wanted.setdefault(others[place])
    of_image: dict[int, list[int]] = {}
    for place, position in enumerate(others):
        of_image.setdefault(position, []).append(place)
    # Of an image all methods and classes or none, so that they can be compared; one image at least.
    kept: list[int] = []
    for position in wanted:
        if kept and len(kept) + len(of_image[position]) > most:
            break
        kept += of_image[position]
    return sorted(kept)


def _named(findings: Sequence[Finding]) -> dict[int, tuple[str, ...]]:
    named: dict[int, list[str]] = {}
    for one in findings:
        for position in one.positions if one.severity != "none" else ():
            if one.name not in named.setdefault(position, []):
                named[position].append(one.name)
    return {position: tuple(names) for position, names in named.items()}


def _card(row: dict[str, Any], photos: _Photos, plan: Mapping[str, Any], findings: Sequence[str]) -> Card:
    size, fit = (row["width"] or 0, row["height"] or 0), plan["fit"]
    box = _box(size, (plan["shape"][2], plan["shape"][1]), fit) if min(size) > 0 else (0.0, 0.0, 1.0, 1.0)
    certificate = [
        (f"Effect kept with {word} in place of the region", row[name])
        for name, word in (("transfer_constant", "the mean colour"), ("transfer_noise", "noise"))
    ]
    certificate.append(("Share of the region in boxes of the class", row["inside_boxes"]))
    return Card(
        position=row["position"],
        path=row["path"],
        photo=photos.jpeg(row["path"], row["sha256"]),
        box=box,
        method=row["method"] or "",
        target=row["target"] or "",
        label=row["label_name"] or "",
        outcome=row["outcome"],
        message=row["message"] or "",
        score=_number(row["score"]),
        score_region=_number(row["score_region"]),
        score_perturbed=_number(row["score_perturbed"]),
        share=_number(row["share"]),
        curve=None if row["curve"] is None else np.asarray(row["curve"], dtype=float),
        ranking=row["ranking"],
        region=row["region"],
        leading=tuple((one["name"], one["score"]) for one in row["top_predictions"] or ()),
        certificate=tuple((word, value) for word, value in certificate if value is not None),
        findings=tuple(findings),
    )


def _box(size: tuple[int, int], target: tuple[int, int], fit: Fit) -> tuple[float, float, float, float]:
    left, top, right, bottom = part_read(size, target, fit)
    return left / size[0], top / size[1], right / size[0], bottom / size[1]


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _model_name(manifest: Manifest) -> str:
    return Path(str((manifest.model or {}).get("model") or "a model")).name


def _perturbation(settings: Mapping[str, Any]) -> str:
    return str(settings.get("perturbation") or "")


def _summary(rows: Sequence[dict[str, Any]], manifest: Manifest) -> dict[str, str]:
    """Return the numbers of the page's head."""
    images = {row["position"]: row for row in reversed(rows)}
    good = [row for row in images.values() if row["error"] is None]
    told = {"model": _model_name(manifest), "images": f"{len(images):,} of {manifest.count:,}"}
    labelled = [row for row in good if row["label"] is not None and row["top_predictions"]]
    if labelled:
        right = sum(row["top_predictions"][0]["name"] == row["label_name"] for row in labelled)
        told["accuracy"] = f"{right / len(labelled):.0%} of {len(labelled):,} with labels"
    fine = [row["share"] for row in good if row["outcome"] == "ok"]
    told["region does what was asked"] = f"{len(fine) / len(good):.0%}" if good else "–"
    told["median region"] = f"{np.median(fine):.1%} of the image" if fine else "–"
    told["method"] = ", ".join(manifest.plan["methods"])
    ended = manifest.runs[-1]["ended"] if manifest.runs else ""
    if ended != "finished":
        told["state"] = "not finished"
    return told


def _classes(
    rows: Sequence[dict[str, Any]], masks: Any, method: str, grid: Sequence[int]
) -> list[tuple[str, int, np.ndarray[Any, Any]]]:
    """Return the classes that most images were explained for, each with the mean of its maps."""
    places: dict[str, list[int]] = {}
    for place, row in enumerate(rows):
        if row["error"] is None and row["rank"] == 0 and row["method"] == method:
            places.setdefault(row["target"], []).append(place)
    names = sorted(places, key=lambda name: -len(places[name]))[:MOST_CLASSES]
    maps = {name: _mean(masks.take(places[name]), grid) for name in names if len(places[name]) > 1}
    return [(name, len(places[name]), one) for name, one in maps.items()]


def _mean(masks: Any, grid: Sequence[int]) -> np.ndarray[Any, Any]:
    """Return the mean (H, W) of maps, which are an array of lists of Arrow."""
    return masks.flatten().to_numpy(zero_copy_only=False).reshape(-1, *grid).mean(axis=0, dtype=np.float64)
