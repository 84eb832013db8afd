"""Recurrent layers on cuDNN have no gradient in evaluation mode: PyTorch's own kernels compute such modules.

cuDNN keeps what its backward pass needs in training mode alone ("cudnn RNN backward can only be called in training
mode"), and which kernel runs is decided when the layer runs forward.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import torch

from blackbox_explain.box.adapter_tools.process_wide import ProcessWide

__all__ = ["holds_recurrent_layers", "without_cudnn"]

SCRIPTED = frozenset({"RNN", "LSTM", "GRU"})
"""Names of the classes that TorchScript keeps of recurrent layers."""

OPERATIONS = frozenset({"lstm", "gru", "rnn_tanh", "rnn_relu"})
"""What exported programs call in their place."""


def holds_recurrent_layers(module: torch.nn.Module) -> bool:
    """Tell whether a module, scripted module or exported program has recurrent layers that cuDNN would compute.

    A layer that a module's code calls by its function, ``torch.lstm``, is not seen.
    """
    for one in module.modules():
        name = getattr(one, "original_name", "") if isinstance(one, torch.jit.ScriptModule) else ""
        if isinstance(one, torch.nn.RNNBase) or name in SCRIPTED:
            return True
        if isinstance(one, torch.fx.GraphModule) and any(_is_recurrent(node) for node in one.graph.nodes):
            return True
    return False


@contextmanager
def _cudnn_off() -> Generator[None]:
    # Not by `torch.backends.cudnn.flags`, which sets the flags that it is not told of too.
    before, torch.backends.cudnn.enabled = torch.backends.cudnn.enabled, False
    try:
        yield
    finally:
        torch.backends.cudnn.enabled = before


_OFF = ProcessWide(_cudnn_off)


@contextmanager
def without_cudnn(wanted: bool) -> Generator[None]:
    """Compute without cuDNN inside, in every thread of the process, where that is wanted; afterwards as before."""
    if not wanted:
        yield
        return
    with _OFF:
        yield


def _is_recurrent(node: torch.fx.Node) -> bool:
    library, _, rest = str(node.target).partition(".")  # such as aten.lstm.input
    return library == "aten" and rest.partition(".")[0] in OPERATIONS
