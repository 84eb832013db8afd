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
from blackbox_explain.interrogating import interrogate
from blackbox_explain.methods.by_name import methods_for
from blackbox_explain.metrics.by_name import metrics_for
from blackbox_explain.perturbations.perturbation import Blur, Constant, Noise, Reference
from blackbox_explain.verifying.certification import verify

if TYPE_CHECKING:
    from blackbox_explain import rules
    from blackbox_explain.auditing.auditor import audit, read_audit
    from blackbox_explain.auditing.report_page import write_report

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
    "audit",
    "compare",
    "evaluate",
    "explain",
    "interrogate",
    "load_images",
    "methods_for",
    "metrics_for",
    "read_audit",
    "rules",
    "verify",
    "wrap",
    "write_report",
]


LATER = {
    "audit": "blackbox_explain.auditing.auditor",
    "read_audit": "blackbox_explain.auditing.auditor",
    "rules": "blackbox_explain.rules",
    "write_report": "blackbox_explain.auditing.report_page",
}
"""What is loaded when it is first asked for: half of what there is to import."""


def __getattr__(name: str) -> Any:
    """Load the rules and audits when they are first asked for."""
    if name in LATER:
        from importlib import import_module

        module = import_module(LATER[name])
        return module if name == "rules" else getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
