"""Other forms of a box, that methods ask in its place: its logits for its scores, other rules for its gradient."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

from blackbox_explain.box.info import BoxInfo, require
from blackbox_explain.box.protocols import BlackBox, Differentiable, Of, Rewritable
from blackbox_explain.errors import UnsupportedModelError

__all__ = ["check_rules", "form_of"]

MOST_FORMS = 8
"""Kept of a box: each may hold a copy of the model."""

_FORMS: WeakKeyDictionary[Any, dict[Any, Differentiable]] = WeakKeyDictionary()


def form_of(box: BlackBox, rules: str = "exact", of: Of = "logits", **settings: float) -> Differentiable:
    """Return a box with other scores and another gradient; the same box for the same wish, while the model is the same.

    Parameters
    ----------
    box
        From `wrap`.
    rules, of, settings
        As `Rewritable.with_backward` takes them.

    Raises
    ------
    NoGradientError
        If the box has no such forms.
    UnsupportedModelError
        If the model has none, or an operator cannot be passed so; the message names it.
    """
    plain = rules == "exact"
    if plain and of == "scores":
        return require(box, Differentiable)
    if plain and not isinstance(box, Rewritable):
        if BoxInfo.of(box).activation == "none":
            return require(box, Differentiable)
        raise UnsupportedModelError(
            "This box does not tell the logits behind its scores",
            got=f"a {type(box).__name__} whose scores are a {BoxInfo.of(box).activation}",
            expected="with_backward(), or activation='none'",
            hint="of='scores'",
        )
    try:
        known = _FORMS.setdefault(box, {})
    except TypeError:  # a box of the user's that has no hash, or no weak references
        known: dict[Any, Differentiable] = {}
    # A module that was trained on since is another model.
    revision = getattr(box, "revision", None)
    key = (BoxInfo.of(box).fingerprint if revision is None else revision(), rules, of, *sorted(settings.items()))
    found = known.pop(key, None)
    if found is None:
        found = require(box, Rewritable, f"the backward rules {rules!r}").with_backward(rules, of, **settings)
    known[key] = found  # the last used is the last
    for old in list(known)[:-MOST_FORMS]:
        del known[old]
    return found


def check_rules(box: Rewritable, rules: str) -> None:
    """Let a box that has few sets of rules, and says so, refuse another one in its own words.

    Raises
    ------
    UnsupportedModelError, BackendMissingError
        As `Rewritable.with_backward`.
    """
    known = getattr(box, "backward_rules", None)
    if known is not None and rules not in known:
        box.with_backward(rules)
