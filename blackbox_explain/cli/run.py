"""A run over many photos: load, explain and write some at a time, so that what is finished is kept."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from blackbox_explain.blackbox import BlackBox, InputSpec
from blackbox_explain.errors import (
    ImageError,
    InputError,
    ModelError,
    OutOfMemoryError,
    ResultError,
    UnreachableError,
)
from blackbox_explain.explain import explain
from blackbox_explain.explanation import Explanation
from blackbox_explain.images import Fit, load_image
from blackbox_explain.perturbations import PAPER_SIGMA, Perturbation, Reference
from blackbox_explain.presets import PerturbationName, PresetName
from blackbox_explain.progress import Advance
from blackbox_explain.render import save_figure
from blackbox_explain.targets import Difference, Labels, Target, Top

__all__ = [
    "Loaded",
    "PhotoResult",
    "Photos",
    "load_photos",
    "perturbation_for",
    "prepare_file",
    "prepare_folder",
    "target_from",
]

Loaded = tuple[Path, "np.ndarray[Any, Any] | ImageError"]
"""A photo as the model reads it, or why it cannot be read."""


@dataclass(frozen=True)
class PhotoResult:
    """One photo of a run: its explanation (of one row), or why there is none."""

    path: Path
    row: Explanation | None = None
    error: str = ""
    files: tuple[Path, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return what the JSON summary of the photo holds."""
        if self.row is None:
            return {"photo": str(self.path), "error": self.error}
        whole = self.row.to_dict()
        return {
            "photo": str(self.path),
            **whole["rows"][0],
            "files": [str(file) for file in self.files],
            "settings": whole["settings"],
            "model_fingerprint": whole["model_fingerprint"],
        }


class Photos:
    """Explains photos with one black box and one set of options into one folder."""

    def __init__(
        self, box: BlackBox, out: Path, *, target: Target | None, fit: Fit, batch_size: int, **options: Any
    ) -> None:
        self._box = box
        self._out = out
        self._target = target
        self._fit: Fit = fit
        self._batch_size = batch_size
        self._options = options
        self._taken: set[str] = set()

    def run(self, paths: Sequence[Path], steps: int, advance: Advance) -> Iterator[PhotoResult]:
        """Yield one result for each photo, those of a batch once all of it is written."""
        for first in range(0, len(paths), self._batch_size):
            yield from self._batch(paths[first : first + self._batch_size], steps, advance)

    def _batch(self, paths: Sequence[Path], steps: int, advance: Advance) -> Iterator[PhotoResult]:
        loaded: list[tuple[Path, np.ndarray[Any, Any]]] = []
        for path, image in load_photos(paths, self._box.spec, self._fit):
            if isinstance(image, ImageError):
                advance(steps)
                yield PhotoResult(path, error=str(image))
            else:
                loaded.append((path, image))
        if not loaded:
            return
        options = dict(self._options)
        options["perturbation"] = perturbation_for(
            options["perturbation"], options["preset"], [path for path, _ in loaded], self._box.spec, self._fit
        )
        images = np.stack([image for _, image in loaded])
        try:
            result = explain(self._box, images, self._target, batch_size=self._batch_size, progress=advance, **options)
        except UnreachableError as error:
            # Not about any photo: it is not asked again for each.
            yield from (PhotoResult(path, error=str(error)) for path, _ in loaded)
            return
        except (ModelError, OutOfMemoryError) as error:
            if len(loaded) == 1:
                yield PhotoResult(loaded[0][0], error=str(error))
            else:
                # Nothing worked; each photo alone tells its own reason.
                for path, _ in loaded:
                    yield from self._batch([path], steps, lambda _steps: None)
            return
        for index, (path, _) in enumerate(loaded):
            yield self._written(path, result[index])

    def _written(self, path: Path, row: Explanation) -> PhotoResult:
        if row.status[0].startswith("failed"):
            return PhotoResult(path, error=row.status[0].removeprefix("failed: "))
        stem = self._free_name(path.stem)
        files = tuple(self._out / f"{stem}{suffix}" for suffix in (".png", ".npz", ".json"))
        result = PhotoResult(path, row, files=files)
        try:
            save_figure(row, 0, files[0])
            row.save(files[1])
            files[2].write_text(json.dumps(result.to_dict(), indent=2) + "\n", encoding="utf-8")
        except ResultError as error:
            return PhotoResult(path, error=str(error))
        except OSError as error:
            return PhotoResult(path, error=f"{files[2]}: {error.strerror}")
        return result

    def _free_name(self, stem: str) -> str:
        """Give photos of the same name in different folders different names."""
        name, count = stem, 1
        while name in self._taken:
            count += 1
            name = f"{stem}-{count}"
        self._taken.add(name)
        return name


def load_photos(paths: Sequence[Path], spec: InputSpec, fit: Fit) -> list[Loaded]:
    """Return each photo (C, H, W) as a model of such inputs reads it, or the error where it cannot be read."""
    found: list[Loaded] = []
    for path in paths:
        try:
            found.append((path, load_image(path, spec, fit=fit)))
        except ImageError as error:
            found.append((path, error))
    return found


def perturbation_for(
    name: PerturbationName, preset: PresetName, paths: Sequence[Path], spec: InputSpec, fit: Fit
) -> str | Perturbation:
    """Return what stands in for deleted pixels of photos: the authors blur at a photo's own size, before resizing."""
    if preset != "authors" or name != "blur":
        return name
    return Reference(np.stack([load_image(path, spec, fit=fit, blur=PAPER_SIGMA) for path in paths]))


def prepare_file(out: Path) -> None:
    """Make the folder of a file, and find out before any work whether the file can be written; leaves it as it is.

    Raises
    ------
    ResultError
        If it cannot.
    """
    known = out.exists()
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.open("a").close()
        if not known:
            out.unlink()
    except OSError as error:
        raise ResultError("The file cannot be written", got=f"{out}: {error.strerror}") from error


def prepare_folder(out: Path) -> None:
    """Make the output folder, and find out before any work whether it can be written.

    Raises
    ------
    ResultError
        If it cannot.
    """
    probe = out / ".writable"
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ResultError("The output folder cannot be written", got=f"{out}: {error.strerror}") from error


def target_from(classes: Sequence[str], versus: str | None, top: int | None) -> Target | None:
    """Turn the options into a target.

    Raises
    ------
    InputError
        If they contradict each other.
    """
    if top is not None and (classes or versus):
        raise InputError("--top stands alone", got="--top with --target or --versus")
    if versus is not None and len(classes) != 1:
        raise InputError("--versus compares two classes", got=f"{len(classes)} times --target", expected="one --target")
    if top is not None:
        return Top(top)
    if versus is not None:
        return Difference(classes[0], versus)
    return None if not classes else classes[0] if len(classes) == 1 else Labels(*classes)
