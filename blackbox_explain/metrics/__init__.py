"""How good an explanation is: a file for each family of metrics, `marked/` for those that need to know the objects."""

from blackbox_explain.metrics.by_name import metric_of, metrics_for
from blackbox_explain.metrics.metric import Metric

__all__ = ["Metric", "metric_of", "metrics_for"]
