"""The options that say how masks are learned, shared by the commands that learn some."""

from __future__ import annotations

from typing import Annotated

import typer

from blackbox_explain.presets import PerturbationName, PresetName, Settings
from blackbox_explain.regularizers import Game

__all__ = ["QUERIES", "GameName", "Perturbed", "Preset", "Queries", "Seed"]

QUERIES = Settings().queries

GameName = Annotated[Game, typer.Option(metavar="NAME", help="deletion of the evidence, or preservation of it alone.")]
Perturbed = Annotated[
    PerturbationName, typer.Option(metavar="NAME", help="What stands in for deleted pixels: blur, constant or noise.")
]
Preset = Annotated[PresetName, typer.Option(metavar="NAME", help="How the masks are learned: fast, paper or authors.")]
Seed = Annotated[int, typer.Option(metavar="N", help="Of jitter and noise.", min=0)]
Queries = Annotated[
    int,
    typer.Option(
        metavar="N", help="For models without gradients: most images that a model is run on for each mask.", min=100
    ),
]
