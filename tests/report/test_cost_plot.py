"""The plot of quality against cost: what is drawn where, and its scale."""

from __future__ import annotations

import numpy as np
import pytest

from blackbox_explain.report.cost_plot import Reached, cost_figure


@pytest.mark.parametrize(
    ("queries", "scale"), [((10.0, 100.0), "linear"), ((2.0, 5000.0), "log"), ((0.0, 90.0), "linear")]
)
def test_a_point_for_each_method_where_it_belongs(queries: tuple[float, float], scale: str) -> None:
    reached = [Reached("mask", queries[0], 0.2, 0.1, 0.3), Reached("$gradient$", queries[1], 0.4, np.nan, np.nan)]
    drawing = cost_figure(reached, "deletion", "lower")
    (axes,) = drawing.axes
    points = [line.get_xydata().tolist()[0] for line in axes.lines if line.get_marker() == "o"]
    assert points == [[queries[0], 0.2], [queries[1], 0.4]]
    intervals = [line.get_ydata() for line in axes.lines if line.get_marker() != "o"]
    assert [list(one) for one in intervals] == [[0.1, 0.3]]
    assert [text.get_text().strip() for text in axes.texts] == ["mask", "$gradient$"]
    assert axes.get_xscale() == scale
    assert axes.get_ylabel() == "deletion, lower is better"
    drawing.canvas.draw()
