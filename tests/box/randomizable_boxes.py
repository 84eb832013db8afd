"""A black box whose parameters can be drawn anew, and those that break what is promised of that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from blackbox_explain.box.adapter_tools.random_parameters import check_layers, drawn_like
from tests.box.broken_boxes import Good

LAYERS = ("second", "first")


class Drawn(Good):
    """softmax(tanh(x A) B), with A and B drawn anew where that is asked for."""

    def parameter_layers(self) -> tuple[str, ...]:
        return LAYERS

    def randomized(self, layers: Sequence[str], seed: int) -> Any:
        check_layers(layers, LAYERS)
        made = type(self)()
        for name in layers:
            setattr(made, name, drawn_like(getattr(made, name), seed, name))
        return made


class InPlace(Drawn):
    """Draws the parameters of the box itself."""

    def randomized(self, layers: Sequence[str], seed: int) -> Any:
        for name in layers:
            setattr(self, name, drawn_like(getattr(self, name), seed, name))
        return self


class Unchanged(Drawn):
    def randomized(self, layers: Sequence[str], seed: int) -> Any:
        return type(self)()


class SeedIgnored(Drawn):
    def randomized(self, layers: Sequence[str], seed: int) -> Any:
        return super().randomized(layers, 0)


class NoSeed(Drawn):
    """Draws anew each time."""

    def randomized(self, layers: Sequence[str], seed: int) -> Any:
        return super().randomized(layers, int(np.random.default_rng().integers(1 << 30)))


class AllAlways(Drawn):
    """Draws layers that were not asked for."""

    def randomized(self, layers: Sequence[str], seed: int) -> Any:
        return super().randomized(LAYERS, seed)


class Twice(Drawn):
    def parameter_layers(self) -> tuple[str, ...]:
        return ("second", "second")


BROKEN_RANDOM: dict[str, list[Any]] = {
    "check_randomized": [InPlace, Unchanged, SeedIgnored, NoSeed, AllAlways, Twice],
}
