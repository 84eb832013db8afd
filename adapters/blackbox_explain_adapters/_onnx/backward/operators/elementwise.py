"""Arithmetic on elements, with broadcasting."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from blackbox_explain_adapters._onnx.backward.registry import Case, elementwise, rule
from blackbox_explain_adapters._onnx.backward.tape import Tape
from blackbox_explain_adapters._onnx.graph.node import FLOATS, Node, element_type, refusal

__all__: list[str] = []


def _or_infinity(tape: Tape, a: str) -> str:
    """Return a divisor that is infinite, so that the quotient is 0, where `a` is not above 0."""
    return tape.where(tape.op("Greater", a, tape.number(0, a)), a, tape.number(np.inf, a))


def _finite(tape: Tape, slope: str, like: str) -> str:
    """Return a slope where it is finite, else 0."""
    known = tape.op("Less", tape.op("Abs", slope), tape.number(np.inf, like))
    return tape.where(known, slope, tape.number(0, like))


elementwise("Identity", lambda t, n, g: g)
elementwise("Neg", lambda t, n, g: t.neg(g))
elementwise("Abs", lambda t, n, g: t.mul(g, t.op("Sign", n.x)))
# An overflow stays a number: what is chosen in its place has no slope here, and 0 times infinity is none.
elementwise("Exp", lambda t, n, g: t.mul(g, t.op("Min", n.y, t.number(np.finfo(t.dtype(n.y)).max, n.y))))

# Where a slope is infinite or none, 0 is taken: a subgradient of norms, and harmless where something else is chosen.
elementwise(
    "Log",
    lambda t, n, g: t.op("Div", g, _or_infinity(t, n.x)),
    Case("a = Exp(x)\ny = Log(a)", (2, 5)),
)
elementwise(
    "Sqrt",
    lambda t, n, g: t.op("Div", t.scale(g, 0.5, n.y), _or_infinity(t, n.y)),
    Case("a = Exp(x)\ny = Sqrt(a)", (2, 5)),
)
elementwise(
    "Reciprocal",
    lambda t, n, g: t.neg(t.mul(g, _finite(t, t.mul(n.y, n.y), n.y))),
    Case("a = Exp(x)\ny = Reciprocal(a)", (2, 5)),
)
elementwise("Sin", lambda t, n, g: t.mul(g, t.op("Cos", n.x)))
elementwise("Cos", lambda t, n, g: t.neg(t.mul(g, t.op("Sin", n.x))))
elementwise("Sinh", lambda t, n, g: t.mul(g, t.op("Cosh", n.x)))
elementwise("Cosh", lambda t, n, g: t.mul(g, t.op("Sinh", n.x)))
elementwise("Tan", lambda t, n, g: t.mul(g, t.op("Add", t.number(1, n.y), t.mul(n.y, n.y))))
elementwise("Atan", lambda t, n, g: t.op("Div", g, t.op("Add", t.number(1, n.x), t.mul(n.x, n.x))))


def _over_root(tape: Tape, x: str, g: str, inner: int, one: int = 1) -> str:
    """Return g / √(±1 ± x²)."""
    root = tape.op("Sqrt", tape.op("Add", tape.number(one, x), tape.scale(tape.mul(x, x), inner, x)))
    return tape.mul(g, _finite(tape, tape.op("Reciprocal", root), x))


elementwise("Asin", lambda t, n, g: _over_root(t, n.x, g, -1), Case("a = Tanh(x)\ny = Asin(a)", (2, 5)))
elementwise("Acos", lambda t, n, g: t.neg(_over_root(t, n.x, g, -1)), Case("a = Tanh(x)\ny = Acos(a)", (2, 5)))
elementwise(
    "Acosh",
    lambda t, n, g: _over_root(t, n.x, g, 1, -1),
    Case("e = Exp(x)\na = Add(e, w)\ny = Acosh(a)", (2, 5), {"w": np.float32(1.1)}),
)
elementwise("Asinh", lambda t, n, g: _over_root(t, n.x, g, 1))
elementwise(
    "Atanh",
    lambda t, n, g: t.mul(g, _finite(t, t.op("Reciprocal", t.op("Sub", t.number(1, n.x), t.mul(n.x, n.x))), n.x)),
    Case("a = Tanh(x)\ny = Atanh(a)", (2, 5)),
)
elementwise(
    "Erf",
    lambda t, n, g: t.mul(g, t.scale(t.op("Exp", t.neg(t.mul(n.x, n.x))), 2 / math.sqrt(math.pi), n.x)),
)


@rule(
    "Dropout",
    cases=[Case("y = Dropout(x)", (2, 3)), Case("y, m = Dropout(x)", (2, 3))],
)
def _dropout(tape: Tape, node: Node, gradients: Sequence[str]) -> Sequence[str]:
    if node.input(2) and np.any(tape.known(node, node.inputs[2], "mode")):
        raise refusal(node, "is in training mode", "export the model in evaluation mode: model.eval()")
    return [gradients[0]]


@rule("Cast", cases=[Case("a = Cast<to=11>(x)\nb = Exp(a)\ny = Cast<to=1>(b)", (2, 3))])
def _cast(tape: Tape, node: Node, gradients: Sequence[str]) -> Sequence[str]:
    # Whole numbers that carry images have gradients in float32.
    dtype = tape.dtype(node.x)
    return [tape.op("Cast", gradients[0], to=element_type(dtype if dtype in FLOATS else np.dtype(np.float32)))]


def _pairs(op: str) -> list[Case]:
    positive = np.abs(np.random.default_rng(5).standard_normal((3, 1, 4, 1))).astype(np.float32) + 1
    ones = np.random.default_rng(6).random((2, 1, 7)).astype(np.float32) + 0.5
    return [
        Case(f"y = {op}(x, w)", (2, 4, 3, 5), {"w": (4, 1, 1)}),
        Case(f"y = {op}(w, x)", ones, {"w": positive}),
        Case(f"m = ReduceMean<keepdims=1>(x, ax)\nz = Exp(m)\ny = {op}(x, z)", (2, 4, 3, 5), {"ax": np.array([2, 3])}),
        Case(f"z = Exp(x)\ny = {op}(z, x)", ones),
    ]


def _binary(
    op: str,
    by_first: Callable[[Tape, Node, str], str],
    by_second: Callable[[Tape, Node, str], str],
    cases: Sequence[Case] | None = None,
) -> None:
    """Register an operator on two tensors by its two partial derivatives."""

    @rule(op, cases=cases or _pairs(op))
    def apply(tape: Tape, node: Node, gradients: Sequence[str]) -> Sequence[str]:  # pyright: ignore[reportUnusedFunction]
        g = gradients[0]
        partials = zip(node.inputs, (by_first, by_second), strict=True)
        return [
            tape.unbroadcast(partial(tape, node, g), node.y, name) if name in tape.active else ""
            for name, partial in partials
        ]


_binary("Add", lambda t, n, g: g, lambda t, n, g: g)
_binary("Sub", lambda t, n, g: g, lambda t, n, g: t.neg(g))
_binary("Mul", lambda t, n, g: t.mul(g, n.inputs[1]), lambda t, n, g: t.mul(g, n.inputs[0]))


def _by_dividend(tape: Tape, node: Node, g: str) -> str:
    divisor = node.inputs[1]
    if divisor in tape.constants and np.all(tape.constants[divisor] != 0):
        return tape.op("Div", g, divisor)
    nothing = tape.op("Equal", divisor, tape.number(0, divisor))
    return tape.op("Div", g, tape.where(nothing, tape.number(np.inf, divisor), divisor))


@rule("Div", cases=_pairs("Div"))
def _divided(tape: Tape, node: Node, gradients: Sequence[str]) -> Sequence[str]:
    g, (dividend, divisor) = gradients[0], node.inputs
    found = ["", ""]
    if dividend in tape.active:
        found[0] = tape.unbroadcast(_by_dividend(tape, node, g), node.y, dividend)
    if divisor in tape.active:
        # Summed before it is divided: the divisor is the smaller one of the two, if they differ.
        summed = tape.unbroadcast(tape.mul(g, node.y), node.y, divisor)
        nothing = tape.op("Equal", divisor, tape.number(0, divisor))
        found[1] = tape.neg(tape.where(nothing, tape.number(0, divisor), tape.op("Div", summed, divisor)))
    return found


def _by_base(tape: Tape, node: Node, g: str) -> str:
    base, exponent = node.inputs
    if exponent in tape.constants:
        p = tape.constants[exponent].astype(tape.dtype(base))
        # Where the exponent is 0 so is the slope, even at a base of 0.
        slope = base if np.all(p == 2) else tape.op("Pow", base, np.where(p == 0, 1, p - 1).astype(p.dtype))
        if np.any((p < 1) & (p != 0) | (p != np.round(p))):  # none at 0, or at what is below it
            slope = _finite(tape, slope, base)
        return tape.mul(g, tape.mul(tape.constant(p), slope))
    power = tape.op("Cast", exponent, to=element_type(tape.dtype(base)))
    # Where the power is 0 the slope is 0, also that of 0 to the power of 0.
    flat = tape.op("Equal", power, tape.number(0, base))
    less = tape.op("Sub", tape.where(flat, tape.number(1, base), power), tape.number(1, base))
    return tape.mul(g, tape.mul(power, _finite(tape, tape.op("Pow", base, less), base)))


def _by_exponent(tape: Tape, node: Node, g: str) -> str:
    base = node.inputs[0]
    # Powers of 0 stay 0 as the exponent moves; those of negative numbers are none.
    above = tape.op("Greater", base, tape.number(0, base))
    logarithm = tape.op("Log", tape.where(above, base, tape.number(1, base)))
    return tape.mul(g, _finite(tape, tape.mul(node.y, logarithm), node.y))


_binary(
    "Pow",
    _by_base,
    _by_exponent,
    [
        Case("y = Pow(x, w)", (2, 3, 4), {"w": np.float32(2)}),
        Case("y = Pow(x, w)", (2, 3, 4), {"w": np.int64(3)}),
        Case("y = Pow(x, w)", np.array([[0.0, 0.0, 2.0]]), {"w": np.array([0, 1, 3], np.float32)}),
        Case("a = Exp(x)\ny = Pow(a, w)", (2, 3, 4), {"w": np.float32(-1.7)}),
        Case("a = Exp(x)\ny = Pow(a, x)", (2, 3, 4)),
        Case("y = Pow(w, x)", (2, 3, 4), {"w": np.array([2.0, 0.3, 1.0, 1.5], np.float32)}),
        Case("a = Exp(x)\ny = Pow(w, a)", (2, 3, 4), {"w": np.array([0.0, 0.3, 1.0, 0.0], np.float32)}),
        Case(
            "a = Mul(x, k)\nb = Abs(a)\ny = Pow(x, b)",
            np.array([[0.0, 0.0, 2.0]]),
            {"k": np.array([0, 0, 0.5], np.float32)},
        ),
    ],
)


def _by_divisor(tape: Tape, node: Node, g: str) -> str:
    # x mod w = x - n w, with n the whole number of times that w goes into x.
    x, divisor = node.inputs
    times = tape.op("Round", tape.op("Div", tape.op("Sub", x, node.y), divisor))
    return tape.neg(tape.mul(g, times))


_binary(
    "Mod",
    lambda t, n, g: g,
    _by_divisor,
    [
        Case("y = Mod<fmod=1>(x, w)", (2, 3, 5), {"w": np.float32(0.7)}),
        Case("e = Exp(x)\ny = Mod<fmod=1>(w, e)", (2, 3, 5), {"w": np.float32(3.3)}),
    ],
)


@rule(
    "Sum",
    "Mean",
    cases=[Case(f"a = Exp(x)\ny = {op}(a, x, w)", (2, 3, 4), {"w": (3, 1)}) for op in ("Sum", "Mean")]
    + [Case(f"y = {op}(x)", (2, 3)) for op in ("Sum", "Mean")],
)
def _sum(tape: Tape, node: Node, gradients: Sequence[str]) -> Sequence[str]:
    g = gradients[0]
    g = tape.scale(g, 1 / len(node.inputs), node.y) if node.op == "Mean" else g
    return [tape.unbroadcast(g, node.y, name) if name in tape.active else "" for name in node.inputs]


@rule(
    "Min",
    "Max",
    cases=[
        case
        for op in ("Min", "Max")
        for case in (
            *_pairs(op),
            Case(f"a = Neg(x)\ny = {op}(x, a, w)", (2, 3, 9), {"w": (3, 1)}),
            Case(f"y = {op}(x)", (2, 3)),
        )
    ],
)
def _extreme(tape: Tape, node: Node, gradients: Sequence[str]) -> Sequence[str]:
    # A tie goes to the first operand.
    g, found, free = gradients[0], [], ""
    for name in node.inputs:
        here = tape.op("Equal", tape.op("Add", name, tape.zeros_like(node.y)), node.y)
        mine = tape.op("And", here, free) if free else here
        taken = tape.op("Not", here)
        free = tape.op("And", free, taken) if free else taken
        if name in tape.active:
            found.append(tape.unbroadcast(tape.where(mine, g, tape.number(0, node.y)), node.y, name))
        else:
            found.append("")
    return found


@rule(
    "Where",
    cases=[
        Case("z = Relu(x)\nc = Greater(x, w)\ne = Exp(x)\ny = Where(c, e, z)", (2, 4, 3), {"w": np.float32(0.3)}),
        Case("c = Greater(x, w)\ny = Where(c, x, v)", (2, 4, 1), {"w": np.float32(0.3), "v": (5,)}),
    ],
)
def _where(tape: Tape, node: Node, gradients: Sequence[str]) -> Sequence[str]:
    condition, a, b = node.inputs
    zero = tape.number(0, node.y)
    parts = [(a, (gradients[0], zero)), (b, (zero, gradients[0]))]
    return [""] + [
        tape.unbroadcast(tape.where(condition, *chosen), node.y, name) if name in tape.active else ""
        for name, chosen in parts
    ]
