"""A run over many photos: load, explain and write some at a time, so that what is finished is kept."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from blackbox_explain.auditing.interrupts import interrupts_wait
from blackbox_explain.auditing.output_folder import OutputFolder
from blackbox_explain.auditing.plan import top_classes
from blackbox_explain.box.input_spec import InputSpec
from blackbox_explain.box.oracle import Oracle
from blackbox_explain.box.protocols import BlackBox
from blackbox_explain.box.targets import Target
from blackbox_explain.data.reading import PhotoReader, readable
from blackbox_explain.errors import (
    BackendMissingError,
    ImageError,
    ModelError,
    NoGradientError,
    OutOfMemoryError,
    ResultError,
    UnreachableError,
    UnsupportedModelError,
)
from blackbox_explain.explaining import explain
from blackbox_explain.explanation.explanation import Explanation
from blackbox_explain.explanation.preprocessing_doubts import ask_for_doubts
from blackbox_explain.methods.mask.settings import PresetName, Settings, make_perturbation
from blackbox_explain.perturbations.named import PerturbationName
from blackbox_explain.perturbations.perturbation import PAPER_SIGMA, Perturbation, Reference
from blackbox_explain.progress import Advance
from blackbox_explain.report.contact_sheet import MOST_CELLS, save_sheet
from blackbox_explain.report.figure import save_figure
from blackbox_explain.report.method_sheet import save_method_sheet

__all__ = ["PhotoResult", "PhotoRun", "perturbation_for"]

SECONDS = 10.0
"""What a batch may take: an interrupt loses no more than the one that is being learned."""

LOOKED_AT = 16
"""Photos of a run that its doubts are told from."""

NOT_ALLOWED = (BackendMissingError, NoGradientError, UnsupportedModelError)
"""What a method raises that cannot be used on a model, whatever the photo."""

GROWTH = 4
"""So many times larger than the last may a batch be, whose time is not known yet."""


@dataclass(frozen=True)
class PhotoResult:
    """One photo of a run: what was found, or why nothing was.

    Attributes
    ----------
    path
        Of the photo.
    rows
        What the JSON summary holds, one entry for each class that was explained.
    error
        Why there is nothing.
    files
        What was written.
    failures
        Why single methods found nothing, of several, by name.
    """

    path: Path
    rows: tuple[dict[str, Any], ...] = ()
    error: str = ""
    files: tuple[Path, ...] = ()
    failures: Mapping[str, str] = field(default_factory=dict[str, str])

    def to_list(self) -> list[dict[str, Any]]:
        """Return what the JSON summary of a run holds of this photo."""
        return list(self.rows) if self.rows else [{"photo": str(self.path), "error": self.error}]


@dataclass(frozen=True, eq=False)
class Timed:
    """What a method found in some photos, and how long it took for each."""

    result: Explanation
    seconds: float

    def take(self, rows: slice) -> Timed:
        """Return that of some rows."""
        return Timed(self.result[rows], self.seconds)


@dataclass
class PhotoRun:
    """Explains photos with one black box, by one method or several, into one folder.

    Attributes
    ----------
    box, target
        As for `explain`.
    methods
        Further arguments of `explain`, by the name of each method.
    reading
        How photos are read.
    out
        Where results go.
    top
        The number of classes of each photo that are explained, the best first; None explains `target`.
    batch_size
        Most rows that are learned together.
    model
        What results record of the model.
    told
        Called with each result.
    found
        All results so far; complete, whatever interrupts the run.
    keep
        Whether to hold the results that a sheet of the run is drawn from.
    kept
        The results that are held.
    doubts
        About the photos of the run together; None where each tells its own.
    refused
        Methods that the box does not allow, and why; those of `methods` that turn out to be so are added.
    """

    box: BlackBox
    out: OutputFolder
    target: Target | None
    reading: PhotoReader
    batch_size: int
    methods: dict[str, dict[str, Any]]
    model: dict[str, Any]
    top: int | None = None
    told: Callable[[PhotoResult], None] = lambda _result: None
    found: list[PhotoResult] = field(default_factory=list)
    keep: bool = False
    kept: list[Explanation] = field(default_factory=list)
    doubts: list[str] | None = None
    refused: dict[str, str] = field(default_factory=dict[str, str])

    def run(self, paths: Sequence[Path], queries: int, advance: Advance) -> None:
        """Explain photos; each is written as soon as its batch is learned, and batches are small enough for that.

        Parameters
        ----------
        paths
            Of the photos.
        queries
            What progress counts for one of them.
        advance
            Told so.
        """
        self._look(paths)
        most = max(1, self.batch_size // (self.top or 1))
        size, first = 1, 0
        while first < len(paths):
            part = paths[first : first + size]
            started = time.monotonic()
            learned = self._batch(part, queries, advance)
            first += len(part)
            if not learned:
                continue
            each = (time.monotonic() - started) / learned
            # Powers of this number, so that models that are compiled for a size of batches are so for few.
            while size > 1 and size * each > SECONDS:
                size //= GROWTH
            if size * GROWTH * each <= SECONDS:
                size = min(size * GROWTH, most)

    def _look(self, paths: Sequence[Path]) -> None:
        """Find out what speaks against the way that the photos are given to the model; one alone is looked at later."""
        good, images = readable(self.reading.read_all(paths[:LOOKED_AT], self.box.spec))
        if images is None or len(good) < 2:
            return
        first = next(iter(self.methods.values()))
        chosen, preset = first.get("perturbation", "blur"), first.get("preset", Settings().preset)
        perturbation = perturbation_for(chosen, preset, good, self.box.spec, self.reading)
        made = make_perturbation(Settings(preset, perturbation=perturbation))
        # Where the model fails on one of them, each photo tells its own.
        with contextlib.suppress(ModelError, OutOfMemoryError):
            self.doubts = ask_for_doubts(Oracle.of(self.box), images, made, first.get("seed", 0))

    def _batch(self, paths: Sequence[Path], queries: int, advance: Advance) -> int:
        """Explain some photos together, and return how many of them could be read."""
        loaded = self.reading.read_all(paths, self.box.spec)
        for path, image in loaded:
            if isinstance(image, ImageError):
                advance(queries)
                self._tell(PhotoResult(path, error=str(image)))
        good, images = readable(loaded)
        if images is None:
            return 0
        try:
            found = self._by_methods(good, images, advance)
        except UnreachableError as error:
            # Not about any photo: it is not asked again for each.
            for path in good:
                self._tell(PhotoResult(path, error=str(error)))
            return len(good)
        with interrupts_wait():
            for path, by_method in zip(good, found, strict=True):
                self._tell(self._written(path, by_method))
        return len(good)

    def _by_methods(
        self, paths: Sequence[Path], images: np.ndarray[Any, Any], advance: Advance
    ) -> list[dict[str, Timed | str]]:
        """Explain photos by every method; return for each photo what each method found, or why it found nothing.

        Of several methods, those are dropped that the model turns out not to allow.
        """
        found: list[dict[str, Timed | str]] = [{} for _ in paths]
        for name in list(self.methods):
            try:
                answers = self._by_method(name, paths, images, advance)
            except NOT_ALLOWED as error:
                if len(self.methods) == 1 and not self.refused:
                    raise
                self.refused[name] = str(error)
                del self.methods[name]
                if not self.methods:
                    raise
                continue
            for own, answer in zip(found, answers, strict=True):
                own[name] = answer
        return found

    def _by_method(
        self, name: str, paths: Sequence[Path], images: np.ndarray[Any, Any], advance: Advance
    ) -> list[Timed | str]:
        """Explain photos by one method; return for each photo what it found, or why it found nothing."""
        started = time.monotonic()
        try:
            result = self._explained(name, self.methods[name], paths, images, advance)
        except UnreachableError:
            raise
        except (ModelError, OutOfMemoryError) as error:
            if len(paths) == 1:
                return [str(error)]
            # Nothing worked; each photo alone tells its own reason.
            alone = [slice(place, place + 1) for place in range(len(paths))]
            return [self._by_method(name, paths[one], images[one], lambda _images: None)[0] for one in alone]
        many = self.top or 1
        whole = Timed(result, (time.monotonic() - started) / len(paths))
        return [whole.take(slice(place * many, (place + 1) * many)) for place in range(len(paths))]

    def _explained(
        self,
        method: str,
        given: dict[str, Any],
        paths: Sequence[Path],
        images: np.ndarray[Any, Any],
        advance: Advance,
    ) -> Explanation:
        """Explain photos by one method, the classes of each one after the other."""
        options, target = dict(given), self.target
        many = self.top or 1
        rows = [row for row in range(len(images)) for _ in range(many)]
        if "preset" in options:
            options["perturbation"] = perturbation_for(
                options["perturbation"], options["preset"], [paths[row] for row in rows], self.box.spec, self.reading
            )
        wanted: Target | list[Target | None] | None = target
        if self.top is not None:
            wanted = [*top_classes(self.box, images, self.top).ravel().tolist()]
        size = self.batch_size
        result = explain(self.box, images[rows], wanted, method=method, batch_size=size, progress=advance, **options)
        result = replace(result, provenance=replace(result.provenance, model=self.model))
        found = result.provenance.doubts if self.doubts is None else tuple(self.doubts)
        return result.judged(found)

    def _tell(self, result: PhotoResult) -> None:
        self.found.append(result)
        self.told(result)

    def _written(self, path: Path, answers: Mapping[str, Timed | str]) -> PhotoResult:
        """Write what was found in one photo, by each method."""
        good = {name: one for name, one in answers.items() if isinstance(one, Timed) and one.result.good}
        failures = {
            name: one if isinstance(one, str) else one.result.outcome[0].message
            for name, one in answers.items()
            if name not in good
        }
        if not good:
            return PhotoResult(path, error=next(iter(failures.values())))
        several = len(self.methods) > 1 or bool(self.refused)
        try:
            folder = self.out.made()
            stem = self.out.free_name(path.stem)
            # Results of other methods than the mask stay beside one another, whichever call they are of.
            plain = not several and "mask" in good
            saved = {name: folder / (f"{stem}.npz" if plain else f"{stem}-{name}.npz") for name in good}
            picture, summary = folder / f"{stem}.png", folder / f"{stem}.json"
            files = (picture, *saved.values(), summary)
            entries: list[dict[str, Any]] = []
            for name, one in good.items():
                one.result.save(saved[name])
                whole = one.result.to_dict()
                shared = {"files": [str(file) for file in files], "provenance": whole["provenance"]}
                told = {"method": name, "seconds": round(one.seconds, 3)} if several else {}
                entries += [{"photo": str(path), **told, **row, **shared} for row in whole["rows"]]
            text = json.dumps(entries if several or self.top is not None else entries[0], indent=2)
            summary.write_text(text + "\n", encoding="utf-8")
            self._drawn(good, {**self.refused, **failures} if several else None, picture)
        except ResultError as error:
            return PhotoResult(path, error=str(error))
        except OSError as error:
            return PhotoResult(path, error=f"{error.filename}: {error.strerror}")
        return PhotoResult(path, tuple(entries), files=files, failures=failures)

    def _drawn(self, good: dict[str, Timed], not_drawn: Mapping[str, str] | None, picture: Path) -> None:
        """Draw what was found; of several methods with those that are not drawn, and why, of one with None."""
        first = next(iter(good.values())).result
        if not_drawn is not None:
            results = {name: one.result for name, one in good.items()}
            save_method_sheet(results, picture, {name: one.seconds for name, one in good.items()}, not_drawn)
        elif self.top is None:
            save_figure(first, 0, picture)
        else:
            save_sheet(first, picture)
        if self.keep and sum(map(len, self.kept)) < MOST_CELLS:
            self.kept.append(first)


def perturbation_for(
    name: PerturbationName, preset: PresetName, paths: Sequence[Path], spec: InputSpec, reading: PhotoReader
) -> str | Perturbation:
    """Return what stands in for deleted pixels of photos: the authors blur at a photo's own size, before resizing."""
    if preset != "authors" or name != "blur":
        return name
    return Reference(np.concatenate([reading.read(path, spec, blur=PAPER_SIGMA) for path in paths]))
