"""How the gradient graph of a box is written: kept, so that further tensors can be asked for, and picklable."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import onnx

from blackbox_explain.errors import BlackBoxExplainError, InputError, UnsupportedModelError
from blackbox_explain_adapters._onnx.backward.differentiation import differentiate
from blackbox_explain_adapters._onnx.backward.operators import RuleSet
from blackbox_explain_adapters._onnx.backward.straight_through import behind_bytes, through_quantisation
from blackbox_explain_adapters._onnx.backward.tape import Device
from blackbox_explain_adapters._onnx.graph.weights import Weights
from blackbox_explain_adapters._onnx.pipeline import ROUNDING_NODE

__all__ = ["GradientGraph"]


@dataclass(frozen=True)
class GradientGraph:
    """Writes the gradient graph of a model, from what is held here.

    Attributes
    ----------
    model
        From images in pixel space to scores.
    weights
        Its large ones, held apart.
    rules
        In place of the exact ones, or None.
    surrogate
        Whether gradients pass rounding as if there were none.
    device
        What the graph is written for.
    """

    model: onnx.ModelProto
    weights: Weights
    rules: RuleSet | None
    surrogate: bool
    device: Device

    def __call__(self, tensors: Sequence[str] = ()) -> onnx.ModelProto:
        """Write the graph, of the gradient of the images, or of inner tensors if there are any.

        Raises
        ------
        UnsupportedModelError
            If an operator has no rule.
        """
        by_node = through_quantisation(self.model) if self.surrogate else {ROUNDING_NODE: behind_bytes}
        try:
            made = differentiate(
                self.model,
                weights=self.weights,
                rules=None if self.rules is None else self.rules.rules,
                node_rules=by_node,
                check=None if self.rules is None else self.rules.check,
                tensors=tensors,
                device=self.device,
            )
        except (BlackBoxExplainError, MemoryError):
            raise
        except Exception as error:  # whatever it is, scores are still there
            raise UnsupportedModelError(
                "The model cannot be differentiated",
                got=f"{type(error).__name__}: {error}",
                hint="a fault of this package: please report it, with the model if it may be shown",
            ) from error
        return made

    def __getstate__(self) -> dict[str, Any]:
        try:
            pickle.dumps(self.rules)
        except Exception as error:
            raise InputError(
                "A box with rules of its own cannot be pickled",
                got=str(error),
                expected="rules that are functions of a module",
                hint="wrap the model again where it is needed",
            ) from error
        return dict(self.__dict__)
