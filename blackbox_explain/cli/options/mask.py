"""The options that say how masks are learned, shared by the commands that learn some."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import typer

from blackbox_explain.box.protocols import BlackBox, DifferentiableBlackBox
from blackbox_explain.methods.mask.regularizers import Game
from blackbox_explain.methods.mask.settings import PRESETS, PerturbationName, PresetName, Settings

__all__ = ["MaskOptions"]


@dataclass(frozen=True)
class MaskOptions:
    """What is learned, as typed: parameters of `explain`."""

    panel: ClassVar[str] = "Masks"

    game: Annotated[
        Game, typer.Option(metavar="NAME", help="deletion of the evidence, or preservation of it alone.")
    ] = "deletion"
    perturbation: Annotated[
        PerturbationName,
        typer.Option(metavar="NAME", help="What stands in for deleted pixels: blur, constant or noise."),
    ] = "blur"
    preset: Annotated[
        PresetName, typer.Option(metavar="NAME", help="How the masks are learned: fast, paper or authors.")
    ] = "fast"
    queries: Annotated[
        int,
        typer.Option(
            metavar="N", help="For models without gradients: most images that a model is run on for each mask.", min=100
        ),
    ] = Settings().queries
    seed: Annotated[int, typer.Option(metavar="N", help="Of jitter and noise.", min=0)] = 0

    def steps_of(self, box: BlackBox) -> int:
        """Return what progress counts for each mask: steps with gradients, or else queries."""
        return PRESETS[self.preset].steps if isinstance(box, DifferentiableBlackBox) else self.queries
