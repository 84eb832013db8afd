"""What can be said of an ONNX model before it is explained."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from blackbox_explain.box.adapter_tools.description import Described
from blackbox_explain.box.adapter_tools.reduction import Reduction
from blackbox_explain.box.info import BoxInfo
from blackbox_explain.box.inspection import Inspection
from blackbox_explain.errors import BlackBoxExplainError
from blackbox_explain_adapters._onnx.backward.operators import RULES
from blackbox_explain_adapters._onnx.box import OnnxBlackBox
from blackbox_explain_adapters._onnx.graph.activity import CONTROL, STEERING
from blackbox_explain_adapters._onnx.graph.node import bodies_of, nodes_of, read_by
from blackbox_explain_adapters._onnx.graph.pixel_dependence import without_pixels
from blackbox_explain_adapters._onnx.graph.plain_form import inputs_of, opset_of, sorted_model
from blackbox_explain_adapters._onnx.graph.weights import ReadModel
from blackbox_explain_adapters._onnx.lowering.classical import CLASSICAL, CLASSICAL_DOMAIN, without_maps
from blackbox_explain_adapters._onnx.lowering.definitions import has_definition
from blackbox_explain_adapters._onnx.lowering.fused import FUSED, MICROSOFT_DOMAIN
from blackbox_explain_adapters._onnx.lowering.recurrent import GATES
from blackbox_explain_adapters._onnx.reading.files import (
    external_tensors,
    model_of,
    read_model,
    reading,
    with_constants,
)
from blackbox_explain_adapters._onnx.reading.outputs import type_and_sizes
from blackbox_explain_adapters._onnx.reading.reduction import with_reduction
from blackbox_explain_adapters._onnx.reading.signature import read_signature
from blackbox_explain_adapters._onnx.wrapping import wrap_onnx

__all__ = ["inspect_onnx"]

MESSAGE = 1 << 27
"""Bytes; larger files are not read again to look for weights that lie beside them."""


def inspect_onnx(
    path: Path,
    shape: Sequence[int] | None = None,
    *,
    output: str | None = None,
    reduce: Any = None,
    constants: Mapping[str, Any] | None = None,
    straight_through: bool = False,
) -> Inspection:
    """Read a file, and try whether it can be differentiated.

    Parameters
    ----------
    path
        Of the model.
    shape
        Of one image, channels first, where the model leaves it free.
    output
        Tensor that holds the scores.
    reduce
        How scores of many places or steps are joined, as in `wrap_onnx`.
    constants
        Values of further inputs.
    straight_through
        Whether quantised models are to have a surrogate gradient.
    """
    whole = read_model(path)
    with reading():
        model, weights = model_of(whole)
        model = sorted_model(model)
        facts, table = _facts(model, path)
    try:
        with reading():
            model = with_constants(without_maps(model), constants or {})
            if (joined := Reduction.of(reduce)) is not None:
                model, output = with_reduction(model, output, joined)
            signature = read_signature(model, output, shape)
        facts.append(("images", f"{signature.image}, {signature.layout.replace('_', ' ')}, {signature.dtype}"))
        if signature.head:
            facts.append(("ends in", signature.head.activation))
        described = Described(shape=None if shape is None else tuple(shape))
        box = wrap_onnx(ReadModel(model, weights), described, output=output, straight_through=straight_through)
        why, usable = str(box.no_gradient) if isinstance(box, OnnxBlackBox) and box.no_gradient else "", True
        surrogate = BoxInfo.of(box).surrogate
    except BlackBoxExplainError as error:
        why, usable, surrogate = str(error), False, False
    return Inspection(tuple(facts), tuple(table), not why, why, usable, surrogate)


def _facts(model: onnx.ModelProto, path: Path) -> tuple[list[tuple[str, str]], list[tuple[str, int, str]]]:
    facts = [
        ("inputs", _listed(inputs_of(model.graph))),
        ("outputs", _listed(model.graph.output)),
        ("opset", ", ".join(f"{one.domain or 'ai.onnx'} {one.version}" for one in model.opset_import)),
        ("parameters", f"{_parameters(model):,}"),
        ("file", _size(path)),
    ]
    if model.producer_name:
        facts.append(("made by", f"{model.producer_name} {model.producer_version}".strip()))
    operators = Counter(
        f"{node.domain + '.' if node.domain not in ('', 'ai.onnx') else ''}{node.op_type}"
        for node in nodes_of(model.graph)
    )
    not_needed = _not_needed(model)
    table = [(name, count, _standing(name, model, not_needed)) for name, count in sorted(operators.items())]
    return facts, table


def _size(path: Path) -> str:
    """Return the size of a model on disk, with the weights that lie beside it."""
    own = path.stat().st_size
    if own >= MESSAGE:  # whoever keeps weights elsewhere keeps the graph alone here
        return f"{own / 1e6:.1f} MB"
    bare = onnx.load(path, load_external_data=False)
    places = {one.value for tensor in external_tensors(bare) for one in tensor.external_data if one.key == "location"}
    beside = sum((path.parent / one).stat().st_size for one in places)
    return f"{(own + beside) / 1e6:.1f} MB" + (f", {beside / 1e6:.1f} MB of it beside the graph" if places else "")


def _listed(values: Iterable[onnx.ValueInfoProto]) -> str:
    return "; ".join(f"{one.name}: {type_and_sizes(one)}" for one in values)


def _parameters(model: onnx.ModelProto) -> int:
    stored = sum(int(np.prod(one.dims, dtype=np.int64)) for one in model.graph.initializer)
    for node in nodes_of(model.graph):
        if node.op_type == "Constant":
            for one in node.attribute:
                if one.HasField("t") and one.t.data_type in (
                    TensorProto.FLOAT,
                    TensorProto.FLOAT16,
                    TensorProto.DOUBLE,
                ):
                    stored += int(numpy_helper.to_array(one.t).size)
    return stored


def _not_needed(model: onnx.ModelProto) -> dict[str, str]:
    """Return why operators need no rule, where no node of theirs does."""
    plain, sloped = without_pixels(model), {one.name for one in inputs_of(model.graph)}
    touched, followed = set[str](), set[str]()
    for node in model.graph.node:
        inside = {one.op_type for body in bodies_of(node) for one in nodes_of(body)}
        if not plain.issuperset(name for name in node.output if name):
            touched.update({node.op_type}, inside)
        if sloped.intersection(read_by(node)) and node.op_type not in STEERING:
            followed.update({node.op_type}, inside - STEERING)
            sloped.update(name for name in node.output if name)
    every = {node.op_type for node in nodes_of(model.graph)}
    flat = dict.fromkeys(every - followed, "not needed: its slope is zero")
    return flat | dict.fromkeys(every - touched, "not needed: does not read pixels")


def _standing(name: str, model: onnx.ModelProto, not_needed: Mapping[str, str]) -> str:
    if name in not_needed:
        return not_needed[name]
    if name in RULES:
        return "yes"
    if name in GATES:
        return "step by step"
    if name in CONTROL:
        return f"{'the branch taken' if name == 'If' else 'step by step'}, unless the image decides"
    if name in (f"{CLASSICAL_DOMAIN}.{one}" for one in CLASSICAL):
        return "by what it is made of"
    if name in (f"{MICROSOFT_DOMAIN}.{one}" for one in FUSED):
        return "by what was fused into it"
    if any(name == f"{one.domain}.{one.name}" for one in model.functions):
        return "by its definition in the file"
    return "by its definition in the standard" if has_definition(name, opset_of(model)) else "no"
