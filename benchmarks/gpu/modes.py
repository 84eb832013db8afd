"""Ways to run a model: precision, layout of memory, CUDA graphs, compiled code; bare, and as a black box."""

from __future__ import annotations

import copy
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from benchmarks.gpu.device import Device
from benchmarks.gpu.networks import network_of

__all__ = ["MODES", "Mode", "OtherGradient", "bare", "box_of", "compilation", "rounding"]

Gradient = Callable[[Any, Any], tuple[Any, Any]]
"""Images and weights to scores and gradient."""


@dataclass(frozen=True)
class Mode:
    """One way.

    Attributes
    ----------
    tf32
        Whether products of matrices and convolutions round their factors to 10 bits.
    bf16
        Whether autocast to bfloat16 is on.
    channels_last
        Whether images and weights lie in NHWC memory.
    graph
        Whether forward and backward are recorded as a CUDA graph.
    compiled
        Whether ``torch.compile`` compiled the module.
    """

    tf32: bool = False
    bf16: bool = False
    channels_last: bool = False
    graph: bool = False
    compiled: bool = False

    @property
    def unit(self) -> str:
        """Whose peak it is held against."""
        return "bf16" if self.bf16 else "tf32" if self.tf32 else "fp32"


MODES: dict[str, Mode] = {
    "fp32": Mode(),
    "TF32": Mode(tf32=True),
    "bf16 autocast": Mode(tf32=True, bf16=True),
    "fp32, channels-last": Mode(channels_last=True),
    "TF32, channels-last": Mode(tf32=True, channels_last=True),
    "bf16 autocast, channels-last": Mode(tf32=True, bf16=True, channels_last=True),
    "TF32, channels-last, CUDA graph": Mode(tf32=True, channels_last=True, graph=True),
    "TF32, channels-last, compiled": Mode(tf32=True, channels_last=True, compiled=True),
}
"""The first is what others are held against."""


@contextmanager
def rounding(tf32: bool) -> Generator[None]:
    """Let products round their factors, or not, inside."""
    flags: tuple[Any, ...] = (torch.backends.cuda.matmul, torch.backends.cudnn)
    before = [one.allow_tf32 for one in flags]
    try:
        for one in flags:
            one.allow_tf32 = tf32
        yield
    finally:
        for one, value in zip(flags, before, strict=True):
            one.allow_tf32 = value


@contextmanager
def compilation(mode: Mode) -> Generator[Callable[[], dict[str, Any]]]:
    """Forget what was compiled before; what is yielded tells what was since, under a key, and nothing of other modes.

    A module that the compiler passes over would run as it was: that is an error, and so is running uncompiled once too
    many shapes were seen.
    """
    if not mode.compiled:
        yield dict[str, Any]
        return
    import torch._dynamo  # a tenth of a second that other modes need not wait
    from torch._dynamo.utils import counters

    def told() -> dict[str, Any]:
        captured = {
            "graphs": int(counters["stats"].get("unique_graphs", 0)),
            "calls": int(counters["stats"].get("calls_captured", 0)),
            "breaks": sum(counters["graph_break"].values()),
        }
        if not captured["graphs"]:
            raise RuntimeError("the compiler captured nothing: the module ran as it was")
        return {"compiled": captured}

    torch._dynamo.reset()
    counters.clear()
    settings: Any = torch._dynamo.config
    with settings.patch(fail_on_recompile_limit_hit=True):
        yield told


def bare(device: Device, name: str, mode: Mode, batch: int, side: int = 224) -> Callable[[], Any]:
    """Return one forward and backward run of the module alone, on noise of side² pixels that lies on the device."""
    module, _, ends = network_of(name)
    module = _placed(module, device, mode.channels_last)
    if mode.compiled:
        device.compile(module)
    images = torch.rand(batch, 3, side, side, generator=torch.Generator().manual_seed(0)).to(device.name)
    if mode.channels_last:
        images = images.contiguous(memory_format=torch.channels_last)
    weights = torch.eye(1000, device=device.name)[torch.arange(batch) % 1000]

    def once(given: torch.Tensor) -> torch.Tensor:
        leaf = given.detach().requires_grad_()
        with torch.autocast(device.name, torch.bfloat16, enabled=mode.bf16):
            outputs = module(leaf)
        scores = outputs.float() if ends else torch.softmax(outputs.float(), dim=1)
        return torch.autograd.grad((scores * weights).sum(), leaf)[0]

    run = device.replayed(once, images) if mode.graph else once
    return lambda: run(images)


def box_of(
    device: Device,
    name: str,
    mode: Mode,
    side: int = 224,
    batch: int | None = None,
    pixels: dict[str, Any] | None = None,
) -> Any:
    """Return the same as a black box of this package.

    Parameters
    ----------
    device, name, mode, side
        As in `bare`.
    batch
        The only size of batches whose gradients a compiled mode compiles: each other would be compiled anew.
    pixels
        What the box is told of its pixels, in place of what the network was trained with.
    """
    from blackbox_explain import Preprocessing
    from blackbox_explain.box.adapter_tools.description import Described
    from blackbox_explain_adapters._torch.box import wrap_torch

    module, usual, ends = network_of(name)
    rules = Preprocessing(**(pixels or usual))
    described = Described((3, side, side), (0.0, 1.0), rules, None, "none" if ends else "softmax")

    def wrapped() -> Any:
        placed = _placed(module, device, mode.channels_last)
        autocast = torch.bfloat16 if mode.bf16 else None
        return wrap_torch(placed, described, autocast=autocast, channels_last=mode.channels_last)

    box = wrapped()
    if mode.compiled:
        other = wrapped()
        device.compile(other.module)
        return OtherGradient(box, _of_batch(batch, other.scores_and_gradient, box.scores_and_gradient))
    return OtherGradient(box, _replayed(device, box.scores_and_gradient)) if mode.graph else box


class OtherGradient:
    """A black box whose gradients are computed in another way than its scores.

    Parameters
    ----------
    box
        Gives all but the gradients.
    gradient
        Images and weights to scores and gradient.
    """

    def __init__(self, box: Any, gradient: Gradient) -> None:
        self._box, self._gradient = box, gradient

    def __getattr__(self, name: str) -> Any:
        """Return what the box has."""
        if name.startswith("__"):  # of which a copy asks before there is a box
            raise AttributeError(name)
        return getattr(self._box, name)

    def scores_and_gradient(self, images: Any, weights: Any) -> tuple[Any, Any]:
        """Return scores (N, K) and d Σ(weights · scores) / d images (N, 3, H, W)."""
        return self._gradient(images, weights)


def _of_batch(batch: int | None, compiled: Gradient, plain: Gradient) -> Gradient:
    """Return gradients by compiled code for one size of batches, and by the plain module for all others."""

    def gradient(images: Any, weights: Any) -> tuple[Any, Any]:
        return (compiled if len(images) == batch else plain)(images, weights)

    return gradient


def _replayed(device: Device, plain: Gradient) -> Gradient:
    """Return gradients that are recorded once for each size of batches, and replayed."""
    recorded: dict[tuple[int, ...], Callable[..., Any]] = {}

    def gradient(images: Any, weights: Any) -> tuple[Any, Any]:
        shape = tuple(images.shape)
        if shape not in recorded:
            recorded[shape] = device.replayed(plain, images, weights)
        scores, found = recorded[shape](images, weights)
        return (scores.clone(), found.clone()) if device.cuda else (scores, found)

    return gradient


def _placed(module: torch.nn.Module, device: Device, channels_last: bool) -> torch.nn.Module:
    made: Any = copy.deepcopy(module).to(device.name)
    return made.to(memory_format=torch.channels_last) if channels_last else made
