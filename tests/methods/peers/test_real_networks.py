"""Every method on networks as they are met: trained ones, and transformers and ConvNeXt as torchvision writes them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import blackbox_explain as bx
from benchmarks.common.photos import data_folder
from benchmarks.models.networks import exported
from blackbox_explain.errors import UnsupportedModelError
from tests.adapters.onnx.architectures import ConvNextBlock, LayerNorm2d
from tests.methods.test_all_methods import BY_GRADIENT, BY_LAYERS, BY_RULES, BY_SCORES

TRAINED = ("googlenet", "squeezenet", "efficientnet-lite0")
RANDOM = ("vit", "convnext")

FEW: dict[str, dict[str, Any]] = {
    "mask": {"steps": 3},
    "rise": {"masks": 48},
    "lime": {"samples": 32, "segments": 8},
    "shapley": {"samples": 32, "segments": 8},
    "segment-graying": {"segments": 5},
    "extremal-perturbation": {"steps": 3},
    "circle-occlusion": {"spacing": 70.0},
    "variable-occlusion": {"spacing": 110.0, "radii": (17.5, 50.0)},
    "smoothgrad": {"samples": 3},
    "integrated-gradients": {"steps": 3},
    "blur-integrated-gradients": {"steps": 3},
    "occlusion": {"side": 32, "stride": 32},
}
"""Settings by which the model is asked seldom."""

REFUSED = {
    ("googlenet", "attention-rollout"): "No attention",
    ("squeezenet", "attention-rollout"): "No attention",
    ("efficientnet-lite0", "attention-rollout"): "No attention",
    ("convnext", "attention-rollout"): "No attention",
    ("vit", "cam"): "not defined for this model. Got gradients by the layer",
    ("convnext", "cam"): "not defined for this model. Got gradients by the layer",
    ("vit", "guided-backprop"): "whose activations are Erf",
    ("convnext", "guided-backprop"): "whose activations are Erf",
    ("vit", "deconvnet"): "whose activations are Erf",
    ("convnext", "deconvnet"): "whose activations are Erf",
}
"""What a network does not allow, with what of it the refusal names; all else gives a map."""


class Block(nn.Module):
    """Attention by PyTorch's own module, which exporters write in another way than the formula."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList([nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)])
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norms[0](x)
        x = x + self.attention(y, y, y, need_weights=False)[0]
        return x + self.mlp(self.norms[1](x))


class VisionTransformer(nn.Module):
    def __init__(self, size: int = 96, patch: int = 16, width: int = 64) -> None:
        super().__init__()
        self.side = size // patch
        self.patches = nn.Conv2d(3, width, patch, patch)
        self.token = nn.Parameter(torch.randn(1, 1, width) / 50)
        self.places = nn.Parameter(torch.randn(1, self.side**2 + 1, width) / 50)
        self.blocks = nn.Sequential(*(Block(width, 4) for _ in range(4)))
        self.norm, self.head = nn.LayerNorm(width, eps=1e-6), nn.Linear(width, 20)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = self.patches(x).reshape(x.shape[0], -1, self.side**2).permute(0, 2, 1)
        tokens = torch.cat([self.token.expand(x.shape[0], -1, -1), tokens], dim=1) + self.places
        return self.head(self.norm(self.blocks(tokens))[:, 0])


def convnext() -> nn.Module:
    """Make a ConvNeXt of four stages, whose mean over space is normalised before the linear layer."""
    widths, layers = (16, 32, 48, 64), [nn.Sequential(nn.Conv2d(3, 16, 4, 4), LayerNorm2d(16))]
    for place, width in enumerate(widths):
        layers.append(nn.Sequential(*(ConvNextBlock(width) for _ in range(1 + place % 2))))
        if place < 3:
            layers.append(nn.Sequential(LayerNorm2d(width), nn.Conv2d(width, widths[place + 1], 2, 2)))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), LayerNorm2d(64), nn.Flatten(), nn.Linear(64, 20))


@cache
def box(name: str) -> Any:
    if name == "efficientnet-lite0":
        return bx.wrap(name)
    if name == "googlenet":
        caffe = bx.Preprocessing(mean=(123 / 255, 117 / 255, 104 / 255), std=1 / 255, channels="BGR")
        return bx.wrap(data_folder() / name / "googlenet_bvlc.onnx", preprocessing=caffe)
    if name == "squeezenet":
        imagenet = bx.Preprocessing(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
        return bx.wrap(data_folder() / name / "squeezenet11.onnx", preprocessing=imagenet)
    torch.manual_seed(0)
    network = VisionTransformer() if name == "vit" else convnext()
    return bx.wrap(exported(network.eval(), (3, 96, 96)), activation="softmax", cache=False)


@pytest.mark.exhaustive
@pytest.mark.parametrize("method", [*BY_SCORES, *BY_GRADIENT, *BY_LAYERS, *BY_RULES])
@pytest.mark.parametrize("name", [*TRAINED, *RANDOM])
def test_each_gives_a_map_or_names_what_is_missing(name: str, method: str, shared_photos: list[Path]) -> None:
    photo = next(one for one in shared_photos if one.name.startswith("0292"))
    images = bx.load_images([photo], box(name).spec)
    why = REFUSED.get((name, method))
    if why is not None:
        with pytest.raises(UnsupportedModelError, match=why):
            bx.explain(box(name), images, method=method, progress=False)
        return
    found = bx.explain(box(name), images, method=method, progress=False, **FEW.get(method, {}))
    assert found.saliency.shape == (1, *box(name).spec.spatial)
    assert np.isfinite(found.saliency).all()
    assert np.ptp(found.saliency) > 0
