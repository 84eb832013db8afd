"""What a PyTorch module does to its pixels first says which pixels it reads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import blackbox_explain as bx

SHAPE = (3, 12, 12)
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")

IMAGES = np.random.default_rng(0).random((2, *SHAPE), dtype=np.float32)
CAFFE = torch.tensor([104.0, 117.0, 123.0]).reshape(3, 1, 1)
IMAGENET = torch.tensor([0.485, 0.456, 0.406]).reshape(1, 3, 1, 1)


class Net(torch.nn.Module):
    """A classifier that begins by something."""

    def __init__(self, first: Callable[[Any], Any]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = first
        self.layers = torch.nn.Sequential(
            torch.nn.Conv2d(3, 16, 3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()
        )
        self.head = torch.nn.Linear(16, 4)

    def forward(self, images: Any) -> Any:
        """Map images to logits."""
        return self.head(self.layers(self.first(images)))


def norm() -> Any:
    layer = torch.nn.BatchNorm2d(3).eval()
    layer.running_mean.copy_(CAFFE.flatten().flip(0))
    layer.running_var.fill_(3000.0)
    return layer


BYTES: dict[str, Callable[[Any], Any]] = {
    "divided": lambda x: x / 255,
    "multiplied": lambda x: (1 / 255) * x,
    "in place": lambda x: x.div_(255),
    "centred": lambda x: (x - 127.5) / 128,
    "of each channel": lambda x: (x - 255 * IMAGENET).div(torch.full((3, 1, 1), 58.0)),
    "scaled first": lambda x: (x / 255 - IMAGENET) / 0.22,
    "last": lambda x: ((x.permute(0, 2, 3, 1) - CAFFE.flatten()) / 128).permute(0, 3, 1, 2),
    "norm": norm(),
}


@pytest.mark.parametrize("first", BYTES.values(), ids=list(BYTES))
def test_a_module_that_scales_bytes_is_given_bytes(first: Callable[[Any], Any]) -> None:
    net = Net(first).eval()
    box = bx.wrap(net, shape=SHAPE)
    expected = net(255 * torch.tensor(IMAGES)).softmax(1).detach()
    np.testing.assert_allclose(box.scores(IMAGES), expected, atol=1e-5)
    assert any("as if they lay between 0 and 255" in one for one in box.assumptions)
    assert not any("no preprocessing was given" in one for one in box.assumptions)
    assert not box.spec.preprocessing_assumed
    whole = bx.wrap(net, shape=SHAPE, bounds=(0, 255))
    np.testing.assert_allclose(whole.scores(255 * IMAGES), expected, atol=1e-5)


class Scaled(torch.nn.Module):
    """Reads bytes."""

    def __init__(self) -> None:
        super().__init__()
        net = Net(torch.nn.Identity())
        self.net = torch.nn.Sequential(net.layers, net.head)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images to logits."""
        return self.net((images - 127.5) / 128)


@pytest.mark.parametrize("form", ["script", "trace", "export"])
def test_other_forms_are_watched_too(form: str) -> None:
    net = Scaled().eval()
    expected = net(255 * torch.tensor(IMAGES)).softmax(1).detach()
    model: Any = {
        "script": lambda: torch.jit.script(net),
        "trace": lambda: torch.jit.trace(net, torch.zeros(2, *SHAPE)),
        "export": lambda: torch.export.export(net, (torch.zeros(2, *SHAPE),)),
    }[form]()
    box = bx.wrap(model, **({} if form == "export" else {"shape": SHAPE}))
    np.testing.assert_allclose(box.scores(IMAGES), expected, atol=1e-5)


OTHERS: dict[str, Callable[[Any], Any]] = {
    "nothing": lambda x: x,
    "normalised": lambda x: (x - IMAGENET) / 0.225,
    "signed": lambda x: 2 * x - 1,
    "in bytes again": lambda x: 255 * x - CAFFE,
    "upside down": lambda x: 120 - x,
    "read twice": lambda x: x / 255 + x.mean(),
    "read twice, late": lambda x: torch.relu(x / 255) + x,
    "channel by channel": lambda x: torch.stack([x[:, k] / 255 for k in range(3)], 1),
}


@pytest.mark.parametrize("first", OTHERS.values(), ids=list(OTHERS))
def test_other_modules_read_pixels_as_they_are(first: Callable[[Any], Any]) -> None:
    box = bx.wrap(Net(first).eval(), shape=SHAPE)
    same = bx.wrap(Net(first).eval(), shape=SHAPE, preprocessing=bx.Preprocessing())
    np.testing.assert_array_equal(box.scores(IMAGES), same.scores(IMAGES))
    assert not any("0 and 255" in one for one in box.assumptions)


def test_what_was_said_is_done_and_questioned() -> None:
    said = bx.Preprocessing(mean=0.5, std=0.25)
    box = bx.wrap(Net(lambda x: x / 255), shape=SHAPE, preprocessing=said)
    assert box.spec.preprocessing == said
    assert any("may be wrong" in one for one in box.assumptions)


def test_a_mean_of_blue_first_is_noticed() -> None:
    box = bx.wrap(Net(lambda x: x - CAFFE), shape=SHAPE)
    assert any("--bgr" in one for one in box.assumptions)
    turned = bx.wrap(Net(lambda x: x - CAFFE.flip(0)), shape=SHAPE)
    assert not any("--bgr" in one for one in turned.assumptions)


@pytest.mark.parametrize("turn", [lambda x: x.flip(1), lambda x: x[:, [2, 1, 0]]])
def test_channels_that_the_module_turns_itself_are_its_own_business(turn: Callable[[Any], Any]) -> None:
    net = Net(lambda x: turn(x) - CAFFE).eval()
    box = bx.wrap(net, shape=SHAPE)
    expected = net(255 * torch.tensor(IMAGES)).softmax(1).detach()
    np.testing.assert_allclose(box.scores(IMAGES), expected, atol=1e-5)
    assert not any("--bgr" in one for one in box.assumptions)


@pytest.mark.parametrize(("scale", "doubted"), [(30.0, True), (0.5, False)])
def test_a_first_layer_that_outweighs_its_pixels_raises_a_doubt(scale: float, doubted: bool) -> None:
    net = Net(torch.nn.Identity()).eval()
    with torch.no_grad():
        net.layers[0].weight.normal_()
        net.layers[0].bias.uniform_(1, 2).mul_(scale)

    def warned(**said: Any) -> bool:
        found = bx.wrap(net, shape=SHAPE, **said).assumptions
        return any("preprocessing is probably missing" in one and "--range 255" in one for one in found)

    assert warned() is doubted
    assert not warned(bounds=(0, 255))
    assert not warned(preprocessing=bx.Preprocessing(mean=0.4, std=1 / 255))


def test_a_module_that_cannot_be_watched_is_wrapped_all_the_same() -> None:
    def first(images: Any) -> Any:
        if torch._C._len_torch_dispatch_stack():
            raise RuntimeError("not under a mode")
        return images / 255

    net = Net(first).eval()
    expected = net(torch.tensor(IMAGES)).softmax(1).detach()
    np.testing.assert_allclose(bx.wrap(net, shape=SHAPE).scores(IMAGES), expected, atol=1e-5)
