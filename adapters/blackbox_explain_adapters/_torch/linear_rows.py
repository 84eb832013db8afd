"""Linear layers that give a row the same bits whatever its company."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

__all__ = ["LinearInBlocks"]

BLOCK = 16


class LinearInBlocks(TorchFunctionMode):
    """Compute linear layers on the CPU in blocks of 16 rows, the last one filled up.

    Matrix products choose their kernel, and with it the order of their sums, by the number of rows: alone, an image
    gets other last bits than in a batch.  Some hundred optimizer steps through rectifiers turn those into another
    mask.  Convolutions need no such care.  Compiled TorchScript does not pass through here.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Replace linear layers of a matrix, leave all else."""
        kwargs = kwargs or {}
        linear = func is torch.nn.functional.linear or func is torch.ops.aten.linear.default
        if linear and args and args[0].ndim == 2 and args[0].device.type == "cpu" and args[0].shape[0] > 0:
            rows = args[0].shape[0]
            blocks = torch.nn.functional.pad(args[0], (0, 0, 0, -rows % BLOCK)).split(BLOCK)
            return torch.cat([func(block, *args[1:], **kwargs) for block in blocks])[:rows]
        return func(*args, **kwargs)
