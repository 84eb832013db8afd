"""Pictures of rules: a curve of several strengths, and a point where there is one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from blackbox_explain.report.rule_plots import curve_figure
from blackbox_explain.rules.relations.geometry import HorizontalFlip, Rotation


def drawn(relation: Any, *theta: float) -> Any:
    """Return the axes of a rule that is wrong for a tenth of the images, between 2 and 46 % of them, at each θ."""
    error = SimpleNamespace(low=0.02, error=0.1, high=0.46)
    curve = tuple((one, error) for one in theta)
    found: Any = SimpleNamespace(curve=curve, relation=relation, max_error=0.5, theta=theta[-1], sentence="a rule")
    (axes,) = curve_figure(found).axes
    return axes


def test_several_strengths_are_a_curve_with_its_band() -> None:
    axes = drawn(Rotation(), 5, 10, 20)
    assert [one.get_text() for one in axes.get_legend().get_texts()][:2] == ["interval", "wrong"]
    assert axes.get_xlabel() == "rotation: θ in °"
    assert axes.lines[0].get_xdata().tolist() == [5, 10, 20]


@pytest.mark.parametrize(
    ("relation", "theta", "label"), [(Rotation(), 45, "rotation: θ in °"), (HorizontalFlip(), 1, "")]
)
def test_one_strength_is_a_point_with_its_interval(relation: Any, theta: float, label: str) -> None:
    axes = drawn(relation, theta)
    ((_, low), (_, high)) = axes.containers[0].lines[2][0].get_segments()[0]
    assert (low, high) == pytest.approx((2, 46))
    assert sum(axes.get_xlim()) == pytest.approx(2 * theta)  # in the middle
    assert axes.get_xlabel() == (label or "horizontal-flip")
    assert bool(axes.get_xticks().size) == bool(label)
