"""Where rules are kept: for each operator, how a gradient passes it, and what it is tested on.

A rule is a function ``rule(tape, node, gradients)``.  It gets the names of the gradients of the node's outputs (empty
for an output that nothing was derived from), writes what it needs on the tape, and returns the gradients of the node's
inputs, empty for those that have none.  A gradient has shape and type of its tensor.  A rule that ends the way of an
input on purpose returns `NOTHING` for it.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import onnx

from blackbox_explain.errors import InputError
from blackbox_explain_adapters._onnx.backward.tape import Tape
from blackbox_explain_adapters._onnx.graph.node import Node

__all__ = ["CASES", "NOTHING", "RULES", "Case", "Rule", "RuleSet", "check_rules", "elementwise", "rule"]

Rule: TypeAlias = Callable[[Tape, Node, Sequence[str]], Sequence[str]]

NOTHING = "blackbox_explain/nothing"
"""What a rule returns for an input that depends on the image and is to get nothing; without it the model is refused."""


@dataclass(frozen=True)
class RuleSet:
    """Rules that replace the exact ones together.

    Attributes
    ----------
    rules
        By operator; none for the exact gradient.
    label
        What the set is called, for people.
    check
        Called with the tape when the images are reached; it refuses models for which the set means nothing.
    """

    rules: Mapping[str, Rule]
    label: str
    check: Callable[[Tape], None] | None = None


@dataclass(frozen=True)
class Case:
    """A small graph that a rule is tested on, against differences in float64.

    Attributes
    ----------
    text
        Nodes in ONNX's textual syntax, from ``x`` to ``y``, one to a line.
    x
        Shape of the input, or the input itself.
    constants
        By name; a tuple is the shape of a random one.
    opset
        Of the graph.
    dynamic
        Whether the first axis follows the batch.
    """

    text: str
    x: tuple[int, ...] | np.ndarray[Any, Any]
    constants: Mapping[str, Any] = field(default_factory=dict[str, Any])
    opset: int = 18
    dynamic: bool = True


RULES: dict[str, Rule] = {}
"""Backward rule of each operator of the standard domain, by ``op_type``; `rule` and `elementwise` fill it."""

CASES: dict[str, list[Case]] = {}
"""What the rule of each operator is tested on, by ``op_type``."""


def rule(*operators: str, cases: Sequence[Case]) -> Callable[[Rule], Rule]:
    """Register a rule for operators, with the cases that prove it."""

    def register(function: Rule) -> Rule:
        for operator in operators:
            RULES[operator] = function
            CASES[operator] = [
                case
                for case in cases
                if len(operators) == 1 or f"{operator}(" in case.text or f"{operator}<" in case.text
            ]
        return function

    return register


def check_rules(rules: Mapping[str, Rule]) -> None:
    """Raise `InputError` unless a caller's rules are functions for operators that exist."""
    if not isinstance(rules, Mapping) or not all(isinstance(one, str) and callable(rules[one]) for one in rules):
        raise InputError(
            "Rules are functions by the names of operators", got=repr(rules), expected="{'Relu': function}"
        )
    for operator in rules:
        if operator not in RULES and not onnx.defs.has(operator):
            near = difflib.get_close_matches(operator.lower(), [one.lower() for one in RULES], 3)
            meant = [one for one in RULES if one.lower() in near]
            raise InputError(
                "There is no such operator",
                got=f"rules={{{operator!r}: ...}}",
                expected=", ".join(meant) or "one of ONNX",
            )


def elementwise(operator: str, derivative: Callable[[Tape, Node, str], str], *cases: Case) -> None:
    """Register y = f(x) with f' given as ``derivative(tape, node, g)``, which returns g · f'(x)."""

    def apply(tape: Tape, node: Node, gradients: Sequence[str]) -> Sequence[str]:
        return [derivative(tape, node, gradients[0])]

    rule(operator, cases=cases or [Case(f"y = {operator}(x)", (2, 3, 5))])(apply)
