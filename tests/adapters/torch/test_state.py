"""What modules keep for themselves: put back after each call, and never part of an answer."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

import blackbox_explain as bx
from tests.adapters.torch.test_adapter import SHAPE, Answers


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).random((3, *SHAPE), dtype=np.float32)


class Counting(torch.nn.Module):
    """Answers otherwise each time."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind, self.norm = kind, torch.nn.BatchNorm2d(3)
        self.register_buffer("level", torch.zeros(()))
        self.seen: torch.Tensor = torch.zeros(())

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images to logits."""
        if self.kind == "buffer":
            self.level += 0.3
        elif self.kind == "replaced":
            self.level = self.level + 0.3
        elif self.kind == "attribute":
            self.seen = self.seen + 0.3
        elif self.kind == "new":
            self.late = getattr(self, "late", torch.zeros(())) + 0.3
        elif self.kind == "norm":
            self.norm.train()(images)
            self.norm.eval()
        rest = self.level + self.seen + getattr(self, "late", 0.0)
        means = self.norm(images).mean((2, 3))
        return torch.cat([means[:, :2], means[:, 2:] + rest], 1)


@pytest.mark.parametrize("kind", ["buffer", "replaced", "attribute", "new", "norm"])
def test_state_is_put_back_after_each_call(kind: str, images: np.ndarray) -> None:
    module = Counting(kind).eval()
    known = {name: value.clone() for name, value in module.state_dict().items()}
    box = bx.wrap(module, shape=SHAPE, activation="softmax")
    assert sum("changes its own state" in one for one in box.assumptions) == 1
    first = box.scores(images)
    np.testing.assert_array_equal(box.scores(images), first)
    box.scores_and_gradient(images, np.ones_like(first))
    again = pickle.loads(pickle.dumps(box))  # noqa: S301 - made here
    np.testing.assert_array_equal(again.scores(images), first)
    np.testing.assert_array_equal(again.scores(images), first)
    for name, value in module.state_dict().items():
        torch.testing.assert_close(value, known[name], rtol=0, atol=0)
    assert not hasattr(module, "late")
    assert float(module.seen) == 0
    assert not any("changes its own state" in one for one in bx.wrap(Answers(lambda s: s), shape=SHAPE).assumptions)


class Cached(torch.nn.Module):
    """Keeps what it computes for one size of images, as positional encodings and anchors are kept."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind, self.size = kind, 0
        self.scale: torch.Tensor | None = None
        self.register_buffer("kept", None)
        if kind == "tensor":
            self.scale = torch.zeros(1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images to logits."""
        made = torch.full((1,), 200.0 / images.shape[-1])
        if self.kind == "buffer":
            self.kept = made if self.kept is None else self.kept
            return images.mean((2, 3)) * self.kept
        if self.kind == "attribute":
            self.scale = made if self.scale is None else self.scale
        elif self.size != images.shape[-1]:
            self.scale, self.size = made, images.shape[-1]
        return images.mean((2, 3)) * self.scale


@pytest.mark.parametrize("kind", ["buffer", "attribute", "tensor"])
def test_what_a_module_keeps_for_a_size_is_as_it_was(kind: str, images: np.ndarray) -> None:
    module = Cached(kind).eval()
    fresh = torch.tensor(images).mean((2, 3)) * 200 / SHAPE[-1]
    box = bx.wrap(module, shape=SHAPE, activation="none")
    for _ in range(2):
        torch.testing.assert_close(torch.tensor(box.scores(images)), fresh)
    assert (module.size, module.kept) == (0, None)
    torch.testing.assert_close(module(torch.tensor(images)), fresh)


def test_a_buffer_that_is_the_answer_is_copied(images: np.ndarray) -> None:
    class Into(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("answer", torch.zeros(64, 3))

        def forward(self, given: torch.Tensor) -> torch.Tensor:
            with torch.no_grad():
                self.answer[: len(given)] = given.mean((2, 3))
            return self.answer[: len(given)]

    box = bx.wrap(Into().eval(), shape=SHAPE, activation="none")
    np.testing.assert_allclose(box.scores(images), images.mean((2, 3)), atol=1e-6)


def test_threads_that_share_a_module_get_what_one_gets(images: np.ndarray) -> None:
    """Whatever one of them computes with is not put back while another computes with it."""
    module = Cached("tensor").eval()
    boxes = [bx.wrap(module, shape=SHAPE, activation="none") for _ in range(2)]
    expected = images.mean((2, 3)) * 200 / SHAPE[-1]
    with ThreadPoolExecutor(8) as pool:
        heard = list(pool.map(lambda which: boxes[which % 2].scores(images), range(200)))
    for one in heard:
        np.testing.assert_allclose(one, expected, rtol=1e-5)
    assert module.scale is not None
    assert (module.size, float(module.scale)) == (0, 0.0)


def test_the_key_may_lie_in_another_module_than_the_tensor(images: np.ndarray) -> None:
    class Around(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.size, self.inner = 0, torch.nn.Module()
            self.inner.scale = torch.zeros(1)

        def forward(self, given: torch.Tensor) -> torch.Tensor:
            if self.size != given.shape[-1]:
                self.size, self.inner.scale = given.shape[-1], torch.ones(1)
            return given.mean((2, 3)) * self.inner.scale

    box = bx.wrap(Around().eval(), shape=SHAPE, activation="none")
    for _ in range(2):
        np.testing.assert_allclose(box.scores(images), images.mean((2, 3)), rtol=1e-5)


def test_a_call_that_fails_tells_nothing_of_what_the_next_one_changes(images: np.ndarray) -> None:
    class One(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("seen", torch.zeros(()))

        def forward(self, given: torch.Tensor) -> torch.Tensor:
            if len(given) != 1:
                raise ValueError("one image at a time")
            self.seen += 1
            return given.mean((2, 3)) + self.seen * torch.tensor([1.0, 0.0, 0.0])

    module = One().eval()
    box = bx.wrap(module, shape=SHAPE, activation="none")
    first = box.scores(images)
    np.testing.assert_array_equal(box.scores(images), first)
    assert float(module.seen) == 0


def test_tensors_that_share_their_memory_are_only_put_back_where_they_changed(images: np.ndarray) -> None:
    class Wide(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.wide = torch.zeros(1).expand(3)

        def forward(self, given: torch.Tensor) -> torch.Tensor:
            self.wide = self.wide + 1
            return given.mean((2, 3)) + self.wide

    box = bx.wrap(Wide().eval(), shape=SHAPE, activation="none")
    for _ in range(2):
        np.testing.assert_allclose(box.scores(images), images.mean((2, 3)) + 1, rtol=1e-5)


@pytest.mark.filterwarnings("ignore:Lazy modules are a new feature")
def test_lazy_buffers_have_nothing_to_be_put_back(images: np.ndarray) -> None:
    module = torch.nn.Sequential(torch.nn.LazyBatchNorm2d(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()).eval()
    box = bx.wrap(module, shape=SHAPE, activation="none")
    np.testing.assert_array_equal(box.scores(images), box.scores(images))
