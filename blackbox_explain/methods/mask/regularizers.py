"""What makes a mask small and smooth: area and total variation, each with its derivative (eq. 3 and 4)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

from blackbox_explain.arrays import Array, namespace
from blackbox_explain.errors import InputError
from blackbox_explain.methods.upsampling import REFERENCE_SIZE
from blackbox_explain.perturbations.perturbation import Game, real_axes

__all__ = ["Regularizer", "TotalVariationKind", "area", "total_variation"]

TotalVariationKind = Literal["anisotropic", "isotropic"]


def area(mask: Array, game: Game) -> tuple[Array, Array]:
    """‖1 − m‖₁ for deletion, ‖m‖₁ for preservation (eq. 3), for masks in [0, 1].

    Parameters
    ----------
    mask
        (N, *cells).
    game
        ``"deletion"`` or ``"preservation"``.

    Returns
    -------
    value, derivative
        (N,) sums over the cells, and (N, *cells).
    """
    xp = namespace(mask)
    axes = tuple(range(1, mask.ndim))
    if game == "deletion":
        return xp.sum(1 - mask, axis=axes), -xp.ones_like(mask)
    return xp.sum(mask, axis=axes), xp.ones_like(mask)


def total_variation(mask: Array, beta: float, kind: TotalVariationKind) -> tuple[Array, Array]:
    """Σ_u ‖∇m(u)‖_β^β (eq. 4) with forward differences, none across the border.

    Parameters
    ----------
    mask
        (N, *cells).
    beta
        Exponent above 0.  Where it is below 1, or at most 1 for the isotropic kind, the derivative at a difference
        of zero is taken as zero.
    kind
        ``"anisotropic"``: Σ |∂₁m|^β + |∂₂m|^β, the paper's β-norm.  ``"isotropic"``: Σ (∂₁m² + ∂₂m²)^(β/2), the
        authors' code.

    Returns
    -------
    value, derivative
        (N,) sums over the cells, and (N, *cells).
    """
    xp = namespace(mask)
    axes = tuple(range(1, mask.ndim))
    differences = [_forward(mask, axis) for axis in axes]
    if kind == "anisotropic":
        powers = [_power(xp, xp.abs(d), beta) for d in differences]
        flows = [beta * _power(xp, xp.abs(d), beta - 1) * xp.sign(d) for d in differences]
    else:
        squared = sum(d * d for d in differences)
        powers = [_power(xp, squared, beta / 2)]
        flows = [beta * _power(xp, squared, beta / 2 - 1) * d for d in differences]
    value = xp.sum(sum(powers), axis=axes)
    return value, sum(_forward_adjoint(flow, axis) for flow, axis in zip(flows, axes, strict=True))


def _power(xp: Any, base: Array, exponent: float) -> Array:
    """Raise what is at least 0 to a power, with 0 instead of infinity at zero."""
    if exponent >= 0:
        return base**exponent
    positive = base > 0
    return xp.where(positive, xp.where(positive, base, xp.ones_like(base)) ** exponent, xp.zeros_like(base))


def _forward(mask: Array, axis: int) -> Array:
    xp = namespace(mask)
    inner = xp.diff(mask, axis=axis)
    return xp.concat([inner, xp.zeros_like(_slice(mask, axis, slice(0, 1)))], axis=axis)


def _forward_adjoint(flow: Array, axis: int) -> Array:
    xp = namespace(flow)
    inner = _slice(flow, axis, slice(0, -1))
    border = xp.zeros_like(_slice(flow, axis, slice(0, 1)))
    return xp.concat([border, inner], axis=axis) - xp.concat([inner, border], axis=axis)


def _slice(array: Array, axis: int, part: slice) -> Array:
    return array[(slice(None),) * axis + (part,)]


@dataclass(frozen=True)
class Regularizer:
    """λ1 · area + λ2 · total variation, for a mask of any size.

    Attributes
    ----------
    area_weight, tv_weight
        λ1 and λ2, as stated for a mask of 28 × 28 cells.  For other sizes they are scaled so that a mask of the same
        form costs the same: area as the number of cells, total variation as the cells along an edge.
    tv_beta
        β.
    tv_kind
        See `total_variation`.
    game
        ``"deletion"`` or ``"preservation"``.
    """

    area_weight: float
    tv_weight: float
    tv_beta: float
    tv_kind: TotalVariationKind
    game: Game

    def __post_init__(self) -> None:
        if self.game not in ("deletion", "preservation"):
            raise InputError("There is no such game", got=repr(self.game), expected="'deletion' or 'preservation'")
        if not (0 <= self.area_weight < math.inf and 0 <= self.tv_weight < math.inf and 0 < self.tv_beta < math.inf):
            raise InputError(
                "These weights do not regularise",
                got=f"λ1={self.area_weight}, λ2={self.tv_weight}, β={self.tv_beta}",
                expected="λ1 and λ2 at least 0 and β above 0",
            )

    def __call__(self, mask: Array) -> tuple[Array, Array]:
        """Return the penalty (N,) and its derivative (N, *cells)."""
        cells = math.prod(mask.shape[1:])
        area_weight = self.area_weight * REFERENCE_SIZE**2 / cells
        tv_weight = self.tv_weight * REFERENCE_SIZE / cells ** (1 - 1 / real_axes(mask.shape[1:]))
        size, by_size = area(mask, self.game)
        variation, by_variation = total_variation(mask, self.tv_beta, self.tv_kind)
        return area_weight * size + tv_weight * variation, area_weight * by_size + tv_weight * by_variation
