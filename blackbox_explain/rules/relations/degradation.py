"""Relations that take away detail."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import numpy as np

from blackbox_explain.arrays import gaussian_matrix, one_thread
from blackbox_explain.box.input_spec import InputSpec
from blackbox_explain.perturbations.perturbation import shortest_side
from blackbox_explain.rules.relations.relation import Image, Relation
from blackbox_explain.rules.relations.sampling import Filter, bicubic_matrix, filtered

__all__ = ["GaussianBlur", "GaussianNoise", "Jpeg", "Resolution"]

SIDE = 224
"""The side of an image for which the blur is stated."""


@dataclass(frozen=True)
class GaussianBlur(Relation):
    """Each pixel replaced by the mean of its neighbours, weighted by a Gaussian; beyond the edges there are none.

    θ is its σ in pixels of an image whose shorter side is 224, in proportion for others.  Images of any dimension.
    """

    largest: float = 10
    step: float = 0.25
    name = "gaussian-blur"
    unit = " pixels at a side of 224"

    def phrase(self, theta: float) -> str:
        """Say the width."""
        pixels = "pixel" if theta == 1 else "pixels"
        return f"the image is blurred by a Gaussian with a σ of at most {theta:g} {pixels} at a side of {SIDE}"

    def transform_one(self, image: Image, amount: float, spec: InputSpec, generator: np.random.Generator) -> Image:
        """Blur by a σ of the amount in pixels at a side of 224."""
        spatial = image.shape[1:]
        sigma = amount * shortest_side(spatial) / SIDE
        return filtered(image, [_blur(size, sigma) for size in spatial])


@dataclass(frozen=True)
class GaussianNoise(Relation):
    """x + (θ / 100)(high − low) n, clipped, with n drawn from a normal distribution for every value.

    θ in % of the range of the bounds; images of any shape.  n takes 2^16 values, equally likely quantiles up to 4.3 σ:
    many more than a photo has of its own, and drawn several times as fast as normal floats.
    """

    largest: float = 50
    step: float = 1
    name = "gaussian-noise"
    unit = " %"

    def phrase(self, theta: float) -> str:
        """Say how much."""
        return f"Gaussian noise is added with a σ of at most {theta:g} % of the range"

    def transform_one(self, image: Image, amount: float, spec: InputSpec, generator: np.random.Generator) -> Image:
        """Add noise with a σ of the amount in % of the range."""
        low, high = spec.bounds
        noise = _quantiles().take(generator.integers(0, 2**16, image.shape, dtype=np.uint16))
        noise *= np.float32(amount / 100 * (high - low))
        noise += image
        return noise


@dataclass(frozen=True)
class Jpeg(Relation):
    """The image rounded to bytes, compressed as JPEG of quality 100 − θ, and read again.

    Colour is stored at half the resolution, as is usual in files (4:2:0).  An amount of 0 is no compression at all, not
    quality 100, which would round to bytes.
    """

    largest: float = 98
    step: float = 2
    name = "jpeg"
    unit = " steps of quality"
    limit = 99
    whole = True
    planar = True
    channels = (1, 3)

    def phrase(self, theta: float) -> str:
        """Say the quality."""
        return f"the image is compressed as JPEG of quality {100 - theta:g} or better"

    def transform_one(self, image: Image, amount: float, spec: InputSpec, generator: np.random.Generator) -> Image:
        """Compress at quality 100 less the amount."""
        from PIL import Image as Pillow

        low, high = spec.bounds
        scale = np.float32((high - low) / 255)
        rounded = (image - np.float32(low)) / scale
        np.rint(rounded, out=rounded)
        planes = [Pillow.fromarray(plane) for plane in np.clip(rounded, 0, 255, out=rounded).astype(np.uint8)]
        file = io.BytesIO()
        photo = planes[0] if len(planes) == 1 else Pillow.merge("RGB", planes)
        photo.save(file, "JPEG", quality=round(100 - amount), subsampling="4:2:0")
        read = np.stack([np.asarray(plane, dtype=np.float32) for plane in Pillow.open(file).split()])
        read *= scale
        read += np.float32(low)
        return read


@cache
def _quantiles() -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return the quantiles of the normal distribution in the middle of 2^16 equal shares."""
    from scipy.special import ndtri

    return np.asarray(ndtri((np.arange(2**16) + 0.5) / 2**16), dtype=np.float32)


@lru_cache(maxsize=64)
def _blur(size: int, sigma: float) -> Filter:
    """Return the blur of an axis without the weights that are lost in rounding, so that the band is narrow."""
    matrix = gaussian_matrix(size, size, sigma).astype(np.float32)
    matrix[matrix < np.finfo(np.float32).eps * matrix.max()] = 0
    return Filter(matrix)


@lru_cache(maxsize=64)
def _lowered(size: int, small: int) -> Filter:
    """Return what shrinks an axis and enlarges it again."""
    with one_thread():
        return Filter(bicubic_matrix(size, small, 0, small) @ bicubic_matrix(small, size, 0, size))


@dataclass(frozen=True)
class Resolution(Relation):
    """The image shrunk and enlarged to its size again, both by a bicubic filter that does not alias.

    θ counts halvings: its sides are 2^−θ as many pixels in between, rounded, at least one.
    """

    largest: float = 5
    step: float = 0.1
    name = "resolution"
    unit = " halvings"
    planar = True

    def phrase(self, theta: float) -> str:
        """Say what is left."""
        parts = {1.0: "half", 2.0: "a quarter", 3.0: "an eighth", 4.0: "a sixteenth"}
        return f"the image keeps at least {parts.get(theta, f'{100 / 2**theta:.2g} %')} of its resolution"

    def transform_one(self, image: Image, amount: float, spec: InputSpec, generator: np.random.Generator) -> Image:
        """Halve the resolution as many times as the amount says."""
        return filtered(image, [_lowered(size, max(1, round(size / 2**amount))) for size in image.shape[1:]])
