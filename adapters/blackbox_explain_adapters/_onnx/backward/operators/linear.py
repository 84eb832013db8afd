"""Matrix products."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from blackbox_explain_adapters._onnx.backward.registry import Case, rule
from blackbox_explain_adapters._onnx.backward.tape import Tape
from blackbox_explain_adapters._onnx.graph.node import Node, refusal

__all__: list[str] = []


def _gemm_cases() -> list[Case]:
    cases = [
        Case("y = Gemm(x, w)", (3, 5), {"w": (5, 4)}),
        Case("y = Gemm<beta=0.7>(w, v, x)", (1, 4), {"w": (3, 5), "v": (5, 4)}, dynamic=False),
    ]
    for a, b in product((0, 1), (0, 1)):
        call = f"Gemm<alpha=0.5, beta=2.0, transA={a}, transB={b}>"
        inner = 3 if a else 5
        cases.append(
            Case(f"y = {call}(x, w, c)", (3, 5), {"w": (4, inner) if b else (inner, 4), "c": (4,)}, dynamic=not a)
        )
        inner = 5 if b else 3
        cases.append(
            Case(
                f"y = {call}(w, x, c)",
                (3, 5),
                {"w": (inner, 4) if a else (4, inner), "c": (1, 3 if b else 5)},
                dynamic=False,
            )
        )
    return cases


@rule("Gemm", cases=_gemm_cases())
def _gemm(tape: Tape, node: Node, gradients: Sequence[str]) -> Sequence[str]:
    a, b, g = node.inputs[0], node.inputs[1], gradients[0]
    alpha, ta, tb = node.get("alpha", 1.0), bool(node.get("transA", 0)), bool(node.get("transB", 0))
    found = [""] * len(node.inputs)
    if a in tape.active:
        first, second = (b, g) if ta else (g, b)
        found[0] = tape.op("Gemm", first, second, alpha=alpha, transA=int(ta and tb), transB=int(ta or not tb))
    if b in tape.active:
        first, second = (g, a) if tb else (a, g)
        found[1] = tape.op("Gemm", first, second, alpha=alpha, transA=int(tb or not ta), transB=int(tb and ta))
    if node.input(2) in tape.active:
        found[2] = tape.unbroadcast(tape.scale(g, node.get("beta", 1.0), node.y), node.y, node.inputs[2])
    return found


@rule(
    "MatMul",
    cases=[
        Case("y = MatMul(x, w)", (2, 3, 5), {"w": (5, 4)}),
        Case("y = MatMul(w, x)", (2, 3, 5, 4), {"w": (3, 6, 5)}),
        Case("y = MatMul(w, x)", (5, 4), {"w": (3, 6, 5)}, dynamic=False),
        Case("t = Transpose<perm=[0,1,3,2]>(x)\ne = Tanh(t)\ny = MatMul(x, e)", (2, 3, 5, 4)),
        Case("y = MatMul(x, w)", (2, 3, 5), {"w": (5,)}),
        Case("y = MatMul(w, x)", (2, 3, 5), {"w": (3,)}),
        Case("y = MatMul(x, w)", (5,), {"w": (2, 5, 4)}, dynamic=False),
        Case("e = Tanh(x)\ny = MatMul(x, e)", (5,), dynamic=False),
        Case("y = MatMul(x, w)", (2, 1, 3, 5), {"w": (4, 5, 2)}),
    ],
)
def _matmul(tape: Tape, node: Node, gradients: Sequence[str]) -> Sequence[str]:
    a, b = node.inputs
    g = gradients[0]
    shape_a, shape_b = list(tape.shape(a)), list(tape.shape(b))
    if len(shape_a) == 1 and len(shape_b) == 1:
        return [tape.mul(g, b) if a in tape.active else "", tape.mul(g, a) if b in tape.active else ""]
    # A vector is a matrix with one row, or one column, that the product leaves out.
    wide_a, wide_b = a, b
    if len(shape_a) == 1:
        wide_a, g, shape_a = (
            tape.op("Unsqueeze", a, tape.ints([0])),
            tape.op("Unsqueeze", g, tape.ints([-2])),
            [1, *shape_a],
        )
    if len(shape_b) == 1:
        wide_b, g, shape_b = (
            tape.op("Unsqueeze", b, tape.ints([1])),
            tape.op("Unsqueeze", g, tape.ints([-1])),
            [*shape_b, 1],
        )
    found = ["", ""]
    if a in tape.active:
        if b in tape.constants and len(shape_b) == 2:
            # Rows times the same weights, which Gemm turns on the way: they are not stored a second time.
            rows = tape.reshape(g, [None, shape_b[1]]) if len(shape_a) > 2 else g
            by_a = tape.op("Gemm", rows, wide_b, transB=1)
        else:
            by_a = _summed(tape, tape.op("MatMul", g, _transposed(tape, wide_b, len(shape_b))), shape_a, shape_b)
        found[0] = tape.reshape_like(by_a, a)
    if b in tape.active:
        by_b = tape.op("MatMul", _transposed(tape, wide_a, len(shape_a)), g)
        found[1] = tape.reshape_like(_summed(tape, by_b, shape_b, shape_a), b)
    return found


def _transposed(tape: Tape, name: str, rank: int) -> str:
    return tape.transpose(name, [*range(rank - 2), rank - 1, rank - 2])


def _summed(tape: Tape, gradient: str, own: Sequence[int | None], other: Sequence[int | None]) -> str:
    """Sum the gradient of one operand over the leading axes along which it was repeated."""
    rank = max(len(own), len(other))
    padded = [1] * (rank - len(own)) + list(own)
    against = [1] * (rank - len(other)) + list(other)
    axes = [i for i in range(rank - 2) if padded[i] == 1 and (against[i] != 1 or i < rank - len(own))]
    return tape.total(gradient, axes) if axes else gradient


@rule(
    "Einsum",
    cases=[
        Case('e = Tanh(x)\ny = Einsum<equation="bhid,bhjd->bhij">(x, e)', (2, 3, 5, 4)),
        Case('y = Einsum<equation="bij,jk->bik">(x, w)', (2, 3, 5), {"w": (5, 4)}),
        Case('y = Einsum<equation="bij,jk">(x, w)', (2, 3, 5), {"w": (5, 4)}),
        Case('y = Einsum<equation="bij,k->bk">(x, w)', (2, 3, 5), {"w": (4,)}),
        Case('y = Einsum<equation="bij->bji">(x)', (2, 3, 5)),
        Case('y = Einsum<equation="...ij,...kj->...ik">(x, w)', (2, 3, 5), {"w": (2, 4, 5)}, dynamic=False),
    ],
)
def _einsum(tape: Tape, node: Node, gradients: Sequence[str]) -> Sequence[str]:
    terms, output = _equation(tape, node)
    found: list[str] = []
    for k, name in enumerate(node.inputs):
        if name not in tape.active:
            found.append("")
            continue
        others = [(term, other) for j, (term, other) in enumerate(zip(terms, node.inputs, strict=True)) if j != k]
        reachable = set(output).union(*(term for term, _ in others))
        kept = "".join(letter for letter in terms[k] if letter in reachable)
        left = ",".join([output, *(term for term, _ in others)])
        gradient = tape.op("Einsum", gradients[0], *(other for _, other in others), equation=f"{left}->{kept}")
        if kept != terms[k]:
            # An index that is summed over this operand alone: every place along it has the same gradient.
            axes = [axis for axis, letter in enumerate(terms[k]) if letter not in reachable]
            gradient = tape.op("Unsqueeze", gradient, tape.ints(axes))
            gradient = tape.op("Expand", gradient, tape.shape_of(name))
        found.append(gradient)
    return found


def _equation(tape: Tape, node: Node) -> tuple[list[str], str]:
    """Return the terms and the output of an equation, written out."""
    text = node.get("equation", "").replace(" ", "")
    left, arrow, output = text.partition("->")
    terms = left.split(",")
    letters = ""
    if "..." in text:
        free = [letter for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if letter not in text]
        ranks = [tape.rank(name) - len(term.replace("...", "")) for term, name in zip(terms, node.inputs, strict=True)]
        if len({rank for rank, term in zip(ranks, terms, strict=True) if "..." in term}) > 1:
            raise refusal(node, f"broadcasts in the equation {text}")
        letters = "".join(free[: max(ranks)])
        terms = [term.replace("...", letters) for term in terms]
        output = output.replace("...", letters) if arrow else ""
        text = text.replace("...", letters)
    if not arrow:
        every = "".join(terms)
        output = "".join(sorted(letter for letter in set(every) if every.count(letter) == 1 or letter in letters))
    if any(len(set(term)) < len(term) for term in [*terms, output]):
        raise refusal(node, f"repeats an index within one term of {text}")
    for letter in set("".join(terms)):
        sizes = {
            tape.shape(name)[term.index(letter)]
            for term, name in zip(terms, node.inputs, strict=True)
            if letter in term
        }
        if len(sizes) > 1:
            raise refusal(node, f"broadcasts the index {letter} of {text}")
    return terms, output
