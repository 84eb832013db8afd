"""A run over many saved results: load and measure one at a time, so that one that is damaged costs no other."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from blackbox_explain.box.protocols import BlackBox
from blackbox_explain.data.photos import Photo
from blackbox_explain.errors import BlackBoxExplainError, ResultError
from blackbox_explain.evaluating.evaluation import check_together, evaluate
from blackbox_explain.evaluating.measurement import Measurement, joined, unmeasured
from blackbox_explain.evaluating.pooling import Pooled, pooled_rows, pooling_warnings, repeated_rows
from blackbox_explain.explanation.explanation import Explanation
from blackbox_explain.metrics.metric import Metric

__all__ = ["Group", "ResultRun", "result_paths", "warnings_of"]

Counts = np.ndarray[Any, np.dtype[np.int64]]

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]

LOOK, SAME_LOOK = 32, 0.05
"""Pixels on either side that photos of one name are compared at, and how far they may be from each other on average."""


@dataclass(frozen=True, eq=False)
class Group:
    """The results of one method with one set of settings.

    Attributes
    ----------
    name
        Of the method, and where another group has it too, of what is set otherwise.
    labels
        For each row its file, its photo and its target.
    queries
        (N,) images that the model was run on to explain each row.
    measurements
        By the name of the metric.
    pooled
        What each row is of.
    """

    name: str
    labels: tuple[tuple[str, str, str], ...]
    queries: Counts
    measurements: Mapping[str, Measurement]
    pooled: tuple[Pooled, ...]

    @property
    def distinct(self) -> int:
        """How many rows are not of an image and a class that a row before them explains."""
        return len(self.labels) - len(repeated_rows(self.pooled))

    def measured_on(self, metric: str) -> frozenset[tuple[str, str, str]]:
        """Return what the mean of a metric is of: the images, as the model was shown them, and the classes."""
        counted = self.measurements[metric].counted
        return frozenset(row.subject for row, there in zip(self.pooled, counted, strict=True) if there)


def _thumbnail(photo: Photo) -> Floats:
    """Return a photo as it looks from afar, which does not hang on how it is kept: (LOOK, LOOK, 3) in [0, 1]."""
    from PIL import Image

    return np.asarray(Image.fromarray(photo.pixels).resize((LOOK, LOOK), Image.Resampling.BOX)) / 255


@dataclass(eq=False)
class _Part:
    """What was measured of one file."""

    path: Path
    method: str
    settings: Mapping[str, Any]
    labels: list[tuple[str, str, str]]
    queries: Counts
    pooled: tuple[Pooled, ...]
    measurements: dict[str, Measurement] = field(default_factory=dict[str, Measurement])
    errors: dict[str, BlackBoxExplainError] = field(default_factory=dict[str, BlackBoxExplainError])


@dataclass
class ResultRun:
    """Measures saved results, file by file.

    Attributes
    ----------
    metrics
        By name.
    box_of
        A result and its file to the model that is asked.
    batch_size, seed
        As in `evaluate`.
    marked
        By what people marked that a metric compares with, such as ``"boxes"``, the names of the photos in which they
        did, with or without suffix.
    told
        Called with each error: the file, and what is wrong with it.  What is wrong with several files in the same words
        is told once, at the end, with their number.
    errors
        All of them so far, file by file.
    unmarked
        By what people marked, the names of the photos of results that are not among those in which they did.
    """

    metrics: Mapping[str, Metric]
    box_of: Callable[[Explanation, Path], BlackBox]
    batch_size: int
    seed: int = 0
    marked: Mapping[str, Collection[str]] = field(default_factory=dict[str, Collection[str]])
    told: Callable[[Path, str], None] = lambda _path, _message: None
    errors: list[tuple[Path, str]] = field(default_factory=list[tuple[Path, str]])
    unmarked: dict[str, set[str]] = field(init=False, default_factory=dict[str, set[str]])
    _seen: dict[str, tuple[Path, Floats]] = field(init=False, default_factory=dict[str, tuple[Path, Floats]])
    _later: dict[str, list[Path]] = field(init=False, default_factory=dict[str, list[Path]])
    _parts: list[_Part] = field(init=False, default_factory=list["_Part"])

    def run(self, paths: Iterable[Path], advance: Callable[[int], None] = lambda _files: None) -> None:
        """Measure files; `advance` is called after each.

        Raises
        ------
        InputError
            If they are of different models, or to another `suppress`; nothing is measured then.
        """
        given = list(paths)
        _check_together(given)
        for path in given:
            self._measure(path)
            advance(1)
        for message, paths in self._later.items():
            self.told(paths[0], message if len(paths) == 1 else f"{message.rstrip('.')} (in {len(paths)} results)")
        self._later.clear()

    @property
    def groups(self) -> tuple[Group, ...]:
        """What was measured so far, by method and settings, in the order in which they were met."""
        found: dict[tuple[str, str], list[_Part]] = {}
        for part in self._parts:
            key = part.method, json.dumps(part.settings, sort_keys=True, default=str)
            found.setdefault(key, []).append(part)
        return tuple(
            self._group(name, parts) for name, parts in zip(_names(found.values()), found.values(), strict=True)
        )

    def _measure(self, path: Path) -> None:
        try:
            result = Explanation.load(path)
            if not result.good:
                raise ResultError("No row of this result has an explanation", got=str(result.outcome[0]))
            box = self.box_of(result, path)
        except BlackBoxExplainError as error:
            self._tell(path, str(error))
            return
        photos = [photo.name if photo is not None else "" for photo in result.photos or [None] * len(result)]
        if twin := self._twin(path, result):
            self._tell(path, twin)
            return
        labels = [(str(path), photo, target) for photo, target in zip(photos, result.target, strict=True)]
        part = _Part(
            path, result.method, result.provenance.settings, labels, result.queries.sum(axis=1), pooled_rows(result)
        )
        if result.photos is not None:
            self._miss(path, photos)
        for name, metric in self.metrics.items():
            try:
                found = evaluate(
                    box, result, {name: metric}, seed=self.seed, batch_size=self.batch_size, progress=False
                )
            except BlackBoxExplainError as error:
                self._tell_later(path, f"{name}: {error}")
                part.errors[name] = error
                continue
            part.measurements[name] = found.measurements[0]
            for message in dict.fromkeys(map(str, found.measurements[0].failures.values())):
                self._tell_later(path, f"{name}: {message}")
        if part.measurements:
            self._parts.append(part)

    def _twin(self, path: Path, result: Explanation) -> str:
        """Say of which photo it cannot be told whether people marked this one or another of the same name; or ""."""
        marked = {name for known in self.marked.values() for name in known}
        for photo in result.photos or ():
            if photo is None or not marked.intersection((photo.name, PurePath(photo.name).stem)):
                continue
            look = _thumbnail(photo)
            first, before = self._seen.setdefault(photo.name, (path, look))
            if np.abs(look - before).mean() > SAME_LOOK:
                what = " and ".join(self.marked)
                return f"its photo and another in {first} are both called {photo.name!r}: {what} could be of either"
        return ""

    def _miss(self, path: Path, photos: Sequence[str]) -> None:
        """Tell of photos that people were asked about and did not mark."""
        for what, known in self.marked.items():
            for name in dict.fromkeys(photos):
                if name not in known and PurePath(name).stem not in known:
                    about = f"its photo {name!r}" if name else "the photo, which the result does not name,"
                    self._tell_later(path, f"{about} is not among those with {what}")
                    self.unmarked.setdefault(what, set()).add(name)

    def _tell(self, path: Path, message: str) -> None:
        self.errors.append((path, message))
        self.told(path, message)

    def _tell_later(self, path: Path, message: str) -> None:
        self.errors.append((path, message))
        self._later.setdefault(message, []).append(path)

    def _group(self, name: str, parts: Sequence[_Part]) -> Group:
        measured: dict[str, Measurement] = {}
        pooled = tuple(row for part in parts for row in part.pooled)
        for metric in self.metrics:
            like = next((part.measurements[metric] for part in parts if metric in part.measurements), None)
            if like is not None:
                # Rows of a file that this metric failed on have no value, as its error says.
                own = [
                    part.measurements[metric]
                    if metric in part.measurements
                    else unmeasured(like, part.pooled, part.errors[metric])
                    for part in parts
                ]
                measured[metric] = joined(own, pooled, seed=self.seed)
        labels = tuple(label for part in parts for label in part.labels)
        return Group(name, labels, np.concatenate([part.queries for part in parts]), measured, pooled)


def warnings_of(groups: Sequence[Group]) -> tuple[str, ...]:
    """Return what speaks against comparing groups, as `bx.evaluate` says it."""
    metrics = dict.fromkeys(metric for group in groups for metric in group.measurements)
    counted = {
        metric: {group.name: group.measurements[metric].counted for group in groups if metric in group.measurements}
        for metric in metrics
    }
    return pooling_warnings({group.name: group.pooled for group in groups}, counted)


def result_paths(given: Sequence[Path]) -> list[Path]:
    """Return the results that files and folders name, each once, in the order given.

    A file that does not exist is returned too, so that the others of the run are not lost with it.

    Raises
    ------
    ResultError
        If a folder holds no results.
    """
    found: dict[Path, Path] = {}
    for one in given:
        inside = sorted(one.rglob("*.npz")) if one.is_dir() else [one]
        if not inside:
            raise ResultError("There are no results in this folder", got=str(one), expected="files that explain wrote")
        for path in inside:
            found.setdefault(path.resolve(), path)
    return list(found.values())


def _check_together(paths: Sequence[Path]) -> None:
    """Raise `InputError` unless all results are of one model and one `suppress`; those that cannot be read pass."""
    told: dict[str, tuple[str, float]] = {}
    for path in paths:
        # All are read before the first is measured: that takes long, and would be in vain.
        with contextlib.suppress(BlackBoxExplainError):
            result = Explanation.load(path)
            told[str(path)] = result.provenance.model_fingerprint, result.suppress
    check_together(told)


def _names(groups: Iterable[Sequence[_Part]]) -> list[str]:
    """Return a name for each group: the method, and what tells its settings from those of the same method."""
    firsts = [parts[0] for parts in groups]
    names: list[str] = []
    for part in firsts:
        alike = [one for one in firsts if one.method == part.method]
        told = [
            f"{key}={value}"
            for key, value in part.settings.items()
            if any(other.settings.get(key) != value for other in alike)
        ]
        # The first that differs says it: a preset, which others follow from.
        names.append(f"{part.method}, {told[0]}" if told else part.method)
    return [
        name if names.count(name) == 1 else f"{name} ({names[:place].count(name) + 1})"
        for place, name in enumerate(names)
    ]
