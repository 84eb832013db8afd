"""The parameters of a PyTorch module: by layer, a copy with others in their place, and digests of modules."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from blackbox_explain.box.adapter_tools.description import plain_images
from blackbox_explain.box.adapter_tools.random_parameters import check_layers, drawn_like, no_parameters
from blackbox_explain_adapters._torch.layers import eagerly
from blackbox_explain_adapters._torch.network import Network

__all__ = ["digest_of", "digest_of_attributes", "parameter_layers", "with_random_parameters"]

PLAIN = (bool, int, float, complex, str, type(None))


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
        with torch.no_grad(), eagerly(), seen:
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


def digest_of(module: torch.nn.Module) -> str:
    """Return a digest of the parameters and buffers of a module, and of the code and constants of TorchScript in it."""
    digest = hashlib.sha256(type(module).__qualname__.encode())
    for name, value in module.state_dict().items():
        for tensor in _tensors(value):
            digest.update(f"{name}{tensor.dtype}{tuple(tensor.shape)}".encode())
            digest.update(_content(tensor))
    for one in module.modules():
        if isinstance(one, torch.jit.ScriptModule) and hasattr(one, "forward"):
            code, constants = one.code_with_constants
            digest.update(re.sub(r"\.___torch_mangle_\d+", "", code).encode())  # which count what was loaded before
            for name, value in sorted(constants.const_mapping.items()):
                for tensor in _tensors(value):
                    digest.update(f"{name}{tensor.dtype}{tuple(tensor.shape)}".encode() + _content(tensor))
    return digest.hexdigest()


def digest_of_attributes(module: torch.nn.Module) -> str:
    """Return a digest of what a module is made of besides: its layers, numbers and texts, tensors and buffers."""
    digest = hashlib.sha256(repr(module).encode())
    kept = set(module.state_dict())
    for name, buffer in module.named_buffers():
        if name not in kept and not buffer.is_meta:
            digest.update(name.encode() + _content(buffer))
    for path, one in module.named_modules():
        for name, value in sorted(vars(one).items()) if not isinstance(one, torch.jit.ScriptModule) else ():
            if isinstance(value, PLAIN) and name != "training":  # which is set and put back for each run
                digest.update(f"{path}.{name}={value!r}".encode())
            elif isinstance(value, torch.Tensor) and not value.is_meta:
                digest.update(f"{path}.{name}".encode() + _content(value))
    return digest.hexdigest()


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    """Yield the tensors of an entry of a state: of packed weights those that they were packed from."""
    if isinstance(value, torch.Tensor):
        if not value.is_meta:
            yield value
    elif isinstance(value, (tuple, list)):
        for one in value:
            yield from _tensors(one)
    elif isinstance(value, torch.ScriptObject) and hasattr(value, "unpack"):
        packed: Any = value
        yield from _tensors(packed.unpack())


def _content(tensor: torch.Tensor) -> bytes:
    """Return what a tensor holds, whatever its layout."""
    plain = tensor.detach()
    scale = b""
    if plain.is_quantized:
        each = plain.qscheme() in (torch.per_channel_affine, torch.per_channel_affine_float_qparams)
        scale = repr(
            plain.q_per_channel_scales().tolist() if each else (plain.q_scale(), plain.q_zero_point())
        ).encode()
        plain = plain.int_repr()
    dense = (plain if plain.layout == torch.strided else plain.to_dense()).resolve_conj().resolve_neg()
    return dense.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes() + scale
