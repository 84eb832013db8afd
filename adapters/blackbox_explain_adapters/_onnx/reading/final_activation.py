"""How a graph ends: in which activation, in sums that are not bounded, and along which axis the classes lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import onnx

from blackbox_explain.box.activations import Activation, Ending
from blackbox_explain_adapters._onnx.graph.constants import Stored
from blackbox_explain_adapters._onnx.graph.node import Node
from blackbox_explain_adapters._onnx.graph.pixel_dependence import without_pixels

__all__ = ["Head", "View", "axis_of", "ends_in", "head_of"]

HEADS: dict[str, Literal["softmax", "log_softmax", "sigmoid"]] = {
    "Softmax": "softmax",
    "LogSoftmax": "log_softmax",
    "Sigmoid": "sigmoid",
}
"""Activations by operator."""

APPLIED: dict[str, Ending] = {"SOFTMAX": "softmax", "LOGISTIC": "sigmoid", "NONE": "linear"}
"""What linear models of ai.onnx.ml apply."""

RESHAPING = ("Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Cast", "Dropout")

PASSING = (*RESHAPING, "QuantizeLinear", "DequantizeLinear")

AVERAGING = ("GlobalAveragePool", "AveragePool", "ReduceMean", "GlobalMaxPool", "MaxPool", "ReduceMax", "Transpose")
"""What leaves probabilities probabilities, and sums sums."""

# fmt: off
SUMMING = frozenset((
    "Gemm", "MatMul", "Conv", "ConvTranspose", "Einsum", "MatMulInteger", "ConvInteger", "QLinearMatMul", "QLinearConv",
    "com.microsoft.FusedMatMul", "com.microsoft.QGemm", "com.microsoft.MatMulNBits",
    "com.microsoft.DynamicQuantizeMatMul", "com.microsoft.MatMulIntegerToFloat",
))
"""Weighted sums, which are bounded by nothing."""

UNBOUNDED = frozenset((
    "Add", "Sub", "Sum", "Mean", "Mul", "Div", "Neg", "Concat", "Slice", "Gather", "Split", "ReduceSum", "Relu",
    "LeakyRelu", "PRelu", "Elu", "Selu", "Softplus", "BatchNormalization", "com.microsoft.QLinearAdd",
))
# fmt: on
"""What is as unbounded as all that it is made of."""

PICKING = ("Concat", "Slice", "Gather", "Split")
"""What keeps each number as it is, if not its company."""


@dataclass(frozen=True)
class Head:
    """The activation that a graph ends in.

    Attributes
    ----------
    activation
        Which.
    logits
        Tensor before it.
    """

    activation: Activation
    logits: str


class View:
    """A graph as seen from its outputs.

    Attributes
    ----------
    makers
        The nodes by the tensors they make.
    stored
        Its small constants.
    plain
        Tensors that are made without pixels, weights too.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        self.makers = {name: Node(proto) for proto in model.graph.node for name in proto.output if name}
        self.stored = Stored(model.graph)
        self.plain = without_pixels(model) | {one.name for one in model.graph.initializer}

    def back(self, name: str, through: tuple[str, ...] = RESHAPING) -> str:
        """Return the tensor that another is made of by nothing but reshaping."""
        seen = set[str]()
        while name not in seen and (node := self.makers.get(name)) is not None and _kind(node) in through:
            seen.add(name)  # each is passed once, even in a circle
            if not node.inputs:
                break
            name = node.x
        return name


def _kind(node: Node) -> str:
    return f"{node.domain}.{node.op}" if node.domain else node.op


def head_of(view: View, output: str) -> Head | None:
    """Find the softmax or sigmoid that leads to an output through nothing but reshaping."""
    node = view.makers.get(view.back(output, PASSING))
    if node is None or not node.inputs or _kind(node) not in HEADS:
        return None
    return Head(HEADS[node.op], node.x)


def ends_in(view: View, output: str) -> Ending | None:
    """Say what the last operation before an output is: an activation, weighted sums, or None if nothing tells.

    Averages, as of a network's answers at several places, are looked through.
    """
    return _ending(view, output, {})


def _ending(view: View, name: str, known: dict[str, Ending | None]) -> Ending | None:
    name = view.back(name, (*PASSING, *AVERAGING))
    if name not in known:
        known[name] = None  # also of what is made of itself
        known[name] = _of_maker(view, name, known)
    return known[name]


def _of_maker(view: View, name: str, known: dict[str, Ending | None]) -> Ending | None:
    node = view.makers.get(name)
    if node is None or not node.inputs:
        return None
    kind = _kind(node)
    if kind in HEADS:
        return HEADS[kind]
    if kind in ("ai.onnx.ml.LinearClassifier", "ai.onnx.ml.LinearRegressor"):
        return APPLIED.get(node.get("post_transform", "NONE"))
    if kind in SUMMING:
        mixed = head_of(view, node.x)  # probabilities may be mixed to others
        return None if mixed else "linear"
    read = [one for one in node.inputs if one and one not in view.plain]
    if kind not in UNBOUNDED or (kind in ("Mul", "Div") and len(read) > 1):
        return None
    if kind == "Div" and node.x not in read:
        return None
    kinds = {_ending(view, one, known) for one in read}
    if kinds == {"linear"}:
        return "linear"
    return "sigmoid" if kinds == {"sigmoid"} and kind in PICKING else None


POINTWISE = frozenset(("Identity", "Cast", "Dropout", "QuantizeLinear", "DequantizeLinear", "Clip", "Tanh", *HEADS)) | {
    "Relu", "LeakyRelu", "HardSigmoid", "Neg", "Exp", "BatchNormalization", "PRelu", "Elu", "Softplus",
}  # fmt: skip

CONVOLVING = ("Conv", "ConvTranspose", "QLinearConv", "ConvInteger")

SAMPLING = (
    "MaxPool",
    "AveragePool",
    "GlobalMaxPool",
    "GlobalAveragePool",
    "Resize",
    "Upsample",
    "InstanceNormalization",
)


def axis_of(view: View, output: str, axis: int, rank: int) -> Literal["channels", "places"] | None:
    """Say whether an axis counts what a layer was built for, as classes are, or places and steps of the input.

    Returns
    -------
    kind
        None where the graph does not tell.
    """
    name = output
    for _ in range(len(view.makers)):
        node = view.makers.get(name)
        if node is None or node.domain or not node.inputs:
            return None
        name = node.x
        if node.op in CONVOLVING:
            return "channels" if axis == 1 else "places"
        if node.op == "Gemm" or (node.op == "MatMul" and axis == rank - 1 and node.inputs[1] in view.plain):
            return "channels" if axis == rank - 1 else None
        if node.op in SAMPLING:
            if axis > 1:
                return "places"
        elif node.op in ("Add", "Sub", "Mul", "Div"):
            read = [one for one in node.inputs if one not in view.plain]
            if len(read) != 1:
                return None
            name = read[0]
        elif node.op == "Transpose":
            axis = int((node.get("perm") or list(range(rank))[::-1])[axis])
        elif node.op in ("Squeeze", "Unsqueeze"):
            axes = node.get("axes") if node.get("axes") is not None else view.stored.get(node.input(1))
            if axes is None:
                return None
            wide = rank + len(axes) if node.op == "Squeeze" else rank
            places = sorted(int(one) % wide for one in axes)
            if node.op == "Unsqueeze":
                if axis in places:
                    return None
                axis, rank = axis - sum(one < axis for one in places), rank - len(places)
            else:
                kept = [one for one in range(wide) if one not in places]
                axis, rank = kept[axis], wide
        elif node.op not in POINTWISE and not (node.op == "MatMul" and node.inputs[1] in view.plain):
            return None
    return None
