"""Sets of other backward rules by name: how methods that change the gradient have it pass each operator."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

from blackbox_explain.errors import InputError
from blackbox_explain_adapters._onnx.backward.operators import RULES, Rule, check_rules
from blackbox_explain_adapters._onnx.backward.tape import Tape
from blackbox_explain_adapters._onnx.graph.node import Node

__all__ = ["NAMED", "rules_called"]


def _guided(tape: Tape, node: Node, gradients: Sequence[str]) -> Sequence[str]:
    """Pass only what is positive, where the unit is active (Springenberg et al. 2015)."""
    exact = RULES[node.op](tape, node, gradients)
    return [tape.op("Relu", one) if one else one for one in exact]


def _deconvolved(tape: Tape, node: Node, gradients: Sequence[str]) -> Sequence[str]:
    """Pass only what is positive, whether the unit is active or not (Zeiler & Fergus 2014)."""
    del node
    return [tape.op("Relu", gradients[0])]


NAMED: dict[str, dict[str, Rule]] = {
    "exact": {},
    "guided": dict.fromkeys(("Relu", "Clip"), _guided),
    "deconvnet": dict.fromkeys(("Relu", "Clip"), _deconvolved),
}
"""By name, the rules by operator that replace the exact ones."""


def rules_called(rules: str | Mapping[str, Rule]) -> dict[str, Rule]:
    """Return rules by operator, given them or the name of a set.

    Raises
    ------
    InputError
        If there is no such set, or a rule is for no operator.
    """
    if not isinstance(rules, str):
        check_rules(rules)
        return dict(rules)
    if rules not in NAMED:
        near = difflib.get_close_matches(rules, NAMED, 1)
        hint = f"did you mean {near[0]!r}?" if near else ""
        expected = ", ".join(map(repr, NAMED))
        raise InputError("There is no such set of rules", got=f"rules={rules!r}", expected=expected, hint=hint)
    return dict(NAMED[rules])
