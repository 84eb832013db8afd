"""What all methods have that delete and look: what stands in for deleted pixels, and the scores under many masks."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

import numpy as np

from blackbox_explain.arrays import Array, to_numpy
from blackbox_explain.box.input_spec import InputSpec
from blackbox_explain.box.oracle import Oracle
from blackbox_explain.box.parts import part_from
from blackbox_explain.box.protocols import BlackBox
from blackbox_explain.box.targets import target_scores
from blackbox_explain.errors import ModelError
from blackbox_explain.methods.method import Attribution
from blackbox_explain.perturbations.levels import levels_of, taken
from blackbox_explain.perturbations.named import called, perturbation_of, record_of
from blackbox_explain.perturbations.perturbation import Blur, Perturbation, shortest_side

__all__ = ["OF", "BlurAt224", "Deleting", "MaskedScores"]

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]
Rows = np.ndarray[Any, np.dtype[np.int64]]

AT_ONCE = 1024
"""Masks whose scores are held for all classes."""

AHEAD = 3
"""Arrays of images that are there at a time: what the model reads, what is made meanwhile, and what waits."""

OF = 224
"""Pixels along the shortest side of the images that papers state lengths for; in proportion elsewhere."""


@dataclass(frozen=True)
class Deleting:
    """The part that methods which delete have in common.

    Attributes
    ----------
    perturbation
        What stands in for deleted pixels: a name of `named`, or a `Perturbation`.  None is what the method's paper
        takes (`usual`); the region is then looked for by blur, as it is for every other method, so that regions can be
        compared.
    """

    perturbation: str | Perturbation | None = None

    needs: ClassVar[type[Any]] = BlackBox
    usual: ClassVar[str] = "middle"

    def __post_init__(self) -> None:
        self.chosen()

    def chosen(self) -> Perturbation:
        """Return what stands in for deleted pixels."""
        return perturbation_of(self.usual if self.perturbation is None else self.perturbation)

    def masked_scores(self, oracle: Oracle, images: Array, weights: Array, seed: int) -> MaskedScores:
        """Return the scores of a batch as functions of masks."""
        host = to_numpy(images)
        own = taken(self.chosen(), oracle.rows, len(oracle.counts), oracle.box.spec)
        gone = np.asarray(levels_of(own, host, oracle.box.spec, seed)[0])
        return MaskedScores(oracle, host, gone.astype(host.dtype, copy=False), to_numpy(weights))

    def found(self, saliency: Floats, images: Array, attribution: Floats | None = None) -> Attribution:
        """Return what was found, in the type of the images."""
        dtype = to_numpy(images).dtype
        values = saliency.astype(dtype, copy=False)
        signed = None if attribution is None else attribution.astype(dtype, copy=False)
        if self.perturbation is None:
            return Attribution(saliency=values, attribution=signed)
        chosen, name = self.chosen(), called(self.perturbation)
        # Others than those by name are objects, which no record holds.
        own = {one.name: getattr(self, one.name) for one in dataclasses.fields(self) if one.init}
        record = {**own, "perturbation": name, "perturbation_settings": record_of(chosen)}
        return Attribution(
            saliency=values, attribution=signed, perturbation=chosen, perturbation_name=name, settings=record
        )


@dataclass(frozen=True)
class BlurAt224:
    """A blur whose width is stated for images of 224 pixels along their shortest side, and in proportion elsewhere.

    Attributes
    ----------
    sigma
        In pixels of such images.
    levels_count
        As in `Blur`.
    """

    sigma: float
    levels_count: int = 2

    def levels(self, images: Array, spec: InputSpec, seed: int) -> Array:
        """Return the scale space."""
        return Blur(self.sigma * shortest_side(spec.spatial) / OF, self.levels_count).levels(images, spec, seed)

    def take(self, rows: Rows) -> BlurAt224:
        """Return itself: it is the same for all images."""
        del rows
        return self


class _Spare:
    """Arrays that are filled again once nobody holds them: fresh memory takes longer than what is written there."""

    def __init__(self) -> None:
        self._made: list[Floats] = []

    def take(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Floats:
        """Return an array of any content."""
        for place in range(len(self._made)):
            # The list and the argument hold it; views hold it too.
            if sys.getrefcount(self._made[place]) == 2 and _fits(self._made[place], shape, dtype):
                return self._made[place]
        self._made = [*self._made[1 - AHEAD :], np.empty(shape, dtype)]
        return self._made[-1]


def _fits(array: Floats, shape: tuple[int, ...], dtype: np.dtype[Any]) -> bool:
    return array.shape == shape and array.dtype == dtype


@dataclass(frozen=True, eq=False)
class MaskedScores:
    """The target scores of n images as functions of masks over them.

    Attributes
    ----------
    oracle
        Asks the model, on behalf of these images.
    images, gone
        (n, *shape) in pixel space, and fully perturbed.
    weights
        (n, K) the targets as weights over the scores.
    """

    oracle: Oracle
    images: Floats
    gone: Floats
    weights: Floats
    _spare: _Spare = field(default_factory=_Spare, init=False, repr=False)

    @property
    def original(self) -> Floats:
        """(n,) scores of the untouched images."""
        return target_scores(to_numpy(self.oracle.originals), self.weights)

    def of_row(self, row: int) -> MaskedScores:
        """Return those of one of the images."""
        one = slice(row, row + 1)
        oracle = self.oracle.take(one)
        return MaskedScores(oracle, self.images[one], self.gone[one], self.weights[one])

    def of_shared(self, make: Callable[[slice], Floats], count: int) -> Floats:
        """Return the scores (n, count) of each image under the same masks.

        Parameters
        ----------
        make
            A part of the masks, as a slice of ``range(count)``, to these masks (m, *spatial) in [0, 1]; 1 keeps a
            pixel.
        count
            Number of masks.
        """

        def masks_of(_row: int, part: slice) -> Floats:
            return make(part)

        return self.of_each(masks_of, count)

    def of_each(self, make: Callable[[int, slice], Floats], count: int) -> Floats:
        """Return the scores (n, count) of each image under masks of its own.

        Parameters
        ----------
        make
            An image, by its place, and a part of its masks, to these masks (m, *spatial).
        count
            Number of masks of each image.

        Raises
        ------
        ModelError
            If the model fails, or a score is not finite.
        """
        rows = np.repeat(np.arange(len(self.images)), count)
        found = np.empty(len(rows), np.result_type(self.images, np.float32))
        for first in range(0, len(rows), AT_ONCE):
            # The scores of all classes are let go as soon as those of the targets are known.
            part = slice(first, min(first + AT_ONCE, len(rows)))
            asked = partial(part_from, partial(self._made, make, count), first)
            scores = np.asarray(self.oracle.scores_of(asked, part.stop - first, rows[part], prefetch=True))
            found[part] = target_scores(scores, self.weights[rows[part]])
        if not np.isfinite(found).all():
            raise ModelError("Scores are not finite", got="NaN or infinity for an image with some pixels deleted")
        return found.reshape(len(self.images), count)

    def _made(self, make: Callable[[int, slice], Floats], count: int, part: slice) -> Floats:
        made = self._spare.take((part.stop - part.start, *self.images.shape[1:]), self.images.dtype)
        first = part.start
        while first < part.stop:
            row, place = divmod(first, count)
            last = min(part.stop, (row + 1) * count)
            masks = make(row, slice(place, place + last - first))
            _mix(self.images[row], self.gone[row], masks, made[first - part.start : last - part.start])
            first = last
        return made


def _mix(image: Floats, gone: Floats, masks: Floats, made: Floats) -> None:
    """Put an image (*shape) under masks (m, *spatial) into an array (m, *shape).

    Where nothing or everything is deleted, the pixels are to the bit those of the image, or of what stands in for it.
    One image is made after the other, so that it stays in the processor's cache: three times as fast as all at once.
    """
    rest = np.empty_like(image)
    for place, mask in enumerate(masks):
        np.multiply(image, mask, out=made[place])
        made[place] += np.multiply(gone, 1 - mask, out=rest)
