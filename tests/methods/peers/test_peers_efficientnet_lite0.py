"""Methods against those of Captum on EfficientNet-Lite0 and two photos, from PyTorch and from ONNX.

Captum is given the same weights in modules that it can follow: rectifiers as a kind of ``torch.nn.ReLU``, which are the
only ones that it guides, though they are cut at 6 as the network's own; sums as modules; padding apart from the
convolutions.  The boxes are of the published network as it is.  Both read what the preprocessing gives, so that
products with the input mean the same.
"""

from __future__ import annotations

from contextlib import nullcontext
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import blackbox_explain as bx
from benchmarks.models.efficientnet_lite0 import network
from benchmarks.models.networks import exported
from blackbox_explain.methods.gradients import IntegratedGradients
from blackbox_explain.methods.occlusions import Occlusion
from blackbox_explain.methods.rewritten import Lrp
from blackbox_explain.samples import CAT, COFFEE
from tests.methods.peers.test_peers import alike

pytestmark = pytest.mark.exhaustive

SHAPE = (3, 224, 224)


class Rectified(nn.ReLU):
    """ReLU6, which Captum takes for the ReLU that it guides."""

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        return nn.functional.relu6(given)


class Padded(nn.Module):
    """A convolution of the network: its padding, which is not the same on both sides, then itself."""

    def __init__(self, source: Any) -> None:
        super().__init__()
        padding = source.static_padding.padding if isinstance(source.static_padding, nn.ZeroPad2d) else (0, 0, 0, 0)
        self.sides = tuple(padding)
        out, inside, *size = source.weight.shape
        self.conv = nn.Conv2d(
            inside * source.groups, out, tuple(size), source.stride, groups=source.groups, bias=source.bias is not None
        )
        self.conv.load_state_dict(source.state_dict())

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        # Captum follows a tensor by itself: the input of a sum must be the input of the convolution beside it.
        return self.conv(nn.functional.pad(given, self.sides) if any(self.sides) else given)


class Block(nn.Module):
    """An inverted residual, with its sum as a module."""

    def __init__(self, source: Any, add: nn.Module | None) -> None:
        super().__init__()
        widened = [Padded(source._expand_conv), source._bn0, Rectified()] if hasattr(source, "_expand_conv") else []
        self.branch = nn.Sequential(
            *widened,
            *(Padded(source._depthwise_conv), source._bn1, Rectified(), Padded(source._project_conv), source._bn2),
        )
        self.add = add

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        return self.branch(given) if self.add is None else self.add(self.branch(given), given)


class Plain(nn.Module):
    """EfficientNet-Lite0 of modules that Captum can follow."""

    def __init__(self, source: Any) -> None:
        super().__init__()
        from captum.attr._utils.custom_modules import Addition_Module

        blocks = []
        for one in source._blocks:
            told = one._block_args
            around = one.id_skip and one._depthwise_conv.stride[0] == 1 and told.input_filters == told.output_filters
            blocks.append(Block(one, Addition_Module() if around else None))
        self.features = nn.Sequential(
            *(Padded(source._conv_stem), source._bn0, Rectified(), *blocks),
            *(Padded(source._conv_head), source._bn1),
        )
        self.last = Rectified()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = source._fc

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        return self.head(self.pool(self.last(self.features(given))).flatten(1))


@cache
def images() -> np.ndarray:
    spec: Any = bx.wrap("efficientnet-lite0").spec
    return spec.preprocessing.forward(bx.load_images([COFFEE, CAT], spec)).astype(np.float32)


@cache
def targets() -> list[int]:
    return box("torch").scores(images()).argmax(axis=1).tolist()


@cache
def box(kind: str) -> Any:
    if kind == "torch":
        return bx.wrap(network(), shape=SHAPE, bounds=(-1, 1), activation="none")
    return bx.wrap(exported(network(), SHAPE), bounds=(-1, 1), activation="none")


def explained(kind: str, method: Any) -> bx.Explanation:
    return bx.explain(box(kind), images(), targets(), method=method, progress=False)


def by_captum(name: str, *layer: str, dtype: torch.dtype = torch.float32, **options: Any) -> np.ndarray:
    """Return what Captum attributes to the photos."""
    captum: Any = pytest.importorskip("captum.attr")
    model = Plain(network()).eval().to(dtype)
    made = getattr(captum, name)(model, *(dict(model.named_modules())[one] for one in layer))
    leaf = torch.tensor(images(), dtype=dtype, requires_grad=True)
    with pytest.warns() if name in ("GuidedBackprop", "Deconvolution") else nullcontext():
        return made.attribute(leaf, target=torch.tensor(targets()), **options).detach().numpy()


@pytest.fixture
def captum_knows_relu6(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let relevance pass our rectifiers as it passes ReLU: Captum goes by the very type there."""
    lrp: Any = pytest.importorskip("captum.attr._core.lrp")
    monkeypatch.setattr(lrp, "SUPPORTED_NON_LINEAR_LAYERS", [*lrp.SUPPORTED_NON_LINEAR_LAYERS, Rectified])


def test_captum_is_given_the_same_network() -> None:
    with torch.no_grad():
        scores = Plain(network()).eval()(torch.tensor(images())).numpy()
    for kind in ("torch", "onnx"):
        np.testing.assert_allclose(scores, box(kind).scores(images()), atol=1e-4)


@pytest.mark.usefixtures("captum_knows_relu6")
@pytest.mark.parametrize("kind", ["torch", "onnx"])
@pytest.mark.parametrize(
    ("method", "captum", "options"),
    [
        ("gradient", "Saliency", {"abs": False}),
        ("gradient-times-input", "InputXGradient", {}),
        (
            IntegratedGradients(steps=20),
            "IntegratedGradients",
            {"baselines": -1.0, "n_steps": 20, "method": "riemann_middle"},
        ),
        ("guided-backprop", "GuidedBackprop", {}),
        ("deconvnet", "Deconvolution", {}),
        (Lrp("epsilon", epsilon=1e-9), "LRP", {}),
    ],
)
def test_attributions_are_those_of_captum(kind: str, method: Any, captum: str, options: dict[str, Any]) -> None:
    found = explained(kind, method).attribution
    assert found is not None
    alike(found, by_captum(captum, **options))


@pytest.mark.parametrize("kind", ["torch", "onnx"])
def test_occlusion_is_that_of_captum(kind: str) -> None:
    found = explained(kind, Occlusion(side=64, stride=32, perturbation="low"))
    given = by_captum("Occlusion", sliding_window_shapes=(3, 64, 64), strides=(3, 32, 32), baselines=-1.0)
    alike(found.saliency, given[:, 0])


@pytest.mark.parametrize("kind", ["torch", "onnx"])
def test_grad_cam_is_that_of_captum(kind: str) -> None:
    given = by_captum("LayerGradCam", "last", relu_attributions=True)
    upsampled = nn.functional.interpolate(torch.tensor(given), size=SHAPE[1:], mode="bilinear").numpy()[:, 0]
    assert (upsampled.max(axis=(1, 2)) > 0).all()
    alike(explained(kind, "grad-cam").saliency, upsampled)
