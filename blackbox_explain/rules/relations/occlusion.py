"""The relation that hides a part of the image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from blackbox_explain.box.input_spec import InputSpec
from blackbox_explain.perturbations.deletion import deleted
from blackbox_explain.perturbations.named import PerturbationName, named
from blackbox_explain.perturbations.perturbation import shortest_side
from blackbox_explain.rules.relations.relation import Image, Relation, check_choice

__all__ = ["FILLS", "Occlusion"]

FILLS: tuple[PerturbationName, ...] = ("constant", "middle", "low")


@dataclass(frozen=True)
class Occlusion(Relation):
    """A square at a random place inside the image, covered by one colour; an interval of a signal, a cube of a volume.

    θ in % of the shorter side, in whole pixels.  For one draw the square of a larger θ covers that of a smaller.

    Attributes
    ----------
    fill
        ``"constant"``: the image's mean colour, which stands out least; ``"middle"`` of the bounds: grey; ``"low"``:
        black.
    """

    largest: float = 80
    step: float = 2
    fill: PerturbationName = "constant"
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
        side = round(amount / 100 * shortest_side(spatial))
        hidden = np.zeros(spatial, dtype=bool)
        # An axis of one pixel, of a signal laid out as an image, is covered whole.
        starts = [
            int(place * (size - min(side, size) + 1))
            for place, size in zip(generator.random(len(spatial)), spatial, strict=True)
        ]
        hidden[tuple(slice(start, start + side) for start in starts)] = True
        return deleted(image[None], hidden[None], named(self.fill), spec)[0]
