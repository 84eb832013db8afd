"""What a PyTorch module ends in, read from the graph that autograd or TorchScript keeps of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch

from blackbox_explain.box.activations import Ending

__all__ = ["ending_of", "is_ranked", "leads_to", "nodes_behind", "operation_of", "origin_of"]

FINAL: dict[str, Ending] = {
    "softmax": "softmax",
    "safesoftmax": "softmax",
    "logsoftmax": "log_softmax",
    "sigmoid": "sigmoid",
    "logsigmoid": "log_sigmoid",
    "logsigmoidforward": "log_sigmoid",
    "linear": "linear",
    "mkldnnlinear": "linear",
    "addmm": "linear",
    "mm": "linear",
    "matmul": "linear",
    "addmv": "linear",
    "mv": "linear",
    "dot": "linear",
    "bmm": "linear",
    "baddbmm": "linear",
    "conv1d": "linear",
    "conv2d": "linear",
    "conv3d": "linear",
    "convolution": "linear",
    "mkldnnconvolution": "linear",
    "cudnnconvolution": "linear",
    "slowconv2d": "linear",
    "thnnconv2d": "linear",
    "nativebatchnorm": "linear",
    "cudnnbatchnorm": "linear",
    "batchnorm": "linear",
}
"""Operations that say what outputs are, by their names without underscores."""

MOVES = frozenset(
    {
        *("view", "unsafeview", "viewcopy", "reshape", "reshapealias", "flatten", "unflatten", "squeeze", "unsqueeze"),
        *("permute", "transpose", "t", "alias", "expand", "clone", "contiguous", "tocopy", "to", "slice", "select"),
        *(
            "narrow",
            "split",
            "splitwithsizes",
            "index",
            "cat",
            "stack",
            "unbind",
            "detach",
            "dropout",
            "featuredropout",
        ),
        *("identity", "copyslices", "copy"),
    }
)
"""Operations that move values and leave them as they are."""

LINEAR = frozenset(
    {
        *("add", "sub", "rsub", "mul", "div", "neg", "mean", "sum"),
        *("avgpool1d", "avgpool2d", "adaptiveavgpool1d", "adaptiveavgpool2d"),
    }
)
"""Operations after which what a linear layer gives is still no probability."""


def ending_of(module: torch.nn.Module, outputs: torch.Tensor) -> Ending | None:
    """Say what a module ends in.

    Parameters
    ----------
    module
        Any; TorchScript is read from its own graph, because its outputs do not tell once it was compiled.
    outputs
        Computed by it with gradients enabled, from images that require one.

    Returns
    -------
    Ending or None
        None where nothing says it.
    """
    if isinstance(module, torch.jit.ScriptModule):
        found = _ending_of_script(module)
        if found is not None:
            return found
    return None if outputs.grad_fn is None else _walk(outputs.grad_fn, operation_of, _before, 0)


def leads_to(first: torch.Tensor, second: torch.Tensor) -> bool:
    """Tell whether one output is computed from another, both with gradients enabled."""
    # What is returned may be a reshaped view of what goes on.
    origin = origin_of(first)
    return origin is not None and any(node is origin for node in nodes_behind(second))


def is_ranked(outputs: torch.Tensor) -> bool:
    """Tell whether an output holds the best values of another in their order, or the best alone."""
    node = origin_of(outputs)
    return node is not None and operation_of(node) in ("topk", "sort", "msort", "max", "amax")


def origin_of(outputs: torch.Tensor) -> Any:
    """Return the operation whose values an output holds, moved or reshaped; None if autograd keeps none."""
    node = outputs.grad_fn
    while node is not None and operation_of(node) in MOVES and len(node.next_functions) == 1:
        node = node.next_functions[0][0]
    return node


def nodes_behind(outputs: torch.Tensor) -> Iterator[Any]:
    """Yield all operations behind outputs, as autograd keeps them."""
    waiting: list[Any] = [outputs.grad_fn]
    seen: set[Any] = set()
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            yield node
            waiting += [one for one, _ in node.next_functions]


def operation_of(node: Any) -> str:
    """Return "logsoftmax" for a LogSoftmaxBackward0."""
    return node.name().partition("Backward")[0].lower()


def _walk(node: Any, name: Callable[[Any], str], before: Callable[[Any], list[Any]], depth: int) -> Ending | None:
    called = name(node)
    if called in FINAL:
        return FINAL[called]
    if depth > 64 or called not in MOVES | LINEAR:
        return None
    found: list[Ending | None] = [_walk(one, name, before, depth + 1) for one in before(node)]
    ending: Ending | None = found[0] if found and all(one == found[0] for one in found) else None
    return ending if called in MOVES or ending == "linear" else None


def _before(node: Any) -> list[Any]:
    # Parameters, and the images themselves, end in nodes that accumulate.
    found = [one for one, _ in node.next_functions if one is not None]
    return [one for one in found if not one.name().endswith("AccumulateGrad")]


def _ending_of_script(module: torch.jit.ScriptModule) -> Ending | None:
    try:
        graph: Any = module.inlined_graph
    except RuntimeError:
        return None
    outputs = list(graph.outputs())
    if len(outputs) != 1:
        return None
    return _walk(outputs[0], _name_in_script, _before_in_script, 0)


def _name_in_script(value: Any) -> str:
    node = value.node()
    if node.kind() == "prim::If":
        return "identity"
    return node.kind().partition("::")[2].replace("_", "") if node.kind().startswith("aten::") else ""


def _before_in_script(value: Any) -> list[Any]:
    node = value.node()
    if node.kind() == "prim::If":
        blocks = [list(block.outputs())[value.offset()] for block in node.blocks()]
        # A branch that raises gives a value that nothing computes.
        return [one for one in blocks if one.node().kind() not in ("prim::Uninitialized", "prim::Constant")]
    found: list[Any] = []
    for one in node.inputs():
        if one.node().kind() == "prim::ListConstruct":
            found += [inner for inner in one.node().inputs() if _is_tensor(inner)]
        elif _is_tensor(one):
            found.append(one)
    return [one for one in found if one.node().kind() not in ("prim::GetAttr", "prim::Constant", "prim::Param")]


def _is_tensor(value: Any) -> bool:
    return str(value.type()) == "Tensor" or str(value.type()).startswith(("Float", "Double", "Half", "BFloat"))
