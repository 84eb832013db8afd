"""Metrics by name: those of this package and of others, through entry points.

A name is an entry point: see ``pyproject.toml``, where those of this package are.  It counts once the package has been
installed again.
"""

from __future__ import annotations

from typing import Any

from blackbox_explain.box.entry_points import availability, instance_by_name, kind_by_name
from blackbox_explain.box.protocols import BlackBox
from blackbox_explain.metrics.metric import Metric

__all__ = ["METRICS", "kind_of", "metric_of", "metrics_for"]

METRICS = "blackbox_explain.metrics"
"""Entry points named by a metric; each loads a class of `Metric`."""


def metrics_for(box: BlackBox) -> dict[str, str | None]:
    """Say which metrics a box allows.

    Parameters
    ----------
    box
        From `wrap`.

    Returns
    -------
    dict
        Every name to None where the box allows the metric, or to the reason why not.
    """
    return availability(METRICS, "metric", box)


def kind_of(name: str) -> type[Any]:
    """Return the class of a metric, by its name.

    Raises
    ------
    InputError
        If there is no such metric.
    """
    return kind_by_name(METRICS, "metric", name)


def metric_of(metric: str | Metric, settings: dict[str, Any] | None = None) -> Metric:
    """Return a metric, given one or the name of one with its settings.

    Raises
    ------
    InputError
        If there is no such metric or setting, or a value is out of range.
    """
    return instance_by_name(METRICS, "metric", Metric, metric, settings or {})
