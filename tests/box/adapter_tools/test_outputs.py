"""Which output of a PyTorch module or a function holds the class scores, and in which form it may come."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

import blackbox_explain as bx
from blackbox_explain.box.adapter_tools.outputs import Output, Wanted, choose_output
from blackbox_explain.errors import InputError, ModelError, UnsupportedModelError

SHAPE = (3, 16, 16)


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(3).random((3, *SHAPE), dtype=np.float32)


class Pair(NamedTuple):
    features: Any
    classes: Any


@dataclasses.dataclass
class Answer:
    loss: Any
    pooled: Any
    head: Any


class Heads(torch.nn.Module):
    """Features (N, 4), logits (N, 2) made of them, and another head (N, 3) beside; `make` returns some of them."""

    def __init__(self, make: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], Any]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.features = torch.nn.Conv2d(3, 4, 3)
        self.logits, self.other = torch.nn.Linear(4, 2), torch.nn.Linear(4, 3)
        self.make = make

    def inner(self, images: Any) -> torch.Tensor:
        return self.features(torch.as_tensor(images)).relu().mean((2, 3))

    def forward(self, images: torch.Tensor) -> Any:
        features = self.inner(images)
        return self.make(features, self.logits(features), self.other(features))


@pytest.mark.parametrize(
    "make",
    [
        lambda f, s, _: (f, s),
        lambda f, s, _: (s, f),
        lambda f, s, _: (s, s.softmax(1).argmax(1), f),
        lambda f, s, _: (s, None),
        lambda f, s, _: Pair(f, s),
        lambda f, s, _: Answer(None, f, s),
        lambda f, s, o: {"features": f, "logits": s, "aux_logits": o},
        lambda f, s, _: {"maps": f[:, :, None, None].expand(-1, -1, 5, 5), "anything": s},
        lambda f, s, _: (s, f.detach()),
        lambda f, s, _: s[:, :, None, None],
        lambda f, s, _: [f[:, None], s],
    ],
)
def test_logits_are_found_among_other_outputs(make: Any, images: np.ndarray) -> None:
    model = Heads(make).eval()
    for parameter in model.parameters():  # what leads to what is seen through frozen layers too
        parameter.requires_grad_(False)
    box = bx.wrap(model, shape=SHAPE)
    assert box.activation == "softmax"
    np.testing.assert_allclose(box.scores(images), model.logits(model.inner(images)).softmax(1), atol=1e-6)


def test_a_guess_among_several_is_told() -> None:
    box = bx.wrap(Heads(lambda f, s, _: (f, s)), shape=SHAPE)
    assert "the class scores are the output '1' of '0' (2, 4), '1' (2, 2)" in box.assumptions
    alone = bx.wrap(Heads(lambda _f, s, _o: {"anything": s}), shape=SHAPE)
    assert not any("the class scores are" in one for one in alone.assumptions)


def test_the_number_of_class_names_tells_two_heads_apart(images: np.ndarray) -> None:
    model = Heads(lambda _f, s, o: (s, o)).eval()
    with pytest.raises(UnsupportedModelError, match=r"several outputs.*'0' \(2, 2\), '1' \(2, 3\).*pass output='0'"):
        bx.wrap(model, shape=SHAPE)
    box = bx.wrap(model, shape=SHAPE, class_names=["a", "b", "c"])
    np.testing.assert_allclose(box.scores(images), model.other(model.inner(images)).softmax(1).detach(), atol=1e-6)


@pytest.mark.parametrize("output", [1, "1", -1])
def test_an_output_that_is_named_is_taken(output: Any, images: np.ndarray) -> None:
    model = Heads(lambda _f, s, o: (s, o)).eval()
    box: Any = bx.wrap(model, shape=SHAPE, output=output)
    expected = model.other(model.inner(images)).softmax(1).detach()
    np.testing.assert_allclose(box.scores(images), expected, atol=1e-6)
    assert box.scores_and_gradient(images, np.ones((3, 3), np.float32))[0].shape == (3, 3)


def test_an_output_that_is_not_there_is_refused_with_those_that_are() -> None:
    for wanted in (2, "logits", -3):
        with pytest.raises(InputError, match=r"no such output.*'0' \(2, 2\), '1' \(2, 3\)"):
            bx.wrap(Heads(lambda _f, s, o: (s, o)), shape=SHAPE, output=wanted)
    with pytest.raises(InputError, match=r"no such output.*'output' \(2, 2\)"):
        bx.wrap(Heads(lambda _f, s, _o: s), shape=SHAPE, output=1)
    with pytest.raises(UnsupportedModelError, match="not among the outputs"):
        bx.wrap(Heads(lambda *_: {"a": 1, "b": "two"}), shape=SHAPE)


@pytest.mark.parametrize("of", ["module", "function"])
def test_scores_at_many_steps_are_refused_until_somebody_says_how_they_are_joined(of: str, images: np.ndarray) -> None:
    module = Heads(lambda f, s, _: (f, torch.stack([s, 2 * s, 6 * s], 1))).eval()
    model: Any = module if of == "module" else lambda rows: module(torch.tensor(rows))
    with pytest.raises(ModelError, match=r"outputs of shape \(2, 3, 2\).*reduce=\('mean', 1\)") as caught:
        bx.wrap(model, shape=SHAPE, output=1)
    assert "pass output" not in str(caught.value)
    box = bx.wrap(model, shape=SHAPE, output=1, reduce=("mean", 1), activation="softmax")
    expected = (3 * module.logits(module.inner(images))).softmax(1).detach()
    np.testing.assert_allclose(box.scores(images), expected, atol=1e-5)
    most = bx.wrap(model, shape=SHAPE, output=1, reduce=("max", 1), activation="none")
    raw = module.logits(module.inner(images)).detach().numpy()
    np.testing.assert_allclose(most.scores(images), np.maximum(raw, 6 * raw), atol=1e-5)


@pytest.mark.parametrize("second", [lambda s: s.logsumexp(1), lambda s: s.std(1)])
def test_how_sure_a_model_is_is_no_score_of_a_class(second: Any, images: np.ndarray) -> None:
    module = Heads(lambda f, s, _: (s, second(s))).eval()
    with pytest.raises(UnsupportedModelError, match="several outputs that may hold the class scores"):
        bx.wrap(module, shape=SHAPE)
    assert bx.wrap(module, shape=SHAPE, output=0).scores(images).shape == (3, 2)
    named = Heads(lambda f, s, _: {"logits": s, "confidence": second(s)}).eval()
    assert bx.wrap(named, shape=SHAPE).scores(images).shape == (3, 2)


def test_the_best_scores_in_their_order_are_not_those_of_the_classes(images: np.ndarray) -> None:
    for answer in (
        lambda f, s, _: (s, *s.topk(2)),
        lambda f, s, _: (s, s.sort(descending=True)[0]),
        lambda f, s, _: (s, s.max(1, keepdim=True).values),
    ):
        module = Heads(answer).eval()
        box = bx.wrap(module, shape=SHAPE)
        expected = module.logits(module.inner(images)).softmax(1).detach()
        np.testing.assert_allclose(box.scores(images), expected, atol=1e-5)


def test_heads_beside_the_scores_are_left_alone(images: np.ndarray) -> None:
    for name in ("aux_logits", "attention_scores", "domain.prob"):
        module = Heads(lambda f, s, _, name=name: {"output": f, name: torch.tanh(f[:, :2])}).eval()
        box = bx.wrap(module, shape=SHAPE)
        assert any("are the output 'output' of" in one for one in box.assumptions)


def test_functions_are_asked_for_the_same_output_whatever_the_number_of_images() -> None:
    box = bx.wrap(lambda x: {"prototypes": np.eye(6), "z": x.mean((2, 3))}, shape=SHAPE, activation="none")
    for count in (5, 6, 7):
        assert box.scores(np.zeros((count, *SHAPE), np.float32)).shape == (count, SHAPE[0])
    pair = bx.wrap(lambda x: (x.mean((1, 2, 3)), 0 * x.mean((1, 2, 3))), shape=SHAPE, output=0, activation="none")
    assert not any("beside it" in one for one in pair.assumptions)
    for count in (1, 2, 3):
        np.testing.assert_allclose(pair.scores(np.full((count, *SHAPE), 0.5, np.float32)), 0.5, atol=1e-6)


@pytest.mark.parametrize("shape", [(75, 1), (1, 75)])
def test_one_number_a_step_is_refused_in_either_layout(shape: tuple[int, int]) -> None:
    def steps(images: np.ndarray) -> np.ndarray:
        return np.broadcast_to(images.mean((1, 2, 3))[:, None, None], (len(images), *shape))

    with pytest.raises(ModelError, match=r"reduce=\('mean', 1\).*class_names="):
        bx.wrap(steps, shape=SHAPE)
    names = [str(one) for one in range(75)]
    assert bx.wrap(steps, shape=SHAPE, class_names=names).scores(np.zeros((2, *SHAPE))).shape == (2, 75)


@pytest.mark.parametrize("of", ["module", "function"])
def test_steps_may_come_before_the_images(of: str, images: np.ndarray) -> None:
    module = Heads(lambda f, s, _: (f, torch.stack([s, 2 * s, 6 * s]))).eval()
    model: Any = module if of == "module" else lambda rows: module(torch.tensor(rows))
    box = bx.wrap(model, shape=SHAPE, output=1, reduce=("mean", 0), activation="softmax")
    expected = (3 * module.logits(module.inner(images))).softmax(1).detach()
    np.testing.assert_allclose(box.scores(images), expected, atol=1e-5)
    with pytest.raises(InputError, match=r"join the scores of different images.*expected another axis"):
        bx.wrap(Heads(lambda f, s, _: s).eval(), shape=SHAPE, reduce=("mean", 0))
    with pytest.raises(InputError, match="no such axis"):
        bx.wrap(model, shape=SHAPE, output=1, reduce=("mean", 3))


def test_one_class_at_many_steps_is_not_many_classes() -> None:
    def steps(images: np.ndarray) -> np.ndarray:
        return np.repeat(images.mean((1, 2, 3))[:, None, None], 75, axis=1)

    with pytest.raises(ModelError, match=r"\(2, 75, 1\).*reduce="):
        bx.wrap(steps, shape=SHAPE)


FILTERS = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)


def rows_of(images: Any) -> np.ndarray:
    return np.asarray(images).mean(axis=(2, 3)) @ FILTERS


def jax_like(images: np.ndarray) -> Any:
    class Foreign:
        """An array of a library that NumPy can read, and that knows its shape."""

        shape = (len(images), 4)

        def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
            return rows_of(images)

    return Foreign()


@pytest.mark.parametrize(
    "function",
    [
        lambda images: torch.tensor(rows_of(images), requires_grad=True),
        lambda images: torch.tensor(rows_of(images), dtype=torch.float64),
        lambda images: rows_of(images).tolist(),
        lambda images: list(rows_of(images)),
        lambda images: list(torch.tensor(rows_of(images), requires_grad=True)),
        lambda images: tuple(rows_of(images)),
        jax_like,
        lambda images: (images.mean((2, 3)), rows_of(images)),
        lambda images: {"logits": rows_of(images), "features": images.mean((2, 3))},
        lambda images: rows_of(images)[:, :, None, None],
    ],
)
@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_a_function_may_answer_in_any_library(function: Any, kind: str, images: np.ndarray) -> None:
    box = bx.wrap(function, shape=SHAPE, class_names=list("abcd"), activation="none")
    given = images if kind == "numpy" else torch.tensor(images)
    found = box.scores(given)
    assert type(found) is type(given)
    np.testing.assert_allclose(found, rows_of(images), atol=1e-6)
    result = bx.explain(box, images[:1], 0, queries=100, progress=False, steps=2)
    assert not result.outcome[0].failed


def test_a_function_of_tensorflow_answers_in_numpy(images: np.ndarray) -> None:
    tf = pytest.importorskip("tensorflow")
    box = bx.wrap(lambda rows: tf.reduce_mean(rows, axis=[2, 3]) * 9, shape=SHAPE, activation="none")
    found = box.scores(images)
    assert isinstance(found, np.ndarray)
    np.testing.assert_allclose(found, 9 * images.mean((2, 3)), atol=1e-5)


def test_one_number_for_each_image_is_the_score_of_one_class(images: np.ndarray) -> None:
    box = bx.wrap(lambda rows: rows.mean((1, 2, 3)), shape=SHAPE)
    np.testing.assert_allclose(box.scores(images), images.mean((1, 2, 3))[:, None], atol=1e-6)
    assert box.activation == "none"


def test_answers_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(ModelError, match="not answer with numbers"):
        bx.wrap(lambda rows: [["a", "b"]] * len(rows), shape=SHAPE)
    with pytest.raises(ModelError, match="different lengths"):
        bx.wrap(lambda _rows: [[0.1], [0.1, 0.2]], shape=SHAPE)


def test_what_leads_to_something_else_is_not_chosen() -> None:
    found = {"a": Output((2, 4), True), "b": Output((2, 3), True), "c": Output((2, 3), False)}
    assert choose_output(found, 2, Wanted(), lambda first, second: (first, second) == ("a", "b"))[0] == "b"
    assert choose_output(found, 2, Wanted(), lambda first, second: (first, second) == ("b", "a"))[0] == "a"
    with pytest.raises(UnsupportedModelError, match="several outputs"):
        choose_output(found, 2, Wanted())
