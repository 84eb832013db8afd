"""PyTorch networks that the benchmarks compare with: BVLC GoogLeNet (weights from ONNX), ResNet-18, MobileNetV3."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from benchmarks.models.onnx_weights import weights_of

if TYPE_CHECKING:
    import onnx

__all__ = ["GoogLeNet", "MobileNetV3", "ResNet18", "exported", "googlenet"]

INCEPTIONS = {
    "3a": (192, 64, 96, 128, 16, 32, 32),
    "3b": (256, 128, 128, 192, 32, 96, 64),
    "4a": (480, 192, 96, 208, 16, 48, 64),
    "4b": (512, 160, 112, 224, 24, 64, 64),
    "4c": (512, 128, 128, 256, 24, 64, 64),
    "4d": (512, 112, 144, 288, 32, 64, 64),
    "4e": (528, 256, 160, 320, 32, 128, 128),
    "5a": (832, 256, 160, 320, 32, 128, 128),
    "5b": (832, 384, 192, 384, 48, 128, 128),
}
"""Inputs, then outputs of 1×1, 3×3 reduce, 3×3, 5×5 reduce, 5×5 and pool projection."""


def exported(
    model: nn.Module, shape: tuple[int, ...], opset: int = 18, names: tuple[str, str] = ("x", "y")
) -> onnx.ModelProto:
    """Export a module by the TorchScript exporter, batch size free."""
    import onnx  # which is absent where these networks alone are used

    buffer: Any = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter says that it is the older of two
        torch.onnx.export(
            model,
            (torch.zeros(2, *shape),),
            buffer,
            dynamo=False,
            opset_version=opset,
            input_names=[names[0]],
            output_names=[names[1]],
            dynamic_axes={name: {0: "N"} for name in names},
        )
    return onnx.load_model_from_string(buffer.getvalue())


class Inception(nn.Module):
    """Four branches, joined."""

    def __init__(self, inputs: int, one: int, reduce3: int, three: int, reduce5: int, five: int, pool: int) -> None:
        super().__init__()
        self.branches = nn.ModuleDict(
            {
                "1x1": nn.Conv2d(inputs, one, 1),
                "3x3_reduce": nn.Conv2d(inputs, reduce3, 1),
                "3x3": nn.Conv2d(reduce3, three, 3, padding=1),
                "5x5_reduce": nn.Conv2d(inputs, reduce5, 1),
                "5x5": nn.Conv2d(reduce5, five, 5, padding=2),
                "pool_proj": nn.Conv2d(inputs, pool, 1),
            }
        )
        self.relu = nn.ReLU()  # a module, which guided backpropagation of other packages looks for

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H, W)."""
        at, relu = self.branches, self.relu
        pooled = nn.functional.max_pool2d(x, 3, 1, 1, ceil_mode=True)
        parts = (
            relu(at["1x1"](x)),
            relu(at["3x3"](relu(at["3x3_reduce"](x)))),
            relu(at["5x5"](relu(at["5x5_reduce"](x)))),
            relu(at["pool_proj"](pooled)),
        )
        return torch.cat(parts, dim=1)


class GoogLeNet(nn.Module):
    """The network of the paper's experiments, without its auxiliary classifiers; gives probabilities."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3)
        self.reduce2 = nn.Conv2d(64, 64, 1)
        self.conv2 = nn.Conv2d(64, 192, 3, padding=1)
        self.blocks = nn.ModuleDict({name: Inception(*sizes) for name, sizes in INCEPTIONS.items()})
        self.classifier = nn.Linear(1024, 1000)
        self.relu = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, 3, 224, 224), BGR less its mean, to (N, 1000)."""
        return self.logits(x).softmax(dim=1)

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, 3, 224, 224) to (N, 1000), before the softmax."""

        def pool(y: torch.Tensor) -> torch.Tensor:
            return nn.functional.max_pool2d(y, 3, 2, ceil_mode=True)

        def normalise(y: torch.Tensor) -> torch.Tensor:
            return nn.functional.local_response_norm(y, 5, alpha=1e-4, beta=0.75, k=1.0)

        x = normalise(pool(self.relu(self.conv1(x))))
        x = pool(normalise(self.relu(self.conv2(self.relu(self.reduce2(x))))))
        for name, block in self.blocks.items():
            x = block(pool(x) if name in ("4a", "5a") else x)
        return self.classifier(nn.functional.avg_pool2d(x, 7, 1).flatten(1))


def googlenet(path: Path) -> GoogLeNet:
    """Return GoogLeNet with the weights of BVLC's, taken from an ONNX file by their names."""
    stored = weights_of(path)
    network = GoogLeNet()
    layers: dict[str, Any] = {
        "conv1/7x7_s2": network.conv1,
        "conv2/3x3_reduce": network.reduce2,
        "conv2/3x3": network.conv2,
    }
    layers["loss3/classifier"] = network.classifier
    for name, block in network.blocks.items():
        branches: Any = block.branches
        for branch, layer in branches.items():
            layers[f"inception_{name}/{branch}"] = layer
    for name, layer in layers.items():
        layer.weight.data = torch.tensor(np.array(stored[f"{name}.w"]))
        layer.bias.data = torch.tensor(np.array(stored[f"{name}.b"]))
    return network.eval().requires_grad_(False)


class Residual(nn.Module):
    """Two convolutions and a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.second = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm2d(outputs), nn.BatchNorm2d(outputs)])
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H / stride, W / stride)."""
        y = self.norms[0](self.first(x)).relu()
        return (self.norms[1](self.second(y)) + self.shortcut(x)).relu()


class ResNet18(nn.Module):
    """ResNet-18 with random weights; gives logits."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)
        )
        widths = (64, 128, 256, 512)
        blocks = [
            Residual(inputs if k == 0 else outputs, outputs, stride if k == 0 else 1)
            for inputs, outputs, stride in zip((64, *widths), widths, (1, 2, 2, 2), strict=False)
            for k in range(2)
        ]
        self.blocks = nn.Sequential(*blocks)
        self.classifier = nn.Linear(512, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, 3, H, W) to (N, classes)."""
        return self.classifier(self.blocks(self.stem(x)).mean(dim=(2, 3)))


class Gate(nn.Module):
    """Squeeze and excitation."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(channels, channels // 4, 1), nn.Conv2d(channels // 4, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Scale the channels of (N, C, H, W)."""
        return x * nn.functional.hardsigmoid(self.up(self.down(x.mean(dim=(2, 3), keepdim=True)).relu()))


class Inverted(nn.Module):
    """Expand, filter each channel, gate, project."""

    def __init__(self, inputs: int, size: int, wide: int, outputs: int, gated: bool, swish: bool, stride: int) -> None:
        super().__init__()
        act = nn.Hardswish if swish else nn.ReLU
        self.adds = stride == 1 and inputs == outputs
        self.body = nn.Sequential(
            *([nn.Conv2d(inputs, wide, 1, bias=False), nn.BatchNorm2d(wide), act()] if wide != inputs else []),
            nn.Conv2d(wide, wide, size, stride, size // 2, groups=wide, bias=False),
            nn.BatchNorm2d(wide),
            *([Gate(wide)] if gated else []),
            act(),
            nn.Conv2d(wide, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H / stride, W / stride)."""
        return x + self.body(x) if self.adds else self.body(x)


class MobileNetV3(nn.Module):
    """MobileNetV3-Large with random weights; gives logits."""

    ROWS = (
        (3, 16, 16, False, False, 1),
        (3, 64, 24, False, False, 2),
        (3, 72, 24, False, False, 1),
        (5, 72, 40, True, False, 2),
        (5, 120, 40, True, False, 1),
        (5, 120, 40, True, False, 1),
        (3, 240, 80, False, True, 2),
        (3, 200, 80, False, True, 1),
        (3, 184, 80, False, True, 1),
        (3, 184, 80, False, True, 1),
        (3, 480, 112, True, True, 1),
        (3, 672, 112, True, True, 1),
        (5, 672, 160, True, True, 2),
        (5, 960, 160, True, True, 1),
        (5, 960, 160, True, True, 1),
    )
    """Kernel, expanded width, outputs, gate, hard swish and stride of each block."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        inputs = (16, *(row[2] for row in self.ROWS))
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.Hardswish())
        self.blocks = nn.Sequential(*(Inverted(one, *row) for one, row in zip(inputs, self.ROWS, strict=False)))
        self.last = nn.Sequential(nn.Conv2d(160, 960, 1, bias=False), nn.BatchNorm2d(960), nn.Hardswish())
        self.classifier = nn.Sequential(nn.Linear(960, 1280), nn.Hardswish(), nn.Linear(1280, classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, 3, H, W) to (N, classes)."""
        return self.classifier(self.last(self.blocks(self.stem(x))).mean(dim=(2, 3)))
