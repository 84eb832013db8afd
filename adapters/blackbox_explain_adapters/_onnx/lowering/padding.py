"""Give the zeros of a Pad to the convolution behind it, so that nothing has to be cropped on the way back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper

from blackbox_explain_adapters._onnx.graph.node import Node, read_by

__all__ = ["merge_pads"]


def merge_pads(
    nodes: Sequence[onnx.NodeProto], constants: Mapping[str, np.ndarray[Any, Any]], outputs: set[str]
) -> list[onnx.NodeProto]:
    """Return the nodes without each Pad that feeds one Conv alone, whose own pads then say the same.

    Parameters
    ----------
    nodes
        In order; they stay.
    constants
        Known tensors.
    outputs
        Names that must go on existing.
    """
    readers: dict[str, list[int]] = {}
    for index, proto in enumerate(nodes):
        for name in read_by(proto):
            readers.setdefault(name, []).append(index)
    made: list[onnx.NodeProto | None] = list(nodes)
    for index, proto in enumerate(nodes):
        node = Node(proto)
        users = readers.get(node.y, []) if node.op == "Pad" and node.y not in outputs else []
        if len(users) != 1:
            continue
        conv = Node(nodes[users[0]])
        pads = _zeros_around(node, constants)
        if conv.op != "Conv" or conv.x != node.y or conv.get("auto_pad", "NOTSET") != "NOTSET" or pads is None:
            continue
        together = np.asarray(pads) + np.asarray(conv.get("pads", [0] * len(pads)))
        attributes: dict[str, Any] = {**conv.attributes, "pads": [int(pad) for pad in together]}
        inputs = [node.x, *conv.inputs[1:]]
        made[users[0]] = helper.make_node("Conv", inputs, list(conv.outputs), name=conv.proto.name, **attributes)
        made[index] = None
    return [proto for proto in made if proto is not None]


def _zeros_around(node: Node, constants: Mapping[str, np.ndarray[Any, Any]]) -> list[int] | None:
    """Return the spatial pads of a Pad that only adds zeros around the image."""
    pads = constants.get(node.input(1))
    if node.get("mode", "constant") != "constant" or node.input(3) or pads is None or pads.min(initial=0) < 0:
        return None
    fill = constants.get(node.input(2)) if node.input(2) else np.zeros(1)
    half = len(pads) // 2
    if fill is None or np.any(fill) or np.any(pads[:2]) or np.any(pads[half : half + 2]):
        return None
    return [*pads[2:half].tolist(), *pads[half + 2 :].tolist()]
