"""The plot of quality against cost: what is drawn where, its scales and its legend."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from blackbox_explain.report.cost_plot import Panel, Reached, cost_figure


def panel(metric: str, *reached: Reached) -> Panel:
    return Panel(metric, "lower", reached)


@pytest.mark.parametrize(
    ("queries", "scale"), [((10.0, 100.0), "log"), ((2.0, 5000.0), "log"), ((0.0, 90.0), "symlog")]
)
def test_a_point_for_each_method_where_it_belongs(queries: tuple[float, float], scale: str) -> None:
    reached = [Reached("mask", queries[0], 0.2, 0.1, 0.3), Reached("$gradient$", queries[1], 0.4, np.nan, np.nan)]
    drawing = cost_figure([panel("deletion", *reached)], ["mask", "$gradient$"])
    (axes,) = drawing.axes
    points = [np.asarray(line.get_xydata()).tolist()[0] for line in axes.lines if line.get_marker() != "None"]
    assert points == [[queries[0], 0.2], [queries[1], 0.4]]
    intervals = [np.asarray(line.get_ydata()).tolist() for line in axes.lines if line.get_marker() == "None"]
    assert intervals == [[0.1, 0.3]]
    assert [text.get_text() for text in drawing.legends[0].get_texts()] == ["mask", "$gradient$"]
    assert axes.get_xscale() == scale
    low, high = axes.get_xlim()
    assert low < queries[0] < queries[1] < high
    assert axes.get_ylabel() == "deletion\nlower is better"
    FigureCanvasAgg(drawing).draw()


def test_a_panel_for_each_metric_with_the_same_look_of_a_method() -> None:
    names = ["mask", "rise", "lime"]
    both = panel("deletion", *(Reached(name, 10.0 + place, 0.1, 0.0, 0.2) for place, name in enumerate(names)))
    less = panel("transfer", Reached("lime", 12.0, 0.5, 0.4, 0.6))
    drawing = cost_figure([both, less], names)
    first, second = drawing.axes
    assert [axes.get_ylabel().split("\n")[0] for axes in (first, second)] == ["deletion", "transfer"]
    looks = [(line.get_color(), line.get_marker()) for line in first.lines if line.get_marker() != "None"]
    assert len(set(looks)) == 3
    assert [(line.get_color(), line.get_marker()) for line in second.lines if line.get_marker() != "None"] == looks[2:]
    assert len(drawing.legends) == 1


def test_looks_of_many_methods_differ() -> None:
    names = [f"method {number}" for number in range(63)]
    drawing = cost_figure([panel("deletion", *(Reached(name, 5.0, 0.1, np.nan, np.nan) for name in names))], names)
    assert len({(line.get_color(), line.get_marker()) for line in drawing.axes[0].lines}) == 63


def test_values_that_hardly_differ_get_no_ticks_of_many_digits() -> None:
    reached = (Reached("a", 40.0, 0.21131, np.nan, np.nan), Reached("b", 41.0, 0.21132, np.nan, np.nan))
    drawing = cost_figure([panel("deletion", *reached)], ["a", "b"])
    (axes,) = drawing.axes
    FigureCanvasAgg(drawing).draw()
    low, high = axes.get_ylim()
    assert high - low > 0.02
    for labels in (axes.get_xticklabels(), axes.get_yticklabels()):
        shown = [label.get_text() for label in labels]
        assert shown
        assert max(map(len, shown)) <= 5


@pytest.mark.parametrize(("count", "panels"), [(2, 1), (4, 4), (20, 2), (3, 6)])
def test_the_legend_lies_below_and_inside_of_the_picture(count: int, panels: int) -> None:
    names = [f"a method of long name, preset={number}" for number in range(count)]
    reached = tuple(Reached(name, 2.0 ** (1 + place), 0.1 * place, np.nan, np.nan) for place, name in enumerate(names))
    drawing = cost_figure([panel(f"metric {number}", *reached) for number in range(panels)], names)
    FigureCanvasAgg(drawing).draw()
    legend = drawing.legends[0].get_window_extent()
    whole = drawing.bbox
    assert whole.x0 <= legend.x0
    assert legend.x1 <= whole.x1
    assert whole.y0 <= legend.y0
    shown = [axes for axes in drawing.axes if axes.lines]
    assert len(shown) == panels
    boxes = [box for axes in shown if (box := axes.get_tightbbox()) is not None]
    assert len(boxes) == panels
    assert legend.y1 <= min(box.y0 for box in boxes) + 1
