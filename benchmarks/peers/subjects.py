"""The two trained networks that peers are compared on, in the forms in which packages take them.

A trained ResNet is not to be had without downloading: EfficientNet-Lite0 is what has residual blocks, and GoogLeNet is
the paper's network.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

import torch

from benchmarks.common.photos import data_folder
from benchmarks.models.efficientnet_lite0_folded import folded_network
from benchmarks.models.networks import GoogLeNet, googlenet
from benchmarks.rules import black_box
from blackbox_explain import BlackBox, wrap
from blackbox_explain.samples import MODEL

__all__ = ["MODELS", "Model", "Subject", "subject_of"]

Model = Literal["efficientnet-lite0", "googlenet"]
Network = TypeVar("Network", bound=torch.nn.Module)

MODELS: tuple[Model, ...] = get_args(Model)


@dataclass(frozen=True, eq=False)
class Subject:
    """A network.

    Attributes
    ----------
    name
        Its own.
    torch, onnx
        As boxes.
    judge
        By which maps are judged: the file on a CPU, where it is faster, or the module.
    module
        Makes the PyTorch module anew, and its last layer with a spatial extent: it gives logits, and some packages
        leave hooks behind.
    path
        Of the ONNX file.
    """

    name: Model
    torch: Any
    onnx: BlackBox
    judge: BlackBox
    module: Callable[[], tuple[torch.nn.Module, torch.nn.Module]]
    path: Path


class Logits(torch.nn.Module):
    """GoogLeNet without its softmax."""

    def __init__(self, network: GoogLeNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map what the network reads (N, 3, 224, 224) to logits (N, 1000)."""
        return self.network.logits(x)


def subject_of(name: Model, device: str = "cpu") -> Subject:
    """Return a network, its boxes on a device."""
    onnx = black_box(name)
    path = MODEL if name == "efficientnet-lite0" else data_folder() / "googlenet" / "googlenet_bvlc.onnx"

    def module() -> tuple[torch.nn.Module, torch.nn.Module]:
        if name == "efficientnet-lite0":
            light = _channels_last(folded_network().to(device))
            return light, light.head
        heavy = _channels_last(googlenet(path).to(device))
        return Logits(heavy).eval(), heavy.blocks["5b"]

    network, _ = module()
    box = wrap(network, spec=onnx.spec, activation="softmax", channels_last=True, device=device)
    return Subject(name, box, onnx, onnx if device == "cpu" else box, module, path)


def _channels_last(module: Network) -> Network:
    """Return it as our own box has it: a quarter faster on a CPU."""
    to: Any = module.to  # whose overloads for memory formats are told for four dimensions alone
    return to(memory_format=torch.channels_last)
