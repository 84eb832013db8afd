"""Normalisation layers in evaluation mode."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from blackbox_explain_adapters._onnx.backward.registry import Case, rule
from blackbox_explain_adapters._onnx.backward.tape import Tape
from blackbox_explain_adapters._onnx.graph.node import Node, refusal

__all__: list[str] = []

POSITIVE = np.array([0.3, 1.2, 0.7, 2.0], np.float32)


@rule(
    "BatchNormalization",
    cases=[
        Case(
            "y = BatchNormalization(x, s, b, m, v)",
            (2, 4, 3, 5),
            {"s": (4,), "b": (4,), "m": (4,), "v": POSITIVE},
        ),
        Case(
            "y = BatchNormalization<epsilon=0.1>(x, s, b, m, v)",
            (2, 4),
            {"s": (4,), "b": (4,), "m": (4,), "v": POSITIVE},
        ),
    ],
)
def _batch(tape: Tape, node: Node, gradients: Sequence[str]) -> Sequence[str]:
    if node.get("training_mode", 0):
        raise refusal(node, "is in training mode", "export the model in evaluation mode: model.eval()")
    scale, variance = (tape.known(node, node.inputs[k], what) for k, what in ((1, "scales"), (4, "variances")))
    slope = scale / np.sqrt(variance.astype(np.float64) + node.get("epsilon", 1e-5))
    shape = (-1,) + (1,) * (tape.rank(node.x) - 2)
    return [tape.scale(gradients[0], slope.reshape(shape), node.x)]


def _standardised(
    tape: Tape, x: str, like: str, axes: Sequence[int], epsilon: float, centred: bool = True
) -> tuple[str, str]:
    """Return x less its mean and over its deviation, and one over the deviation."""
    x = tape.op("Sub", x, tape.mean(x, axes)) if centred else x
    variance = tape.op("Add", tape.mean(tape.mul(x, x), axes), tape.number(epsilon, like))
    inverse = tape.op("Reciprocal", tape.op("Sqrt", variance))
    return tape.mul(x, inverse), inverse


def _adjoint(tape: Tape, g: str, x: str, inverse: str, axes: Sequence[int], centred: bool = True) -> str:
    along = tape.mul(x, tape.mean(tape.mul(g, x), axes))
    g = tape.op("Sub", g, tape.mean(g, axes)) if centred else g
    return tape.mul(inverse, tape.op("Sub", g, along))


def _affine(tape: Tape, node: Node, g: str, x: str) -> list[str]:
    """Return the gradients of scale and shift, where they depend on the image."""
    found: list[str] = []
    for name, own in zip(node.inputs[1:], (lambda: tape.mul(g, x), lambda: g), strict=False):
        found.append(tape.unbroadcast(own(), node.y, name) if name in tape.active else "")
    return found


@rule(
    "LayerNormalization",
    cases=[
        Case("a = LayerNormalization<axis=-1>(x, s, b)\ny = Tanh(a)", (2, 5, 8), {"s": (8,), "b": (8,)}),
        Case("a = LayerNormalization<axis=1, epsilon=0.1>(x, s)\ny = Tanh(a)", (2, 3, 4), {"s": (3, 4)}),
        Case("s = Exp(x)\nt = Sin(x)\na = LayerNormalization(x, s, t)\ny = Tanh(a)", (8,), dynamic=False),
    ],
)
def _layer(tape: Tape, node: Node, gradients: Sequence[str]) -> Sequence[str]:
    rank = tape.rank(node.x)
    axes = range(node.get("axis", -1) % rank, rank)
    x, inverse = _standardised(tape, node.x, node.x, axes, node.get("epsilon", 1e-5))
    return [
        _adjoint(tape, tape.mul(gradients[0], node.inputs[1]), x, inverse, axes) if node.x in tape.active else "",
        *_affine(tape, node, gradients[0], x),
    ]


@rule(
    "RMSNormalization",
    cases=[
        Case("a = RMSNormalization(x, s)\ny = Tanh(a)", (2, 5, 8), {"s": (8,)}, opset=23),
        Case("a = RMSNormalization<axis=1>(x, s)\ny = Tanh(a)", (2, 3, 4), {"s": (3, 4)}, opset=23),
    ],
)
def _root_mean_square(tape: Tape, node: Node, gradients: Sequence[str]) -> Sequence[str]:
    rank = tape.rank(node.x)
    axes = range(node.get("axis", -1) % rank, rank)
    x, inverse = _standardised(tape, node.x, node.x, axes, node.get("epsilon", 1e-5), centred=False)
    by_x = _adjoint(tape, tape.mul(gradients[0], node.inputs[1]), x, inverse, axes, centred=False)
    return [by_x if node.x in tape.active else "", *_affine(tape, node, gradients[0], x)]


def _per_channel(tape: Tape, node: Node, rank: int) -> np.ndarray:
    return tape.known(node, node.inputs[1], "scales").reshape(-1, *[1] * (rank - 2))


@rule(
    "InstanceNormalization",
    cases=[
        Case("a = InstanceNormalization(x, s, b)\ny = Tanh(a)", (2, 4, 3, 5), {"s": (4,), "b": (4,)}),
        Case("a = InstanceNormalization<epsilon=0.1>(x, s, b)\ny = Tanh(a)", (2, 4, 6), {"s": (4,), "b": (4,)}),
    ],
)
def _instance(tape: Tape, node: Node, gradients: Sequence[str]) -> Sequence[str]:
    rank = tape.rank(node.x)
    axes = range(2, rank)
    x, inverse = _standardised(tape, node.x, node.x, axes, node.get("epsilon", 1e-5))
    return [_adjoint(tape, tape.scale(gradients[0], _per_channel(tape, node, rank), node.x), x, inverse, axes)]


@rule(
    "GroupNormalization",
    cases=[
        Case(
            "a = GroupNormalization<num_groups=2>(x, s, b)\ny = Tanh(a)", (2, 4, 3, 5), {"s": (4,), "b": (4,)}, opset=21
        ),
        Case(
            "a = GroupNormalization<num_groups=2>(x, s, b)\ny = Tanh(a)", (2, 4, 3, 5), {"s": (2,), "b": (2,)}, opset=18
        ),
    ],
)
def _group(tape: Tape, node: Node, gradients: Sequence[str]) -> Sequence[str]:
    rank, groups = tape.rank(node.x), int(node.get("num_groups", 1))
    channels = tape.sizes(node, node.x, [1])[0]
    scale = tape.known(node, node.inputs[1], "scales")
    if scale.size == groups:  # opset 18: one for each group
        scale = np.repeat(scale, channels // groups)
    inner = [int(size) for size in tape.sizes(node, node.x, range(2, rank))]
    split = [None, groups, int(channels // groups * np.prod(inner, dtype=int))]
    g = tape.scale(gradients[0], scale.reshape(-1, *[1] * (rank - 2)), node.x)
    x, inverse = _standardised(tape, tape.reshape(node.x, split), node.x, [2], node.get("epsilon", 1e-5))
    return [tape.reshape_like(_adjoint(tape, tape.reshape(g, split), x, inverse, [2]), node.x)]


@rule(
    "LpNormalization",
    cases=[
        Case("y = LpNormalization(x)", (2, 3, 5)),
        Case("y = LpNormalization<axis=1, p=2>(x)", (2, 3, 5)),
        Case("y = LpNormalization<axis=1, p=1>(x)", (2, 3, 5)),
        Case("a = Relu(x)\ny = LpNormalization(a)", np.array([[0.4, -0.2, 0.9], [-0.3, -0.5, -1.0]])),
    ],
)
def _lp(tape: Tape, node: Node, gradients: Sequence[str]) -> Sequence[str]:
    # y = x / ‖x‖; dx = (g − direction · Σ g y) / ‖x‖, where direction is the gradient of the norm.
    p, axes, g = node.get("p", 2), [node.get("axis", -1)], gradients[0]
    norm = tape.op("ReduceL1" if p == 1 else "ReduceL2", node.x, tape.ints(axes), keepdims=1)
    direction = tape.op("Sign", node.x) if p == 1 else node.y
    along = tape.mul(direction, tape.total(tape.mul(g, node.y), axes))
    # Zeros stay zeros: there is no slope, and 0 does no harm.
    nothing = tape.op("Equal", norm, tape.number(0, node.x))
    whole = tape.where(nothing, tape.number(np.inf, node.x), norm)
    return [tape.op("Div", tape.op("Sub", g, along), whole)]


USUAL_BETA = 0.75
"""Of local response normalisation: its power is made of square roots, in less than a third of the time."""


@rule(
    "LRN",
    cases=[
        Case("y = LRN<size=5, alpha=0.3, beta=0.75, bias=1.5>(x)", (2, 8, 3, 4)),
        Case("y = LRN<size=3, alpha=0.3, beta=0.6>(x)", (2, 8, 3, 4)),
    ],
)
def _local_response(tape: Tape, node: Node, gradients: Sequence[str]) -> Sequence[str]:
    # y = x D^−β with D = bias + α/n Σ x² over a window; dx = g D^−β − 2αβ/n x Σ g x D^(−β−1) over the mirrored window.
    # The forward half is written anew: its powers are needed here, and the operator itself takes longer than all this.
    x, g, size = node.x, gradients[0], int(node.get("size", 1))
    alpha, beta, bias = node.get("alpha", 1e-4), node.get("beta", 0.75), node.get("bias", 1.0)
    (channels,) = tape.sizes(node, x, [1])
    places = np.arange(channels)
    apart = places[None, :] - places[:, None]  # of the channel summed over from that of the sum
    band = (apart >= -((size - 1) // 2)) & (apart <= size // 2)
    kernel = np.expand_dims(band * (alpha / size), tuple(range(2, tape.rank(x)))).astype(tape.dtype(x))
    base = tape.op("Conv", tape.mul(x, x), kernel, np.full(channels, bias, tape.dtype(x)))
    if beta == USUAL_BETA:
        root = tape.op("Sqrt", base)
        power = tape.op("Reciprocal", tape.mul(root, tape.op("Sqrt", root)))
    else:
        power = tape.op("Pow", base, tape.number(-beta, x))
    tape.instead(node, "Mul", x, power)
    spread = tape.op("Conv", tape.mul(tape.mul(g, node.y), tape.op("Reciprocal", base)), np.swapaxes(kernel, 0, 1))
    return [tape.op("Sub", tape.mul(g, power), tape.mul(tape.scale(x, 2 * beta, x), spread))]
