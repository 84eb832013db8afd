"""What of a graph depends on pixels: the values of tensors, and the sizes of some."""

from __future__ import annotations

import onnx

from blackbox_explain_adapters._onnx.graph.node import read_by

__all__ = ["READ_SHAPE_ALONE", "sized_by_pixels", "without_pixels"]

READ_SHAPE_ALONE = ("Shape", "Size")

COUNTING = frozenset(("NonZero", "Unique", "Compress", "NonMaxSuppression"))
"""How many of something there are is a size of what these return."""

SIZES: dict[str, tuple[int, ...]] = {
    "AffineGrid": (1,),
    "CenterCropPad": (1,),
    "Col2Im": (1, 2),
    "ConstantOfShape": (0,),
    "DFT": (1,),
    "Expand": (1,),
    "MaxUnpool": (2,),
    "OneHot": (1,),
    "Pad": (1, 3),
    "Range": (0, 1, 2),
    "Reshape": (1,),
    "Resize": (1, 2, 3),
    "STFT": (1, 3),
    "Slice": (1, 2, 3, 4),
    "Split": (1,),
    "Tile": (1,),
    "TopK": (1,),
    "Upsample": (1,),
    "Loop": (0, 1),
    "If": (0,),
}
"""Inputs that say how large the outputs are."""


def without_pixels(model: onnx.ModelProto) -> set[str]:
    """Return the tensors that are made without pixels: from weights, and from shapes, which may follow the batch."""
    values, _ = _by_pixels(model)
    return {name for node in model.graph.node for name in node.output if name} - values


def sized_by_pixels(model: onnx.ModelProto) -> set[str]:
    """Return the tensors whose sizes may follow the values of pixels, such as the places of all that are not black."""
    return _by_pixels(model)[1]


def _by_pixels(model: onnx.ModelProto) -> tuple[set[str], set[str]]:
    """Return the tensors whose values depend on pixels, with the input, and those of them whose sizes do."""
    stored = {one.name for one in model.graph.initializer} | {one.values.name for one in model.graph.sparse_initializer}
    values, sizes = {one.name for one in model.graph.input if one.name not in stored}, set[str]()
    for node in model.graph.node:
        read = read_by(node)
        outputs = [name for name in node.output if name]
        if node.op_type in READ_SHAPE_ALONE:
            if sizes.intersection(read):
                values.update(outputs)
            continue
        if not values.intersection(read):
            continue
        values.update(outputs)
        given = [node.input[place] for place in SIZES.get(node.op_type, ()) if place < len(node.input)]
        spread = sizes.intersection(read) and not _sums_all(node)
        if spread or node.op_type in COUNTING or values.intersection(given):
            sizes.update(outputs)
    return values, sizes


def _sums_all(node: onnx.NodeProto) -> bool:
    """Tell whether a node reduces all axes, so that nothing of their sizes is left."""
    names = {one.name: one for one in node.attribute}
    all_axes = len([name for name in node.input if name]) == 1 and "axes" not in names
    keeps = "noop_with_empty_axes" in names and names["noop_with_empty_axes"].i
    return node.op_type.startswith("Reduce") and all_axes and not keeps
