"""The two networks that are measured, where the weights of the second lie, and what one image costs."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

import torch

__all__ = ["FIRST", "NETWORKS", "flops_of", "googlenet_file", "googlenet_files", "network_of", "side_of"]

FIRST = "EfficientNet-Lite0"

NETWORKS = (FIRST, "GoogLeNet")

GOOGLENET_SIDE = 224
"""Pixels; it reads no other size."""


def googlenet_files() -> list[Path]:
    """Return the places where the ONNX file of BVLC's GoogLeNet is looked for."""
    root = Path(__file__).parents[2]
    # The first is ignored by git, and can be taken along to a machine that gets the sources alone.
    folders = [root / "build" / "data", root / "shared" / "data", root.parent / "shared" / "data"]
    if "BLACKBOX_EXPLAIN_DATA" in os.environ:
        folders.insert(0, Path(os.environ["BLACKBOX_EXPLAIN_DATA"]))
    return [folder / "googlenet" / "googlenet_bvlc.onnx" for folder in folders]


def googlenet_file() -> Path:
    """Return where that file lies, or the first place where it is looked for."""
    files = googlenet_files()
    return next((one for one in files if one.is_file()), files[0])


@cache
def network_of(name: str) -> tuple[torch.nn.Module, dict[str, Any], bool]:
    """Return a network on the CPU, what a box is told of its pixels, and whether it ends in a softmax itself."""
    if name == FIRST:
        from benchmarks.models.efficientnet_lite0_folded import folded_network

        return folded_network(), {"mean": 127 / 255, "std": 128 / 255, "channels": "RGB"}, False
    from benchmarks.models.networks import googlenet

    mean = tuple(one / 255 for one in (123, 117, 104))
    return googlenet(googlenet_file()), {"mean": mean, "std": 1 / 255, "channels": "BGR"}, True


def side_of(name: str, side: int) -> int:
    """Return the side of a network's images, where `side` is that of networks that read any."""
    return side if name == FIRST else GOOGLENET_SIDE


@cache
def flops_of(name: str, side: int = 224) -> int:
    """Count the floating-point operations of forward and backward for one image of side² pixels."""
    from torch.utils.flop_counter import FlopCounterMode

    module = network_of(name)[0]
    leaf = torch.rand(1, 3, side, side).requires_grad_()
    with FlopCounterMode(display=False) as counter:
        module(leaf).sum().backward()
    return counter.get_total_flops()
