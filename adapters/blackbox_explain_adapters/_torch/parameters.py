"""The parameters of a PyTorch module, layer by layer, and a copy of it with others in their place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from blackbox_explain.box.adapter_tools.description import plain_images
from blackbox_explain.box.adapter_tools.random_parameters import check_layers, drawn_like, no_parameters
from blackbox_explain_adapters._torch.network import Network

__all__ = ["content_of", "parameter_layers", "with_random_parameters"]


class ParametersSeen(TorchFunctionMode):
    """Keeps the order in which the parameters of a module are computed with.

    Attributes
    ----------
    order
        Ids of parameters; of one that is used several times, the last place counts.
    """

    def __init__(self) -> None:
        super().__init__()
        self.order: dict[int, None] = {}

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run a function, and note which parameters it is given; to look at one's size is no use of it."""
        result = func(*args, **(kwargs or {}))
        if _gives_tensors(result):
            for one in _parameters((*args, *(kwargs or {}).values())):
                self.order.pop(id(one), None)
                self.order[id(one)] = None
        return result


def parameter_layers(network: Network) -> dict[str, tuple[str, ...]]:
    """Return the parameters that a module computes its scores with, by the submodule that holds them.

    Parameters
    ----------
    network
        How the module is run: it is, on plain images.

    Returns
    -------
    dict
        Names of floating parameters by the name of their submodule, from the output towards the input.  A parameter of
        the module itself is a layer of its own.

    Raises
    ------
    UnsupportedModelError
        If the module was not seen to compute with any.
    """
    seen = ParametersSeen()

    def run(batch: torch.Tensor) -> tuple[torch.Tensor, ...]:
        with torch.no_grad(), torch.compiler.set_stance("force_eager"), seen:
            return (network.outputs(batch),)

    network.run(run, network.tensor(plain_images(network.spec)[:2]))
    place = {one: k for k, one in enumerate(seen.order)}
    used = [
        (place[id(parameter)], name)
        for name, parameter in network.module.named_parameters()
        if id(parameter) in place and parameter.is_floating_point()
    ]
    layers: dict[str, list[str]] = {}
    for _, name in sorted(used, reverse=True):
        layers.setdefault(name.rpartition(".")[0] or name, []).append(name)
    if not layers:
        raise no_parameters("a module that was not seen to compute with parameters")
    return {layer: tuple(names) for layer, names in layers.items()}


def with_random_parameters(network: Network, layers: Sequence[str], seed: int) -> Network:
    """Return a network around a copy of the module, with random parameters in some layers.

    Raises
    ------
    InputError
        If there is no such layer.
    UnsupportedModelError
        As `parameter_layers`, and if the module cannot be copied.
    """
    known = parameter_layers(network)
    check_layers(layers, known)
    made = network.copied()
    parameters = dict(made.module.named_parameters())
    with torch.no_grad():
        for name in {name for layer in layers for name in known[layer]}:
            values = parameters[name].detach().to("cpu", torch.float64).numpy()
            parameters[name].copy_(torch.from_numpy(drawn_like(values, seed, name)))
    return made


def _gives_tensors(result: Any) -> bool:
    return isinstance(result, torch.Tensor) or (
        isinstance(result, (tuple, list)) and any(isinstance(one, torch.Tensor) for one in result)
    )


def _parameters(given: Iterable[Any]) -> Iterator[torch.nn.Parameter]:
    for one in given:
        if isinstance(one, torch.nn.Parameter):
            yield one
        elif isinstance(one, (tuple, list)):
            yield from _parameters(one)


def content_of(tensor: torch.Tensor) -> bytes:
    """Return what a tensor holds, whatever its layout."""
    dense = (tensor if tensor.layout == torch.strided else tensor.to_dense()).resolve_conj().resolve_neg()
    return dense.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
