"""The few array operations that every array library shares, and that the rest of the core is written in."""

from __future__ import annotations

import functools
import math
import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
from array_api_compat import array_namespace, device, is_array_api_obj, is_torch_array, to_device

Array = Any
"""Any array of the array API standard: NumPy, PyTorch, CuPy, JAX."""

Matrices = tuple[Array, ...]
"""One (out, in) matrix for each spatial axis."""

__all__ = [
    "Array",
    "Matrices",
    "along_axes",
    "bilinear_matrix",
    "channel_products",
    "constant_like",
    "filled_like",
    "gaussian_factors",
    "gaussian_matrix",
    "namespace",
    "nearest_matrix",
    "on_host",
    "one_thread",
    "to_numpy",
]


def namespace(array: Array) -> Any:
    """Return the array API namespace of `array`."""
    # From 2.1 on NumPy is one itself; what makes older ones one takes a quarter of a second to import.
    if isinstance(array, np.ndarray) and hasattr(np, "astype"):
        return np
    return array_namespace(array)


def to_numpy(array: Array) -> np.ndarray[Any, Any]:
    """Copy or view `array` on the host as NumPy, whatever its library and device."""
    if isinstance(array, np.ndarray):
        return array
    if is_torch_array(array):
        array = array.detach()
        if str(array.dtype) == "torch.bfloat16":  # which NumPy lacks
            array = array.float()
    # Others that look like arrays, such as tensors of TensorFlow and columns of pandas, tell NumPy themselves.
    return np.asarray(to_device(array, "cpu") if is_array_api_obj(array) else array)


def on_host(array: Array) -> bool:
    """Tell whether NumPy can view `array` where it lies."""
    return isinstance(array, np.ndarray) or (is_torch_array(array) and array.device.type == "cpu")


def constant_like(values: Any, array: Array, *, integer: bool = False) -> Array:
    """Move host `values` to the library and device of `array`, in its type or as 64-bit integers."""
    xp = namespace(array)
    return xp.asarray(np.asarray(values), dtype=xp.int64 if integer else array.dtype, device=device(array))


def filled_like(values: Sequence[float], array: Array) -> Array:
    """Return a few numbers (n,) in the type of `array`, written where it is.

    What is copied to an accelerator makes the caller wait until it has done all that it was asked before.
    """
    xp = namespace(array)
    return xp.stack([xp.full((), one, dtype=array.dtype, device=device(array)) for one in values])


def channel_products(a: Array, b: Array) -> Array:
    """Return Σ_c a · b over the second axis, without a product in memory where that can be had."""
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return np.einsum("nc...,nc...->n...", a, b)
    return namespace(a).sum(a * b, axis=1)


def along_axes(matrices: Matrices, array: Array, *, transpose: bool = False) -> Array:
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
    with one_thread() if isinstance(array, np.ndarray) else nullcontext():
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


class _OneThread:
    """The limit belongs to the process: the first who enters sets it, and the last who leaves takes it away."""

    def __init__(self) -> None:
        self._lock, self._inside = threading.Lock(), 0
        self._before: list[tuple[Any, int]] = []

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                # Set by hand: `limit` looks at all libraries again, which takes as long as a small product.
                self._before = [(one, one.get_num_threads()) for one in _blas_libraries()]
                for one, _ in self._before:
                    one.set_num_threads(1)
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                for one, threads in self._before:
                    one.set_num_threads(threads)


_ONE_THREAD = _OneThread()


def one_thread() -> AbstractContextManager[None]:
    """Let NumPy's products use one thread: its others would go on spinning, and take cores from the model behind."""
    return _ONE_THREAD


@functools.cache
def _blas_libraries() -> list[Any]:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(internal_api="openblas").lib_controllers


@functools.lru_cache(maxsize=64)
def gaussian_matrix(outputs: int, inputs: int, sigma: float) -> np.ndarray[Any, Any]:
    """Sample or blur one axis with a Gaussian: row v holds g_σ(v / s − u) over u, normalised to sum 1.

    Parameters
    ----------
    outputs, inputs
        Number of samples after and before; s = outputs / inputs.  Samples are the centres of equal cells.
    sigma
        Standard deviation in input samples; 0 takes the nearest sample.

    Returns
    -------
    ndarray
        (outputs, inputs), float64.  Normalising the rows treats what lies outside the axis as unknown, not as zero.
    """
    if sigma <= 0:
        return nearest_matrix(outputs, inputs)
    centres = (np.arange(outputs) + 0.5) * inputs / outputs - 0.5
    distance = centres[:, None] - np.arange(inputs)[None, :]
    kernel = np.exp(-0.5 * (distance**2 - np.min(distance**2, axis=1, keepdims=True)) / sigma**2)
    return kernel / kernel.sum(axis=1, keepdims=True)


@functools.lru_cache(maxsize=64)
def gaussian_factors(size: int, sigma: float) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]] | None:
    """Return matrices (size, m) and (m, size) whose product blurs an axis as `gaussian_matrix` does, to within 1e-10.

    A wide Gaussian is smooth: as a function of the sample that it weighs, it is the polynomial through its values at m
    Chebyshev nodes.  None where m is so large that the matrix itself takes less time.
    """
    # Found by trying, for 40 to 2,000 samples. Both products by 0.4 of a side take 0.56 of one by all of it.
    nodes = math.ceil(3.3 * size / sigma) + 10 if sigma > 0 else size
    if nodes > 0.4 * size:
        return None
    angles = (np.arange(nodes) + 0.5) * np.pi / nodes
    samples = np.arange(size)
    orders = np.arange(nodes)[:, None]
    at_samples = np.cos(orders * np.arccos(2 * samples / (size - 1) - 1))
    polynomials = (2 * np.cos(orders * angles).T @ at_samples - 1) / nodes
    places = (np.cos(angles) + 1) / 2 * (size - 1)
    kernel = np.exp(-0.5 * ((samples[:, None] - places) / sigma) ** 2)
    return kernel / (kernel @ polynomials).sum(axis=1, keepdims=True), polynomials


@functools.lru_cache(maxsize=64)
def nearest_matrix(outputs: int, inputs: int) -> np.ndarray[Any, Any]:
    """Repeat or pick the nearest sample along one axis; (outputs, inputs), float64."""
    return np.eye(inputs)[np.arange(outputs) * inputs // outputs]


@functools.lru_cache(maxsize=64)
def bilinear_matrix(outputs: int, inputs: int) -> np.ndarray[Any, Any]:
    """Resize one axis linearly between the centres of its samples; (outputs, inputs), float64."""
    centres = np.clip((np.arange(outputs) + 0.5) * inputs / outputs - 0.5, 0, inputs - 1)
    distance = np.abs(centres[:, None] - np.arange(inputs)[None, :])
    return np.maximum(0.0, 1.0 - distance)
