"""Methods that look into a model: maps of the values and gradients of its layers."""

from blackbox_explain.methods.layers.attention_rollout import AttentionRollout
from blackbox_explain.methods.layers.cam import Cam, GradCam, GradCamPlusPlus, LayerCam

__all__ = ["AttentionRollout", "Cam", "GradCam", "GradCamPlusPlus", "LayerCam"]
