"""Layers that give a row the same bits whatever its company."""

from __future__ import annotations

from collections.abc import Callable, Set
from dataclasses import dataclass
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

__all__ = ["Convolution", "RowsAlike"]

BLOCK = 16

LINEAR = (torch.nn.functional.linear, torch.ops.aten.linear.default)

CONVOLUTIONS = (
    *(torch.conv1d, torch.conv2d, torch.conv3d),
    *(torch.ops.aten.conv1d.default, torch.ops.aten.conv2d.default, torch.ops.aten.conv3d.default),
)


@dataclass(frozen=True)
class Form:
    """All of an array but its values."""

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: torch.dtype

    def filled(self, draw: torch.Generator) -> torch.Tensor:
        """Return an array of this form with values between -1 and 1."""
        return torch.empty_strided(self.shape, self.strides, dtype=self.dtype).uniform_(-1, 1, generator=draw)


@dataclass(frozen=True)
class Convolution:
    """What a convolution of one row chooses its kernel by.

    Attributes
    ----------
    func
        The function.
    args, kwargs
        Its arguments, arrays by their `Form`; the first one is what is convolved.
    """

    func: Callable[..., torch.Tensor]
    args: tuple[Any, ...]
    kwargs: tuple[tuple[str, Any], ...]

    @classmethod
    def of(cls, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Convolution | None:
        """Return it for a call of a function; None if that is no convolution of one row."""
        if func not in CONVOLUTIONS or len(args) < 2 or args[0].ndim != args[1].ndim or args[0].shape[0] != 1:
            return None
        return cls(func, tuple(map(_form, args)), tuple((name, _form(value)) for name, value in kwargs.items()))

    def differs(self) -> bool:
        """Try out whether a row alone gets other bits than in a pair, in what is convolved or in its gradient."""
        draw = torch.Generator().manual_seed(0)
        args, kwargs = (
            [_filled(one, draw) for one in self.args],
            {name: _filled(one, draw) for name, one in self.kwargs},
        )

        def tried(row: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            leaf = row.requires_grad_()
            answer = self.func(leaf, *args[1:], **kwargs)
            mixture = torch.rand(answer[:1].shape, generator=torch.Generator().manual_seed(1), dtype=answer.dtype)
            (slope,) = torch.autograd.grad((answer * mixture).sum(), leaf)
            return answer[:1], slope[:1]

        with torch.enable_grad():
            alone, together = tried(args[0]), tried(_pair(args[0].detach()))
        return not all(torch.equal(one, other) for one, other in zip(alone, together, strict=True))


class RowsAlike(TorchFunctionMode):
    """Compute linear layers on the CPU in blocks of 16 rows, and some convolutions of one row as those of two.

    Products choose their kernel, and with it the order of their sums, by the number of rows: alone, an image gets other
    last bits than in a batch.  Some hundred optimizer steps through rectifiers turn those into another mask.  Few
    convolutions need such care.  Compiled TorchScript does not pass through here.

    Parameters
    ----------
    differing
        The convolutions of one row that are computed as those of two.
    seen
        Receives the convolutions of one row.
    """

    def __init__(self, differing: Set[Convolution] = frozenset(), seen: set[Convolution] | None = None) -> None:
        super().__init__()
        self._differing, self._seen = differing, seen
        self._kernels = {one.args[1].shape for one in differing}

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Replace linear layers of a matrix and such convolutions, leave all else."""
        kwargs = kwargs or {}
        if func in LINEAR and args and args[0].ndim == 2 and args[0].device.type == "cpu" and args[0].shape[0] > 0:
            rows = args[0].shape[0]
            blocks = torch.nn.functional.pad(args[0], (0, 0, 0, -rows % BLOCK)).split(BLOCK)
            return torch.cat([func(block, *args[1:], **kwargs) for block in blocks])[:rows]
        if self._may_differ(func, args) and (found := Convolution.of(func, args, kwargs)) is not None:
            if self._seen is not None:
                self._seen.add(found)
            if found in self._differing:
                # A copy: a view of what was made without gradients may not be written into with them.
                return func(_pair(args[0]), *args[1:], **kwargs)[:1].clone()
        return func(*args, **kwargs)

    def _may_differ(self, func: Callable[..., Any], args: tuple[Any, ...]) -> bool:
        """Tell at little cost, since all that a module does comes by, whether a call is worth a closer look."""
        if self._seen is not None:
            return True
        return bool(self._kernels) and func in CONVOLUTIONS and len(args) > 1 and tuple(args[1].shape) in self._kernels


def _pair(row: torch.Tensor) -> torch.Tensor:
    return torch.cat([row, row])


def _form(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return Form(tuple(value.shape), value.stride(), value.dtype)
    return tuple(value) if isinstance(value, list) else value


def _filled(value: Any, draw: torch.Generator) -> Any:
    return value.filled(draw) if isinstance(value, Form) else value
