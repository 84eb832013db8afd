"""Methods, a file each or each family: every one says what matters in images for a target, in the frame of `Method`."""

from blackbox_explain.methods.by_name import method_of, methods_for
from blackbox_explain.methods.center import Center
from blackbox_explain.methods.extremal.extremal_perturbation import ExtremalPerturbation
from blackbox_explain.methods.gradients.gradient import Gradient
from blackbox_explain.methods.gradients.gradient_times_input import GradientTimesInput
from blackbox_explain.methods.gradients.integrated_gradients import BlurIntegratedGradients, IntegratedGradients
from blackbox_explain.methods.gradients.smoothgrad import SmoothGrad
from blackbox_explain.methods.layers.attention_rollout import AttentionRollout
from blackbox_explain.methods.layers.cam import Cam, GradCam, GradCamPlusPlus, LayerCam
from blackbox_explain.methods.mask.mask import Mask
from blackbox_explain.methods.method import Attribution, Budget, Method
from blackbox_explain.methods.occlusions.circles import CircleOcclusion, VariableOcclusion
from blackbox_explain.methods.occlusions.lime import Lime
from blackbox_explain.methods.occlusions.occlusion import Occlusion
from blackbox_explain.methods.occlusions.rise import Rise
from blackbox_explain.methods.occlusions.segment_graying import SegmentGraying
from blackbox_explain.methods.occlusions.shapley import Shapley
from blackbox_explain.methods.rewritten.excitation import ContrastiveExcitationBackprop, ExcitationBackprop
from blackbox_explain.methods.rewritten.guided import DeconvNet, GuidedBackprop
from blackbox_explain.methods.rewritten.lrp import Lrp

__all__ = [
    "AttentionRollout",
    "Attribution",
    "BlurIntegratedGradients",
    "Budget",
    "Cam",
    "Center",
    "CircleOcclusion",
    "ContrastiveExcitationBackprop",
    "DeconvNet",
    "ExcitationBackprop",
    "ExtremalPerturbation",
    "GradCam",
    "GradCamPlusPlus",
    "Gradient",
    "GradientTimesInput",
    "GuidedBackprop",
    "IntegratedGradients",
    "LayerCam",
    "Lime",
    "Lrp",
    "Mask",
    "Method",
    "Occlusion",
    "Rise",
    "SegmentGraying",
    "Shapley",
    "SmoothGrad",
    "VariableOcclusion",
    "method_of",
    "methods_for",
]
