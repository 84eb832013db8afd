"""What can be said of an exported program or a TorchScript archive before it is explained."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from blackbox_explain.box.adapter_tools.description import Described
from blackbox_explain.box.inspection import Inspection, judged, size_of
from blackbox_explain_adapters._torch.box import wrap_torch
from blackbox_explain_adapters._torch.files import load_exported, load_torchscript

__all__ = ["inspect_exported", "inspect_torchscript"]

CUTTING = frozenset(
    ("argmax", "argmin", "argsort", "bucketize", "ceil", "eq", "floor", "ge", "gt", "le", "lt", "ne", "round", "sign")
) | {"detach", "one_hot", "quantize_per_tensor", "quantize_per_channel", "searchsorted", "trunc"}
"""Operations that no gradient passes, or one of 0."""


def inspect_exported(
    path: Path, shape: Sequence[int] | None = None, *, output: str | int | None = None, reduce: Any = None
) -> Inspection:
    """Read a ``torch.export`` program (.pt2), and try whether it can be differentiated.

    Parameters
    ----------
    path
        Of the program.
    shape
        Of one image, channels first, where the program leaves it free.
    output, reduce
        As in `wrap_torch`.
    """
    program = load_exported(path)
    names = program.graph_signature
    nodes = {node.name: node for node in program.graph.nodes}
    facts = (
        ("inputs", "; ".join(_said(name, nodes) for name in names.user_inputs)),
        ("outputs", "; ".join(_said(name, nodes) for name in names.user_outputs)),
        *_stored(program.state_dict.values()),
        ("file", size_of(path)),
    )
    calls = Counter(
        str(node.target).removeprefix("aten.").partition(".")[0]
        for node in program.graph.nodes
        if node.op == "call_function"
    )
    return _report(program, shape, facts, calls, output=output, reduce=reduce)


def inspect_torchscript(
    path: Path, shape: Sequence[int] | None = None, *, output: str | int | None = None, reduce: Any = None
) -> Inspection:
    """Read a TorchScript archive, and try whether it can be differentiated; it does not tell the shape of its images.

    Parameters
    ----------
    path
        Of the archive.
    shape
        Of one image, channels first.
    output, reduce
        As in `wrap_torch`.
    """
    module = load_torchscript(path)
    graph = module.inlined_graph
    facts = (
        ("inputs", "; ".join(f"{one.debugName()}: {one.type()}" for one in list(graph.inputs())[1:])),
        ("outputs", "; ".join(str(one.type()) for one in graph.outputs())),
        *_stored(module.state_dict().values()),
        ("file", size_of(path)),
    )
    kinds = (node.kind() for node in _nodes(graph))
    calls = Counter(kind.partition("::")[2] for kind in kinds if kind.startswith(("aten::", "quantized::")))
    return _report(module, shape, facts, calls, output=output, reduce=reduce)


def _report(
    model: Any, shape: Sequence[int] | None, facts: tuple[tuple[str, str], ...], calls: Counter[str], **options: Any
) -> Inspection:
    described = Described(shape=None if shape is None else tuple(shape))
    table = tuple((name, count, "no" if name in CUTTING else "yes") for name, count in sorted(calls.items()))
    return judged(lambda: wrap_torch(model, described, **options)).inspection(facts, table)


def _stored(values: Any) -> tuple[tuple[str, str], ...]:
    return (("parameters", f"{sum(one.numel() for one in values if isinstance(one, torch.Tensor)):,}"),)


def _said(name: str, nodes: Any) -> str:
    value = nodes[name].meta.get("val") if name in nodes else None
    if not isinstance(value, torch.Tensor):
        return str(name)
    return f"{name}: {str(value.dtype).removeprefix('torch.')} {' × '.join(map(str, value.shape))}"


def _nodes(block: Any) -> Iterator[Any]:
    """Yield the nodes of a graph and of the branches and loops in it."""
    for node in block.nodes():
        yield node
        for inner in node.blocks():
            yield from _nodes(inner)
