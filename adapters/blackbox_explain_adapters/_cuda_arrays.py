"""Arrays on a GPU for frameworks that have none of their own that the mask learner could use: PyTorch's."""

from __future__ import annotations

import importlib

__all__ = ["torch_device"]


def torch_device(index: int) -> tuple[str | None, tuple[str, ...]]:
    """Return PyTorch's name of a GPU that another framework computes on, None where images go by way of the host.

    Parameters
    ----------
    index
        Of the GPU, which is the same in both.

    Returns
    -------
    device
        Such as ``"cuda:0"``.
    notes
        What the user should know.
    """
    try:
        # Not by its name in an import statement: nothing but CUDA wants it.
        torch = importlib.import_module("torch")
    except ImportError:
        torch = None
    if torch is not None and index < torch.cuda.device_count():
        return f"cuda:{index}", ()
    return None, ("images go to the GPU and back at every step: a PyTorch with CUDA would keep them there",)
