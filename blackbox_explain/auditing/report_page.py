"""What the report of an audit shows, read from its folder; photos are read from where they were, and made smaller."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from blackbox_explain.auditing.findings.audited import COLUMNS
from blackbox_explain.auditing.findings.everything import findings_of
from blackbox_explain.auditing.findings.overview import OVERVIEW, Overview
from blackbox_explain.auditing.findings.sampled_rules import failures_of_rules, read_rules, rows_of_rules
from blackbox_explain.auditing.ledger.columns import CERTIFICATES, KEY, arrow
from blackbox_explain.auditing.ledger.manifest import Manifest
from blackbox_explain.auditing.ledger.shards import shard_paths, shard_tables
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
    if not place.is_dir():
        raise ResultError("There is no such folder", got=str(place), expected="the --out of an audit")
    manifest = Manifest.read(place)
    if manifest is None:
        if not shard_paths(place):
            raise ResultError("There are no results in this folder", got=str(place), expected="the --out of an audit")
        raise ResultError("There is no manifest in this folder", got=str(place), expected="the --out of an audit")
    plan = manifest.plan
    method = next(iter(plan["methods"]), "")
    findings = findings_of(partial(shard_tables, place, COLUMNS), method)
    overview = Overview(method, plan["grid"])
    for table in shard_tables(place, OVERVIEW):
        overview.add(table)
    chosen = _chosen(place, overview, findings, most)
    rules = read_rules(place)
    photos = _Photos(Path(manifest.folder), BYTES // max(1, len(chosen)), plan["white"])
    named = _named(findings)
    cards = [_card(row, photos, plan, named.get(row["position"], ())) for row in chosen]
    game = next(iter(plan["methods"].values()), {}).get("game", "deletion")
    return Page(
        title=f"Audit of {_model_name(manifest)}",
        summary=_summary(overview, manifest),
        cards=cards,
        curve_shares=[float(one) for one in plan["curve_shares"]],
        warnings=[
            *_unfinished(overview, manifest),
            *map(str, manifest.first_look.get("doubts", ())),
            *failures_of_rules(rules),
        ],
        findings=findings,
        left_out=overview.images - len({row["position"] for row in chosen}),
        game="preservation" if game == "preservation" else "deletion",
        perturbation=next((one for one in (_perturbation(row) for row in plan["methods"].values()) if one), "blur"),
        classes=overview.classes(MOST_CLASSES),
        rules=rows_of_rules(rules),
        rules_images=len(rules.get("photos", ())),
        command=_again(manifest),
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


def _chosen(folder: Path, overview: Overview, findings: Sequence[Finding], most: int) -> list[dict[str, Any]]:
    """Return the rows that have cards, in the order of the data set: the clearest of each finding before others."""
    wanted: dict[int, None] = {}
    queues = [one.positions for one in findings if one.severity != "none"]
    for turn in range(min(most, max(map(len, queues), default=0))):
        for one in queues:
            if turn < len(one):
                wanted.setdefault(one[turn])
    # The rest at equal distances over the data set.
    for position in np.linspace(0, overview.last, most).round().astype(int).tolist():
        wanted.setdefault(position)
    everything = overview.rows <= most
    # Each image has a row at least.
    first = list(wanted)[:most]
    taken: dict[int, list[dict[str, Any]]] = {}
    for table in shard_tables(folder):
        positions = table.column("position")
        own = table if everything else table.filter(arrow("compute").is_in(positions, value_set=arrow().array(first)))
        for row in own.to_pylist():
            taken.setdefault(row["position"], []).append(row)
    # Of an image all methods and classes or none, so that they can be compared; one image at least.
    kept: list[dict[str, Any]] = []
    for position in taken if everything else first:
        rows = taken.get(position, [])
        if kept and len(kept) + len(rows) > most:
            break
        kept += rows
    return sorted(kept, key=lambda row: tuple(row[name] for name in KEY))


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
    words = ("blur", "the mean colour", "noise")
    certificate = [
        (f"Effect kept with {word} in place of the region", row[name])
        for name, word in zip(CERTIFICATES, words, strict=True)
    ]
    certificate.append(("Share of the region in boxes of the class", row["inside_boxes"]))
    certificate.append(("Share of the image that these boxes are", row["boxes_share"]))
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
        objects=_fours(row["boxes"] or ()),
    )


def _box(size: tuple[int, int], target: tuple[int, int], fit: Fit) -> tuple[float, float, float, float]:
    left, top, right, bottom = part_read(size, target, fit)
    return left / size[0], top / size[1], right / size[0], bottom / size[1]


def _fours(numbers: Sequence[float]) -> tuple[tuple[float, float, float, float], ...]:
    sides = (numbers[at : at + 4] for at in range(0, len(numbers), 4))
    return tuple((left, top, right, bottom) for left, top, right, bottom in sides)


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _model_name(manifest: Manifest) -> str:
    return Path(str((manifest.model or {}).get("model") or "a model")).name


def _perturbation(settings: Mapping[str, Any]) -> str:
    return str(settings.get("perturbation") or "")


def _summary(overview: Overview, manifest: Manifest) -> dict[str, str]:
    """Return the numbers of the page's head."""
    told = {"model": _model_name(manifest), "images": f"{overview.good:,} of {manifest.count:,}"}
    if failed := overview.images - overview.good:
        told["images"] += f", {failed:,} failed"
    if overview.labelled:
        told["accuracy"] = f"{overview.right / overview.labelled:.0%} of {overview.labelled:,} with labels"
    told["region does what was asked"] = f"{overview.fine / overview.good:.0%}" if overview.good else "–"
    told["median region"] = f"{overview.median_share():.1%} of the image" if overview.fine else "–"
    first, *others = manifest.plan["methods"]
    told["method"] = f"{first}, which findings are of; and {', '.join(others)}" if others else first
    return told


def _is_finished(manifest: Manifest) -> bool:
    return bool(manifest.runs) and manifest.runs[-1]["ended"] == "finished"


def _unfinished(overview: Overview, manifest: Manifest) -> list[str]:
    """Say that the rest is still to come."""
    if _is_finished(manifest):
        return []
    return [f"This audit is not finished: all of this is about {overview.images:,} of {manifest.count:,} images."]


def _again(manifest: Manifest) -> str:
    """Return a line that goes on with an audit, or does it again where it is finished."""
    if not manifest.command or _is_finished(manifest) or "--resume" in manifest.command.split():
        return manifest.command
    return f"{manifest.command} --resume"
