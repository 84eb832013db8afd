"""Sums, means, norms and extremes over axes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from blackbox_explain_adapters._onnx.backward.registry import Case, rule
from blackbox_explain_adapters._onnx.backward.tape import Tape
from blackbox_explain_adapters._onnx.graph.node import Node, element_type, refusal

__all__: list[str] = []

S = (2, 4, 3, 5)
GLOBAL = ("GlobalAveragePool", "GlobalMaxPool")


def _cases(*operators: str, before: str = "a = Identity(x)") -> list[Case]:
    cases: list[Case] = []
    for op in operators:
        if op in GLOBAL:
            cases += [Case(f"y = {op}(x)", S), Case(f"y = {op}(x)", (2, 3, 7))]
            continue
        for keep in (0, 1):
            text = f"{before}\nb = {op}<keepdims={keep}>(a, ax)\ny = Sin(b)"
            cases.append(Case(text, S, {"ax": np.array([-1, 1])}))
        cases.append(Case(f"{before}\nb = {op}<axes=[1,-1], keepdims=0>(a)\ny = Sin(b)", S, opset=11))
        cases.append(Case(f"{before}\nb = {op}<keepdims=0>(a)\ny = Sin(b)", S, dynamic=False))
        cases.append(Case(f"{before}\nb = {op}<noop_with_empty_axes=1>(a)\ny = Sin(b)", S))
    return cases


def _axes(tape: Tape, node: Node) -> list[int] | None:
    """Return the axes, sorted; None if the node does nothing."""
    rank = tape.rank(node.x)
    if node.op in GLOBAL:
        return list(range(2, rank))
    given = node.get("axes")
    if node.input(1):
        given = tape.known(node, node.inputs[1], "axes").tolist()
    if not given:
        return None if node.get("noop_with_empty_axes", 0) else list(range(rank))
    return sorted(int(axis) % rank for axis in given)


def _spread(tape: Tape, node: Node, a: str, axes: Sequence[int]) -> str:
    """Give a reduced tensor its lost axes back, with size 1."""
    if node.op in GLOBAL or node.get("keepdims", 1):
        return a
    return tape.op("Unsqueeze", a, tape.ints(list(axes)))


@rule("ReduceMean", "ReduceSum", "GlobalAveragePool", cases=_cases("ReduceMean", "ReduceSum", "GlobalAveragePool"))
def _mean(tape: Tape, node: Node, gradients: Sequence[str]) -> Sequence[str]:
    axes = _axes(tape, node)
    if axes is None:
        return [gradients[0]]
    g = _spread(tape, node, gradients[0], axes)
    if node.op != "ReduceSum":
        g = tape.scale(g, 1 / np.prod(tape.sizes(node, node.x, axes), dtype=float), node.x)
    return [tape.op("Expand", g, tape.shape_of(node.x))]


@rule("ReduceMax", "ReduceMin", "GlobalMaxPool", cases=_cases("ReduceMax", "ReduceMin", "GlobalMaxPool"))
def _extreme_along(tape: Tape, node: Node, gradients: Sequence[str]) -> Sequence[str]:
    # Equal extremes share the gradient.
    axes = _axes(tape, node)
    if axes is None:
        return [gradients[0]]
    y, g = (_spread(tape, node, one, axes) for one in (node.y, gradients[0]))
    here = tape.op("Cast", tape.op("Equal", node.x, y), to=element_type(tape.dtype(node.x)))
    return [tape.mul(here, tape.op("Div", g, tape.total(here, axes)))]


SMOOTH = ("ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare", "ReduceL1", "ReduceProd")


@rule(
    *SMOOTH,
    cases=_cases(*(one for one in SMOOTH if one != "ReduceLogSum")) + _cases("ReduceLogSum", before="a = Exp(x)"),
)
def _smooth(tape: Tape, node: Node, gradients: Sequence[str]) -> Sequence[str]:
    # Without axes nothing is summed, but squares, logarithms and the like are taken all the same.
    axes, x = _axes(tape, node) or [], node.x
    y, g = (_spread(tape, node, one, axes) if axes else one for one in (node.y, gradients[0]))
    if node.op == "ReduceL1":
        slope = tape.op("Sign", x)
    elif node.op == "ReduceL2":
        # The norm has no slope at 0; 0 is a subgradient there, and torch's.
        some = tape.op("Greater", y, tape.number(0, x))
        slope = tape.op("Div", x, tape.where(some, y, tape.number(np.inf, x)))
    elif node.op == "ReduceSumSquare":
        slope = tape.scale(x, 2, x)
    elif node.op == "ReduceLogSumExp":
        slope = tape.op("Exp", tape.op("Sub", x, y))
    elif node.op == "ReduceLogSum":
        sums = tape.op("Exp", y)
        some = tape.op("Greater", sums, tape.number(0, x))
        slope = tape.op("Reciprocal", tape.where(some, sums, tape.number(np.inf, x)))
    else:
        slope = _products_of_others(tape, node, axes)
    return [tape.op("Expand", tape.mul(g, slope), tape.shape_of(x))]


def _products_of_others(tape: Tape, node: Node, axes: Sequence[int]) -> str:
    """For each element the product of all others: exact where elements are 0, unlike y / x."""
    shape, rank = tape.shape(node.x), tape.rank(node.x)
    count = int(np.prod(tape.sizes(node, node.x, axes), dtype=int))
    if count > 4096:
        raise refusal(node, f"multiplies {count} elements")
    order = [axis for axis in range(rank) if axis not in axes] + list(axes)
    kept = [shape[axis] for axis in order[: rank - len(axes)]]
    rows = tape.reshape(tape.transpose(node.x, order), [*kept, 1, count], node.x)
    own = np.eye(count, dtype=bool)
    others = tape.where(tape.constant(own), tape.number(1, node.x), rows)
    product = tape.op("ReduceProd", others, tape.ints([-1]), keepdims=0)
    moved = tape.reshape(product, [*kept, *(shape[axis] for axis in axes)], node.x)
    return tape.transpose(moved, np.argsort(order).tolist())


@rule(
    "CumSum",
    cases=[
        Case(f"y = CumSum<exclusive={exclusive}, reverse={reverse}>(x, ax)", (2, 3, 5), {"ax": np.int64(axis)})
        for exclusive, reverse, axis in ((0, 0, 1), (1, 0, -1), (0, 1, 2), (1, 1, 1))
    ],
)
def _cumulative(tape: Tape, node: Node, gradients: Sequence[str]) -> Sequence[str]:
    backward = {"exclusive": node.get("exclusive", 0), "reverse": 1 - node.get("reverse", 0)}
    return [tape.op("CumSum", gradients[0], node.inputs[1], **backward)]
