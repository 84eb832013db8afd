"""Rules of relevance on whole networks: kept sums, LRP of Captum, real models, batches."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import nn

import blackbox_explain as bx
from benchmarks.common.photos import data_folder
from benchmarks.models.networks import exported
from blackbox_explain.errors import UnsupportedModelError
from tests.adapters.onnx.architectures import NETWORKS
from tests.adapters.onnx.backward.test_networks import made
from tests.adapters.onnx.backward.test_real_models import CAFFE
from tests.adapters.onnx.backward.test_relevance import EXCITATION, LRP
from tests.kinds import kept


class Plain(nn.Module):
    """Like VGG: convolutions, pools, dense layers."""

    def __init__(self, bias: bool = True) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 12, 3, padding=1, bias=bias), nn.ReLU(), nn.Conv2d(12, 12, 3, padding=1, bias=bias), nn.ReLU(),
            nn.MaxPool2d(2), nn.Conv2d(12, 24, 3, padding=1, bias=bias), nn.ReLU(), nn.AvgPool2d(2),
        )  # fmt: skip
        self.dense = nn.Sequential(nn.Linear(24 * 16, 32, bias=bias), nn.ReLU(), nn.Linear(32, 10, bias=bias))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.dense(self.layers(x).flatten(1))


def plain(bias: bool = True) -> tuple[Any, nn.Module, np.ndarray]:
    torch.manual_seed(0)
    network = Plain(bias).eval()
    images = np.random.default_rng(1).random((4, 3, 16, 16), dtype=np.float32)
    return bx.wrap(exported(network, (3, 16, 16)), activation="softmax", cache=False), network, images


def start_at_logits(box: Any, images: np.ndarray) -> np.ndarray:
    """Return relevance to start with: the largest logit of each image, at its class."""
    logits = box.scores(images)
    return logits * (logits == logits.max(axis=1, keepdims=True))


def test_epsilon_is_that_of_captum() -> None:
    captum: Any = pytest.importorskip("captum.attr")
    box, network, images = plain()
    logits = box.with_backward("lrp-epsilon", of="logits")
    start = start_at_logits(logits, images)
    found = logits.scores_and_gradient(images, start)[1]
    leaf = torch.tensor(images, requires_grad=True)
    expected = captum.LRP(network).attribute(leaf, target=torch.tensor(start.argmax(axis=1))).detach().numpy()
    for one, other in zip(found, expected, strict=True):
        assert np.corrcoef(one.ravel(), other.ravel())[0, 1] >= 0.999
    np.testing.assert_allclose(found, expected, atol=1e-3 * float(np.abs(expected).max()))


@pytest.mark.parametrize("rules", ["lrp-epsilon", "lrp-alpha-beta", "lrp-composite", "excitation"])
def test_sums_are_kept_without_biases(rules: str) -> None:
    box, _, images = plain(bias=False)
    logits = box.with_backward(rules, of="logits")
    start = np.abs(start_at_logits(logits, images))
    found = logits.scores_and_gradient(images, start)[1]
    np.testing.assert_allclose(found.sum(axis=(1, 2, 3)), start.sum(axis=1), rtol=1e-4)
    if rules == "excitation":
        assert found.min() >= 0


@pytest.mark.parametrize("name", kept(["googlenet", "squeezenet"], "squeezenet"))
def test_excitation_keeps_sums_from_layer_to_layer(name: str) -> None:
    path = next((data_folder() / name).glob("*.onnx"))
    box: Any = bx.wrap(path, preprocessing=CAFFE, cache=False)
    photo = sorted((data_folder() / "photos").glob("*tiger*.JPEG"))[:1]
    images = bx.load_images(photo, box.spec).astype(np.float32)
    logits = box.with_backward("excitation", of="logits")
    start = np.eye(1000, dtype=np.float32)[logits.scores(images).argmax(axis=1)]
    nodes = onnx.load(path).graph.node
    # Every way from the image to the scores leads through the joints of the branches, and the pool before them.
    joints = [node.output[0] for node in nodes if node.op_type == "Concat"]
    first = next(k for k, node in enumerate(nodes) if node.op_type == "MaxPool")
    names = [nodes[first].output[0], *joints]
    for tensor, (_, relevance) in logits.inner(images, start, names).items():
        assert relevance.min() >= 0, tensor
        np.testing.assert_allclose(relevance.sum(), 1, rtol=1e-4, err_msg=tensor)
    pixels = logits.scores_and_gradient(images, start)[1]
    assert pixels.min() >= 0
    assert 0 < pixels.sum() <= 1 + 1e-4


@pytest.mark.parametrize(
    ("name", "rules"),
    kept(
        [(name, rules) for name in ("vit", "convnext", "mobile") for rules in (*LRP, *EXCITATION)],
        ("vit", "lrp-epsilon"),
        ("convnext", "lrp-composite"),
        ("mobile", "excitation"),
    ),
)
def test_networks_of_every_family_are_passed_image_by_image(name: str, rules: str) -> None:
    about = NETWORKS[name]
    box: Any = bx.wrap(exported(made(name), about.shape), shape=about.shape, activation="softmax", cache=False)
    logits = box.with_backward(rules, of="logits")
    images = np.random.default_rng(2).random((3, *about.shape), dtype=np.float32)
    start = start_at_logits(logits, images)
    scores, together = logits.scores_and_gradient(images, start)
    np.testing.assert_allclose(scores, box.with_backward("exact", of="logits").scores(images), atol=1e-5)
    alone = [logits.scores_and_gradient(images[k : k + 1], start[k : k + 1])[1] for k in range(3)]
    scale = float(np.abs(together).max())
    assert np.isfinite(together).all()
    assert scale > 0
    np.testing.assert_allclose(np.concatenate(alone), together, atol=1e-4 * scale)
    with pytest.raises(UnsupportedModelError, match=r"Softmax \(node 'blackbox_explain/scores'\).*logits"):
        box.with_backward(rules)


@pytest.mark.parametrize("rules", kept([*LRP, *EXCITATION], "lrp-epsilon"))
def test_recurrent_nodes_are_refused_by_name(rules: str) -> None:
    about = NETWORKS["rows"]
    box: Any = bx.wrap(exported(made("rows"), about.shape), shape=about.shape, activation="softmax", cache=False)
    with pytest.raises(UnsupportedModelError, match=r"GRU \(node"):
        box.with_backward(rules, of="logits")


@pytest.mark.parametrize("rules", kept(["guided", "deconvnet"], "guided"))
def test_transformers_have_nothing_to_guide(rules: str) -> None:
    box: Any = bx.wrap(exported(made("vit"), (3, 32, 32)), shape=(3, 32, 32), activation="softmax", cache=False)
    with pytest.raises(UnsupportedModelError, match=r"nothing to guide.*activations are Erf"):
        box.with_backward(rules, of="logits")


@pytest.mark.parametrize("rules", kept([*LRP, *EXCITATION], "lrp-composite"))
def test_the_default_model(rules: str, default_box: Any, sample_images: np.ndarray) -> None:
    images = sample_images[:1].astype(np.float32)
    logits = default_box.with_backward(rules, of="logits")
    start = start_at_logits(logits, images)
    found = logits.scores_and_gradient(images, start)[1]
    assert np.isfinite(found).all()
    assert found.max() > 0
    # It falls on the object in the middle, not on the border.
    outside = np.ones(found.shape[-2:], bool)
    outside[16:-16, 16:-16] = False
    assert np.abs(found[..., outside]).mean() < np.abs(found[..., ~outside]).mean()
