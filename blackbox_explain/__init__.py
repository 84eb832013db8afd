"""Explain black boxes: learn rules that predict a classifier, show them, and measure how often they are wrong.

After Fong and Vedaldi, *Interpretable Explanations of Black Boxes by Meaningful Perturbation*, ICCV 2017.
"""

from typing import TYPE_CHECKING, Any

from blackbox_explain.box.input_spec import InputSpec, Preprocessing
from blackbox_explain.box.protocols import BlackBox, Differentiable, Layered, Randomizable, Rewritable
from blackbox_explain.box.targets import Difference, Labels, Top
from blackbox_explain.box.wrapping import wrap
from blackbox_explain.comparing.models import compare
from blackbox_explain.data.images import load_images
from blackbox_explain.errors import BlackBoxExplainError
from blackbox_explain.evaluating import evaluate
from blackbox_explain.explaining import explain
from blackbox_explain.explanation import Explanation, MaskExplanation
from blackbox_explain.methods.by_name import methods_for
from blackbox_explain.metrics.by_name import metrics_for
from blackbox_explain.perturbations.perturbation import Blur, Constant, Noise, Reference
from blackbox_explain.verifying.certification import verify

if TYPE_CHECKING:
    from blackbox_explain import rules

__version__ = "0.1.0"

__all__ = [
    "BlackBox",
    "BlackBoxExplainError",
    "Blur",
    "Constant",
    "Difference",
    "Differentiable",
    "Explanation",
    "InputSpec",
    "Labels",
    "Layered",
    "MaskExplanation",
    "Noise",
    "Preprocessing",
    "Randomizable",
    "Reference",
    "Rewritable",
    "Top",
    "compare",
    "evaluate",
    "explain",
    "load_images",
    "methods_for",
    "metrics_for",
    "rules",
    "verify",
    "wrap",
]


def __getattr__(name: str) -> Any:
    """Load the rules when they are first asked for: they are a third of what there is to import."""
    if name == "rules":
        from importlib import import_module

        return import_module("blackbox_explain.rules")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
