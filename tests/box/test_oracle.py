"""The one way to ask a model: batches, memory that runs out, failures by row, counts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import blackbox_explain as bx
from blackbox_explain.box.oracle import Oracle
from blackbox_explain.errors import InputError, ModelError, OutOfMemoryError
from tests.toys import Regions, Scores, box_region

IMAGES = np.random.default_rng(0).random((10, 1, 8, 8))


class Hungry(Scores):
    """Runs out of memory above some number of images, and notes how many it was given."""

    def __init__(self, most: int) -> None:
        super().__init__(lambda images: images[:, 0, 0, :3], (1, 8, 8))
        self.most = most
        self.given: list[int] = []

    def scores(self, images: np.ndarray) -> np.ndarray:
        self.given.append(len(images))
        if len(images) > self.most:
            raise MemoryError
        return super().scores(images)


def test_batches_are_halved_once_and_counted_as_they_were_answered() -> None:
    box, done = Hungry(3), list[int]()
    oracle = Oracle.of(box, 10, batch_size=8, advance=done.append)
    np.testing.assert_array_equal(oracle.scores(IMAGES), IMAGES[:, 0, 0, :3])
    assert box.given == [8, 4, 2, 2, 2, 2, 2]
    assert oracle.queries.tolist() == [[1, 0]] * 10
    assert oracle.limit.notes == ["memory ran out at 8 images, halved", "memory ran out at 4 images, halved"]
    assert sum(done) == 10


def test_a_single_image_for_which_memory_runs_out_is_an_error_of_this_package() -> None:
    with pytest.raises(OutOfMemoryError, match="a single image"):
        Oracle.of(Hungry(0), 10).scores(IMAGES)

    def make(_part: slice) -> np.ndarray:
        raise MemoryError

    for prefetch in (False, True):
        with pytest.raises(OutOfMemoryError, match="a single image"):
            Oracle.of(Hungry(9)).scores_of(make, 4, prefetch=prefetch)


@pytest.mark.parametrize("prefetch", [False, True])
def test_memory_that_runs_out_while_images_are_made_is_halved_too(prefetch: bool) -> None:
    def make(part: slice) -> np.ndarray:
        if part.stop - part.start > 2:
            raise MemoryError
        return IMAGES[part]

    oracle = Oracle.of(Hungry(9), batch_size=8)
    found = oracle.scores_of(make, 10, prefetch=prefetch)
    np.testing.assert_array_equal(found, IMAGES[:, 0, 0, :3])
    assert oracle.queries.tolist() == [[10, 0]]
    assert oracle.limit.images == 2


def test_images_belong_to_the_rows_that_are_named() -> None:
    oracle = Oracle.of(Hungry(99), 3)
    oracle.scores(IMAGES[:5], of=np.asarray([0, 2, 2, 2, 0]))
    view = oracle.take(np.asarray([2]))
    view.scores(IMAGES[:4])
    assert oracle.queries.tolist() == [[2, 0], [0, 0], [7, 0]]
    for ask in (oracle.scores, lambda images: oracle.answers(images.__getitem__, len(images))):
        with pytest.raises(InputError, match="Whose images are these"):
            ask(IMAGES[:5])


def test_a_failure_stays_with_its_image() -> None:
    def scores(images: np.ndarray) -> np.ndarray:
        if (images[:, 0, 0, 0] == 7).any():
            raise ValueError("seven")
        return images[:, 0, 0, :3]

    images = IMAGES.copy()
    images[4, 0, 0, 0] = 7
    answers = Oracle.of(Scores(scores, (1, 8, 8)), 10, batch_size=4).answers(images.__getitem__, 10)
    assert list(answers.failures) == [4]
    assert "seven" in str(answers.failures[4])
    assert np.isnan(answers.scores[4]).all()
    np.testing.assert_array_equal(np.delete(answers.scores, 4, 0), np.delete(images, 4, 0)[:, 0, 0, :3])
    with pytest.raises(ModelError, match="seven"):
        Oracle.of(Scores(scores, (1, 8, 8))).scores(images)


def test_arrays_come_back_in_the_library_in_which_they_were_given() -> None:
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 3))
    oracle = Oracle.of(bx.wrap(module, shape=(1, 8, 8)), 10, batch_size=4)
    on_host, inside = oracle.scores(IMAGES), oracle.scores(oracle.native(IMAGES))
    assert isinstance(on_host, np.ndarray)
    assert isinstance(inside, torch.Tensor)
    np.testing.assert_array_equal(on_host, inside.numpy())
    scores, gradient = oracle.gradient(IMAGES, np.ones((10, 3)))
    assert isinstance(scores, np.ndarray)
    assert gradient.shape == IMAGES.shape
    assert oracle.queries.tolist() == [[2, 1]] * 10


def test_gradients_are_halved_too() -> None:
    class Narrow(Regions):
        def scores_and_gradient(self, images: Any, weights: Any) -> Any:
            if len(images) > 2:
                raise MemoryError
            return super().scores_and_gradient(images, weights)

    region = box_region((8, 8), (2, 2), (6, 6))
    narrow, wide = Narrow([region]), Regions([region])
    weights = np.tile([1.0, 0.0], (5, 1))
    found = Oracle.of(narrow, 5).gradient(IMAGES[:5], weights)
    for one, other in zip(found, wide.scores_and_gradient(IMAGES[:5], weights), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)
