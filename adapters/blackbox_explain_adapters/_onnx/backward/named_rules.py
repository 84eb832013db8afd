"""Sets of other backward rules by name: how methods that change the gradient have it pass each operator."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping

from blackbox_explain.errors import InputError
from blackbox_explain_adapters._onnx.backward.operators import Rule, RuleSet, check_rules
from blackbox_explain_adapters._onnx.backward.rectifiers import check_rectified, deconvnet_rules, guided_rules
from blackbox_explain_adapters._onnx.backward.relevance.rule_sets import (
    contrastive_excitation_rules,
    excitation_rules,
    lrp_alpha_beta_rules,
    lrp_composite_rules,
    lrp_epsilon_rules,
)

__all__ = ["NAMED", "rules_called"]

NAMED: dict[str, Callable[..., dict[str, Rule]]] = {
    "exact": dict[str, Rule],
    "guided": guided_rules,
    "deconvnet": deconvnet_rules,
    "lrp-epsilon": lrp_epsilon_rules,
    "lrp-alpha-beta": lrp_alpha_beta_rules,
    "lrp-composite": lrp_composite_rules,
    "excitation": excitation_rules,
    "contrastive-excitation": contrastive_excitation_rules,
}
"""By name, what makes the rules by operator that replace the exact ones, from settings."""

RECTIFYING = ("guided", "deconvnet")
"""Sets that change nothing but rectifiers."""


def rules_called(rules: str | Mapping[str, Rule], settings: Mapping[str, float] | None = None) -> RuleSet:
    """Return a set of rules, given its name and settings, or the rules by operator.

    Raises
    ------
    InputError
        If there is no such set or setting, a setting has a value that it cannot have, or a rule is for no operator.
    """
    settings = dict(settings or {})
    if not isinstance(rules, str):
        check_rules(rules)
        _check_settings("rules by operator", settings, ())
        return RuleSet(dict(rules), ", ".join(sorted(rules)))
    if rules not in NAMED:
        near = difflib.get_close_matches(rules, NAMED, 1)
        hint = f"did you mean {near[0]!r}?" if near else ""
        expected = ", ".join(map(repr, NAMED))
        raise InputError("There is no such set of rules", got=f"rules={rules!r}", expected=expected, hint=hint)
    make = NAMED[rules]
    _check_settings(repr(rules), settings, () if rules == "exact" else tuple(inspect.signature(make).parameters))
    chosen = ", ".join(f"{name}={value!r}" for name, value in sorted(settings.items()))
    label = f"{rules} ({chosen})" if chosen else rules
    return RuleSet(make(**settings), label, check_rectified if rules in RECTIFYING else None)


def _check_settings(rules: str, settings: Mapping[str, float], known: tuple[str, ...]) -> None:
    for name, value in settings.items():
        if name not in known:
            raise InputError(
                f"There is no such setting of {rules}", got=f"{name}={value!r}", expected=", ".join(known) or "none"
            )
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InputError("Settings of rules are numbers", got=f"{name}={value!r}", expected=f"{name}=1e-6")
