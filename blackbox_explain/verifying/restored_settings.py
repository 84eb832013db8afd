"""What a saved result says of how it was made, restored so that it can be made again."""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np

from blackbox_explain.box.targets import Difference, Labels, Target
from blackbox_explain.errors import InputError, ResultError
from blackbox_explain.explanation.explanation import Floats
from blackbox_explain.explanation.mask_explanation import MaskExplanation
from blackbox_explain.methods.mask.jitter import offset_at, width_for
from blackbox_explain.methods.mask.mask import Mask
from blackbox_explain.methods.mask.settings import PRESETS
from blackbox_explain.perturbations.named import NAMES, OF_PAPER
from blackbox_explain.perturbations.perturbation import Blur, Constant, Noise, Perturbation, Reference

__all__ = ["LACKS", "NUMBERS", "Restored", "check_arrays", "target_of"]

NUMBERS = {
    "score": "the score of the image",
    "score_masked": "the score after the mask",
    "score_region": "the score without (or of) the region",
    "score_perturbed": "the score of the fully perturbed image",
    "suppression": "the suppression",
    "area": "the area",
    "objective": "the objective",
}
"""Of a `MaskExplanation`, with what they are called."""

LACKS = "the result does not hold what stood in for deleted pixels"
"""Why something cannot be recomputed."""

SHIFTS = 16
"""Most shifts that the masked image is asked about under."""

OF_MASKS = tuple(name for name, one in PRESETS.items() if one.learns == "mask")
"""Presets that learn a mask."""

KINDS: dict[str, type[Any]] = dict.fromkeys(NAMES, Constant) | {"blur": Blur, "noise": Noise}
"""Of the perturbations that have names; a colour is a constant."""


@dataclass(frozen=True)
class Restored:
    """How the masks of a result were learned.

    Attributes
    ----------
    mask
        The method with its settings; its perturbation is that of `perturbation`, if that is known.
    perturbation
        None where the result does not hold what it needs: a perturbation of the user's own.
    learned_by
        Its name.
    seed
        As in `explain`.
    spatial
        Sizes of the images in pixels.
    """

    mask: Mask
    perturbation: Perturbation | None
    learned_by: str
    seed: int
    spatial: tuple[int, ...]

    @classmethod
    def of(cls, result: MaskExplanation) -> Restored:
        """Read how a result was made.

        Raises
        ------
        ResultError
            If its settings are none.
        """
        told = result.provenance.settings
        try:
            names = {one.name for one in dataclasses.fields(Mask) if one.init} - {"perturbation"}
            own = {name: _tuples(value) for name, value in told.items() if name in names}
            if result.learns == "mask" and own["preset"] not in OF_MASKS:
                # Of version 0.1, whose presets all learned masks; as every setting is written out, any preset does.
                own["preset"] = OF_MASKS[0]
            kind, made = KINDS.get(told["perturbation"]), None
            if kind is not None:
                made = kind(**{name: _tuples(value) for name, value in told["perturbation_settings"].items()})
            elif result.reference is not None:
                made = Reference(result.reference)
            kept = Mask(**own) if made is None else Mask(**own, perturbation=made)
            return cls(kept, made, told["perturbation"], int(result.provenance.seed), result.images.shape[2:])
        except (KeyError, TypeError, ValueError, AttributeError, InputError) as error:
            got = f"{type(error).__name__}: {error}"
            raise ResultError("The settings of this result cannot be read", got=got.removesuffix(".")) from error

    @property
    def others(self) -> tuple[str, ...]:
        """Names of the perturbations that the masks were not learned with."""
        return tuple(name for name in OF_PAPER if name != self.learned_by)

    @property
    def width(self) -> int:
        """Of the jitter, or of the paper's for images of this size where there was none."""
        return self.mask.jitter if self.mask.jitter > 1 else width_for(PRESETS["paper"].jitter, self.spatial)

    def offsets(self, axes: int) -> list[tuple[int, ...]]:
        """Return all shifts of the jitter, or some of those that were learned with where there are many."""
        if self.width**axes <= SHIFTS:
            return list(itertools.product(range(self.width), repeat=axes))
        return [offset_at(self.seed, step, self.width, axes) for step in range(1, SHIFTS + 1)]


def check_arrays(result: MaskExplanation) -> None:
    """Raise `ResultError` unless the arrays of a result fit each other."""
    count, images = len(result.target), result.images
    expected: dict[str, tuple[int, ...]] = dict.fromkeys(NUMBERS, (count,))
    expected |= {"images": (count, *images.shape[1:]), "masked_images": images.shape}
    expected |= {"saliency": (count, *images.shape[2:]), "mask": (count, *result.mask.shape[1:])}
    expected |= {"region_images": images.shape, "curve": (count, len(result.curve_shares)), "share": (count,)}
    if result.reference is not None:
        expected["reference"] = images.shape
    expected |= {"weights": (count, *result.weights.shape[1:])}
    for name, shape in expected.items():
        array = getattr(result, name)
        if array.shape != shape or array.dtype.kind not in "fiu":
            got, wanted = f"{name}: {array.dtype} {array.shape}", f"numbers {shape}"
            raise ResultError("The arrays of this result do not fit each other", got=got, expected=wanted)
    fits = images.ndim >= 3 and result.mask.ndim == images.ndim - 1 and result.weights.ndim == 2
    if not fits or len(result.outcome) != count or count == 0:
        raise ResultError("The arrays of this result do not fit each other", got=f"masks {result.mask.shape}")
    if result.region.shape != result.saliency.shape or result.region.dtype != bool:
        got, wanted = f"region: {result.region.dtype} {result.region.shape}", f"booleans {result.saliency.shape}"
        raise ResultError("The arrays of this result do not fit each other", got=got, expected=wanted)
    if any(cells > size for cells, size in zip(result.mask.shape[1:], images.shape[2:], strict=True)):
        raise ResultError("The mask of this result is finer than its image", got=f"{result.mask.shape[1:]}")


def _tuples(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def target_of(weights: Floats) -> Target:
    """Return the target that weights (K,) over the scores came from."""
    plus, minus = (np.flatnonzero(weights == sign).tolist() for sign in (1, -1))
    if len(plus) + len(minus) != np.count_nonzero(weights) or not plus or len(minus) > 1 or len(plus) * len(minus) > 1:
        raise ResultError("The target of this result is none", got="weights other than 1 and −1")
    if minus:
        return Difference(plus[0], minus[0])
    return plus[0] if len(plus) == 1 else Labels(*plus)
