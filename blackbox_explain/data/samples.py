"""The images that a rule is checked on, with what is known about them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from blackbox_explain.arrays import Array, to_numpy
from blackbox_explain.box.input_spec import InputSpec, check_images
from blackbox_explain.errors import InputError

__all__ = ["Samples", "as_samples"]

Floats = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True, eq=False)
class Samples:
    """Images x_i ~ p(x) of eq. 1; error rates found on them hold for the images that they were drawn from.

    Attributes
    ----------
    images
        (N, *shape) floats in ``spec.bounds``, or bytes (uint8), which stand for the range of the bounds.
    spec
        Of the black box that reads them.
    labels
        (N,) true class of each image; None where unknown.
    regions
        (N, *spatial) True on the object of the true class; None where unknown.
    names
        One for each image, such as its file.
    """

    images: np.ndarray[Any, Any]
    spec: InputSpec
    labels: np.ndarray[Any, np.dtype[np.int64]] | None = None
    regions: np.ndarray[Any, np.dtype[np.bool_]] | None = None
    names: tuple[str, ...] = field(default=())

    unit: ClassVar[str] = "image"
    """What one of them is called."""

    @classmethod
    def of(
        cls,
        images: Array,
        spec: InputSpec,
        *,
        labels: Sequence[int] | None = None,
        regions: Array | None = None,
        names: Sequence[str] = (),
    ) -> Samples:
        """Check images and what is known about them.

        Parameters
        ----------
        images, spec, labels, regions, names
            As the attributes; images may be of any array library.

        Raises
        ------
        InputError
            If the images do not fit the spec, there are none, labels, regions or names are not one for each, or a
            region is neither True nor False somewhere.
        """
        is_bytes = isinstance(images, np.ndarray) and images.dtype == np.uint8
        host = images if is_bytes else check_images(images, spec)
        if len(host) == 0:
            raise InputError("A rule is checked on images, and there are none", expected="at least one image")
        if host.shape[1:] != spec.shape:
            raise InputError("The images do not fit", got=f"{host.shape}", expected=f"(N, {spec.shape})")
        known = None if labels is None else _whole_numbers(labels)
        where = None if regions is None else _true_or_false(regions)
        for what, found, shape in (
            ("labels", known, (len(host),)),
            ("regions", where, (len(host), *spec.spatial)),
            ("names", np.asarray(names, dtype=object) if len(names) else None, (len(host),)),
        ):
            if found is not None and found.shape != shape:
                raise InputError(f"The {what} do not fit the images", got=f"{found.shape}", expected=f"{shape}")
        return cls(host, spec, known, where, tuple(names) or tuple(f"image {row}" for row in range(len(host))))

    def __len__(self) -> int:
        return len(self.images)

    def batch(self, rows: np.ndarray[Any, Any]) -> Floats:
        """Return some of the images as floats in the bounds: (n, *shape) float32."""
        chosen = self.images[rows]
        if chosen.dtype != np.uint8:
            return np.asarray(chosen, dtype=np.float32)
        low, high = self.spec.bounds
        # In place: fresh memory costs more here than the arithmetic.
        made = chosen.astype(np.float32)
        made *= np.float32((high - low) / 255)
        if low:
            made += np.float32(low)
        return made

    def take(self, rows: np.ndarray[Any, Any]) -> Samples:
        """Return some of the samples."""
        return Samples(
            self.images[rows],
            self.spec,
            None if self.labels is None else self.labels[rows],
            None if self.regions is None else self.regions[rows],
            tuple(self.names[row] for row in rows),
        )

    def rows_of(self, images: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return the rows that are of some of the different images, which are counted from 0."""
        return images

    def require_labels(self, what: str) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Return the labels, or raise `InputError` that says what needs them."""
        if self.labels is None:
            raise InputError(f"{what} needs the true class of each image", hint="Samples.of(..., labels=...)")
        return self.labels

    def require_regions(self, what: str) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Return the regions, or raise `InputError` that says what needs them."""
        if self.regions is None:
            raise InputError(f"{what} needs the object's place in each image", hint="Samples.of(..., regions=...)")
        return self.regions

    @cached_property
    def digests(self) -> tuple[str, ...]:
        """What tells each image from others, whatever it is stored as: BLAKE2 of its bytes, 12 hexadecimal digits."""
        return tuple(hashlib.blake2b(self._bytes(one).data, digest_size=6).hexdigest() for one in self.images)

    def _bytes(self, image: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.uint8]]:
        if image.dtype != np.uint8:
            low, high = self.spec.bounds
            image = np.rint((image.astype(np.float32) - low) * (255 / (high - low))).clip(0, 255).astype(np.uint8)
        return np.ascontiguousarray(image)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the images and labels, 16 digits."""
        digest = hashlib.sha256(str((self.images.shape, self.images.dtype.str)).encode())
        for array in (self.images, self.labels, self.regions):
            # In pieces where the memory is not in order, so that no more than one image is copied.
            for part in () if array is None else (array,) if array.flags.c_contiguous else array:
                digest.update(np.ascontiguousarray(part).reshape(-1).view(np.uint8).data)
        return digest.hexdigest()[:16]


def as_samples(samples: Samples | Array, spec: InputSpec) -> Samples:
    """Return samples as they are, and images (N, *shape) of which nothing else is known as samples.

    Raises
    ------
    InputError
        If the images do not fit the spec.
    """
    return samples if isinstance(samples, Samples) else Samples.of(samples, spec)


def _whole_numbers(labels: Sequence[int]) -> np.ndarray[Any, np.dtype[np.int64]]:
    found = np.asarray(labels)
    if found.dtype.kind not in "iu":
        raise InputError("Labels are class indices", got=f"{found.dtype}", expected="whole numbers")
    return found.astype(np.int64)


def _true_or_false(regions: Array) -> np.ndarray[Any, np.dtype[np.bool_]]:
    found = to_numpy(regions) if hasattr(regions, "shape") else np.asarray(regions)
    if found.dtype.kind not in "biuf" or not ((found == 0) | (found == 1)).all():
        known = found.dtype.kind in "biuf" and found.size
        got = f"values from {found.min():g} to {found.max():g}" if known else f"{found.dtype}"
        raise InputError(
            "Regions are True on the object and False elsewhere", got=got, expected="bool, or 0 and 1", hint="map > 0.5"
        )
    return found.astype(bool, copy=False)
