"""Explain black boxes: learn rules that predict a classifier, show them, and measure how often they are wrong.

After Fong and Vedaldi, *Interpretable Explanations of Black Boxes by Meaningful Perturbation*, ICCV 2017.
"""

from blackbox_explain import rules
from blackbox_explain.blackbox import BlackBox, DifferentiableBlackBox, InputSpec, Preprocessing
from blackbox_explain.certify import certify
from blackbox_explain.errors import BlackBoxExplainError
from blackbox_explain.explain import explain
from blackbox_explain.explanation import Explanation, verify
from blackbox_explain.images import load_images
from blackbox_explain.perturbations import Blur, Constant, Noise, Reference
from blackbox_explain.registry import wrap
from blackbox_explain.targets import Difference, Labels, Top

__version__ = "0.1.0"

__all__ = [
    "BlackBox",
    "BlackBoxExplainError",
    "Blur",
    "Constant",
    "Difference",
    "DifferentiableBlackBox",
    "Explanation",
    "InputSpec",
    "Labels",
    "Noise",
    "Preprocessing",
    "Reference",
    "Top",
    "certify",
    "explain",
    "load_images",
    "rules",
    "verify",
    "wrap",
]
