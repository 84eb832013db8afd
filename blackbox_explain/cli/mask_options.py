"""The options that say how masks are learned, shared by the commands that learn some."""

from __future__ import annotations

from typing import Annotated

import typer

from blackbox_explain.presets import PerturbationName, PresetName, Settings
from blackbox_explain.regularizers import Game

__all__ = ["QUERIES", "GameName", "Perturbed", "Preset", "Queries", "Seed"]

QUERIES = Settings().queries

GameName = Annotated[Game, typer.Option(help="Delete the evidence, or keep it alone.")]
Perturbed = Annotated[PerturbationName, typer.Option(help="What stands in for deleted pixels.")]
Preset = Annotated[PresetName, typer.Option(help="How the masks are learned.")]
Seed = Annotated[int, typer.Option(help="Of jitter and noise.", min=0)]
Queries = Annotated[
    int,
    typer.Option(help="For models without gradients: most images that a model is run on for each mask.", min=100),
]
