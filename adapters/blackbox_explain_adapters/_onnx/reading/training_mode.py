"""What makes the scores of an image depend on more than the image: training mode, dice, scales of a whole batch."""

from __future__ import annotations

from collections.abc import Iterator

import onnx

from blackbox_explain_adapters._onnx.graph.constants import Stored
from blackbox_explain_adapters._onnx.graph.node import nodes_of, read_by
from blackbox_explain_adapters._onnx.graph.pixel_dependence import without_pixels
from blackbox_explain_adapters._onnx.graph.plain_form import leading_to

__all__ = ["draws_lots", "in_evaluation_mode", "scales_by_batch"]

RANDOM = frozenset(
    ("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial", "Bernoulli")
)


def in_evaluation_mode(model: onnx.ModelProto) -> tuple[onnx.ModelProto, tuple[str, ...]]:
    """Return a model with dropout and normalisation as they are after training; the given one stays.

    Dropout left on makes every answer random, and ONNX Runtime changes the statistics of a normalisation in training
    mode at every run: neither can be explained, and neither is meant by whoever explains a classifier.

    Returns
    -------
    model
        The given one, if there is nothing to change.
    notes
        Sentences on what was changed.
    """
    if not any(True for _ in _in_training(model)):
        return model, ()
    made = onnx.ModelProto()
    made.CopyFrom(model)
    found: list[str] = []
    gone = set[str]()
    for node in _in_training(made):
        found.append(node.op_type)
        if node.op_type == "Dropout":
            del node.input[1:]  # the share and the mode
            continue
        gone.update(node.output[1:])
        del node.output[1:]
        for one in node.attribute:
            if one.name == "training_mode":
                one.i = 0
    for place in reversed(range(len(made.graph.output))):
        if made.graph.output[place].name in gone:
            del made.graph.output[place]
    told = " and ".join(f"{found.count(one)} {one}" for one in sorted(set(found)))
    return made, (
        f"left in training mode: {told}; they are put into evaluation mode here, though not in the file, since scores "
        "would be random or depend on what was asked before: export the model after model.eval()",
    )


def _in_training(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    stored, nodes = Stored(model.graph), list(nodes_of(model.graph))
    read = {name for node in nodes for name in read_by(node)}
    for node in nodes:
        if node.domain not in ("", "ai.onnx"):
            continue
        if node.op_type == "Dropout" and len(node.input) > 2:
            mode = stored.get(node.input[2])
            if mode is not None and mode.any():
                yield node
        elif node.op_type == "BatchNormalization" and not read.intersection(node.output[1:]):
            yield from [node] * any(one.name == "training_mode" and one.i for one in node.attribute)


def draws_lots(model: onnx.ModelProto, output: str) -> tuple[str, ...]:
    """Return a sentence on the random numbers that lead to a tensor, if any do."""
    nodes = leading_to(model.graph, output)
    dice = sorted({node.op_type for node in nodes if node.op_type in RANDOM and node.domain in ("", "ai.onnx")})
    told = ", ".join(dice)
    return (f"the graph draws lots ({told}): its scores differ from run to run, and so do masks",) if dice else ()


def scales_by_batch(model: onnx.ModelProto, output: str) -> bool:
    """Say whether values that depend on images are rounded by the range of the whole batch, on the way to a tensor."""
    plain = without_pixels(model)
    return any(
        node.op_type.startswith("DynamicQuantize") and not plain.issuperset(node.output)
        for node in leading_to(model.graph, output)
    )
