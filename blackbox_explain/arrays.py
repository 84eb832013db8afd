"""The few array operations that every array library shares, and that the rest of the core is written in."""

from __future__ import annotations

from typing import Any

import numpy as np
from array_api_compat import array_namespace, device, is_torch_array, to_device

Array = Any
"""Any array of the array API standard: NumPy, PyTorch, CuPy, JAX."""

__all__ = ["Array", "along_axes", "constant_like", "namespace", "to_numpy"]


def namespace(array: Array) -> Any:
    """Return the array API namespace of `array`."""
    return array_namespace(array)


def to_numpy(array: Array) -> np.ndarray[Any, Any]:
    """Copy or view `array` on the host as NumPy, whatever its library and device."""
    if isinstance(array, np.ndarray):
        return array
    if is_torch_array(array):
        array = array.detach()
    return np.asarray(to_device(array, "cpu"))


def constant_like(values: Any, array: Array) -> Array:
    """Move host `values` to the library, device and floating type of `array`."""
    return namespace(array).asarray(np.asarray(values), dtype=array.dtype, device=device(array))


def along_axes(matrices: tuple[Array, ...], array: Array, *, transpose: bool = False) -> Array:
    """Apply one matrix to each of the last axes of `array`: A m Bᵀ in two dimensions.

    Parameters
    ----------
    matrices
        One (out, in) matrix for each of the last ``len(matrices)`` axes, in their order.
    array
        (..., in_1, ..., in_d).
    transpose
        Apply the transposed matrices instead, which is the adjoint.

    Returns
    -------
    Array
        (..., out_1, ..., out_d).
    """
    xp = namespace(array)
    for axis, matrix in enumerate(matrices, start=-len(matrices)):
        oriented = xp.matrix_transpose(matrix) if transpose else matrix
        if axis == -1:
            array = xp.matmul(array, xp.matrix_transpose(oriented))
        elif axis == -2:
            array = xp.matmul(oriented, array)
        else:
            moved = xp.matmul(xp.moveaxis(array, axis, -1), xp.matrix_transpose(oriented))
            array = xp.moveaxis(moved, -1, axis)
    return array
