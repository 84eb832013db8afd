"""What functions answer with: their own memory, labels in place of scores, and options that are none."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import pytest
import torch

import blackbox_explain as bx
from blackbox_explain.errors import InputError, ModelError

SHAPE = (3, 8, 8)
WEIGHTS = np.random.default_rng(0).normal(size=(3 * 8 * 8, 3))


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(1).random((3, *SHAPE))


def scores(images: Any) -> Any:
    logits = np.asarray(images).reshape(len(images), -1) @ WEIGHTS
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("fixed", [1, None])
def test_memory_that_a_function_writes_its_next_answer_into_is_copied(fixed: int | None, images: np.ndarray) -> None:
    own = np.empty((64, 3))

    def engine(rows: np.ndarray) -> np.ndarray:
        np.copyto(own[: len(rows)], scores(rows))
        return own[: len(rows)]

    box = bx.wrap(engine, shape=SHAPE, fixed_batch=fixed)
    found = box.scores(images)
    box.scores(1 - images)
    np.testing.assert_allclose(found, scores(images))


@pytest.mark.parametrize("labels", [lambda given: given.argmax(1), lambda given: given.argmax(1)[:, None] * 0 + 7])
def test_predicted_labels_are_no_scores(labels: Any) -> None:
    for model in (lambda given: labels(scores(given)), lambda given: torch.tensor(labels(scores(given)))):
        with pytest.raises(ModelError, match=r"looks like the predicted class.*predict_proba"):
            bx.wrap(model, shape=SHAPE)


def test_one_score_may_be_a_whole_number(images: np.ndarray) -> None:
    def saturated(given: np.ndarray) -> list[list[float]]:
        return [[min(1, float(one.mean()) * 3)] for one in given]

    box = bx.wrap(saturated, shape=SHAPE, activation="none")
    assert box.scores(np.ones_like(images)).ravel().tolist() == [1, 1, 1]
    named = bx.wrap(lambda given: scores(given).argmax(1), shape=SHAPE, activation="none", class_names=["which"])
    np.testing.assert_array_equal(named.scores(images)[:, 0], scores(images).argmax(1))
    levels = bx.wrap(lambda given: (255 * scores(given)[:, 0]).astype(np.uint8), shape=SHAPE, activation="none")
    np.testing.assert_array_equal(levels.scores(images)[:, 0], np.floor(255 * scores(images)[:, 0]))


def test_of_labels_and_scores_the_scores_are_taken(images: np.ndarray) -> None:
    box = bx.wrap(lambda given: (scores(given).argmax(1), scores(given)), shape=SHAPE)
    np.testing.assert_allclose(box.scores(images), scores(images))


def test_decisions_may_be_scores(images: np.ndarray) -> None:
    for kind in (bool, float):
        box = bx.wrap(lambda given, kind=kind: (scores(given)[:, 0] > 0.5).astype(kind), shape=SHAPE, activation="none")
        np.testing.assert_array_equal(box.scores(images)[:, 0], scores(images)[:, 0] > 0.5)


def test_votes_may_be_whole_numbers(images: np.ndarray) -> None:
    box = bx.wrap(lambda given: (10 * scores(given)).astype(int), shape=SHAPE, activation="none")
    np.testing.assert_array_equal(box.scores(images), np.floor(10 * scores(images)))


@pytest.mark.parametrize("given", [{"gradient": "exact"}, *({"fixed_batch": one} for one in (0, -1, 2.5, "4", True))])
def test_options_of_functions_that_are_none(given: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(given))):
        bx.wrap(scores, shape=SHAPE, **given)


def test_axes_in_another_order_are_said() -> None:
    box = bx.wrap(lambda given: scores(np.zeros((len(given), *SHAPE))), shape=(8, 8, 3))
    assert any("shape=(3, 8, 8) and Preprocessing(layout='channels_last')" in one for one in box.assumptions)


def test_numbers_that_numpy_lacks_are_read(images: np.ndarray) -> None:
    box = bx.wrap(lambda given: torch.tensor(scores(given)).bfloat16(), shape=SHAPE, activation="none")
    np.testing.assert_allclose(box.scores(images), scores(images), atol=4e-3)
    given = torch.tensor(images).bfloat16()
    explained = bx.explain(box, given, 0, method="center", progress=False)
    np.testing.assert_array_equal(explained.images, given.float().numpy())


class Counting:
    """Hands everything on to a box, and counts what it is asked: has no member of a box itself."""

    def __init__(self, box: Any) -> None:
        self.box, self.calls = box, 0

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        self.calls += 1
        return getattr(self.box, name)


def test_a_proxy_has_what_the_box_behind_it_has(monkeypatch: pytest.MonkeyPatch, images: np.ndarray) -> None:
    plain = bx.wrap(scores, shape=SHAPE)
    exact = bx.wrap(scores, shape=SHAPE, gradient=lambda rows, weights: (scores(rows), np.zeros(rows.shape)))
    # From Python 3.12 on, `typing` looks at what an object has itself alone.
    monkeypatch.setattr(type(Protocol), "__instancecheck__", lambda cls, instance: False)
    for box, has in ((plain, False), (exact, True)):
        proxy = Counting(box)
        assert isinstance(proxy, bx.BlackBox)
        assert isinstance(proxy, bx.Differentiable) is has
        assert not isinstance(proxy, bx.Layered)
        found = bx.explain(proxy, images[:1], 0, method="center", progress=False)
        assert proxy.calls > 0
        np.testing.assert_allclose(found.score, bx.explain(box, images[:1], 0, method="center", progress=False).score)
    assert not isinstance(scores, bx.BlackBox)
