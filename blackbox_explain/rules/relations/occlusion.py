"""The relation that hides a part of the image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from blackbox_explain.box.input_spec import InputSpec
from blackbox_explain.rules.relations.relation import Image, Relation, check_choice

__all__ = ["FILLS", "Fill", "Occlusion"]

Fill = Literal["mean", "middle", "low"]
FILLS: tuple[Fill, ...] = ("mean", "middle", "low")


@dataclass(frozen=True)
class Occlusion(Relation):
    """A square at a random place inside the image, covered by one colour; an interval of a signal, a cube of a volume.

    θ in % of the shorter side, in whole pixels.  For one draw the square of a larger θ covers that of a smaller.

    Attributes
    ----------
    fill
        ``"mean"``: the image's mean colour, which stands out least; ``"middle"`` of the bounds: grey; ``"low"``: black.
    """

    largest: float = 80
    step: float = 2
    fill: Fill = "mean"
    name = "occlusion"
    unit = " %"
    limit = 100

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("fill", self.fill, FILLS)

    def phrase(self, theta: float) -> str:
        """Say the size."""
        return f"a square of at most {theta:g} % of the image's side is covered"

    def transform_one(self, image: Image, amount: float, spec: InputSpec, generator: np.random.Generator) -> Image:
        """Cover a square whose side is the amount in % of the shorter side."""
        spatial = image.shape[1:]
        side = round(amount / 100 * min(spatial))
        starts = [
            int(place * (size - side + 1)) for place, size in zip(generator.random(len(spatial)), spatial, strict=True)
        ]
        made = image.copy()
        made[(slice(None), *(slice(start, start + side) for start in starts))] = self._colour(image, spec)
        return made

    def _colour(self, image: Image, spec: InputSpec) -> Image | float:
        low, high = spec.bounds
        if self.fill == "mean":
            return image.mean(axis=tuple(range(1, image.ndim)), keepdims=True)
        return low if self.fill == "low" else (low + high) / 2
