"""Operators of the oracle that the reference evaluator computes in float32, or wrongly; written from the definitions."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import torch
from onnx.reference.op_run import OpRun
from scipy.ndimage import map_coordinates
from scipy.special import erf

__all__ = ["operators"]


class Erf(OpRun):
    """The error function."""

    op_domain = ""

    def _run(self, x: np.ndarray) -> Any:
        return (erf(x),)


class Gelu(OpRun):
    """x Φ(x), or its approximation."""

    op_domain = ""

    def _run(self, x: np.ndarray, approximate: str = "none") -> Any:
        if approximate == "tanh":
            return (0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),)
        return (0.5 * x * (1 + erf(x / np.sqrt(2))),)


class Mish(OpRun):
    """x tanh(softplus(x))."""

    op_domain = ""

    def _run(self, x: np.ndarray) -> Any:
        return (x * np.tanh(np.logaddexp(0, x)),)


class LRN(OpRun):
    """Normalisation over neighbouring channels."""

    op_domain = ""

    def _run(self, x: np.ndarray, alpha: float = 1e-4, beta: float = 0.75, bias: float = 1.0, size: int = 1) -> Any:
        total = np.zeros_like(x)
        for channel in range(x.shape[1]):
            low, high = max(0, channel - (size - 1) // 2), min(x.shape[1], channel + size // 2 + 1)
            total[:, channel] = np.sum(x[:, low:high] ** 2, axis=1)
        return (x / (bias + alpha / size * total) ** beta,)


class GroupNormalization(OpRun):
    """Normalisation over groups of channels."""

    op_domain = ""

    def _run(
        self, x: np.ndarray, scale: np.ndarray, bias: np.ndarray, num_groups: int = 1, epsilon: float = 1e-5, **_: Any
    ) -> Any:
        groups = x.reshape(x.shape[0], num_groups, -1)
        normal = (groups - groups.mean(2, keepdims=True)) / np.sqrt(groups.var(2, keepdims=True) + epsilon)
        repeat = x.shape[1] // scale.size
        column = (-1,) + (1,) * (x.ndim - 2)
        return (
            normal.reshape(x.shape) * np.repeat(scale, repeat).reshape(column)
            + np.repeat(bias, repeat).reshape(column),
        )


class LpNormalization(OpRun):
    """Division by a norm."""

    op_domain = ""

    def _run(self, x: np.ndarray, axis: int = -1, p: int = 2) -> Any:
        norm = np.sum(np.abs(x) ** p, axis=axis, keepdims=True) ** (1 / p)
        return (x / np.where(norm == 0, 1, norm),)


class GlobalMaxPool(OpRun):
    """The largest of each channel."""

    op_domain = ""

    def _run(self, x: np.ndarray) -> Any:
        return (x.max(axis=tuple(range(2, x.ndim)), keepdims=True),)


class Pad(OpRun):
    """Padding, cropping where pads are negative."""

    op_domain = ""

    def _run(self, x: np.ndarray, pads: np.ndarray, value: Any = None, axes: Any = None, mode: str = "constant") -> Any:
        chosen = [int(axis) % x.ndim for axis in axes] if axes is not None else list(range(x.ndim))
        widths = [(0, 0)] * x.ndim
        for k, axis in enumerate(chosen):
            widths[axis] = (int(pads[k]), int(pads[k + len(chosen)]))
        fill = {"constant_values": 0 if value is None else value} if mode == "constant" else {}
        cut = tuple(slice(max(-a, 0), size - max(-b, 0)) for (a, b), size in zip(widths, x.shape, strict=True))
        return (np.pad(x[cut], [(max(a, 0), max(b, 0)) for a, b in widths], mode=mode, **fill),)


class ConvTranspose(OpRun):
    """The adjoint of a convolution, by scattering."""

    op_domain = ""

    def _run(
        self,
        x: np.ndarray,
        w: np.ndarray,
        b: Any = None,
        auto_pad: str = "NOTSET",
        dilations: Any = None,
        group: int = 1,
        kernel_shape: Any = None,
        output_padding: Any = None,
        output_shape: Any = None,
        pads: Any = None,
        strides: Any = None,
    ) -> Any:
        n, kernel = x.ndim - 2, w.shape[2:]
        strides, dilations = strides or [1] * n, dilations or [1] * n
        extra = output_padding or [0] * n
        reach = [d * (k - 1) + 1 for d, k in zip(dilations, kernel, strict=True)]
        full = [(size - 1) * s + r for size, s, r in zip(x.shape[2:], strides, reach, strict=True)]
        pads = list(pads or [0] * 2 * n)
        if output_shape is not None or auto_pad.startswith("SAME"):
            wanted = output_shape or [size * s for size, s in zip(x.shape[2:], strides, strict=True)]
            total = [max(f + e - o, 0) for f, e, o in zip(full, extra, wanted, strict=True)]
            small = [one // 2 for one in total]
            large = [one - half for one, half in zip(total, small, strict=True)]
            pads = small + large if auto_pad == "SAME_UPPER" else large + small
        outputs = w.shape[1] * group
        whole = np.zeros((x.shape[0], outputs, *(f + e for f, e in zip(full, extra, strict=True))))
        per_in, per_out = x.shape[1] // group, w.shape[1]
        for g, tap in itertools.product(range(group), np.ndindex(*kernel)):
            part = np.einsum(
                "nc...,cm->nm...",
                x[:, g * per_in : (g + 1) * per_in],
                w[(slice(g * per_in, (g + 1) * per_in), slice(None), *tap)],
            )
            place = tuple(
                slice(t * d, t * d + (size - 1) * s + 1, s)
                for t, d, size, s in zip(tap, dilations, x.shape[2:], strides, strict=True)
            )
            whole[(slice(None), slice(g * per_out, (g + 1) * per_out), *place)] += part
        cut = tuple(
            slice(low, size - high) for low, high, size in zip(pads[:n], pads[n:], whole.shape[2:], strict=True)
        )
        found = whole[(slice(None), slice(None), *cut)]
        return (found if b is None else found + b.reshape(-1, *[1] * n),)


class Slice(OpRun):
    """Taking elements: unlike NumPy's, a start before the first is clamped to it."""

    op_domain = ""

    def _run(self, x: np.ndarray, starts: Any, ends: Any, axes: Any = None, steps: Any = None) -> Any:
        axes = range(len(starts)) if axes is None else axes
        steps = [1] * len(starts) if steps is None else steps
        for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
            size = x.shape[axis]
            low, high = (0, size) if step > 0 else (0, size - 1)
            first = min(max(int(start) + size * (start < 0), low), high)
            last = min(max(int(end) + size * (end < 0), low - (step < 0)), high)
            x = np.take(x, range(first, last, int(step)), axis=int(axis))
        return (x,)


class OldSoftmax(OpRun):
    """Softmax before opset 13: over all axes from one on."""

    op_domain = ""

    def _run(self, x: np.ndarray, axis: int = 1) -> Any:
        flat = x.reshape(int(np.prod(x.shape[: axis % x.ndim])), -1)
        powers = np.exp(flat - flat.max(axis=1, keepdims=True))
        return ((powers / powers.sum(axis=1, keepdims=True)).reshape(x.shape),)


OldSoftmax.__name__ = "Softmax"


def _windows(x: np.ndarray, kernel: Any, strides: Any, dilations: Any, pads: Any, auto_pad: str, ceil: int) -> Any:
    """Yield the place of each output, the places of its window inside the image, and its size with pads."""
    n = x.ndim - 2
    strides, dilations, pads = strides or [1] * n, dilations or [1] * n, list(pads or [0] * 2 * n)
    reach = [d * (k - 1) + 1 for d, k in zip(dilations, kernel, strict=True)]
    if auto_pad.startswith("SAME"):
        outs = [-(-size // s) for size, s in zip(x.shape[2:], strides, strict=True)]
        total = [max((o - 1) * s + r - i, 0) for o, s, r, i in zip(outs, strides, reach, x.shape[2:], strict=True)]
        small, large = [one // 2 for one in total], [one - one // 2 for one in total]
        pads = small + large if auto_pad == "SAME_UPPER" else large + small
    lines = []
    for axis, size in enumerate(x.shape[2:]):
        before, after = pads[axis], pads[axis + n]
        room = size + before + after - reach[axis]
        count = (-(-room // strides[axis]) if ceil else room // strides[axis]) + 1
        if ceil and (count - 1) * strides[axis] >= size + before:
            count -= 1
        line = []
        for out in range(count):
            taps = [out * strides[axis] - before + k * dilations[axis] for k in range(kernel[axis])]
            line.append(([t for t in taps if 0 <= t < size], sum(-before <= t < size + after for t in taps)))
        lines.append(line)
    sizes = [len(line) for line in lines]
    cells = [
        (
            place,
            np.ix_(*(lines[a][i][0] for a, i in enumerate(place))),
            np.prod([lines[a][i][1] for a, i in enumerate(place)]),
        )
        for place in np.ndindex(*sizes)
    ]
    return sizes, cells


class MaxPool(OpRun):
    """The largest in each window."""

    op_domain = ""

    def _run(
        self,
        x: np.ndarray,
        auto_pad: str = "NOTSET",
        ceil_mode: int = 0,
        dilations: Any = None,
        kernel_shape: Any = None,
        pads: Any = None,
        storage_order: int = 0,
        strides: Any = None,
    ) -> Any:
        sizes, cells = _windows(x, kernel_shape, strides, dilations, pads, auto_pad, ceil_mode)
        found, where = (np.empty((*x.shape[:2], *sizes), kind) for kind in (np.float64, np.int64))
        every = np.arange(x.size).reshape(x.shape)
        for place, inside, _ in cells:
            window, places = (one[(slice(None), slice(None), *inside)].reshape(*x.shape[:2], -1) for one in (x, every))
            best = window.argmax(axis=2)[:, :, None]
            found[(slice(None), slice(None), *place)] = np.take_along_axis(window, best, 2)[:, :, 0]
            where[(slice(None), slice(None), *place)] = np.take_along_axis(places, best, 2)[:, :, 0]
        return (found, where)[: len(self.onnx_node.output)]


class AveragePool(OpRun):
    """The mean of each window."""

    op_domain = ""

    def _run(
        self,
        x: np.ndarray,
        auto_pad: str = "NOTSET",
        ceil_mode: int = 0,
        count_include_pad: int = 0,
        dilations: Any = None,
        kernel_shape: Any = None,
        pads: Any = None,
        strides: Any = None,
    ) -> Any:
        sizes, cells = _windows(x, kernel_shape, strides, dilations, pads, auto_pad, ceil_mode)
        found = np.empty((*x.shape[:2], *sizes))
        for place, inside, whole in cells:
            window = x[(slice(None), slice(None), *inside)].reshape(*x.shape[:2], -1)
            found[(slice(None), slice(None), *place)] = window.sum(axis=2) / (
                whole if count_include_pad else window.shape[2]
            )
        return (found,)


class GridSample(OpRun):
    """Sampling at places, by PyTorch: the reference's places are float32."""

    op_domain = ""

    def _run(
        self,
        x: np.ndarray,
        grid: np.ndarray,
        mode: str = "linear",
        padding_mode: str = "zeros",
        align_corners: int = 0,
    ) -> Any:
        mode = {"linear": "bilinear", "cubic": "bicubic"}.get(mode, mode)
        given = (torch.tensor(x), torch.tensor(grid, dtype=torch.float64))
        return (torch.nn.functional.grid_sample(*given, mode, padding_mode, bool(align_corners)).numpy(),)


class AffineGrid(OpRun):
    """Where a transform puts the places of a grid."""

    op_domain = ""

    def _run(self, theta: np.ndarray, size: np.ndarray, align_corners: int = 0) -> Any:
        given = torch.tensor(theta, dtype=torch.float64)
        return (torch.nn.functional.affine_grid(given, size.tolist(), bool(align_corners)).numpy(),)


class DeformConv(OpRun):
    """Convolution of displaced samples: the reference's places are float32."""

    op_domain = ""

    def _run(self, x: Any, w: Any, offset: Any, b: Any = None, mask: Any = None, **given: Any) -> Any:
        (strides, dilations), groups = ([given[one] or [1, 1] for one in ("strides", "dilations")], given["group"] or 1)
        pads, apart = given["pads"] or [0] * 4, given["offset_group"] or 1
        y = np.zeros((len(x), len(w), *offset.shape[2:]))
        place = np.indices(offset.shape[2:]) * np.reshape(strides, (2, 1, 1)) - np.reshape(pads[:2], (2, 1, 1))
        taps = list(np.ndindex(w.shape[2:]))
        for image, c, (k, tap) in itertools.product(range(len(x)), range(x.shape[1]), enumerate(taps)):
            row = c // (x.shape[1] // apart) * len(taps) + k
            at = place + np.reshape(np.multiply(tap, dilations), (2, 1, 1)) + offset[image, 2 * row : 2 * row + 2]
            sample = map_coordinates(x[image, c], at, order=1, mode="grid-constant")
            sample *= 1 if mask is None else mask[image, row]
            group, inner = divmod(c, x.shape[1] // groups)
            outputs = np.arange(len(w)).reshape(groups, -1)[group]
            y[image, outputs] += w[outputs, inner, *tap].reshape(-1, 1, 1) * sample
        return (y if b is None else y + b.reshape(-1, 1, 1),)


class Softmax(OpRun):
    """Shares of exponentials; not a number where all are masked."""

    op_domain = ""

    def _run(self, x: np.ndarray, axis: int = -1) -> Any:
        return (torch.softmax(torch.tensor(x), axis).numpy(),)


OWN = [
    AffineGrid,
    DeformConv,
    GridSample,
    Slice,
    MaxPool,
    AveragePool,
    Erf,
    Gelu,
    Mish,
    LRN,
    LpNormalization,
    GlobalMaxPool,
    GroupNormalization,
    Pad,
    ConvTranspose,
]


def operators(opset: int) -> list[type[OpRun]]:
    """Return them for one version of the standard."""
    return [*OWN, Softmax if opset >= 13 else OldSoftmax]
