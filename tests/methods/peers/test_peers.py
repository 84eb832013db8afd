"""Methods against those of Captum, pytorch-grad-cam and LIME, by the same weights, from PyTorch and from ONNX."""

from __future__ import annotations

import sys
import types
from contextlib import nullcontext
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import blackbox_explain as bx
from benchmarks.models.networks import exported
from blackbox_explain.methods.gradients import IntegratedGradients
from blackbox_explain.methods.occlusions import Lime, Occlusion
from blackbox_explain.methods.occlusions.lime import local_weights
from blackbox_explain.methods.rewritten import Lrp

SIZE, CLASSES = 32, 5
TARGETS = [3, 0, 3]


class Small(nn.Module):
    """A small network in the manner of VGG."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        )
        self.head = nn.Sequential(nn.Linear(16 * 8 * 8, 32), nn.ReLU(), nn.Linear(32, CLASSES))

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(given).flatten(1))


def network() -> nn.Module:
    torch.manual_seed(0)
    return Small().eval()


LAST = "features.6"
"""The last ReLU of the convolutional part."""


def images() -> Any:
    return np.random.default_rng(2).random((3, 3, SIZE, SIZE)).astype(np.float32)


@cache
def box(kind: str) -> Any:
    model = network()
    if kind == "torch":
        return bx.wrap(model, shape=(3, SIZE, SIZE), activation="none")
    return bx.wrap(exported(model, (3, SIZE, SIZE)), activation="none", cache=False)


def layer_of(kind: str) -> str:
    """Return the name of the last ReLU of the convolutional part."""
    if kind == "torch":
        return LAST
    return [one.name for one in box(kind).layers() if one.kind == "Relu" and len(one.shape) == 3][-1]


def explained(kind: str, method: Any, **settings: Any) -> bx.Explanation:
    return bx.explain(box(kind), images(), TARGETS, method=method, progress=False, **settings)


def alike(first: Any, second: Any) -> None:
    """Compare maps image by image: their correlation is at least 0.999."""
    for one, other in zip(np.asarray(first), np.asarray(second), strict=True):
        if not one.any():  # a class for which no channel speaks
            assert not other.any()
            continue
        assert np.corrcoef(one.ravel(), other.ravel())[0, 1] >= 0.999


def by_captum(name: str, *layer: Any, **options: Any) -> Any:
    captum: Any = pytest.importorskip("captum.attr")
    model = network()
    made = getattr(captum, name)(model, *(dict(model.named_modules())[one] for one in layer))
    leaf = torch.tensor(images(), requires_grad=True)
    with pytest.warns() if name in ("GuidedBackprop", "Deconvolution") else nullcontext():
        return made.attribute(leaf, target=torch.tensor(TARGETS), **options).detach().numpy()


@pytest.mark.parametrize("kind", ["torch", "onnx"])
@pytest.mark.parametrize(
    ("method", "captum", "options"),
    [
        ("gradient", "Saliency", {"abs": False}),
        ("gradient-times-input", "InputXGradient", {}),
        (
            IntegratedGradients(steps=20),
            "IntegratedGradients",
            {"baselines": 0.0, "n_steps": 20, "method": "riemann_middle"},
        ),
        ("guided-backprop", "GuidedBackprop", {}),
        ("deconvnet", "Deconvolution", {}),
        (Lrp("epsilon", epsilon=1e-9), "LRP", {}),
    ],
)
def test_attributions_are_those_of_captum(kind: str, method: Any, captum: str, options: dict[str, Any]) -> None:
    found = explained(kind, method)
    assert found.attribution is not None
    alike(found.attribution, by_captum(captum, **options))


def test_a_gradient_may_be_that_of_the_logits_behind_the_scores() -> None:
    model = network()
    scores, logits = (bx.wrap(model, shape=(3, SIZE, SIZE), activation=one) for one in ("softmax", "none"))
    options: dict[str, Any] = {"method": "gradient", "progress": False}
    expected = bx.explain(logits, images(), TARGETS, **options)
    found = bx.explain(scores, images(), TARGETS, of="logits", **options)
    np.testing.assert_allclose(found.attribution, expected.attribution, atol=1e-7)
    assert not np.allclose(bx.explain(scores, images(), TARGETS, **options).attribution, expected.attribution)


@pytest.mark.parametrize("kind", ["torch", "onnx"])
def test_occlusion_is_that_of_captum(kind: str) -> None:
    found = explained(kind, Occlusion(side=8, stride=4, perturbation="low"))
    given = by_captum("Occlusion", sliding_window_shapes=(3, 8, 8), strides=(3, 4, 4), baselines=0.0)
    alike(found.saliency, given[:, 0])


@pytest.mark.parametrize("kind", ["torch", "onnx"])
def test_grad_cam_is_that_of_captum(kind: str) -> None:
    found = explained(kind, "grad-cam", layer=layer_of(kind))
    given = by_captum("LayerGradCam", LAST, relu_attributions=True)
    upsampled = nn.functional.interpolate(torch.tensor(given), size=(SIZE, SIZE), mode="bilinear").numpy()
    assert (upsampled.max(axis=(1, 2, 3)) > 0).sum() >= 2
    np.testing.assert_allclose(found.saliency, upsampled[:, 0], rtol=1e-3, atol=1e-5 * upsampled.max())


@pytest.mark.parametrize("kind", ["torch", "onnx"])
@pytest.mark.parametrize(
    ("method", "peer"), [("grad-cam", "GradCAM"), ("grad-cam++", "GradCAMPlusPlus"), ("layer-cam", "LayerCAM")]
)
def test_class_activation_maps_are_those_of_the_peer(
    kind: str, method: str, peer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The peer imports torchvision for its pictures alone, and torchvision takes one version of torch only.
    for module, names in (
        ("torchvision", ()),
        ("torchvision.transforms", ("Compose", "Normalize", "ToTensor")),
        ("torchvision.transforms.functional", ("resize",)),
    ):
        stand_in = types.ModuleType(module)
        for name in names:
            setattr(stand_in, name, object)
        monkeypatch.setitem(sys.modules, module, stand_in)
    peers: Any = pytest.importorskip("pytorch_grad_cam")
    targets: Any = pytest.importorskip("pytorch_grad_cam.utils.model_targets")
    model = network()
    layer = dict(model.named_modules())[LAST]
    with getattr(peers, peer)(model=model, target_layers=[layer]) as cam:
        given = cam(torch.tensor(images()), [targets.ClassifierOutputTarget(one) for one in TARGETS])
    # It scales each map to reach from 0 to 1, which a correlation does not see.
    alike(explained(kind, method, layer=layer_of(kind)).saliency, given)


def test_weights_are_those_of_lime() -> None:
    lime: Any = pytest.importorskip("lime.lime_base")
    rng = np.random.default_rng(4)
    there = rng.random((200, 12)) < 0.5
    there[0] = True
    values = rng.random(200)
    distances = 1 - np.sqrt(there.mean(axis=1))
    settings = Lime()
    base = lime.LimeBase(lambda d: np.sqrt(np.exp(-(d**2) / settings.width**2)), random_state=0)
    both = np.stack([1 - values, values], axis=1)
    _, told, _, _ = base.explain_instance_with_data(
        there.astype(float), both, distances, 1, num_features=12, feature_selection="none"
    )
    expected = np.zeros(12)
    for part, weight in told:
        expected[part] = weight
    np.testing.assert_allclose(local_weights(there, values, settings.width, settings.ridge), expected, rtol=1e-6)
