"""How good an explanation is: a file for each family of metrics."""

from blackbox_explain.metrics.deletion_insertion import Deletion, Insertion
from blackbox_explain.metrics.metric import Metric
from blackbox_explain.metrics.representativeness import Representativeness, Transfer
from blackbox_explain.metrics.smallest_region import SmallestRegion

__all__ = ["Deletion", "Insertion", "Metric", "Representativeness", "SmallestRegion", "Transfer"]
