"""Activation functions."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from blackbox_explain_adapters._onnx.backward.registry import Case, elementwise, rule
from blackbox_explain_adapters._onnx.backward.tape import Tape
from blackbox_explain_adapters._onnx.graph.node import Node, element_type

__all__: list[str] = []

RELU6 = (0.0, 6.0)

SELU_ALPHA = 1.67326319217681884765625
SELU_GAMMA = 1.05070102214813232421875


def _by_sign(tape: Tape, x: str, above: str, below: str) -> str:
    return tape.where(tape.op("Greater", x, tape.number(0, x)), above, below)


# Masks are taken from the output where that is enough, so that a convolution and its activation still fuse.
elementwise("Relu", lambda t, n, g: t.mul(g, t.step(n.y, n.y)))
elementwise(
    "LeakyRelu",
    lambda t, n, g: _by_sign(t, n.x, g, t.scale(g, n.get("alpha", 0.01), n.x)),
    Case("y = LeakyRelu(x)", (2, 3, 5)),
    Case("y = LeakyRelu<alpha=0.3>(x)", (2, 3, 5)),
)
elementwise(
    "ThresholdedRelu",
    lambda t, n, g: t.mul(g, t.step_from(n.x, n.get("alpha", 1.0))),
    Case("y = ThresholdedRelu(x)", (2, 3, 5)),
    Case("y = ThresholdedRelu<alpha=-0.3>(x)", (2, 3, 5)),
)
elementwise(
    "Elu",
    lambda t, n, g: _by_sign(
        t, n.x, g, t.mul(g, t.scale(t.op("Exp", t.op("Min", n.x, t.number(0, n.x))), n.get("alpha", 1.0), n.x))
    ),
    Case("y = Elu(x)", (2, 3, 5)),
    Case("y = Elu<alpha=0.4>(x)", (2, 3, 5)),
)
elementwise(
    "Celu",
    lambda t, n, g: _by_sign(
        t, n.x, g, t.mul(g, t.op("Exp", t.scale(t.op("Min", n.x, t.number(0, n.x)), 1 / n.get("alpha", 1.0), n.x)))
    ),
    Case("y = Celu(x)", (2, 3, 5)),
    Case("y = Celu<alpha=0.4>(x)", (2, 3, 5)),
)


def _selu(tape: Tape, node: Node, g: str) -> str:
    gamma, alpha = node.get("gamma", SELU_GAMMA), node.get("alpha", SELU_ALPHA)
    low = tape.op("Exp", tape.op("Min", node.x, tape.number(0, node.x)))
    return _by_sign(tape, node.x, tape.scale(g, gamma, node.x), tape.mul(g, tape.scale(low, gamma * alpha, node.x)))


elementwise("Selu", _selu)
elementwise("Tanh", lambda t, n, g: t.mul(g, t.op("Sub", t.number(1, n.y), t.mul(n.y, n.y))))
elementwise("Softplus", lambda t, n, g: t.mul(g, t.op("Sigmoid", n.x)))
elementwise(
    "Softsign",
    lambda t, n, g: t.op("Div", g, _square(t, t.op("Add", t.number(1, n.x), t.op("Abs", n.x)))),
)


def _square(tape: Tape, a: str) -> str:
    return tape.mul(a, a)


def _sigmoid(tape: Tape, node: Node, g: str) -> str:
    # From x: y (1 - y) has lost its digits where y is near 0 or 1, and some runtimes round a small y to 0.
    small = tape.op("Exp", tape.neg(tape.op("Abs", node.x)))
    return tape.mul(g, tape.op("Div", small, _square(tape, tape.op("Add", small, tape.number(1, node.x)))))


elementwise(
    "Sigmoid",
    _sigmoid,
    Case("y = Sigmoid(x)", (2, 3, 5)),
    Case("y = Sigmoid(x)", np.linspace(-25, 25, 40).reshape(2, 20)),
)


def _hard_sigmoid(tape: Tape, node: Node, g: str) -> str:
    inside = tape.mul(tape.step_from(node.y, 0), tape.step_to(node.y, 1))
    return tape.mul(tape.scale(g, node.get("alpha", 0.2), node.y), inside)


elementwise(
    "HardSigmoid",
    _hard_sigmoid,
    Case("y = HardSigmoid(x)", (2, 3, 5)),
    Case("y = HardSigmoid<alpha=0.5, beta=0.3>(x)", (2, 3, 5)),
)


def _hard_swish(tape: Tape, node: Node, g: str) -> str:
    x = node.x
    gate = tape.op("HardSigmoid", x, alpha=1 / 6, beta=0.5)
    inside = tape.mul(tape.step_from(gate, 0, x), tape.step_to(gate, 1, x))
    return tape.mul(g, tape.op("Add", gate, tape.mul(tape.scale(x, 1 / 6, x), inside)))


elementwise("HardSwish", _hard_swish, Case("y = HardSwish(x)", np.linspace(-5, 5, 30).reshape(2, 15)))


def _swish(tape: Tape, node: Node, g: str) -> str:
    # s + a x s (1 - s)
    alpha = node.get("alpha", 1.0)
    s = tape.op("Sigmoid", tape.scale(node.x, alpha, node.x))
    inner = tape.mul(tape.scale(node.x, alpha, node.x), tape.op("Sub", tape.number(1, node.x), s))
    return tape.mul(g, tape.mul(s, tape.op("Add", inner, tape.number(1, node.x))))


elementwise(
    "Swish",
    _swish,
    Case("y = Swish(x)", (2, 3, 5), opset=24),
    Case("y = Swish<alpha=1.7>(x)", (2, 3, 5), opset=24),
)


def _mish(tape: Tape, node: Node, g: str) -> str:
    # t + x (1 - t²) sigmoid(x), with t = tanh(softplus(x))
    t = tape.op("Tanh", tape.op("Softplus", node.x))
    slope = tape.mul(tape.op("Sub", tape.number(1, node.x), tape.mul(t, t)), tape.op("Sigmoid", node.x))
    return tape.mul(g, tape.op("Add", t, tape.mul(node.x, slope)))


elementwise("Mish", _mish)


def _gelu(tape: Tape, node: Node, g: str) -> str:
    x = node.x
    one = tape.number(1, x)
    if node.get("approximate", "none") == "none":  # Φ(x) + x φ(x)
        cdf = tape.scale(tape.op("Add", tape.op("Erf", tape.scale(x, math.sqrt(0.5), x)), one), 0.5, x)
        density = tape.op("Exp", tape.scale(tape.mul(x, x), -0.5, x))
        density = tape.scale(density, 1 / math.sqrt(2 * math.pi), x)
        return tape.mul(g, tape.op("Add", cdf, tape.mul(x, density)))
    b, cubic = math.sqrt(2 / math.pi), 0.044715
    squared = tape.mul(x, x)
    inner = tape.mul(x, tape.op("Add", tape.number(b, x), tape.scale(squared, b * cubic, x)))
    t = tape.op("Tanh", inner)
    slope = tape.op("Add", tape.number(b, x), tape.scale(squared, 3 * b * cubic, x))
    curved = tape.mul(tape.mul(x, tape.op("Sub", one, tape.mul(t, t))), slope)
    return tape.mul(g, tape.scale(tape.op("Add", tape.op("Add", t, one), curved), 0.5, x))


elementwise(
    "Gelu",
    _gelu,
    Case("y = Gelu(x)", (2, 6), opset=20),
    Case('y = Gelu<approximate="tanh">(x)', (2, 6), opset=20),
)


@rule(
    "Clip",
    cases=[
        Case("y = Clip(x, lo, hi)", (2, 30), {"lo": np.float32(-0.5), "hi": np.float32(0.7)}),
        Case("y = Clip(x, , hi)", (2, 30), {"hi": np.float32(0.7)}),
        Case("y = Clip(x, lo)", (2, 30), {"lo": np.float32(0.0)}),
        Case("y = Clip(x, lo, hi)", np.linspace(-2, 9, 40).reshape(2, 20), {"lo": np.float32(0), "hi": np.float32(6)}),
        Case("y = Clip(x)", (2, 3)),
    ],
)
def _clip(tape: Tape, node: Node, gradients: Sequence[str]) -> Sequence[str]:
    g, y = gradients[0], node.y
    bounds = [tape.constants.get(name) if name else None for name in (node.input(1), node.input(2))]
    if bounds == list(RELU6):
        # An activation: its slope is 0 at the bounds, as that of Relu is, and is seen from the output.
        # The steps first: where the gradient lies in another layout, one tensor is brought to it and not two.
        return [tape.mul(g, tape.mul(tape.step_from(y, RELU6[0]), tape.step_to(y, RELU6[1])))]
    # Else the slope is 1 at the bounds: images that are clipped to black and white have many such pixels.
    same = tape.op("Equal", node.x, y)
    return [tape.mul(g, tape.op("Cast", same, to=element_type(tape.dtype(y))))]


@rule(
    "PRelu",
    cases=[
        Case("y = PRelu(x, s)", (2, 4, 7, 9), {"s": (4, 1, 1)}),
        Case("y = PRelu(x, s)", (2, 5), {"s": (1,)}),
        Case("s = Exp(x)\ny = PRelu(x, s)", (2, 4, 3)),
    ],
)
def _prelu(tape: Tape, node: Node, gradients: Sequence[str]) -> Sequence[str]:
    g, slope = gradients[0], node.inputs[1]
    found = [_by_sign(tape, node.x, g, tape.mul(g, slope))]
    if slope in tape.active:
        below = _by_sign(tape, node.x, tape.number(0, node.x), tape.mul(g, node.x))
        found.append(tape.unbroadcast(below, node.y, slope))
    return found


@rule(
    "Softmax",
    "LogSoftmax",
    cases=[
        Case(f"y = {op}{axis}(x)", (2, 4, 3, 5))
        for op in ("Softmax", "LogSoftmax")
        for axis in ("", "<axis=1>", "<axis=-2>")
    ]
    + [
        Case(
            "m = Add(x, mask)\ns = Softmax(m)\nn = IsNaN(s)\ny = Where(n, zero, s)",
            (2, 3, 4),
            {"mask": np.array([[0, 0, 0, -np.inf], [-np.inf] * 4, [0] * 4], np.float32), "zero": np.float32(0)},
        )
    ],
)
def _softmax(tape: Tape, node: Node, gradients: Sequence[str]) -> Sequence[str]:
    g, y, axes = gradients[0], node.y, [node.get("axis", -1)]
    if node.op == "Softmax":
        if tape.tensors[y].has_nan:
            # Rows of attention that are masked as a whole: something behind them takes other numbers instead.
            y = tape.where(tape.op("IsNaN", y), tape.number(0, y), y)
        return [tape.mul(y, tape.op("Sub", g, tape.total(tape.mul(g, y), axes)))]
    return [tape.op("Sub", g, tape.mul(tape.op("Exp", node.y), tape.total(g, axes)))]
