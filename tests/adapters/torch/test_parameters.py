"""Random parameters in PyTorch modules: in a copy, in the order in which they are computed with."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
import torch

import blackbox_explain as bx
from blackbox_explain.box.adapter_tools.random_parameters import drawn_like
from blackbox_explain.errors import InputError, UnsupportedModelError
from tests.adapters.torch.test_layers import IMAGES, WEIGHTS, Branched


def wrapped(module: torch.nn.Module) -> Any:
    return bx.wrap(module, shape=(3, 8, 6), activation="softmax")


def test_layers_that_compute_from_the_output_on() -> None:
    box = wrapped(Branched())
    assert isinstance(box, bx.Randomizable)
    assert box.parameter_layers() == ("head", "block.1", "block.0", "first")


def test_scores_and_gradient_are_those_of_a_module_with_what_is_drawn() -> None:
    module = Branched().eval()
    made = wrapped(module).randomized(["head", "block.1"], 3)
    for name, parameter in module.named_parameters():
        if name.startswith(("head", "block.1")):
            parameter.data = torch.tensor(drawn_like(parameter.detach().numpy(), 3, name))
    expected = wrapped(module)
    for one, other in zip(
        made.scores_and_gradient(IMAGES, WEIGHTS), expected.scores_and_gradient(IMAGES, WEIGHTS), strict=True
    ):
        np.testing.assert_allclose(one, other, atol=1e-6)
    np.testing.assert_allclose(
        made.inner(IMAGES, WEIGHTS, ["block"])["block"][1],
        expected.inner(IMAGES, WEIGHTS, ["block"])["block"][1],
        atol=1e-6,
    )
    again = pickle.loads(pickle.dumps(made))  # noqa: S301 made here
    np.testing.assert_array_equal(again.scores(IMAGES), made.scores(IMAGES))
    assert "random (head, block.1; seed 3)" in made.assumptions[-1]


def test_the_module_stays_as_it_was_also_after_an_error() -> None:
    module = Branched().train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    box = wrapped(module)
    made = box.randomized(box.parameter_layers(), 0)
    with pytest.raises(InputError, match=r"No layer with parameters.*'unused'"):
        box.randomized(["head", "unused"], 0)
    assert module.training
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert made.fingerprint() != box.fingerprint()
    statistics = [name for name in before if "running" in name]
    assert statistics
    assert all(torch.equal(made.module.state_dict()[name], before[name]) for name in statistics)


def test_logits_of_a_random_module() -> None:
    made = wrapped(Branched()).randomized(["head"], 0)
    logits = torch.tensor(made.with_backward("exact", of="logits").scores(IMAGES))
    np.testing.assert_allclose(logits.softmax(1).numpy(), made.scores(IMAGES), atol=1e-6)


class Attending(torch.nn.Module):
    """Parameters that no submodule of their own computes with: of the module itself, of attention, of a recurrence."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.cut = torch.nn.Conv2d(3, 8, 2, 2)
        self.places = torch.nn.Parameter(torch.randn(12, 8))
        self.attention = torch.nn.MultiheadAttention(8, 2, batch_first=True)
        self.recurrent = torch.nn.LSTM(8, 6, batch_first=True)
        self.head = torch.nn.Linear(6, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.cut(x).flatten(2).transpose(1, 2) + self.places
        x = self.attention(x, x, x, need_weights=False)[0]
        return self.head(self.recurrent(x)[0][:, -1])


def test_parameters_that_no_submodule_of_their_own_computes_with() -> None:
    box = wrapped(Attending())
    layers = box.parameter_layers()
    assert layers[:2] == ("head", "recurrent")
    assert set(layers[2:4]) == {"attention", "attention.out_proj"}
    assert layers[4:] == ("places", "cut")
    assert not np.allclose(box.randomized(["attention.out_proj"], 0).scores(IMAGES), box.scores(IMAGES), atol=1e-4)
    assert not np.allclose(box.randomized(["recurrent"], 0).scores(IMAGES), box.scores(IMAGES), atol=1e-4)


def test_what_is_refused() -> None:
    class Plain(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.flatten(1)[:, :5]

    with pytest.raises(UnsupportedModelError, match="not seen to compute with parameters"):
        wrapped(Plain()).parameter_layers()

    class Held(Branched):
        def __deepcopy__(self, memo: Any) -> Any:
            raise RuntimeError("it holds a socket")

    with pytest.raises(
        UnsupportedModelError, match=r"The module cannot be copied. Got RuntimeError: it holds a socket"
    ):
        wrapped(Held()).randomized(["head"], 0)


@pytest.mark.filterwarnings("ignore")
def test_scripts_are_not_asked() -> None:
    scripted = wrapped(torch.jit.script(Branched().eval()))
    assert not isinstance(scripted, bx.Randomizable)
    assert "cannot be drawn anew" in str(bx.metrics_for(scripted)["randomization"])
