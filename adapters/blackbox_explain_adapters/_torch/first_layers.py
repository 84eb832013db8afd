"""What a PyTorch module does to its pixels before anything else, seen while it runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from blackbox_explain.box.adapter_tools.first_layers import FirstSteps
from blackbox_explain.box.adapter_tools.rescaling import Rescaling

__all__ = ["FirstStepsSeen"]

MOVING = frozenset(
    {
        *("view", "_unsafe_view", "reshape", "_reshape_alias", "flatten", "squeeze", "unsqueeze", "permute"),
        *("transpose", "clone", "contiguous", "_to_copy", "alias", "detach", "expand", "lift_fresh"),
        *("upsample_bilinear2d", "_upsample_bilinear2d_aa", "upsample_bicubic2d", "upsample_nearest2d"),
    }
)
"""Operations that move values, or mix those of a channel, and leave their range as it is."""

SUMS = {"add": 1.0, "sub": -1.0}

NORMS = ("native_batch_norm", "cudnn_batch_norm", "_native_batch_norm_legit_no_training", "_batch_norm_no_update")

CHANNELS = 4
"""The most that an image has: what has more numbers scales features apart."""


class FirstStepsSeen(TorchDispatchMode):
    """Follows one tensor through the operations that read it, as long as there is a single way.

    Parameters
    ----------
    source
        What the module reads.
    """

    def __init__(self, source: torch.Tensor) -> None:
        super().__init__()
        self._way: list[tuple[torch.Tensor, Rescaling]] = [(source, Rescaling())]
        self._convolution: tuple[int, FirstSteps] | None = None
        self._ended = self._turned = False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation, and note what it does to the tensor that is followed."""
        read = [place for place, (one, _) in enumerate(self._way) if any(one is given for given in args)]
        known = tuple(map(_few, args)) if read else ()
        result = func(*args, **(kwargs or {}))
        if read:
            self._follow(read[0], func.overloadpacket.__name__.rstrip("_"), known, args, kwargs or {}, result)
        return result

    def found(self) -> FirstSteps:
        """Return what was seen."""
        rescaling = self._way[-1][1]
        if rescaling != Rescaling():
            return FirstSteps(rescaling, turned=self._turned)
        return self._convolution[1] if self._convolution is not None else FirstSteps()

    def _follow(self, place: int, name: str, known: Any, args: Any, kwargs: Any, result: Any) -> None:
        if place < len(self._way) - 1 or (self._ended and place == len(self._way) - 1):
            # Ways that part say nothing in common.
            del self._way[place + 1 :]
            self._convolution, self._ended = None, True
            return
        tensor, before = self._way[-1]
        turned = name == "flip" or (name == "index" and any(_few_are(one, [2, 1, 0]) for one in args[1]))
        self._turned = self._turned or turned
        result = result[0] if isinstance(result, (tuple, list)) and result else result
        after = before if turned or name in MOVING else _after(before, name, known, args, kwargs, args[0] is tensor)
        if after is not None and isinstance(result, torch.Tensor):
            if result is tensor:
                self._way[-1] = (result, after)
            else:
                self._way.append((result, after))
            return
        self._ended = True
        if name == "convolution" and args[0] is tensor and not args[6] and len(args) > 2 and args[2] is not None:
            filters, biases = (one.detach().float().cpu().numpy() for one in args[1:3])
            self._convolution = len(self._way) - 1, FirstSteps(None, filters.reshape(len(filters), -1), biases)


def _few(one: Any) -> np.ndarray[Any, Any] | None:
    """Return the few numbers of an argument; None for what has more, and for what is no number."""
    if isinstance(one, torch.Tensor):
        small = 0 < one.numel() <= CHANNELS and not one.is_complex() and one.layout == torch.strided
        return one.detach().double().cpu().numpy().reshape(-1) if small else None
    return np.array([one], np.float64) if isinstance(one, (int, float)) and not isinstance(one, bool) else None


def _few_are(one: Any, wanted: list[int]) -> bool:
    return isinstance(one, torch.Tensor) and one.numel() == len(wanted) and one.flatten().tolist() == wanted


def _after(before: Rescaling, name: str, known: Any, args: Any, kwargs: Any, first: bool) -> Rescaling | None:
    if name in NORMS:
        if not first or any(one is None for one in known[3:5]) or args[3] is None:
            return None
        legit = name.startswith("_")
        epsilon = float(args[6] if legit else args[7])
        if not legit and args[5]:
            return None
        mean, variance = known[3], known[4]
        by = (np.ones(1) if args[1] is None else known[1]) / np.sqrt(variance + epsilon)
        return before.then(times=by, plus=(np.zeros(1) if args[2] is None else known[2]) - by * mean)
    if len(args) < 2 or (other := known[1 if first else 0]) is None:
        return None
    alpha = float(kwargs.get("alpha", 1))
    if name in SUMS and (first or (name == "add" and alpha == 1)):
        return before.then(plus=SUMS[name] * alpha * other)
    if name == "mul":
        return before.then(times=other)
    if name == "div" and first and np.all(other != 0) and kwargs.get("rounding_mode") is None:
        return before.then(times=1 / other)
    return None
