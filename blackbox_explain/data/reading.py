"""Photos from files, read in one way for a whole run; one that cannot be read does not stop the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from blackbox_explain.box.input_spec import InputSpec
from blackbox_explain.data.images import Fit, load_image, load_images
from blackbox_explain.data.photos import LoadedImages
from blackbox_explain.errors import ImageError

__all__ = ["Loaded", "PhotoReader", "readable"]

Loaded = tuple[Path, "LoadedImages | ImageError"]
"""A photo (1, C, H, W) as the model reads it, or why it cannot be read."""


@dataclass(frozen=True)
class PhotoReader:
    """How photos are read.

    Attributes
    ----------
    fit, white
        As in `load_images`.
    """

    fit: Fit = "crop"
    white: float | None = None

    def read(self, path: Path, spec: InputSpec, blur: float = 0.0) -> LoadedImages:
        """Return one photo (1, C, H, W) as a model of such inputs reads it."""
        return load_images(path, spec, fit=self.fit, white=self.white, blur=blur)

    def read_image(self, path: Path, spec: InputSpec) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Return one photo (C, H, W) as `read` does, without the photo itself: thousands of them are too much."""
        return load_image(path, spec, fit=self.fit, white=self.white)

    def read_all(self, paths: Sequence[Path], spec: InputSpec) -> list[Loaded]:
        """Return each photo, or the error where it cannot be read."""
        found: list[Loaded] = []
        for path in paths:
            try:
                found.append((path, self.read(path, spec)))
            except ImageError as error:
                found.append((path, error))
        return found


def readable(loaded: Sequence[Loaded]) -> tuple[list[Path], np.ndarray[Any, Any] | None]:
    """Return the photos that can be read, and their images (N, C, H, W), which know them; None if there is none."""
    good = [(path, image) for path, image in loaded if not isinstance(image, ImageError)]
    return [path for path, _ in good], np.concatenate([image for _, image in good]) if good else None
