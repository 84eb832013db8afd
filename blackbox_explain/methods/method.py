"""What a method is: a frozen dataclass of its settings that says what matters in a batch of images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, Protocol, get_args, runtime_checkable

import numpy as np

from blackbox_explain.arrays import Array, to_numpy
from blackbox_explain.box.info import BoxInfo
from blackbox_explain.box.oracle import Oracle
from blackbox_explain.errors import BlackBoxExplainError, InputError
from blackbox_explain.explanation.explanation import Explanation
from blackbox_explain.explanation.region import REGION_QUERIES, Regions
from blackbox_explain.perturbations.perturbation import Blur, Game, Perturbation

__all__ = ["Attribution", "Budget", "Completed", "Method"]

PERTURBED = 1
"""The fully perturbed image, which the method asks about, or `explain` does."""

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]


@dataclass(frozen=True)
class Budget:
    """How many images a method runs a model on for one row.

    Attributes
    ----------
    most
        At most, the image itself included, without the fully perturbed image and what `explain` asks for the region.
    least
        A row that failed with its company begins anew only if so many are left of `most`; None where failed attempts
        are not counted against it.
    """

    most: int
    least: int | None = None

    @property
    def with_region(self) -> int:
        """All images that the model is run on for one row, at most, if it never fails."""
        return self.most + PERTURBED + REGION_QUERIES


@dataclass(frozen=True, eq=False)
class Completed:
    """What a method can tell once the regions are known.

    Attributes
    ----------
    fields
        Of the result, by name: arrays with a row for each image.
    failures
        Why there is nothing, by row.
    """

    fields: Mapping[str, Any] = field(default_factory=dict[str, Any])
    failures: Mapping[int, BlackBoxExplainError] = field(default_factory=dict[int, BlackBoxExplainError])


@dataclass(frozen=True, eq=False, kw_only=True)
class Attribution:
    """What a method found in one batch of n images, in NumPy arrays.

    Attributes
    ----------
    saliency
        (n, *spatial), high = important.
    attribution
        (n, *shape), signed; None from methods that tell no signs.
    failures
        Why there is nothing, by row.
    perturbation
        What stands in for deleted pixels where the region of each row is looked for.
    perturbation_name
        Its name.
    gone
        (n, *shape) the fully perturbed images, if the method made them.
    game
        ``"deletion"``: the region is the smallest without which the score falls; ``"preservation"``: the smallest that
        is enough for it.
    perturbed
        (n, K) scores of the fully perturbed images, if they were asked for.
    settings
        What the method was set to, as JSON knows it; None is the fields of the method.
    gradients
        ``"exact"``, ``"estimated"`` or ``"none"``; None is what the method needs.
    result
        The kind of result that is made of it.
    more
        Further fields of that kind, by name: arrays with a row for each image, or what `Explanation.whole` names.
    complete
        Called with the regions of the rows once they are found; tells yet further fields.
    """

    saliency: Floats
    attribution: Floats | None = None
    failures: Mapping[int, BlackBoxExplainError] = field(default_factory=dict[int, BlackBoxExplainError])
    perturbation: Perturbation = field(default_factory=Blur)
    perturbation_name: str = "blur"
    gone: Floats | None = None
    game: Game = "deletion"
    perturbed: Floats | None = None
    settings: Mapping[str, Any] | None = None
    gradients: Literal["exact", "estimated", "none"] | None = None
    result: type[Explanation] = Explanation
    more: Mapping[str, Any] = field(default_factory=dict[str, Any])
    complete: Callable[[Regions], Completed] = field(default=lambda _regions: Completed())

    @classmethod
    def of_slope(cls, slope: Floats) -> Attribution:
        """Return a gradient (n, *shape) with its largest magnitude among the channels of each pixel as saliency."""
        return cls(saliency=np.abs(slope).max(axis=1), attribution=slope)

    @classmethod
    def checked(cls, found: Any, name: str, shape: tuple[int, ...]) -> Attribution:
        """Return what a method found, its maps as floats.

        Parameters
        ----------
        found
            What `Method.explain` returned.
        name
            Of the method.
        shape
            (n, *shape) of the images.

        Raises
        ------
        InputError
            If it is no attribution, or its maps are not of the images.
        """
        spatial = (shape[0], *shape[2:])
        if not isinstance(found, cls):
            raise _broken(name, f"explain() returned a {type(found).__name__}", "an Attribution")
        if found.game not in get_args(Game):
            raise _broken(name, f"game={found.game!r}", " or ".join(map(repr, get_args(Game))))
        saliency = _as_floats(found.saliency, name, "saliency", spatial)
        attribution = found.attribution
        if attribution is not None:
            attribution = _as_floats(attribution, name, "attribution", shape)
        if saliency is found.saliency and attribution is found.attribution:
            return found
        return replace(found, saliency=saliency, attribution=attribution)


def _as_floats(values: Any, name: str, what: str, shape: tuple[int, ...]) -> Floats:
    array = to_numpy(values) if hasattr(values, "shape") else np.asarray(values)
    if array.shape != shape:
        raise _broken(name, f"the {what} has shape {array.shape}", f"{shape}")
    if array.dtype.kind not in "fiub":
        raise _broken(name, f"the {what} is of {array.dtype}", "floats")
    # Unsigned numbers have no negatives, which maps are sorted by.
    return array if array.dtype.kind == "f" else array.astype(np.float32)


def _broken(name: str, got: str, expected: str) -> InputError:
    return InputError(f"The method {name!r} is broken", got=got, expected=expected)


@runtime_checkable
class Method(Protocol):
    """A way to explain; anything with these four members is one, best as a frozen dataclass of its settings.

    A class may add, found by its presence, ``check_box(box)``: a class method that raises why a box is refused that has
    what the method needs, such as a package or an attention that is missing.  `methods_for` asks it; it may look at
    the layers of the model, and asks for no scores.
    """

    name: ClassVar[str]
    """As `explain` takes it."""

    needs: ClassVar[type[Any]]
    """What a box has to be: `BlackBox`, `Differentiable`, `Layered` or `Rewritable`."""

    def budget(self, info: BoxInfo) -> Budget:
        """Return how many images the model is run on for one row, at most."""
        ...

    def explain(self, oracle: Oracle, images: Array, weights: Array, seed: int) -> Attribution:
        """Explain a batch of images.

        Parameters
        ----------
        oracle
            Asks the model, on behalf of these rows; it holds the scores of the images already (`Oracle.originals`).
        images
            (n, *shape) in pixel space, in the library of the box.
        weights
            (n, K) the targets as weights over the scores, in the same library.
        seed
            Of everything that is drawn.  What a row gets must not depend on its company.

        Raises
        ------
        ModelError, OutOfMemoryError
            If the model fails or memory runs out: the batch is then split, and each part tried again.
        """
        ...
