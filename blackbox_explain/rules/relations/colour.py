"""Relations that change values and colours, pixel by pixel."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from blackbox_explain.box.input_spec import InputSpec
from blackbox_explain.rules.relations.relation import Image, Relation

__all__ = ["LUMA", "Brightness", "Contrast", "GreyScale", "Hue", "Saturation"]

LUMA = np.asarray([0.299, 0.587, 0.114], dtype=np.float32)
"""How bright red, green and blue look (ITU-R BT.601)."""


@dataclass(frozen=True)
class Brightness(Relation):
    """x + (θ / 100)(high − low), clipped: all values raised or lowered by a share of the range of the bounds.

    θ in % of that range; images of any shape.
    """

    largest: float = 50
    step: float = 1
    name = "brightness"
    unit = " %"
    limit = 100
    signed = True

    def phrase(self, theta: float) -> str:
        """Say by how much."""
        return f"the brightness is raised or lowered by at most {theta:g} % of its range"

    def transform_one(self, image: Image, amount: float, spec: InputSpec, generator: np.random.Generator) -> Image:
        """Add the amount in % of the range."""
        low, high = spec.bounds
        return image + np.float32(amount / 100 * (high - low))


@dataclass(frozen=True)
class Contrast(Relation):
    """m + (1 + θ / 100)(x − m), clipped, about the mean m of all values of the image.

    θ in %; −100 leaves nothing but the mean, 100 doubles the contrast.  Images of any shape.
    """

    largest: float = 100
    step: float = 2
    name = "contrast"
    unit = " %"
    limit = 100
    signed = True

    def phrase(self, theta: float) -> str:
        """Say by how much."""
        return f"the contrast is raised or lowered by at most {theta:g} %"

    def transform_one(self, image: Image, amount: float, spec: InputSpec, generator: np.random.Generator) -> Image:
        """Change the distance from the mean by the amount in %."""
        return _away(image, image.mean(dtype=np.float64).astype(np.float32), amount)


@dataclass(frozen=True)
class Saturation(Relation):
    """y + (1 + θ / 100)(x − y), clipped, about the luma y = 0.299 R + 0.587 G + 0.114 B of each pixel.

    θ in %; −100 leaves shades of grey, 100 doubles the distance from them.
    """

    largest: float = 100
    step: float = 2
    name = "saturation"
    unit = " %"
    limit = 100
    signed = True
    planar = True
    channels = (3,)

    def phrase(self, theta: float) -> str:
        """Say by how much."""
        return f"the saturation is raised or lowered by at most {theta:g} %"

    def transform_one(self, image: Image, amount: float, spec: InputSpec, generator: np.random.Generator) -> Image:
        """Change the distance from grey by the amount in %."""
        return _away(image, _luma(image), amount)


@dataclass(frozen=True)
class Hue(Relation):
    """Colours turned about the grey axis k = (1, 1, 1) / √3, clipped: Rodrigues' formula, one 3 × 3 matrix.

    R = cos θ I + (1 − cos θ) k kᵀ + sin θ [k]×, θ in degrees; 120° makes green of red, blue of green and red of blue.
    Greys stay, and so does R + G + B where nothing is clipped.
    """

    largest: float = 180
    step: float = 3
    name = "hue"
    unit = "°"
    limit = 180
    signed = True
    planar = True
    channels = (3,)

    def phrase(self, theta: float) -> str:
        """Say the angle."""
        return f"every hue is turned by at most {theta:g}°"

    def transform_one(self, image: Image, amount: float, spec: InputSpec, generator: np.random.Generator) -> Image:
        """Turn colours by the amount in degrees."""
        low = np.float32(spec.bounds[0])
        cosine, sine = math.cos(math.radians(amount)), math.sin(math.radians(amount)) / math.sqrt(3)
        cross = np.asarray([[0, -1, 1], [1, 0, -1], [-1, 1, 0]])
        matrix = (cosine * np.eye(3) + (1 - cosine) / 3 + sine * cross).astype(np.float32)
        return np.einsum("ij,jhw->ihw", matrix, image - low) + low


@dataclass(frozen=True)
class GreyScale(Relation):
    """Every pixel replaced by its luma, 0.299 R + 0.587 G + 0.114 B; θ is 1."""

    name = "grey-scale"
    limit = 1
    whole = True
    planar = True
    channels = (3,)

    def phrase(self, theta: float) -> str:
        """Say it."""
        return "the image is turned into shades of grey"

    def transform_one(self, image: Image, amount: float, spec: InputSpec, generator: np.random.Generator) -> Image:
        """Replace colours by their luma."""
        return np.broadcast_to(_luma(image), image.shape)


def _luma(image: Image) -> Image:
    """Return how bright the pixels of an image (3, H, W) look: (1, H, W)."""
    return np.einsum("c,chw->hw", LUMA, image)[None]


def _away(image: Image, centre: Image, amount: float) -> Image:
    """Change the distance from a centre by an amount in %."""
    return centre + np.float32(1 + amount / 100) * (image - centre)
