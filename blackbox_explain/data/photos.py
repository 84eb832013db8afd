"""Where images come from: the photo of each, and the part of the photo that the model reads."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

__all__ = ["FITS", "Fit", "LoadedImages", "Photo", "Photos", "margin_of", "part_read", "photos_of", "size_in"]

Fit = Literal["stretch", "crop", "pad"]
FITS: tuple[Fit, ...] = ("stretch", "crop", "pad")


@dataclass(frozen=True, eq=False)
class Photo:
    """A photo as people look at it, from which an image for the model was made.

    Parameters
    ----------
    name
        Of its file, without the folder; "" where it is not known.
    pixels
        (H, W, 3) uint8, upright, in the photo's own proportions; at most 2,000 pixels on the long side.
    box
        Left, top, right and bottom of what the model reads, in pixels of `pixels`: inside of the photo where it was
        cropped, all of it where it was stretched, reaching beyond it where it was padded.
    file_size
        Width and height of the upright photo in its file; None where they are those of `pixels`.
    blur
        By how many pixels of the file the photo was blurred before the image was made of it.
    """

    name: str
    pixels: np.ndarray[Any, np.dtype[np.uint8]]
    box: tuple[float, float, float, float]
    file_size: tuple[int, int] | None = None
    blur: float = 0.0

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the upright photo in its file."""
        return self.file_size or (self.pixels.shape[1], self.pixels.shape[0])


Photos = tuple[Photo | None, ...]
"""One for each image; None where an image comes from no photo."""


class LoadedImages(np.ndarray[Any, np.dtype[np.float32]]):
    """Images (N, C, H, W) that know their photos.

    An array like any other.  Indexing of the first axis alone (``images[2:5]``, ``images[[3, 1]]``, masks),
    `numpy.concatenate`, copies and pickling keep the photos; an image whose pixels were changed has none any more.
    """

    _photos: Photos | None
    _digests: tuple[int, ...]

    def __new__(cls, images: Any, photos: Iterable[Photo | None] | None = None) -> LoadedImages:
        """View `images` as such, with a photo for each."""
        made = np.asarray(images).view(cls)
        if photos is not None:
            made._photos = tuple(photos)
            if len(made._photos) != len(made):
                raise ValueError(f"{len(made._photos)} photos for {len(made)} images")
            made._digests = tuple(_digest(made[row]) for row in range(len(made)))
        return made

    def __array_finalize__(self, other: Any) -> None:
        self._photos, self._digests = None, ()

    @property
    def photos(self) -> Photos | None:
        """N photos, None for images whose pixels were changed since; None if there is none at all."""
        if self._photos is None:
            return None
        pairs = zip(self._photos, self._digests, strict=True)
        found = tuple(photo if _digest(self[row]) == told else None for row, (photo, told) in enumerate(pairs))
        return found if any(one is not None for one in found) else None

    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(key)
        if self._photos is None or not isinstance(found, LoadedImages) or found.ndim != self.ndim:
            return found
        if isinstance(key, tuple) and not (len(key) == 1 or (len(key) == 2 and key[1] is Ellipsis)):
            return found
        first = key[0] if isinstance(key, tuple) else key
        if first is not None:
            rows = np.arange(len(self))[first]
            found._photos = tuple(self._photos[row] for row in rows)
            found._digests = tuple(self._digests[row] for row in rows)
        return found

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        """Compute as plain arrays do."""
        written = options.get("out", ())
        if written:
            options["out"] = tuple(_plain(one) for one in written)
        answer = getattr(ufunc, method)(*map(_plain, inputs), **options)
        return written[0] if len(written) == 1 else answer

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """Join photos where images are joined; for the rest be a plain array."""
        answer = super().__array_function__(func, types, args, kwargs)  # pyright: ignore[reportAttributeAccessIssue]
        if func is np.concatenate and kwargs.get("axis", args[1] if len(args) > 1 else 0) == 0:
            parts = list(args[0])
            if any(photos_of(part) is not None for part in parts):
                joined = [photo for part in parts for photo in photos_of(part) or [None] * len(part)]
                return LoadedImages(answer, joined)
        return answer if photos_of(answer) is not None else _plain(answer)

    def copy(self, order: Any = "C") -> LoadedImages:
        """Copy the pixels; the photos are shared."""
        return LoadedImages(super().copy(order), self.photos)

    def __reduce__(self) -> Any:
        return LoadedImages, (np.array(self, subok=False), self.photos)

    def __copy__(self) -> LoadedImages:
        return self.copy()

    def __deepcopy__(self, memo: Any) -> LoadedImages:
        return self.copy()


def _digest(image: Any) -> int:
    return zlib.crc32(np.ascontiguousarray(image, dtype=np.float64).tobytes())


def _plain(array: Any) -> Any:
    return array.view(np.ndarray) if isinstance(array, LoadedImages) else array


def photos_of(images: Any) -> Photos | None:
    """Return the photos of images made by `load_images`; None of any other array."""
    return images.photos if isinstance(images, LoadedImages) else None


def part_read(size: tuple[int, int], target: tuple[int, int], fit: Fit) -> tuple[float, float, float, float]:
    """Say which part of a photo the model reads.

    Parameters
    ----------
    size
        Width and height of the upright photo.
    target
        Width and height that the model reads.
    fit
        As in `load_images`.

    Returns
    -------
    tuple
        Left, top, right and bottom in pixels of the photo; it fills the model's input, and with ``"pad"`` it
        reaches beyond the photo.
    """
    width, height = size
    if fit == "stretch":
        return 0.0, 0.0, float(width), float(height)
    if fit == "crop":
        across, down = min(width, height * target[0] / target[1]), min(height, width * target[1] / target[0])
        left, top = (width - across) / 2, (height - down) / 2
        return left, top, left + across, top + down
    shown = size_in(size, target)
    edges: list[tuple[float, float]] = []
    for old, new, whole in zip(size, shown, target, strict=True):
        margin, scale = margin_of(new, whole), old / new
        edges.append((-margin * scale, (whole - margin) * scale))
    (left, right), (top, bottom) = edges
    return left, top, right, bottom


def size_in(size: tuple[int, int], target: tuple[int, int]) -> tuple[int, int]:
    """Return width and height of the largest picture with the proportions of `size` that fits into `target`."""
    scale = min(target[0] / size[0], target[1] / size[1])
    across, down = (max(1, min(whole, round(old * scale))) for old, whole in zip(size, target, strict=True))
    return across, down


def margin_of(shown: int, whole: int) -> int:
    """Return how many pixels lie before `shown` pixels in the middle of `whole` ones."""
    return round((whole - shown) / 2)
