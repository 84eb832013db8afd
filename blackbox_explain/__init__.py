"""Explain black boxes: learn rules that predict a classifier, show them, and measure how often they are wrong.

After Fong and Vedaldi, *Interpretable Explanations of Black Boxes by Meaningful Perturbation*, ICCV 2017.
"""

from typing import TYPE_CHECKING, Any

from blackbox_explain.box.input_spec import InputSpec, Preprocessing
from blackbox_explain.box.protocols import BlackBox, Differentiable, Layered, Randomizable, Rewritable
from blackbox_explain.box.targets import Difference, Labels, Top
from blackbox_explain.box.wrapping import wrap
from blackbox_explain.data.images import load_images
from blackbox_explain.errors import BlackBoxExplainError
from blackbox_explain.explaining import explain
from blackbox_explain.explanation import Explanation, MaskExplanation
from blackbox_explain.methods.by_name import methods_for
from blackbox_explain.metrics.by_name import metrics_for
from blackbox_explain.perturbations.perturbation import Blur, Constant, Noise, Reference

if TYPE_CHECKING:
    from blackbox_explain import rules
    from blackbox_explain.attacking import attack, recover
    from blackbox_explain.auditing.auditor import audit, read_audit
    from blackbox_explain.auditing.report_page import write_report
    from blackbox_explain.comparing.models import compare
    from blackbox_explain.evaluating.evaluation import evaluate
    from blackbox_explain.interrogating import interrogate
    from blackbox_explain.report.method_sheet import plot_methods
    from blackbox_explain.verifying.certification import verify

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
    "attack",
    "audit",
    "compare",
    "evaluate",
    "explain",
    "interrogate",
    "load_images",
    "methods_for",
    "metrics_for",
    "plot_methods",
    "read_audit",
    "recover",
    "rules",
    "verify",
    "wrap",
    "write_report",
]


LATER = {
    "attack": "blackbox_explain.attacking",
    "audit": "blackbox_explain.auditing.auditor",
    "compare": "blackbox_explain.comparing.models",
    "evaluate": "blackbox_explain.evaluating.evaluation",
    "interrogate": "blackbox_explain.interrogating",
    "plot_methods": "blackbox_explain.report.method_sheet",
    "read_audit": "blackbox_explain.auditing.auditor",
    "recover": "blackbox_explain.attacking",
    "rules": "blackbox_explain.rules",
    "verify": "blackbox_explain.verifying.certification",
    "write_report": "blackbox_explain.auditing.report_page",
}
"""What is loaded when it is first asked for: most of what there is to import, and nothing that explaining needs."""


def __getattr__(name: str) -> Any:
    """Load what explaining does not need when it is first asked for."""
    if name in LATER:
        from importlib import import_module

        module = import_module(LATER[name])
        return module if name == "rules" else getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Name everything, loaded or not, for those who press the tabulator."""
    return [*globals(), *LATER]
