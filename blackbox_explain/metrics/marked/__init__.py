"""Metrics that compare explanations with what people marked in the photos."""

from blackbox_explain.data.objects import Object, read_objects
from blackbox_explain.data.points import read_points
from blackbox_explain.metrics.marked.localization import Localization
from blackbox_explain.metrics.marked.part_saliency import PartSaliency
from blackbox_explain.metrics.marked.pointing_game import PointingGame

__all__ = ["Localization", "Object", "PartSaliency", "PointingGame", "read_objects", "read_points"]
