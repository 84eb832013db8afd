"""How good an explanation is: a file for each family of metrics."""

from blackbox_explain.metrics.agreement import agreement
from blackbox_explain.metrics.deletion_insertion import Deletion, Insertion
from blackbox_explain.metrics.infidelity import Infidelity
from blackbox_explain.metrics.marked import Localization, Object, PartSaliency, PointingGame, read_objects
from blackbox_explain.metrics.max_sensitivity import MaxSensitivity
from blackbox_explain.metrics.metric import Metric
from blackbox_explain.metrics.minimal_box import MinimalBox
from blackbox_explain.metrics.representativeness import Representativeness, Transfer
from blackbox_explain.metrics.smallest_region import SmallestRegion

__all__ = [
    "Deletion",
    "Infidelity",
    "Insertion",
    "Localization",
    "MaxSensitivity",
    "Metric",
    "MinimalBox",
    "Object",
    "PartSaliency",
    "PointingGame",
    "Representativeness",
    "SmallestRegion",
    "Transfer",
    "agreement",
    "read_objects",
]
