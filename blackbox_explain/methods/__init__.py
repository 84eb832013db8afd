"""Other saliency methods, one file each, one signature: ``method(box, images, target) -> (N, *shape)``."""

from blackbox_explain.methods.gradient import gradient
from blackbox_explain.methods.gradient_times_input import gradient_times_input

__all__ = ["gradient", "gradient_times_input"]
