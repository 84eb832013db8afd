"""EfficientNet-Lite0 in PyTorch from the shipped file alone: its normalisations are folded into its convolutions."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.models.onnx_weights import weights_of
from blackbox_explain.samples import MODEL

__all__ = ["EfficientNetLite0", "folded_network"]

HALVING = {1, 3, 5, 11}
"""Blocks that halve the size of what they get."""

BLOCKS = 16


class ReLU6(nn.ReLU):
    """A rectifier that ends at 6, of the class that guided backpropagation of other packages looks for."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Cut to 0 to 6."""
        return nn.functional.relu6(input)


class Convolution(nn.Module):
    """A convolution padded as TensorFlow does: where it halves the size, one more row and column behind than before."""

    def __init__(self, weight: Any, bias: Any, stride: int = 1, rectified: bool = True) -> None:
        super().__init__()
        out, inside, size, _ = weight.shape
        self.behind = size // 2 if stride == 2 else 0
        # Filters of one channel are those of each channel by itself; the file has no others of that kind.
        groups = out if inside == 1 else 1
        padding = 0 if stride == 2 else size // 2
        self.conv = nn.Conv2d(inside * groups, out, size, stride, padding, groups=groups)
        self.conv.weight.data, self.conv.bias = torch.tensor(weight), nn.Parameter(torch.tensor(bias))
        self.relu = ReLU6() if rectified else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C, H, W) to (N, outputs, H / stride, W / stride)."""
        if self.behind:
            before, behind = self.behind - 1, self.behind
            x = nn.functional.pad(x, (before, behind, before, behind))
        return self.relu(self.conv(x))


class Block(nn.Module):
    """Widen, filter each channel, narrow; with a way around where the shapes agree."""

    def __init__(self, parts: list[Convolution]) -> None:
        super().__init__()
        self.parts = nn.Sequential(*parts)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C, H, W) to the same or another number of channels."""
        y = self.parts(x)
        return x + y if x.shape == y.shape else y


class EfficientNetLite0(nn.Module):
    """The shipped network; gives logits.

    Parameters
    ----------
    convolutions
        (weight, bias) of the 49 convolutions, in the order in which they run.
    weight, bias
        (1000, 1280) and (1000,) of the last layer.
    """

    def __init__(self, convolutions: list[tuple[Any, Any]], weight: Any, bias: Any) -> None:
        super().__init__()
        stem, *inner, head = convolutions
        self.stem, self.head = Convolution(*stem, stride=2), Convolution(*head)
        rest, blocks = iter(inner), list[Block]()
        for place in range(BLOCKS):
            stride = 2 if place in HALVING else 1
            wide = [Convolution(*next(rest))] if place else []
            blocks.append(Block([*wide, Convolution(*next(rest), stride), Convolution(*next(rest), rectified=False)]))
        self.blocks = nn.Sequential(*blocks)
        self.classifier = nn.Linear(weight.shape[1], weight.shape[0])
        self.classifier.weight.data, self.classifier.bias.data = torch.tensor(weight), torch.tensor(bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, 3, 224, 224), (RGB − 127) / 128, to (N, 1000)."""
        return self.classifier(self.head(self.blocks(self.stem(x))).mean(dim=(2, 3)))


def folded_network() -> EfficientNetLite0:
    """Return the shipped classifier in evaluation mode, without its softmax."""
    stored = weights_of(MODEL)
    places = sorted(int(name.rpartition("_")[2].partition("/")[0]) for name in stored if name.startswith("onnx::Conv_"))

    def named(place: int) -> np.ndarray[Any, Any]:
        name = f"onnx::Conv_{place}"
        return stored[name] if name in stored else stored[f"{name}/half"]

    pairs = [(named(weight), named(bias)) for weight, bias in zip(places[::2], places[1::2], strict=True)]
    classifier = stored.get("0._fc.weight", stored.get("0._fc.weight/half"))
    return EfficientNetLite0(pairs, classifier, stored["0._fc.bias"]).eval().requires_grad_(False)
