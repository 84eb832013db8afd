"""What adapters share: how a model was described, how it has to be asked, which output holds the class scores."""

from blackbox_explain.box.adapter_tools.batching import in_batches
from blackbox_explain.box.adapter_tools.checks import check_batch, check_scores, check_weights
from blackbox_explain.box.adapter_tools.description import Described

__all__ = ["Described", "check_batch", "check_scores", "check_weights", "in_batches"]
