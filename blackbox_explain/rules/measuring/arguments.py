"""Whether a rule can be measured, and with the confidence that is asked for."""

from __future__ import annotations

from blackbox_explain.errors import InputError
from blackbox_explain.rules.relations.relation import Relation
from blackbox_explain.rules.statements.rule import Rule
from blackbox_explain.setting_ranges import is_number, is_whole

__all__ = ["check_options", "check_rule"]


def check_rule(rule: object) -> None:
    """Raise `InputError` unless this is a rule, with what it may have been meant to be."""
    if isinstance(rule, Rule):
        return
    name = type(rule).__name__
    hint = ""
    if isinstance(rule, Relation):
        made, theta = f"{name}()", f"{rule.levels[len(rule.levels) // 2]:g}"
        hint = f"Invariance({made}, {theta}), or most_informative({made}, box, samples) to find how much of it"
    raise InputError(
        "This is a relation, of which a rule says something" if hint else "This is no rule",
        got=f"a {name}",
        expected="a rule, such as Classification()",
        hint=hint,
    )


def check_options(confidence: float, looked_for: int = 1) -> None:
    """Raise `InputError` unless an interval can have this confidence and number of rules."""
    if not is_number(confidence) or not 0 < confidence < 1:
        hint = f"confidence={confidence / 100:g}" if is_number(confidence) and 1 < confidence < 100 else ""
        raise InputError(
            "A confidence is between 0 and 1", got=f"confidence={confidence!r}", expected="such as 0.95", hint=hint
        )
    if not is_whole(looked_for) or looked_for < 1:
        raise InputError("A rule is looked for among at least one", got=f"looked_for={looked_for!r}")
