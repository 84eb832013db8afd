"""Resampling."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from blackbox_explain_adapters._onnx.backward.registry import Case, rule
from blackbox_explain_adapters._onnx.backward.separable import line_matrix
from blackbox_explain_adapters._onnx.backward.tape import Tape
from blackbox_explain_adapters._onnx.graph.node import Node, refusal

__all__: list[str] = []

MODES = (
    ("nearest", "asymmetric"),
    ("nearest", "half_pixel"),
    ("linear", "half_pixel"),
    ("linear", "align_corners"),
    ("linear", "pytorch_half_pixel"),
    ("cubic", "half_pixel"),
)


def _cases() -> list[Case]:
    cases: list[Case] = []
    for mode, coordinates in MODES:
        how = f'mode="{mode}", coordinate_transformation_mode="{coordinates}"'
        sizes = {"s": np.array([2, 3, 8, 13])}
        # With corners aligned, the standard and ONNX Runtime differ where a scaled size is not whole.
        scales = {"s": np.array([1, 1, 2, 3 if coordinates == "align_corners" else 1.7], np.float32)}
        cases.append(Case(f"y = Resize<{how}>(x, , , s)", (2, 3, 5, 6), sizes, dynamic=False))
        cases.append(Case(f"y = Resize<{how}>(x, , s)", (2, 3, 5, 6), scales))
    down = {"s": np.array([1, 1, 0.5, 0.6], np.float32)}
    cases.append(Case('y = Resize<mode="linear", antialias=1>(x, , s)', (2, 3, 8, 10), down))
    cases.append(Case('y = Resize<mode="linear", axes=[3, 2]>(x, , , s)', (2, 3, 5, 6), {"s": np.array([9, 8])}))
    return cases


@rule("Resize", cases=_cases())
def _resize(tape: Tape, node: Node, gradients: Sequence[str]) -> Sequence[str]:
    if node.get("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise refusal(node, "keeps the proportions by itself")
    g, old, new = gradients[0], tape.shape(node.x), tape.shape(node.y)
    rank = len(old)
    axes = [axis % rank for axis in node.get("axes", range(rank))]
    scales = tape.known(node, node.inputs[2], "scales") if node.input(2) else np.zeros(0)
    shared = {
        name: value for name, value in node.attributes.items() if name not in ("axes", "keep_aspect_ratio_policy")
    }
    cropped = node.get("coordinate_transformation_mode") == "tf_crop_and_resize"
    region = tape.known(node, node.inputs[1], "corners").reshape(2, -1) if cropped else np.zeros((2, 0))
    if cropped:
        shared["extrapolation_value"] = 0.0  # what lies outside of the image has no slope
    for axis in range(rank):
        place = axes.index(axis) if axis in axes else None
        scaled = scales.size and place is not None and scales[place] != 1
        crop = region[:, place] if cropped and place is not None else np.array([0, 1])
        if old[axis] == new[axis] and not scaled and np.array_equal(crop, [0, 1]):
            continue
        before, after = tape.sizes(node, node.x, [axis])[0], tape.sizes(node, node.y, [axis])[0]
        roi = np.array([0, 0, 0, crop[0], 1, 1, 1, crop[1]], np.float32) if cropped else None
        if scales.size:
            inputs = [roi, np.array([1, 1, 1, scales[place or 0]], np.float32)]
        else:
            inputs = [roi, None, np.array([before, 1, 1, after], np.int64)]
        matrix = line_matrix("Resize", (before, 1, 1, before), tape.opset, inputs, **shared)
        g = tape.along(g, rank, axis, matrix.astype(tape.dtype(node.x)))
    return [g]
