"""What a pass works on, and the loop that runs passes until none of them has anything to do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import onnx

from blackbox_explain_adapters._onnx.graph.node import Tensor
from blackbox_explain_adapters._onnx.graph.observation import Observed, fold, observe
from blackbox_explain_adapters._onnx.graph.weights import NO_WEIGHTS, Weights

__all__ = ["Graph", "Pass", "lower"]


@dataclass
class Graph:
    """A model on its way, and what was seen of it when it was last run.

    Attributes
    ----------
    model
        Changed by passes, in place.
    weights
        Those that are held apart from it.
    rules
        Operators that can be differentiated; they stay.
    callers
        Operators whose rule was given as ``rules=``.
    named
        Names of nodes that have rules; they stay.
    observed
        Shapes and types of its tensors, and the values of those that are constant.
    nodes
        Those that depend on the image.
    constants
        Tensors whose value is known.
    unseen
        Tensors written since.
    """

    model: onnx.ModelProto
    weights: Weights = field(default_factory=lambda: NO_WEIGHTS)
    rules: Set[str] = frozenset()
    callers: Set[str] = frozenset()
    named: Set[str] = frozenset()
    observed: Observed = field(init=False)
    nodes: list[onnx.NodeProto] = field(init=False)
    constants: dict[str, np.ndarray[Any, Any]] = field(init=False)
    unseen: set[str] = field(init=False, default_factory=set[str])

    def __post_init__(self) -> None:
        self.look()

    @property
    def tensors(self) -> dict[str, Tensor]:
        """Shapes and types of the tensors that were seen."""
        return dict(self.observed.tensors)

    def look(self) -> None:
        """Run the model and see its tensors."""
        self.observed = observe(self.model, self.weights)
        self.nodes, self.constants = fold(self.model, self.observed, self.weights)
        self.unseen = set()

    def has_seen(self, node: onnx.NodeProto) -> bool:
        """Whether nothing that a node reads or makes was written since the model was run."""
        return self.unseen.isdisjoint(node.input) and self.unseen.isdisjoint(node.output)

    def wrote(self, nodes: Iterable[onnx.NodeProto]) -> None:
        """Note nodes that were written: the next passes leave them until the model is run again."""
        self.unseen.update(name for node in nodes for name in node.output if name not in self.observed.tensors)


Pass: TypeAlias = Callable[[Graph], bool]
"""Rewrites what it is for, in place, and says whether there was any."""


def lower(graph: Graph, straighten: Pass, passes: Sequence[Pass]) -> None:
    """Run passes until none has anything to do; the model is run once after all of them, not after each.

    Parameters
    ----------
    graph
        Changed in place.
    straighten
        Takes control flow out: what is in bodies was never seen, so that the model is run again at once.
    passes
        In order.
    """
    while True:
        while straighten(graph):
            graph.look()
        # Not any(): each of them gets its turn.
        if not sum([one(graph) for one in passes]):
            return
        graph.look()
