"""The options that say how masks are learned, shared by the commands that learn some."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import typer

from blackbox_explain.box.info import BoxInfo
from blackbox_explain.box.protocols import BlackBox
from blackbox_explain.explanation.region import SUPPRESS
from blackbox_explain.methods.mask.mask import Mask
from blackbox_explain.methods.mask.settings import LearnedGame, PresetName, Settings
from blackbox_explain.perturbations.named import PerturbationName

__all__ = ["MaskOptions"]


@dataclass(frozen=True)
class MaskOptions:
    """What is learned, as typed: parameters of `explain`."""

    panel: ClassVar[str] = "Masks"

    game: Annotated[
        LearnedGame,
        typer.Option(metavar="NAME", help="deletion of the evidence, preservation of it alone, or both in turns."),
    ] = "deletion"
    perturbation: Annotated[
        PerturbationName,
        typer.Option(
            metavar="NAME",
            help="What stands in for deleted pixels: blur, constant (the mean colour), noise, middle (grey), "
            "low (black) or zero.",
        ),
    ] = "blur"
    preset: Annotated[
        PresetName,
        typer.Option(
            metavar="NAME",
            help="How it is learned: quick (10 gradients, 14 where something is kept), fast (42), thorough (94), "
            "paper or authors (300).",
        ),
    ] = "fast"
    suppress: Annotated[
        float,
        typer.Option(
            metavar="SHARE",
            help="How much of the score's fall the region is to cause, or with preservation to keep; above 0, below 1.",
        ),
    ] = SUPPRESS
    queries: Annotated[
        int,
        typer.Option(
            metavar="N", help="For models without gradients: most images that a model is run on for each mask.", min=100
        ),
    ] = Settings().queries
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of jitter and noise.", min=0)] = 0

    def queries_of(self, box: BlackBox) -> int:
        """Return what progress counts for each mask: the images that the model is run on, at most."""
        return Mask(self.preset, self.game, queries=self.queries).budget(BoxInfo.of(box)).with_region
