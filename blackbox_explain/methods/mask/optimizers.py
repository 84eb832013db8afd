"""Optimizers as pairs of functions with explicit state, one row of state for each mask."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from blackbox_explain.arrays import Array, namespace

__all__ = ["Optimizer", "OptimizerState", "adam"]

OptimizerState = tuple[Array, ...]
"""Arrays whose first axis is that of the masks, so that rows can leave the batch."""


class Optimizer(NamedTuple):
    """What an optimizer is.

    Attributes
    ----------
    init
        ``init(mask) -> state``.
    update
        ``update(gradient, state, step) -> (change, state)``; `step` counts from 1; the change is added to the mask.
    """

    init: Callable[[Array], OptimizerState]
    update: Callable[[Array, OptimizerState, int], tuple[Array, OptimizerState]]


def adam(learning_rate: float, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8) -> Optimizer:
    """Adam, with both moments corrected for their start at zero."""

    def init(mask: Array) -> OptimizerState:
        xp = namespace(mask)
        return xp.zeros_like(mask), xp.zeros_like(mask)

    def update(gradient: Array, state: OptimizerState, step: int) -> tuple[Array, OptimizerState]:
        xp = namespace(gradient)
        first = beta1 * state[0] + (1 - beta1) * gradient
        second = beta2 * state[1] + (1 - beta2) * gradient * gradient
        scale = xp.sqrt(second / (1 - beta2**step)) + epsilon
        return -learning_rate / (1 - beta1**step) * first / scale, (first, second)

    return Optimizer(init, update)
