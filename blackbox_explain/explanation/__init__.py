"""The result: what was found, what it does to the score, how it was made, and what is to be doubted."""

from blackbox_explain.explanation.explanation import Explanation
from blackbox_explain.explanation.mask_explanation import MaskExplanation
from blackbox_explain.explanation.outcome import Outcome
from blackbox_explain.explanation.provenance import Provenance

__all__ = ["Explanation", "MaskExplanation", "Outcome", "Provenance"]
