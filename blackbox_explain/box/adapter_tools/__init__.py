"""What adapters share: how a model was described, how it has to be asked, which output holds the class scores."""

from blackbox_explain.box.adapter_tools.checks import check_batch, check_scores, check_weights
from blackbox_explain.box.adapter_tools.description import Described
from blackbox_explain.box.adapter_tools.fixed_batch_size import in_batches

__all__ = ["Described", "check_batch", "check_scores", "check_weights", "in_batches"]
