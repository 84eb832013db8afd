"""What belongs to training and is left in a graph: dropout, normalisation by the batch, and other dice."""

from __future__ import annotations

from collections.abc import Iterator

import onnx

from blackbox_explain_adapters._onnx.node import Node, nodes_of
from blackbox_explain_adapters._onnx.prepare import leading_to
from blackbox_explain_adapters._onnx.stored import Stored

__all__ = ["left_over", "without_dropout"]

RANDOM = frozenset(
    ("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial", "Bernoulli")
)


def without_dropout(model: onnx.ModelProto) -> tuple[onnx.ModelProto, tuple[str, ...]]:
    """Return a model whose dropout is turned off, and a sentence that says so, if any was on; the given one stays.

    Scores that are drawn anew at every step explain nothing: what is explained is the network that dropout averages to.
    """
    count = sum(1 for _ in _left_on(model))
    if not count:
        return model, ()
    made = onnx.ModelProto()
    made.CopyFrom(model)
    for node in _left_on(made):
        del node.input[1:]
    where = f"{count} Dropout node{'s' if count > 1 else ''}"
    return made, (
        f"{where} in training mode would make every answer random: they are turned off here, though not in the file; "
        "export the model in evaluation mode, model.eval()",
    )


def _left_on(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    stored = Stored(model.graph)
    for node in list(nodes_of(model.graph)):
        if node.op_type == "Dropout" and node.domain in ("", "ai.onnx") and len(node.input) > 2:
            mode = stored.get(node.input[2])
            if mode is not None and mode.any():
                yield node


def left_over(model: onnx.ModelProto, output: str) -> tuple[str, ...]:
    """Return sentences on what makes scores random, or those of a row follow the rows beside it, as the graph tells."""
    nodes = [Node(proto) for proto in leading_to(model.graph, output)]
    notes: list[str] = []
    dice = sorted({node.op for node in nodes if node.op in RANDOM and not node.domain})
    if dice:
        notes.append(
            f"the graph draws lots ({', '.join(dice)}): its scores differ from run to run, and so may the masks"
        )
    batch = [node for node in nodes if node.op == "BatchNormalization" and node.get("training_mode", 0)]
    if batch:
        notes.append(
            f"{len(batch)} BatchNormalization node{'s' if len(batch) > 1 else ''} in training mode normalise by the "
            "batch, not by what was learned: export the model in evaluation mode, model.eval()"
        )
    return tuple(notes)
