"""Maps of fewer cells than pixels: the size of a mask, and how maps are brought to the image and back."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from blackbox_explain.arrays import (
    Array,
    Matrices,
    along_axes,
    bilinear_matrix,
    constant_like,
    gaussian_matrix,
    namespace,
    nearest_matrix,
)
from blackbox_explain.errors import InputError
from blackbox_explain.perturbations.perturbation import real_axes

__all__ = [
    "KERNEL_CELLS",
    "REFERENCE_SIZE",
    "STRIDE",
    "Upsampling",
    "UpsamplingKind",
    "at_pixels",
    "important_of",
    "make_upsampling",
    "mask_shape_for",
]

UpsamplingKind = Literal["gaussian", "nearest_blur"]

REFERENCE_SIZE = 28
"""Cells along one axis of the paper's mask: λ1 and λ2 are stated for 28 × 28 cells."""

STRIDE = 8
"""Pixels from one cell of the paper's mask to the next."""

KERNEL_CELLS = 5 / STRIDE
"""σm of eq. 4: 5 pixels where a cell has 8."""

ROUNDING = 8
"""Of what a mask deletes or keeps, so many of the smallest steps of its precision come from its upsampling alone."""


def important_of(upsampled: Array, game: str) -> Array:
    """Return how much of each pixel a mask (n, *spatial), 1 keeps, deletes in the game of deletion, or else keeps.

    What differs from nothing by rounding alone is nothing: a mask that deletes nothing is no ranking of its pixels.
    """
    xp = namespace(upsampled)
    important = 1 - upsampled if game == "deletion" else upsampled
    return xp.where(xp.abs(important) <= ROUNDING * xp.finfo(upsampled.dtype).eps, xp.zeros_like(important), important)


def mask_shape_for(
    spatial: tuple[int, ...], mask_shape: tuple[int, ...] | None = None, stride: int = STRIDE
) -> tuple[int, ...]:
    """Return the cells of a mask: as given, or one for every `stride` pixels, at least 14 if there are as many pixels.

    Raises
    ------
    InputError
        If `mask_shape` has another number of axes, a size below 1, or more cells than there are pixels.
    """
    if mask_shape is None:
        return tuple(min(size, max(REFERENCE_SIZE // 2, round(size / stride))) for size in spatial)
    shape = tuple(int(cells) for cells in mask_shape)
    fits = len(shape) == len(spatial) and all(1 <= cells <= size for cells, size in zip(shape, spatial, strict=True))
    if not fits:
        raise InputError(
            "This mask does not fit the images",
            got=f"mask_shape={mask_shape}",
            expected=f"{len(spatial)} sizes between 1 and the image's {spatial}",
        )
    return shape


@dataclass(frozen=True)
class Upsampling:
    """A linear, separable map from masks to images, with the adjoint that the gradient goes back by.

    Attributes
    ----------
    matrices
        One (pixels, cells) matrix per axis; rows sum to 1, so a mask in [0, 1] stays there.
    backward
        The matrices whose transposes make the adjoint; those of the authors' code leave out its blur.
    """

    matrices: Matrices
    backward: Matrices

    def up(self, mask: Array) -> Array:
        """Upsample masks (N, *cells) to (N, *spatial): M of eq. 4."""
        return along_axes(self.matrices, mask)

    def down(self, gradient: Array) -> Array:
        """Take a gradient (N, *spatial) by M back to one (N, *cells) by m."""
        return along_axes(self.backward, gradient, transpose=True)


def make_upsampling(kind: UpsamplingKind, cells: tuple[int, ...], spatial: tuple[int, ...], like: Array) -> Upsampling:
    """Build the upsampling of one preset.

    Parameters
    ----------
    kind
        ``"gaussian"``: M(v) = Σ_u g_σm(v / s − u) m(u), the paper's (eq. 4), with its exact adjoint.
        ``"nearest_blur"``: nearest neighbour, then a Gaussian blur, the authors' code; its adjoint skips the blur.
    cells, spatial
        Sizes of the mask and of the image.
    like
        Array whose library, device and type the matrices take.

    Raises
    ------
    InputError
        If `kind` is neither.
    """
    sizes = list(zip(spatial, cells, strict=True))
    if kind == "gaussian":
        matrices = [gaussian_matrix(size, n, KERNEL_CELLS) for size, n in sizes]
        native = tuple(constant_like(matrix, like) for matrix in matrices)
        return Upsampling(native, native)
    if kind == "nearest_blur":
        nearest = [nearest_matrix(size, n) for size, n in sizes]
        blurs = [gaussian_matrix(size, size, KERNEL_CELLS * size / n) for size, n in sizes]
        return Upsampling(
            tuple(constant_like(blur @ repeat, like) for blur, repeat in zip(blurs, nearest, strict=True)),
            tuple(constant_like(repeat, like) for repeat in nearest),
        )
    raise InputError("There is no such upsampling", got=repr(kind), expected="'gaussian' or 'nearest_blur'")


def at_pixels(maps: np.ndarray[Any, Any], spatial: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """Take maps (n, *cells) to the pixels (n, *spatial), linearly between the middles of the cells."""
    matrices = tuple(bilinear_matrix(size, n) for size, n in zip(spatial, maps.shape[1:], strict=True))
    return along_axes(matrices, maps.astype(np.float64)).astype(maps.dtype)


def smooth(values: Array, sigma: float) -> Array:
    """Blur maps (N, *cells) with a Gaussian of `sigma` cells."""
    matrices = [constant_like(gaussian_matrix(n, n, sigma), values) for n in values.shape[1:]]
    return along_axes(tuple(matrices), values)


def disc(
    cells: tuple[int, ...], spatial: tuple[int, ...], radius: float
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Draw a centred disc (ball, interval) over the cells of a mask.

    Parameters
    ----------
    cells, spatial
        Sizes of the mask and of the image.
    radius
        In pixels.

    Returns
    -------
    ndarray
        (*cells), 1 inside, 0 outside, with an edge one cell wide.
    """
    edges = [size / n for size, n in zip(spatial, cells, strict=True)]
    axes = [(np.arange(n) - (n - 1) / 2) * edge for n, edge in zip(cells, edges, strict=True)]
    distance = np.sqrt(sum(axis**2 for axis in np.meshgrid(*axes, indexing="ij")))
    width = math.prod(edge for edge, size in zip(edges, spatial, strict=True) if size > 1) ** (1 / real_axes(spatial))
    return np.clip((radius - distance) / width + 0.5, 0.0, 1.0) if radius > 0 else np.zeros(cells)
