"""Methods that a gradient is enough for: of the image, of noisy copies of it, along a path to it."""

from blackbox_explain.methods.gradients.gradient import Gradient
from blackbox_explain.methods.gradients.gradient_times_input import GradientTimesInput
from blackbox_explain.methods.gradients.integrated_gradients import BlurIntegratedGradients, IntegratedGradients
from blackbox_explain.methods.gradients.smoothgrad import SmoothGrad

__all__ = ["BlurIntegratedGradients", "Gradient", "GradientTimesInput", "IntegratedGradients", "SmoothGrad"]
