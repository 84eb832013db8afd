"""Layers of PyTorch modules: values and gradients inside, and a module that stays as it was."""

from __future__ import annotations

import pickle
import threading
from typing import Any

import numpy as np
import pytest
import torch

import blackbox_explain as bx
from blackbox_explain.errors import UnsupportedModelError
from blackbox_explain_adapters._torch.layers import eagerly


class Branched(torch.nn.Module):
    """Two convolutions, an activation in place, a layer that is called twice and one that is never called."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = torch.nn.Conv2d(3, 4, 3, padding=1)
        self.active = torch.nn.ReLU(inplace=True)
        self.block = torch.nn.Sequential(torch.nn.Conv2d(4, 4, 3, padding=1), torch.nn.BatchNorm2d(4))
        self.unused = torch.nn.Linear(2, 2)
        self.head = torch.nn.Linear(4, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.active(self.first(x))
        x = self.active(self.block(x))
        return self.head(x.mean((2, 3)))


IMAGES = np.random.default_rng(0).random((3, 3, 8, 6), dtype=np.float32)
WEIGHTS = np.random.default_rng(1).standard_normal((3, 5)).astype(np.float32)


def by_hand(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return values and gradients of a layer, written out without anything in place."""
    module = Branched().eval()
    x = torch.tensor(IMAGES, requires_grad=True)
    values = {"first": module.first(x)}
    values["block.0"] = module.block[0](values["first"].clamp(min=0))
    values["block"] = module.block[1](values["block.0"])
    values["active"] = values["block"].clamp(min=0)
    values["head"] = module.head(values["active"].mean((2, 3)))
    total = (values["head"].softmax(1) * torch.tensor(WEIGHTS)).sum()
    return values[name].detach().numpy(), torch.autograd.grad(total, values[name])[0].numpy()


def test_layers_in_the_order_in_which_they_are_done() -> None:
    box = bx.wrap(Branched(), shape=(3, 8, 6), activation="softmax")
    assert isinstance(box, bx.Layered)
    layers = {one.name: (one.kind, one.shape) for one in box.layers()}
    assert list(layers) == ["first", "block.0", "block.1", "block", "active", "head"]
    assert layers["first"] == ("Conv2d", (4, 8, 6))
    assert layers["head"] == ("Linear", (5,))


@pytest.mark.parametrize("name", ["first", "block.0", "block", "active", "head"])
def test_values_and_gradients_are_those_of_autograd(name: str) -> None:
    box: Any = bx.wrap(Branched(), shape=(3, 8, 6), activation="softmax")
    values, gradients = box.inner(IMAGES, WEIGHTS, [name])[name]
    expected, slope = by_hand(name)
    np.testing.assert_allclose(values, expected, atol=1e-6)
    np.testing.assert_allclose(gradients, slope, atol=1e-6)


def test_several_at_once_in_batches_and_torch_arrays() -> None:
    box: Any = bx.wrap(Branched(), shape=(3, 8, 6), activation="softmax")
    together = box.inner(torch.tensor(IMAGES), torch.tensor(WEIGHTS), ["head", "first"])
    assert list(together) == ["head", "first"]
    for row in range(3):
        alone = box.inner(IMAGES[row : row + 1], WEIGHTS[row : row + 1], ["first"])["first"]
        for one, part in zip(together["first"], alone, strict=True):
            assert isinstance(one, torch.Tensor)
            np.testing.assert_allclose(one[row].numpy(), part[0], atol=1e-6)


def test_the_module_stays_as_it_was() -> None:
    module = Branched().train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    box: Any = bx.wrap(module, shape=(3, 8, 6))
    box.layers()
    box.inner(IMAGES, WEIGHTS, ["block"])
    with pytest.raises(UnsupportedModelError):
        box.inner(IMAGES, WEIGHTS, ["unused"])
    assert module.training
    assert not any(one._forward_hooks for one in module.modules())
    assert all(one.grad is None for one in module.parameters())
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert next(one.name for one in pickle.loads(pickle.dumps(box)).layers()) == "first"  # noqa: S301 made here


def test_what_is_refused() -> None:
    box: Any = bx.wrap(Branched(), shape=(3, 8, 6))
    with pytest.raises(UnsupportedModelError, match=r"no such layer. Got 'blok'; expected 'block'"):
        box.inner(IMAGES, WEIGHTS, ["blok"])
    with pytest.raises(UnsupportedModelError, match="'unused'; expected one between the images and the scores"):
        box.inner(IMAGES, WEIGHTS, ["unused"])


@pytest.mark.filterwarnings("ignore")
def test_scripts_and_exported_programs_cannot_be_watched() -> None:
    scripted = bx.wrap(torch.jit.script(Branched().eval()), shape=(3, 8, 6))
    exported = bx.wrap(torch.export.export(Branched().eval(), (torch.tensor(IMAGES),)))
    for box in (scripted, exported):
        assert isinstance(box, bx.Differentiable)
        assert not isinstance(box, bx.Layered)


@pytest.mark.filterwarnings("ignore")
def test_layers_of_a_compiled_module_are_seen() -> None:
    whole = torch.compile(Branched().eval(), backend="eager")
    inside = Branched().eval()
    inside.block = torch.compile(inside.block, backend="eager")
    plain = bx.wrap(Branched().eval(), shape=(3, 8, 6), activation="softmax")
    for module, before in ((whole, "_orig_mod."), (inside, "")):
        box = bx.wrap(module, shape=(3, 8, 6), activation="softmax")
        name = f"{before}first"
        assert name in [one.name for one in box.layers()]
        found, expected = box.inner(IMAGES, WEIGHTS, [name])[name], plain.inner(IMAGES, WEIGHTS, ["first"])["first"]
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-6)


def test_layers_that_other_threads_run_at_the_same_time() -> None:
    box: Any = bx.wrap(Branched(), shape=(3, 12, 10), activation="softmax")
    images = np.random.default_rng(0).random((2, 3, 12, 10), dtype=np.float32)
    weights = np.eye(5, dtype=np.float32)[:2]
    names, expected = [one.name for one in box.layers()], box.inner(images, weights, ["block"])["block"]
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            box.scores(images[:1])

    other = threading.Thread(target=ask)
    other.start()
    try:
        for _ in range(30):
            assert [one.name for one in box.layers()] == names
            for found, right in zip(box.inner(images, weights, ["block"])["block"], expected, strict=True):
                np.testing.assert_array_equal(found, right)
    finally:
        done.set()
        other.join()


def test_compiled_code_is_allowed_again_after_two_threads() -> None:
    first, second = threading.Event(), threading.Event()

    def inside() -> None:
        with eagerly():
            first.set()
            second.wait()

    other = threading.Thread(target=inside)
    other.start()
    first.wait()
    with eagerly():
        second.set()
        other.join()
    assert torch._dynamo.eval_frame._stance.stance == "default"
