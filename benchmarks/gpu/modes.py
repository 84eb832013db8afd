"""Ways to run a model: precision, layout of memory, CUDA graphs, compiled code; bare, and as a black box."""

from __future__ import annotations

import copy
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch

from benchmarks.gpu.device import Device

__all__ = ["FIRST", "MODES", "NETWORKS", "Mode", "bare", "box_of", "network_of", "rounding"]


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

FIRST = "EfficientNet-Lite0"

NETWORKS = (FIRST, "GoogLeNet")


@cache
def network_of(name: str) -> tuple[torch.nn.Module, dict[str, Any], bool]:
    """Return a network on the CPU, what a box is told of its pixels, and whether it ends in a softmax itself."""
    if name == FIRST:
        from benchmarks.models.efficientnet_lite0_folded import folded_network

        return folded_network(), {"mean": 127 / 255, "std": 128 / 255, "channels": "RGB"}, False
    from benchmarks.gpu.files import googlenet_file
    from benchmarks.models.networks import googlenet

    mean = tuple(one / 255 for one in (123, 117, 104))
    return googlenet(googlenet_file()), {"mean": mean, "std": 1 / 255, "channels": "BGR"}, True


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


def bare(device: Device, name: str, mode: Mode, batch: int, side: int = 224) -> Callable[[], Any]:
    """Return one forward and backward run of the module alone, on noise of side² pixels that lies on the device."""
    module, _, ends = network_of(name)
    module = _placed(module, device, mode)
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


def box_of(device: Device, name: str, mode: Mode, side: int = 224) -> Any:
    """Return the same as a black box of this package; entry points are not needed."""
    from blackbox_explain import Preprocessing
    from blackbox_explain.box.adapter_tools.description import Described
    from blackbox_explain_adapters._torch.box import wrap_torch

    module, pixels, ends = network_of(name)
    placed = _placed(module, device, Mode(channels_last=mode.channels_last))
    described = Described((3, side, side), (0.0, 1.0), Preprocessing(**pixels), None, "none" if ends else "softmax")
    autocast = torch.bfloat16 if mode.bf16 else None
    box = wrap_torch(placed, described, autocast=autocast, channels_last=mode.channels_last)
    if mode.compiled:
        device.compile(box.module)
    return Replayed(box, device) if mode.graph else box


class Replayed:
    """A black box whose gradients are recorded once for each size of batches, and replayed."""

    def __init__(self, box: Any, device: Device) -> None:
        self._box, self._device = box, device
        self._recorded: dict[tuple[int, ...], Callable[..., Any]] = {}

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # as while a copy is made, before there is a box
            raise AttributeError(name)
        return getattr(self._box, name)

    def scores(self, images: Any) -> Any:
        """Map images (N, 3, H, W) in pixel space to scores (N, K)."""
        return self._box.scores(images)

    def scores_and_gradient(self, images: Any, weights: Any) -> Any:
        """Return scores (N, K) and d Σ(weights · scores) / d images (N, 3, H, W)."""
        shape = tuple(images.shape)
        if shape not in self._recorded:
            self._recorded[shape] = self._device.replayed(self._box.scores_and_gradient, images, weights)
        scores, gradient = self._recorded[shape](images, weights)
        return (scores.clone(), gradient.clone()) if self._device.cuda else (scores, gradient)


def _placed(module: torch.nn.Module, device: Device, mode: Mode) -> torch.nn.Module:
    made: Any = copy.deepcopy(module).to(device.name)
    if mode.channels_last:
        made = made.to(memory_format=torch.channels_last)
    if mode.compiled:
        device.compile(made)
    return made
