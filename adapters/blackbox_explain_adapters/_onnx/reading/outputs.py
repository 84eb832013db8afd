"""Which tensor of a graph holds the class scores."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto

from blackbox_explain.box.adapter_tools.outputs import stands_beside
from blackbox_explain.box.adapter_tools.reduction import REDUCE
from blackbox_explain.errors import InputError, UnsupportedModelError
from blackbox_explain_adapters._onnx.graph.node import read_by
from blackbox_explain_adapters._onnx.reading.final_activation import View

__all__ = ["Chosen", "choose_scores", "float_outputs", "type_and_sizes", "type_name"]

FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE)

SURE_NAMES = ("logits", "scores", "probabilities", "prob")

LIKELY_NAMES = ("predictions", "output", "out")
"""What says little: features have such names, too."""

BEST = ("TopK", "ArgMax", "ArgMin")
"""What tells the best classes instead of all scores."""

CORNERS = 4
"""Numbers that say where a box lies."""

LONGEST_NAME = 24
"""Characters in the name of a size, where it is shown."""


@dataclass(frozen=True)
class Chosen:
    """The tensor of scores.

    Attributes
    ----------
    name
        Of the tensor.
    notes
        What had to be guessed.
    class_names
        As the names of outputs tell them, None if they do not.
    """

    name: str
    notes: tuple[str, ...] = ()
    class_names: tuple[str, ...] | None = None


def choose_scores(
    model: onnx.ModelProto, view: View, wanted: str | None, batch: int | None, classes: int | None = None
) -> Chosen:
    """Choose the tensor that holds the scores.

    Parameters
    ----------
    model
        Of one input.
    view
        Of its graph.
    wanted
        Tensor that the caller named, None to find it.
    batch
        Fixed size of batches, or None.
    classes
        Number of class names that were given, None if none were.

    Raises
    ------
    InputError
        If there is no such tensor, or it holds the best classes instead of scores.
    UnsupportedModelError
        If no output holds class scores, or if several may and nothing tells which.
    """
    outputs = list(model.graph.output)
    best = {one.name: found for one in outputs if (found := _best_of(view, one.name))}
    if wanted is not None:
        return _wanted(view, outputs, wanted)
    _drop_largest(view, outputs, best)
    left = [one for one in outputs if one.name not in best]
    usable = [one for one in left if _may_hold_scores(one, batch) and not _of_boxes(one, outputs)]
    if len(usable) > 1 and (columns := _columns(view, usable)) is not None:
        return columns
    sources = {source for _, source in best.values()}
    if not usable and len(sources) == 1 and not any(_is_float(one) for one in left):
        name, (operator, source) = next(iter(best.items()))
        return Chosen(
            source,
            (f"{name!r} tells the best classes alone ({operator}): {source!r}, which it is taken from, "
             "is taken for the class scores",),
        )  # fmt: skip
    if not usable:
        raise _no_scores(outputs, bool(best))
    if len(usable) == 1 and len(outputs) == 1:
        return Chosen(usable[0].name)
    name = _one_of(view, usable, classes)
    if name is None:
        raise UnsupportedModelError(
            "The model has several outputs that may hold the class scores",
            got=_listed(usable),
            expected="one of them",
            hint=f"pass output={usable[0].name!r} (--output {usable[0].name}); class_names=... (--classes) "
            "tells them apart where they have different numbers of classes",
        )
    return Chosen(name, (f"of {len(outputs)} outputs, {name!r} is taken for the class scores",))


def _wanted(view: View, outputs: Sequence[onnx.ValueInfoProto], wanted: str) -> Chosen:
    if wanted not in view.makers:
        expected = " or ".join(repr(one.name) for one in outputs)
        raise InputError("There is no such tensor", got=f"output={wanted!r}", expected=expected)
    if (found := _best_of(view, wanted)) is not None:
        operator, source = found
        raise InputError(
            "This tensor tells the best classes, not the scores of all",
            got=f"output={wanted!r}, made by {operator}",
            hint=f"output={source!r} (--output {source}), which it is taken from",
        )
    return Chosen(wanted)


def _best_of(view: View, name: str) -> tuple[str, str] | None:
    """Return the operator that picks the best classes, and what it picks them from, if a tensor is made so."""
    node = view.makers.get(view.back(name))
    while node is not None and node.op in ("Gather", "ArrayFeatureExtractor") and node.x in view.plain:
        node = view.makers.get(view.back(node.inputs[1]))  # names of classes by their places
    if node is None or node.domain or node.op not in BEST or not node.inputs or node.x in view.plain:
        return None
    return node.op, node.x


def _drop_largest(view: View, outputs: Iterable[onnx.ValueInfoProto], best: dict[str, tuple[str, str]]) -> None:
    """Count the largest score, beside the class that has it, among what tells the best alone."""
    sources = {source for _, source in best.values()}
    for one in outputs:
        node = view.makers.get(view.back(one.name))
        if node is not None and node.op == "ReduceMax" and node.x in sources:
            best[one.name] = node.op, node.x


def _one_of(view: View, usable: Sequence[onnx.ValueInfoProto], classes: int | None) -> str | None:
    """Return the one output that number of classes, names or the graph tell apart from the others."""
    # An output of no stated shape may be anything.
    usable = [one for one in usable if one.type.tensor_type.HasField("shape")] or list(usable)
    fitting = [one for one in usable if classes is not None and classes in _sizes(one)[1:]]
    usable = fitting or usable
    usable = [one for one in usable if not stands_beside(one.name)] or usable
    for name in SURE_NAMES:
        named = [one for one in usable if name in one.name.lower()]
        if len(named) == 1:
            return named[0].name
    inner = set[str]()
    for one in usable:
        inner |= _made_from(view, view.back(one.name))
    last = {view.back(one.name): one for one in reversed(usable) if view.back(one.name) not in inner}
    # One number for an image, made of many, may be the score of the one class, or how sure the model is of many.
    if len(last) == 1 and (not _is_lone(one := next(iter(last.values()))) or all(map(_is_lone, usable))):
        return one.name  # the others lead to it: features, or logits
    for name in LIKELY_NAMES:
        named = [one for one in last.values() if name in re.split(r"[^a-z]+", one.name.lower())]
        if len(named) == 1:
            return named[0].name
    return None


def _is_lone(one: onnx.ValueInfoProto) -> bool:
    return one.type.tensor_type.HasField("shape") and all(size == 1 for size in _sizes(one)[1:])


def _made_from(view: View, name: str) -> set[str]:
    """Return the tensors that lead to another."""
    found, waiting = set[str](), [name]
    while waiting:
        node = view.makers.get(waiting.pop())
        for one in read_by(node.proto) if node is not None else ():
            if one not in found and one not in view.plain:
                found.add(one)
                waiting.append(one)
    return found


def _columns(view: View, usable: Sequence[onnx.ValueInfoProto]) -> Chosen | None:
    """Return the tensor whose columns all outputs are, one each."""
    places: dict[int, str] = {}
    sources = set[str]()
    for one in usable:
        found = _column(view, one.name)
        if found is None:
            return None
        source, place = found
        sources.add(source)
        places[place] = one.name
    if len(sources) != 1 or sorted(places) != list(range(len(usable))):
        return None
    source = sources.pop()
    note = f"the {len(usable)} outputs are the columns of {source!r}, which is taken for the class scores"
    return Chosen(source, (note,), tuple(places[place] for place in range(len(usable))))


def _column(view: View, name: str) -> tuple[str, int] | None:
    """Return the tensor that another is one column of, and which."""
    name = view.back(name)
    node = view.makers.get(name)
    if node is None or not node.inputs:
        return None
    stored = [None, *(view.stored.get(one) for one in node.inputs[1:])]
    index: np.ndarray | None = None
    if (node.op == "Gather" and node.get("axis", 0) in (1, -1)) or node.op == "ArrayFeatureExtractor":
        index = stored[1]
    elif node.op == "Slice" and len(node.inputs) >= 4:
        begin, end, axes = stored[1:4]
        one = begin is not None and end is not None and begin.size == 1 and np.array_equal(begin + 1, end)
        index = begin if one and axes is not None and axes.tolist() in ([1], [-1]) else None
    elif node.op == "Split" and node.get("axis", 0) in (1, -1):
        index = np.array([node.outputs.index(name)])
    return (node.x, int(index.item())) if index is not None and index.size == 1 and index.item() >= 0 else None


def float_outputs(outputs: Iterable[onnx.ValueInfoProto]) -> list[onnx.ValueInfoProto]:
    """Return the outputs that are tensors of floats."""
    return [one for one in outputs if _is_float(one)]


def _is_float(one: onnx.ValueInfoProto) -> bool:
    return one.type.HasField("tensor_type") and one.type.tensor_type.elem_type in FLOATS


def _sizes(one: onnx.ValueInfoProto) -> list[int | str | None]:
    dims = one.type.tensor_type.shape.dim
    return [dim.dim_value if dim.HasField("dim_value") else dim.dim_param or None for dim in dims]


def _of_boxes(one: onnx.ValueInfoProto, outputs: Iterable[onnx.ValueInfoProto]) -> bool:
    """Say whether there is a box for each score, as in what finds objects."""
    sizes = _sizes(one)
    places = [_sizes(other) for other in outputs if other.type.HasField("tensor_type")]
    return len(sizes) == 2 and sizes[1] is not None and any(
        len(other) == 3 and other[2] == CORNERS and other[1] == sizes[1] for other in places
    )  # fmt: skip


def _may_hold_scores(one: onnx.ValueInfoProto, batch: int | None) -> bool:
    if not _is_float(one):
        return False
    if not one.type.tensor_type.HasField("shape"):
        return True
    sizes = _sizes(one)
    if len(sizes) == 1:  # (N,), or, of one image at a time, (K,)
        return batch == 1 or not isinstance(sizes[0], int) or sizes[0] == batch
    # Scores are (N, K), perhaps with axes of size 1 behind or before the classes.
    return len(sizes) >= 2 and sum(size != 1 for size in sizes[1:]) <= 1


def _no_scores(outputs: Sequence[onnx.ValueInfoProto], chosen: bool) -> UnsupportedModelError:
    wide = [one for one in float_outputs(outputs) if len(_sizes(one)) > 2]
    if wide and not chosen:
        which = f"pass output={wide[0].name!r} (--output {wide[0].name}); " if len(outputs) > 1 else ""
        hint = f"{which}{REDUCE}; or name an inner tensor (N, K): output='name' (--output name)"
    else:
        hint = "pass output='name' of the tensor (N, K) that holds the scores, or export the model without what comes "
        hint += "behind it (for scikit-learn: options={'zipmap': False})"
    return UnsupportedModelError(
        "The model does not answer with class scores",
        got=_listed(outputs),
        expected="one tensor of floats, (N, K)",
        hint=hint,
    )


def _listed(outputs: Iterable[onnx.ValueInfoProto]) -> str:
    return ", ".join(f"{one.name!r} ({type_and_sizes(one)})" for one in outputs)


def type_name(kind: int) -> str:
    """Return the name of an element type."""
    known: Mapping[int, str] = {number: name.lower() for name, number in TensorProto.DataType.items()}
    return known.get(kind, f"type {kind}")


def type_and_sizes(one: onnx.ValueInfoProto) -> str:
    """Return type and sizes of an input or output, in words."""
    if not one.type.HasField("tensor_type"):
        return str(one.type.WhichOneof("value")).removesuffix("_type")
    kind = type_name(one.type.tensor_type.elem_type)
    sizes: list[str] = []
    for dim in one.type.tensor_type.shape.dim:
        # Some exporters name a size by a formula of several lines.
        name = dim.dim_param if len(dim.dim_param) <= LONGEST_NAME else ""
        sizes.append(str(dim.dim_value) if dim.HasField("dim_value") else name or "?")
    return f"{kind} {' × '.join(sizes)}"
