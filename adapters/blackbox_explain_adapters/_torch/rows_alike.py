"""Layers that give a row the same bits whatever its company, and whether a whole module does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

__all__ = ["Company", "RowsAlike"]

BLOCK = 16

LINEAR = (torch.nn.functional.linear, torch.ops.aten.linear.default)

CONVOLUTIONS = (
    *(torch.conv1d, torch.conv2d, torch.conv3d),
    *(torch.ops.aten.conv1d.default, torch.ops.aten.conv2d.default, torch.ops.aten.conv3d.default),
)

_ALIKE: dict[tuple[Any, ...], bool] = {}
"""Of convolutions by all that their kernel is chosen by: whether a row alone gets the bits that it gets in a pair."""


class RowsAlike(TorchFunctionMode):
    """Compute linear layers on the CPU in blocks of 16 rows, and some convolutions of one row as those of two.

    Products choose their kernel, and with it the order of their sums, by the number of rows: alone, an image gets other
    last bits than in a batch.  Some hundred optimizer steps through rectifiers turn those into another mask.  Few
    convolutions need such care, and which ones is tried out.  Compiled TorchScript does not pass through here.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Replace linear layers of a matrix and convolutions of one row, leave all else."""
        kwargs = kwargs or {}
        if not args or not isinstance(args[0], torch.Tensor) or args[0].device.type != "cpu":
            return func(*args, **kwargs)
        given, rest = args[0], args[1:]
        if func in LINEAR and given.ndim == 2 and given.shape[0] > 0:
            rows = given.shape[0]
            blocks = torch.nn.functional.pad(given, (0, 0, 0, -rows % BLOCK)).split(BLOCK)
            return torch.cat([func(block, *rest, **kwargs) for block in blocks])[:rows]
        single = func in CONVOLUTIONS and rest and given.ndim == rest[0].ndim and given.shape[0] == 1
        if single and not _alike(func, given, rest, kwargs):
            return func(_pair(given), *rest, **kwargs)[:1]
        return func(*args, **kwargs)


def _alike(func: Callable[..., Any], given: torch.Tensor, rest: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Return whether a convolution of one row, and its gradient, have the bits of the first row of two."""
    about = [
        (tuple(one.shape), one.stride(), one.dtype) if isinstance(one, torch.Tensor) else one
        for one in (given, *rest, *kwargs.values())
    ]
    key = (func, repr(about), tuple(kwargs), torch.get_num_threads())
    if key not in _ALIKE:
        draw = torch.Generator().manual_seed(0)
        row = given.detach().clone().uniform_(-1, 1, generator=draw)
        weights = [one.detach() if isinstance(one, torch.Tensor) else one for one in rest]
        found = [_slope(lambda x: func(x, *weights, **kwargs), one) for one in (row, _pair(row))]
        _ALIKE[key] = all(torch.equal(one[:1], other[:1]) for one, other in zip(*found, strict=True))
    return _ALIKE[key]


def _slope(call: Callable[[torch.Tensor], torch.Tensor], given: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what a function gives, and the gradient of a fixed mixture of it."""
    with torch.enable_grad():
        leaf = given.clone(memory_format=torch.preserve_format).requires_grad_()
        answer = call(leaf)
        draw = torch.Generator().manual_seed(1)
        mixture = torch.rand(answer[:1].shape, generator=draw, dtype=answer.dtype).expand_as(answer).contiguous()
        mixture = mixture.to(memory_format=torch.channels_last) if _is_channels_last(answer) else mixture
        (slope,) = torch.autograd.grad(answer, leaf, mixture)
    return answer.detach(), slope


def _is_channels_last(answer: torch.Tensor) -> bool:
    return answer.ndim == 4 and answer.is_contiguous(memory_format=torch.channels_last)


def _pair(row: torch.Tensor) -> torch.Tensor:
    return torch.cat([row, row])


class Company:
    """Whether an image alone gets the bits from a module that it gets in company: then it need not be run as a pair."""

    AFTER = 3
    """Calls that are run as pairs at first: to find out takes as long as three images."""

    def __init__(self) -> None:
        self._calls: Counter[tuple[str, int]] = Counter()
        self._alike: dict[tuple[str, int], bool] = {}

    def needed(self, kind: str, ask: Callable[[int], tuple[torch.Tensor, ...]]) -> bool:
        """Return whether an image is to be run as a pair.

        Parameters
        ----------
        kind
            Of call: what its answers are made by.
        ask
            Runs the module on an image of noise, as so many rows.
        """
        key = (kind, torch.get_num_threads())
        self._calls[key] += 1
        if key not in self._alike and self._calls[key] > self.AFTER:
            alone, pair = ask(1), ask(2)
            same = all(torch.equal(one, other) for one, other in zip(alone, pair, strict=True))
            # Of zeros nothing is known.
            self._alike[key] = same and all(bool(one.any()) for one in alone)
        return not self._alike.get(key, False)
