"""Run a model with every tensor exposed: shapes, types, and what does not depend on the image."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import onnx
import onnxruntime
from onnx import helper

from blackbox_explain.box.adapter_tools.cores import limited_cores
from blackbox_explain.errors import ModelError, UnsupportedModelError
from blackbox_explain_adapters._onnx.graph.changing_with_batch import changing_with_batch
from blackbox_explain_adapters._onnx.graph.node import Tensor, element_type, read_by
from blackbox_explain_adapters._onnx.graph.pixel_dependence import READ_SHAPE_ALONE, sized_by_pixels, without_pixels
from blackbox_explain_adapters._onnx.graph.plain_form import inputs_of
from blackbox_explain_adapters._onnx.graph.shortened import shortened
from blackbox_explain_adapters._onnx.graph.weights import LARGE, NO_WEIGHTS, Weights, array_of

__all__ = ["Observed", "fold", "observe", "session_options"]

LARGEST_CONSTANT = 1 << 24
"""Elements; nothing larger is folded, since it would only swell the file."""

# fmt: off
PLAIN = frozenset((
    "Add", "Cast", "Concat", "Div", "Expand", "Flatten", "Gather", "Identity", "Mul", "Pad", "Reshape", "Slice",
    "Split", "Squeeze", "Sub", "Tile", "Transpose", "Unsqueeze",
))
# fmt: on
"""What ONNX Runtime folds by itself when it starts a session, and every provider computes."""

Started: TypeAlias = Callable[[onnx.ModelProto], onnxruntime.InferenceSession]

SHAPE, NAN, WHOLE, NOT_A_NUMBER = (f"blackbox_explain/{one}/" for one in ("shape", "nan", "whole", "not_a_number"))
"""Beginnings of the names of what is asked of a tensor."""

TYPES = {"tensor(float)": np.dtype(np.float32), "tensor(double)": np.dtype(np.float64)} | {
    f"tensor({name})": np.dtype(name)
    for name in ("float16", "bool", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)))
}
"""By ONNX Runtime's names."""

BATCHES = (1, 2, 5)
"""Sizes that are the same for all of them are taken to be the same for every batch."""


@dataclass(frozen=True)
class Observed:
    """What a run showed.

    Attributes
    ----------
    tensors
        Shape and type of every tensor, a size None where it follows the batch, or the values of pixels.
    values
        Tensors with the same value in all runs.
    """

    tensors: dict[str, Tensor]
    values: dict[str, np.ndarray[Any, Any]]


def session_options(threads: int | None = None, optimise: bool = True) -> onnxruntime.SessionOptions:
    """Return options of a session that keeps quiet, and to the cores that this process may use."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    # Threads that wait for more work take the cores from another session, and from whatever comes between two runs.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    # Products by weights of 8 bits are computed as the standard says, as gradients are, and not in 8 bits.
    options.add_session_config_entry("session.qdq_matmulnbits_accuracy_level", "1")
    if (limit := threads or limited_cores()) is not None:
        options.intra_op_num_threads = limit
    if not optimise:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return options


def observe(model: onnx.ModelProto, weights: Weights = NO_WEIGHTS) -> Observed:
    """Run the forward half once, or its shapes for several batches if it is dynamic, on noise between 0 and 1.

    Where sizes may follow the values of pixels, it is also run on images that are black or white in part.

    Raises
    ------
    UnsupportedModelError
        If the input has a size that is neither fixed nor the batch.
    ModelError
        If ONNX Runtime cannot run the model.
    """
    exposed = onnx.ModelProto()
    exposed.CopyFrom(model)
    source = inputs_of(exposed.graph)[0]
    sizes = [one.dim_value if one.HasField("dim_value") else None for one in source.type.tensor_type.shape.dim]
    if None in sizes[1:]:
        raise UnsupportedModelError(
            "The shape of one image is not fixed",
            got=f"{source.name}: {sizes}",
            hint="wrap(model, shape=(3, 224, 224))",
        )
    dtype = helper.tensor_dtype_to_np_dtype(source.type.tensor_type.elem_type)
    batches = BATCHES if not sizes[0] else (sizes[0],)
    started = partial(_session, weights=weights)
    try:
        types = _types(exposed, started)
        plain = without_pixels(exposed) & types.keys()
        _expose(exposed, plain, types)
        runs: list[dict[str, Any]] = []
        run = whole = _asked(exposed, started)
        for batch in batches:
            noise = np.random.default_rng(batch).random((batch, *(size or 1 for size in sizes[1:]))).astype(dtype)
            found = run({source.name: noise})
            # What is made of weights is the same again: once is enough.
            runs.append({name: _first(value, runs[0][name] if runs else value) for name, value in found.items()})
            if len(runs) == 1 and len(batches) > 1:  # from the others nothing but shapes is wanted
                shapes = {
                    name: tuple(found[name].shape if name in plain else found[SHAPE + name].tolist()) for name in types
                }
                shapes |= {one.name: tuple(one.dims) for one in model.graph.initializer} | {source.name: noise.shape}
                short = shortened(exposed, shapes, types, plain)
                run = run if short is None else _asked(short, started)
    except Exception as error:
        raise ModelError("ONNX Runtime cannot run the model", got=str(error).strip().splitlines()[0]) from error
    sized = sized_by_pixels(model) & types.keys()
    others = _other_images(whole, source.name, (batches[0], *(size or 1 for size in sizes[1:])), dtype) if sized else []
    seen = {name: [run[name].shape if name in plain else tuple(run[SHAPE + name]) for run in runs] for name in types}
    seen[source.name] = [(batch, *(size or 1 for size in sizes[1:])) for batch in batches]
    types[source.name] = np.dtype(dtype)
    tensors: dict[str, Tensor] = {}
    values: dict[str, np.ndarray[Any, Any]] = {}
    for name, shapes in seen.items():
        if len({len(one) for one in shapes}) > 1:
            continue
        if name in sized:
            # How many images there are is not all that such sizes follow.
            found = [tuple(one[SHAPE + name].tolist()) for one in others]
            # Where no other image could be run, no size is known.
            found = found or [(-1,) * len(shapes[0])]
            shapes = [*shapes, *(one for one in found if len(one) == len(shapes[0]))]
        shape = tuple(axis[0] if len(set(axis)) == 1 else None for axis in zip(*shapes, strict=True))
        batched = (
            name not in sized
            and shape[:1] == (None,)
            and None not in shape[1:]
            and tuple(one[0] for one in shapes) == BATCHES
        )
        has_nan = bool(runs[0].get(NOT_A_NUMBER + name, False))
        tensors[name] = Tensor(tuple(None if one is None else int(one) for one in shape), types[name], batched, has_nan)
        if name in plain and None not in shape:
            value = runs[0][name]
            if value.size < LARGEST_CONSTANT and all(np.array_equal(value, run[name]) for run in runs[1:]):
                values[name] = value
    if len(batches) > 1:
        for name in changing_with_batch(model, plain, values.keys(), BATCHES, runs, started):
            del values[name]
    return Observed(tensors, values)


def _other_images(
    run: Callable[[dict[str, np.ndarray[Any, Any]]], dict[str, Any]], source: str, shape: tuple[int, ...], dtype: Any
) -> list[dict[str, Any]]:
    """Return what runs show of images that are black or white in part, as noise never is; a run may fail."""
    found: list[dict[str, Any]] = []
    noise = np.random.default_rng(len(shape)).random((shape[0], math.prod(shape[1:])))
    for value in (0, 1):
        images = noise.copy()
        images[:, : noise.shape[1] // 2] = value
        with contextlib.suppress(Exception):
            found.append(run({source: images.reshape(shape).astype(dtype)}))
    return found


def _asked(model: onnx.ModelProto, started: Started) -> Callable[[dict[str, np.ndarray[Any, Any]]], dict[str, Any]]:
    session, wanted = started(model), [one.name for one in model.graph.output]
    return lambda feeds: dict(zip(wanted, session.run(None, feeds), strict=True))


def _first(value: Any, before: Any) -> Any:
    large = isinstance(value, np.ndarray) and value.nbytes >= LARGE
    return before if large and value.dtype == before.dtype and np.array_equal(value, before) else value


def _session(model: onnx.ModelProto, weights: Weights) -> onnxruntime.InferenceSession:
    options = session_options(optimise=False)
    content = weights.message(model, options, shared=True)
    # Shapes are taken as early as they can be, so that a tensor is freed after its last reader.
    options.execution_order = onnxruntime.ExecutionOrder.PRIORITY_BASED
    options.enable_cpu_mem_arena = False
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"], enable_fallback=0)


def _types(model: onnx.ModelProto, started: Started) -> dict[str, np.dtype[Any]]:
    """Return the types of the tensors that nodes make; sequences are left out, and what NumPy does not know."""
    # Fused operators may leave out what nobody reads, though it has a name.
    read = {one.name for one in model.graph.output}.union(*(read_by(node) for node in model.graph.node))
    told = onnx.ModelProto()
    told.CopyFrom(model)
    del told.graph.output[:]
    told.graph.output.extend(
        onnx.ValueInfoProto(name=name)
        for node in told.graph.node
        for name in node.output
        if name and (name in read or not node.domain)
    )
    return {one.name: TYPES[one.type] for one in started(told).get_outputs() if one.type in TYPES}


def _expose(model: onnx.ModelProto, plain: Set[str], types: Mapping[str, Any]) -> None:
    """Let a model answer with what is made without pixels, and of all else with the shapes, which take no memory."""
    names = list(plain)
    for node in list(model.graph.node):
        for name in node.output:
            if name in plain or name not in types:
                continue
            model.graph.node.append(helper.make_node("Shape", [name], [SHAPE + name]))
            names.append(SHAPE + name)
            if node.op_type == "Softmax":
                nan, whole, found = (f"{one}{name}" for one in (NAN, WHOLE, NOT_A_NUMBER))
                model.graph.node.append(helper.make_node("IsNaN", [name], [nan]))
                model.graph.node.append(helper.make_node("Cast", [nan], [whole], to=onnx.TensorProto.INT32))
                model.graph.node.append(helper.make_node("ReduceMax", [whole], [found], keepdims=0))
                names.append(found)
    del model.graph.output[:]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)


def fold(
    model: onnx.ModelProto, observed: Observed, weights: Weights = NO_WEIGHTS
) -> tuple[list[onnx.NodeProto], dict[str, np.ndarray[Any, Any]]]:
    """Turn nodes that do not depend on the image, except by its shape, into constants.

    Those that make large constants of weights are known as constants, too, but stay: what they write is in the file
    already, in another form.

    Returns
    -------
    nodes
        The others, and those that stay, in order.
    constants
        Initializers and folded values by name.
    """
    constants = {one.name: array_of(one, weights) for one in model.graph.initializer}
    depends = {inputs_of(model.graph)[0].name}
    nodes: list[onnx.NodeProto] = []
    for proto in model.graph.node:
        node = proto
        if node.op_type == "CastLike" and node.output[0] in observed.tensors:
            to = element_type(observed.tensors[node.output[0]].dtype)
            node = helper.make_node("Cast", [node.input[0]], list(node.output), name=node.name, to=to)
        reads_pixels = node.op_type not in READ_SHAPE_ALONE and depends.intersection(read_by(node))
        if reads_pixels or node.op_type.startswith("Random"):
            depends.update(node.output)
        outputs = [name for name in node.output if name]
        if not depends.intersection(outputs) and all(name in observed.values for name in outputs):
            constants.update((name, observed.values[name]) for name in outputs)
            if node.op_type in PLAIN and any(observed.values[name].nbytes >= LARGE for name in outputs):
                nodes.append(node)
        else:
            nodes.append(node)
    return nodes, constants
