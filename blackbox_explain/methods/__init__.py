"""Methods, a file each: every one says what matters in images for a target, in the frame of `Method`."""

from blackbox_explain.methods.by_name import method_of, methods_for
from blackbox_explain.methods.gradient import Gradient
from blackbox_explain.methods.gradient_times_input import GradientTimesInput
from blackbox_explain.methods.method import Attribution, Budget, Method

__all__ = ["Attribution", "Budget", "Gradient", "GradientTimesInput", "Method", "method_of", "methods_for"]
