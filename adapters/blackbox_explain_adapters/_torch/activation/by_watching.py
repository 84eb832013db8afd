"""The activation that a PyTorch module itself ends in: found among all that it computes, and left out of a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from blackbox_explain.errors import ModelError
from blackbox_explain_adapters._torch.activation.by_graph import origin_of

__all__ = ["ActivationsSeen", "LastActivation", "LeftOut"]

ACTIVATIONS = frozenset(
    {
        *("softmax", "_softmax", "_safe_softmax", "log_softmax", "_log_softmax"),
        *("sigmoid", "sigmoid_", "expit", "special_expit", "logsigmoid", "log_sigmoid"),
    }
)
"""By the names of the functions that compute them."""


@dataclass(frozen=True)
class LastActivation:
    """Which of the activations that a module computes is its last.

    Attributes
    ----------
    place
        In their order, from 0 on.
    count
        How many it computes.
    """

    place: int
    count: int


class ActivationsSeen(TorchFunctionMode):
    """Keeps what every softmax and sigmoid of a module gives; those in compiled TorchScript pass unseen."""

    def __init__(self) -> None:
        super().__init__()
        self._found: list[torch.Tensor] = []

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run a function, and keep what it returns if it is an activation."""
        result = func(*args, **(kwargs or {}))
        if _is_activation(func):
            self._found.append(result)
        return result

    def last(self, outputs: torch.Tensor) -> LastActivation | None:
        """Return the one whose values `outputs` holds, moved or reshaped at most; None if it is none of them."""
        origin = origin_of(outputs)
        for place, one in enumerate(self._found):
            if origin is not None and one.grad_fn is origin:
                return LastActivation(place, len(self._found))
        return None


class LeftOut(TorchFunctionMode):
    """Hands on what the last activation of a module is applied to, in place of what it gives.

    Parameters
    ----------
    last
        As it was found in another run; `check` tells whether this run was like that one.
    """

    def __init__(self, last: LastActivation) -> None:
        super().__init__()
        self._last = last
        self._seen = 0

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run a function, unless it is that activation."""
        if not _is_activation(func):
            return func(*args, **(kwargs or {}))
        self._seen += 1
        if self._seen != self._last.place + 1:
            return func(*args, **(kwargs or {}))
        return args[0] if args else (kwargs or {})["input"]

    def check(self) -> None:
        """Raise `ModelError` if the module computed more or fewer activations than when the last one was found."""
        if self._seen != self._last.count:
            raise ModelError(
                "The last activation of the model cannot be told from others",
                got=f"{self._seen} softmaxes and sigmoids for these images",
                expected=f"{self._last.count}, as for plain images",
                hint="wrap the module without its last activation",
            )


def _is_activation(func: Callable[..., Any]) -> bool:
    # Operators of exported programs are called "softmax.int".
    return getattr(func, "__name__", "").partition(".")[0] in ACTIVATIONS
