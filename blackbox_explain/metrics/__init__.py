"""How good an explanation is: a file for each family of metrics."""

from blackbox_explain.metrics.deletion_insertion import Deletion, Insertion
from blackbox_explain.metrics.metric import Metric

__all__ = ["Deletion", "Insertion", "Metric"]
