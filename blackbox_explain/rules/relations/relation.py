"""What a relation is: a family of transformations x ~θ x', of which a larger θ allows more."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from blackbox_explain.blackbox import InputSpec
from blackbox_explain.errors import InputError
from blackbox_explain.rules.saved import Saved

__all__ = ["Relation"]

Images = np.ndarray[Any, np.dtype[np.float32]]
Floats = np.ndarray[Any, np.dtype[np.float64]]


class Relation(Saved, ABC):
    """One class of transformations with a strength θ; θ = 0 would be the image itself.

    Attributes
    ----------
    name
        One word or two, such as "rotation".
    unit
        Of θ, such as "°"; empty where θ is a share or a count.
    largest
        The largest θ.
    step
        The distance of two levels of θ that are told apart; levels are step, 2 step, ... up to `largest`.
    signed
        Whether a transformation goes either way; its amount is then in [−θ, θ], else in [0, θ].
    """

    name: ClassVar[str]
    unit: ClassVar[str]
    largest: ClassVar[float]
    step: ClassVar[float]
    signed: ClassVar[bool] = False

    @property
    def levels(self) -> Floats:
        """The θ that are told apart, (K,) ascending."""
        count = round(self.largest / self.step)
        return np.asarray([round(self.step * (one + 1), 10) for one in range(count)])

    @abstractmethod
    def phrase(self, theta: float) -> str:
        """Say what is done at most, such as "the image is rotated by at most 13°"."""

    @abstractmethod
    def transform(
        self, images: Images, amounts: Floats, spec: InputSpec, generators: Sequence[np.random.Generator]
    ) -> Images:
        """Return transformed images of the same shape, in the bounds.

        Parameters
        ----------
        images
            (n, C, H, W) float32 in ``spec.bounds``; not changed.
        amounts
            (n,) strengths of either sign if `signed`; the strength 0 gives the image back.
        spec
            Shape and bounds.
        generators
            One for each image, for whatever else is random; draw the same whatever the amount, so that a stronger
            transformation is the same one, only more of it.
        """

    def check_theta(self, theta: float) -> None:
        """Raise `InputError` if θ is none of this relation's."""
        if not self.step * (1 - 1e-9) <= theta <= self.largest * (1 + 1e-9):
            expected = f"{self.step:g} to {self.largest:g}{self.unit}"
            raise InputError(
                f"This is out of the range of the relation {self.name}", got=f"{theta:g}", expected=expected
            )
