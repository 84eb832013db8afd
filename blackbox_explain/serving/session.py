"""One photo and one model, and what a person may ask of them."""

from __future__ import annotations

import base64
import io
import threading
from typing import Any

import numpy as np

from blackbox_explain.box.info import BoxInfo
from blackbox_explain.box.protocols import BlackBox
from blackbox_explain.data.photos import LoadedImages
from blackbox_explain.errors import ImageError, InputError
from blackbox_explain.explaining import explain
from blackbox_explain.interrogating import interrogate
from blackbox_explain.methods.by_name import method_of, methods_for
from blackbox_explain.metrics.marked.scenes import Frame
from blackbox_explain.perturbations.deletion import deleted
from blackbox_explain.perturbations.named import NAMES, named
from blackbox_explain.report.picture_files import jpeg, map_png, picture_of

__all__ = ["MOST_RUNS", "Session"]

MOST_RUNS = 2500
"""Methods that run a model on more images than this are not offered: a person waits."""

QUALITY = 90


class Session:
    """Answers questions about one photo, one at a time.

    Parameters
    ----------
    box
        From `wrap`.
    images
        One photo, from `load_images`.

    Raises
    ------
    InputError
        If this is not one photo.
    """

    def __init__(self, box: BlackBox, images: LoadedImages) -> None:
        photo = images.photos[0] if images.photos and len(images) == 1 else None
        if photo is None:
            raise InputError("One photo is interrogated at a time", got=f"{len(images)} images", expected="one photo")
        self._box, self._images, self._photo = box, images, photo
        self._frame = Frame.of(photo, box.spec)
        # A model is no place for two questions at once.
        self._lock = threading.Lock()
        self._layers: dict[str, dict[str, Any]] = {}

    def facts(self) -> dict[str, Any]:
        """Return what the page shows before anything is asked."""
        height, width = self._photo.pixels.shape[:2]
        info = BoxInfo.of(self._box)
        methods = [
            name
            for name, why in methods_for(self._box).items()
            if why is None and method_of(name, {}).budget(info).with_region <= MOST_RUNS
        ]
        return {
            "name": self._photo.name,
            "size": [width, height],
            "part": [float(one) for one in self._photo.box],
            "perturbations": list(NAMES),
            "methods": sorted(methods, key=lambda name: name != "mask"),
        }

    def photo(self) -> bytes:
        """Return the photo as a JPEG file."""
        from PIL import Image

        return jpeg(Image.fromarray(self._photo.pixels), QUALITY)

    def ask(self, drawn: bytes, perturbation: str) -> dict[str, Any]:
        """Return what the model says with what is drawn deleted, and with all else deleted.

        Parameters
        ----------
        drawn
            A picture of the photo's proportions, white where something is drawn, as a PNG file.
        perturbation
            A name of `named`.

        Raises
        ------
        ImageError
            If the picture cannot be read.
        InputError
            If nothing is drawn on what the model reads, or there is no such perturbation.
        ModelError
            If the model fails.
        """
        region = self._region(drawn)
        if not region.any():
            raise InputError(
                "Nothing is drawn on what the model reads", got="an empty drawing", hint="draw on the frame"
            )
        with self._lock:
            found = interrogate(self._box, self._images, region[None], perturbation=perturbation)
            spec = self._box.spec
            both = deleted(
                np.asarray(self._images).repeat(2, axis=0), np.stack([region, ~region]), named(perturbation), spec
            )
        told = found.to_dict()
        row = told.pop("regions")[0]
        pictures = {
            name: _address(jpeg(picture_of(one, spec.bounds), QUALITY))
            for name, one in zip(("without", "alone"), both, strict=True)
        }
        return told | {"row": row, "pictures": pictures}

    def layer(self, method: str) -> dict[str, Any]:
        """Return the map and the region of a method, as PNG files of what the model reads, and its figures.

        Raises
        ------
        InputError
            If there is no such method.
        ModelError
            If the model fails.
        """
        with self._lock:
            if method not in self._layers:
                result = explain(self._box, self._images, method=method, progress=False)
                importance = (result.importance(0) * 255).round().astype(np.uint8)
                self._layers[method] = {
                    "method": method,
                    "target": result.target[0],
                    "outcome": str(result.outcome[0]),
                    "share": float(result.share[0]),
                    "score": float(result.score[0]),
                    "score_region": float(result.score_region[0]),
                    "map": _address(map_png(importance), "png"),
                    "region": _address(map_png((result.region[0] * 255).astype(np.uint8)), "png"),
                }
            return self._layers[method]

    def _region(self, drawn: bytes) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Return a drawing on the photo as a region of what the model reads."""
        from PIL import Image

        try:
            with Image.open(io.BytesIO(drawn), formats=("PNG",)) as picture:
                grey = picture.convert("L")
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise ImageError("The drawing cannot be read", got=str(error)) from error
        left, top, right, bottom = self._photo.box
        across, down = grey.width / self._photo.pixels.shape[1], grey.height / self._photo.pixels.shape[0]
        part = (left * across, top * down, right * across, bottom * down)
        fitted = grey.transform(self._frame.pixels, Image.Transform.EXTENT, part, Image.Resampling.BILINEAR)
        return np.asarray(fitted) >= 128


def _address(content: bytes, kind: str = "jpeg") -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
