"""The passes that run again and again, in order: they bring a model into operators that have a backward rule.

The other passes of this folder run at places of their own.

In ``_onnx/wrapping.py``, before the model is run for the first time, since its scores need them as its gradient does:

- `classical.without_maps`: scores are to be an array, not a table by label; ``_onnx/inspection.py`` does the same.
- `branches.settle_branches`: ONNX Runtime has been seen to crash over branches that constants decide.

In ``_onnx/backward/differentiation.py``, in this order:

- `half_precision.widen`, so that what is seen and written afterwards is of single precision.
- `loops.count_steps`: a loop is written out only where a run has shown how many steps it takes.
- `without_control_flow`, below, while the model still has its own opset.
- `opset.converted`: the passes below write nodes in opsets that rules are for.  It is followed by `loops.count_steps`
  again, for the passes run the model anew.
- `lower_by_all_passes`, below.
- `padding.merge_pads`, which nothing but speed needs: merged pads are not cropped on the way back.  It is last, and
  sees what the passes wrote.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import onnx

from blackbox_explain_adapters._onnx.graph.activity import CONTROL
from blackbox_explain_adapters._onnx.graph.weights import Weights
from blackbox_explain_adapters._onnx.lowering.branches import choose_branches
from blackbox_explain_adapters._onnx.lowering.classical import spell_classical
from blackbox_explain_adapters._onnx.lowering.definitions import write_definitions
from blackbox_explain_adapters._onnx.lowering.fused import unfuse
from blackbox_explain_adapters._onnx.lowering.loops import count_steps, unroll_loops
from blackbox_explain_adapters._onnx.lowering.pass_runner import Graph, lower
from blackbox_explain_adapters._onnx.lowering.recurrent import unroll_recurrent
from blackbox_explain_adapters._onnx.lowering.scans import StepScan

__all__ = ["lower_by_all_passes", "without_control_flow"]


def lower_by_all_passes(graph: Graph, add: Callable[[StepScan], None]) -> None:
    """Run the passes until none has anything to do.

    Parameters
    ----------
    graph
        Changed in place.
    add
        Called with each scan over steps that stays in the graph, and needs a rule of its own.
    """
    lower(graph, _straighten, (unfuse, spell_classical, partial(unroll_recurrent, add=add), write_definitions))


def without_control_flow(model: onnx.ModelProto, weights: Weights) -> onnx.ModelProto:
    """Take control flow out of a model, in the opset that it comes in: the converter does not look into bodies."""
    if any(node.op_type in CONTROL for node in model.graph.node):
        lower(Graph(model, weights), _straighten, ())
    return model


def _straighten(graph: Graph) -> bool:
    if choose_branches(graph.model, graph.constants) or unroll_loops(graph):
        count_steps(graph.model)
        return True
    return False
