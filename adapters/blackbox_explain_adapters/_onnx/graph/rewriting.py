"""Write nodes into a graph."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from blackbox_explain_adapters._onnx.graph.node import element_type

__all__ = ["Writer"]


class Writer:
    """Collects nodes and their constants.

    Parameters
    ----------
    place
        Beginning of the names of what is written.

    Attributes
    ----------
    protos, stored
        What was written: nodes, and constants.
    """

    def __init__(self, place: str) -> None:
        self.protos: list[onnx.NodeProto] = []
        self.stored: list[onnx.TensorProto] = []
        self._place = place

    def op(self, kind: str, *inputs: Any, outputs: int = 1, to: str = "", name: str = "", **attributes: Any) -> Any:
        """Write an operator; arrays stand for constants.  Return the name of its output, or a list of several."""
        label = f"{self._place}/{kind}_{len(self.protos)}"
        read = [one if isinstance(one, str) else self.constant(np.asarray(one)) for one in inputs]
        names = [to] if to else [f"{label}_{k}" for k in range(outputs)]
        self.protos.append(helper.make_node(kind, read, names, name=name or label, **attributes))
        return names[0] if outputs == 1 else names

    def cast(self, x: str, dtype: Any, to: str, name: str = "") -> None:
        """Write a cast to a NumPy type."""
        kind = element_type(np.dtype(dtype))
        self.protos.append(helper.make_node("Cast", [x], [to], name=name or f"{self._place}/Cast_{to}", to=kind))

    def constant(self, value: np.ndarray[Any, Any]) -> str:
        """Store a constant."""
        name = f"{self._place}/constant_{len(self.stored)}"
        self.stored.append(numpy_helper.from_array(value, name))
        return name
