"""How the region is looked for of a method that has no setting for it: by which game, and what stands in for pixels."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, get_args

from blackbox_explain.arrays import Array
from blackbox_explain.box.info import BoxInfo
from blackbox_explain.box.oracle import Oracle
from blackbox_explain.errors import InputError
from blackbox_explain.json_values import fields_of
from blackbox_explain.methods.method import Attribution, Budget, Method
from blackbox_explain.perturbations.named import called, perturbation_of, record_of
from blackbox_explain.perturbations.perturbation import Game, Perturbation

__all__ = ["OF_REGION", "WithRegion"]

OF_REGION = ("game", "perturbation")
"""Settings that every method takes; those that have them as fields do more with them than look for a region."""


@dataclass(frozen=True)
class WithRegion:
    """A method whose region is looked for in another way.

    Its map is the method's own.

    Attributes
    ----------
    method
        The method.
    game
        ``"deletion"``: the smallest region without which the score falls.  ``"preservation"``: the smallest that is
        enough for it.
    perturbation
        What stands in for deleted pixels: a name of `named`, or a `Perturbation`.  None is what the method itself says.

    Raises
    ------
    InputError
        If there is no such game or perturbation.
    """

    method: Method
    game: Game = "deletion"
    perturbation: str | Perturbation | None = None

    def __post_init__(self) -> None:
        if self.game not in get_args(Game):
            expected = " or ".join(map(repr, get_args(Game)))
            what = f"There is no such game for {self.method.name!r}"
            raise InputError(what, got=f"game={self.game!r}", expected=expected)
        if self.perturbation is not None:
            perturbation_of(self.perturbation)

    @property
    def name(self) -> str:
        """The name of the method."""
        return self.method.name

    @property
    def needs(self) -> type[Any]:
        """What a box has to be for the method."""
        return self.method.needs

    def budget(self, info: BoxInfo) -> Budget:
        """Return that of the method."""
        return self.method.budget(info)

    def explain(self, oracle: Oracle, images: Array, weights: Array, seed: int) -> Attribution:
        """Explain by the method, and say how its region is to be looked for."""
        found = self.method.explain(oracle, images, weights, seed)
        told = fields_of(self.method) if found.settings is None else found.settings
        found = dataclasses.replace(found, game=self.game, settings=told)
        if self.perturbation is None:
            return found
        chosen = perturbation_of(self.perturbation)
        return dataclasses.replace(
            found,
            perturbation=chosen,
            perturbation_name=called(self.perturbation),
            gone=None,
            perturbed=None,
            settings={**(found.settings or {}), "perturbation_settings": record_of(chosen)},
        )
