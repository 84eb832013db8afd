"""Methods that scores are enough for: they delete parts of the image, and see what becomes of the score."""

from blackbox_explain.methods.occlusions.circles import CircleOcclusion, VariableOcclusion
from blackbox_explain.methods.occlusions.lime import Lime
from blackbox_explain.methods.occlusions.occlusion import Occlusion
from blackbox_explain.methods.occlusions.rise import Rise
from blackbox_explain.methods.occlusions.segment_graying import SegmentGraying
from blackbox_explain.methods.occlusions.shapley import Shapley

__all__ = ["CircleOcclusion", "Lime", "Occlusion", "Rise", "SegmentGraying", "Shapley", "VariableOcclusion"]
