"""Same result whatever the company; the user's model as it was; failures that stay with their image."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch

import blackbox_explain as bx
from blackbox_explain.box.info import BoxInfo
from blackbox_explain.errors import InputError, ModelError, NoGradientError, OutOfMemoryError, TargetError
from blackbox_explain.methods.deleting import _Spare
from blackbox_explain.methods.mask.mask import Mask
from blackbox_explain.methods.occlusions.circles import _order
from tests.kinds import kept
from tests.toys import Faulty, Linear, Regions, Scores, box_region


@pytest.mark.parametrize("preset", kept(("fast", "paper", "authors"), "fast"))
def test_batch_size_order_and_company_do_not_matter(
    default_box: bx.BlackBox, sample_images: np.ndarray, preset: str
) -> None:
    options: dict[str, Any] = {"preset": preset, "progress": False, "steps": 12}
    images = sample_images[:4]
    together = bx.explain(default_box, images, **options)
    others = {
        "alone": bx.explain(default_box, images[:1], **options),
        "reversed": bx.explain(default_box, images[::-1], **options)[::-1],
        "by threes": bx.explain(default_box, images, batch_size=3, **options),
    }
    for name, other in others.items():
        count = len(other)
        np.testing.assert_allclose(other.mask, together.mask[:count], atol=1e-5, err_msg=name)
        np.testing.assert_allclose(other.scores, together.scores[:count], atol=1e-5, err_msg=name)
    again = bx.explain(default_box, images, **options)
    np.testing.assert_array_equal(again.mask, together.mask)
    other_seed = bx.explain(default_box, images[:1], seed=1, **options)
    assert np.abs(other_seed.mask - together.mask[:1]).max() > 1e-3


class Small(torch.nn.Module):
    """Convolution, batch norm and dropout, with flags of every kind."""

    def __init__(self, fault: str = "") -> None:
        super().__init__()
        self.body = torch.nn.Sequential(
            torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.ReLU(inplace=True), torch.nn.Dropout(0.5)
        )
        self.head = torch.nn.Linear(8, 5)
        self.fault = fault
        self.calls = 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        if self.fault and self.calls > 4:
            raise KeyboardInterrupt if self.fault == "interrupt" else ValueError("broken on purpose")
        return self.head(self.body(images).mean(dim=(2, 3)))


@pytest.mark.parametrize("fault", ["", "error", "interrupt"])
@pytest.mark.parametrize("training", [True, False])
def test_the_module_is_bit_for_bit_what_it_was(fault: str, training: bool) -> None:
    torch.manual_seed(0)
    model = Small().train(training)
    model.body[0].eval()
    model.head.weight.requires_grad_(False)
    before = copy.deepcopy(model.state_dict())
    flags = [(name, one.training) for name, one in model.named_modules()]
    wanted = [(name, one.requires_grad) for name, one in model.named_parameters()]
    box = bx.wrap(model, shape=(3, 24, 24))
    model.fault, model.calls = fault, 0
    images = np.random.default_rng(0).random((2, 3, 24, 24), dtype=np.float32)
    kept = images.copy()
    expected = {"": None, "error": ModelError, "interrupt": KeyboardInterrupt}[fault]
    if expected is None:
        bx.explain(box, images, progress=False, steps=3)
    else:
        with pytest.raises(expected):
            bx.explain(box, images, progress=False, steps=3)
    after = model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert flags == [(name, one.training) for name, one in model.named_modules()]
    assert wanted == [(name, one.requires_grad) for name, one in model.named_parameters()]
    assert all(one.grad is None for one in model.parameters())
    assert not model._forward_hooks
    np.testing.assert_array_equal(images, kept)


@pytest.mark.parametrize("fault", [np.nan, np.inf])
def test_scores_that_are_not_finite_fail_their_image_only(fault: float) -> None:
    box = Faulty(lambda scores: np.full_like(scores, fault))
    result = bx.explain(box, _one_bright(), 0, progress=False)
    assert [one.failed for one in result.outcome] == [False, True, False]
    assert "not finite" in result.outcome[1].message
    assert np.isnan(result.mask[1]).all()
    assert np.isfinite(result.mask[[0, 2]]).all()
    alone = bx.explain(box, _one_bright()[:1], 0, progress=False)
    np.testing.assert_array_equal(alone.mask[0], result.mask[0])


def test_a_model_that_raises_fails_its_image_only() -> None:
    def broken(_scores: np.ndarray) -> np.ndarray:
        raise RuntimeError("bad pixel")

    box = Faulty(broken)
    result = bx.explain(box, _one_bright(), 0, progress=False)
    assert "bad pixel" in result.outcome[1].message
    assert np.isfinite(result.mask[[0, 2]]).all()
    with pytest.raises(ModelError, match="RuntimeError: bad pixel"):
        bx.explain(box, _one_bright()[1:2], 0, progress=False)


def test_gradients_that_are_not_finite_fail_their_image_only() -> None:
    class Torn(Linear):
        def scores_and_gradient(self, images: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            scores, gradient = super().scores_and_gradient(images, weights)
            gradient = gradient + np.zeros_like(images)
            gradient[images.mean(axis=(1, 2, 3)) > 0.9] = np.nan
            return scores, gradient

    result = bx.explain(Torn(np.ones((1, 16, 16)) / 256), _one_bright(), 0, progress=False)
    assert "gradients are not finite" in result.outcome[1].message
    assert np.isfinite(result.mask[[0, 2]]).all()


def test_evaluations_do_not_depend_on_company(default_box: bx.BlackBox, sample_images: np.ndarray) -> None:
    options: dict[str, Any] = {"preset": "paper", "steps": 1, "progress": False}
    together = bx.explain(default_box, sample_images[:3], **options)
    alone = [bx.explain(default_box, sample_images[row : row + 1], **options) for row in range(3)]
    np.testing.assert_array_equal(together.queries, np.concatenate([one.queries for one in alone]))


def test_out_of_memory_halves_the_batch_and_says_so() -> None:
    class Hungry(Linear):
        def scores_and_gradient(self, images: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            if len(images) > 2:
                raise MemoryError
            return super().scores_and_gradient(images, weights)

    box = Hungry(np.full((1, 16, 16), 1 / 256))
    images = np.random.default_rng(0).random((5, 1, 16, 16))
    done: list[int] = []
    result = bx.explain(box, images, 0, progress=done.append)
    assert result.provenance.notes
    assert "halved" in result.provenance.notes[0]
    assert not any(one.failed for one in result.outcome)
    assert sum(done) == 5 * Mask().budget(BoxInfo.of(box)).with_region
    plain = bx.explain(Linear(box.weights), images, 0, progress=False)
    np.testing.assert_array_equal(plain.mask, result.mask)

    class Starved(Linear):
        def scores(self, images: np.ndarray) -> np.ndarray:
            raise MemoryError

    with pytest.raises(OutOfMemoryError):
        bx.explain(Starved(box.weights), images, 0, progress=False)


def test_rows_stop_on_their_own() -> None:
    region = box_region((64, 64), (8, 8), (40, 40))
    box = Regions([region])
    images = np.concatenate([box.image(), np.full((1, 1, 64, 64), 0.5)])
    free = bx.explain(box, images, 0, progress=False, preset="authors")
    held = bx.explain(box, images, 0, progress=False, preset="authors", tolerance=1e-4)
    assert (held.queries[:, 1] < free.queries[:, 1]).all()
    assert np.isnan(held.history[1, held.queries[1, 1] :]).all()
    assert held.queries[0, 1] != held.queries[1, 1]
    assert str(held.outcome[1]).startswith("weak: perturbing ")


def _one_bright() -> np.ndarray:
    images = np.random.default_rng(0).random((3, 1, 16, 16)) * 0.8
    images[1, 0, 0, 0] = 1.0
    # The fault must show whatever is perturbed, so all of the picture is bright.
    images[1] = 1.0
    return images


def test_what_explain_refuses(default_box: bx.BlackBox) -> None:
    box = Linear(np.ones((1, 16, 16)) / 256)
    images = np.random.default_rng(0).random((2, 1, 16, 16))
    cases: list[tuple[type[Exception], str, dict[str, Any]]] = [
        (InputError, "add the batch axis", {"images": images[0]}),
        (InputError, "divide by 255", {"images": (images * 255).astype(np.uint8)}),
        (InputError, "divide by 255", {"images": images * 255}),
        (InputError, "undo any normalisation", {"images": images - 0.5}),
        (InputError, "NaN", {"images": np.full_like(images, np.nan)}),
        (InputError, r"shape \(0, 1, 16, 16\)", {"images": images[:0]}),
        (InputError, "'fast' or|or 'fast'", {"preset": "slow"}),
        (InputError, "'blur' or", {"perturbation": "melt"}),
        (InputError, "'deletion' or", {"game": "chess"}),
        (InputError, "stepz", {"stepz": 3}),
        (InputError, "steps", {"steps": -3}),
        (InputError, "mask_shape", {"mask_shape": (-4, 4)}),
        (InputError, "mask_shape", {"mask_shape": (400, 4)}),
        (InputError, "batch_size=-1", {"batch_size": -1}),
        (InputError, "'mask'", {"method": "magic"}),
        (InputError, "did you mean 'gradient'", {"method": "gradeint"}),
        (InputError, "did you mean area_weight=", {"area_wieght": 1}),
        (InputError, "'gradient' has no such setting", {"method": "gradient", "steps": 3}),
        (InputError, "seed=-1", {"seed": -1}),
        (InputError, "tv_kind", {"tv_kind": "nonsense"}),
        (InputError, "learning_rate", {"learning_rate": float("nan")}),
        (InputError, "steps=3.5", {"steps": 3.5}),
        (InputError, "area_weight=-1", {"area_weight": -1, "preset": "paper"}),
        (InputError, "'fast' has no area_weight", {"area_weight": 1}),
        (InputError, "'paper' has no softness", {"softness": 0.3, "preset": "paper"}),
        (InputError, "game='both'", {"game": "both", "preset": "authors"}),
        (InputError, "suppress=1.5", {"suppress": 1.5}),
        (TargetError, "class 7", {"target": 7}),
        (TargetError, "class -1", {"target": -1}),
        (TargetError, "no names", {"target": "cat"}),
        (InputError, "references do not match", {"perturbation": bx.Reference(np.zeros((7, 1, 16, 16)))}),
        (TargetError, "3 targets for 2", {"target": [0, 0, 1]}),
        (TargetError, "top 9", {"target": bx.Top(9)}),
    ]
    for error, message, change in cases:
        options = {"images": images, "target": 0, "progress": False, **change}
        with pytest.raises(error, match=message):
            bx.explain(box, options.pop("images"), options.pop("target"), **options)
    box.spec = bx.InputSpec((1, 16, 16), class_names=("a", "b", "c"))
    with pytest.raises(TargetError, match="3 names"):
        bx.explain(box, images, "c")
    with pytest.raises(InputError, match="wrap"):
        bx.explain(lambda x: x, images)
    with pytest.raises(NoGradientError, match="scores but no gradients"):
        bx.explain(Scores(lambda x: x[:, 0, 0]), images, method="gradient")
    with pytest.raises(ModelError, match=r"\(2, 4, 14, 14\)"):
        bx.wrap(torch.nn.Conv2d(1, 4, 3), shape=(1, 16, 16))
    with pytest.raises(TargetError, match="tabby"):
        bx.explain(default_box, np.zeros((1, 3, 224, 224), np.float32), "tabbi")
    with pytest.raises(InputError, match="at least 1"):
        bx.InputSpec((3, -224, 224))


def test_targets_of_every_kind(default_box: bx.BlackBox, sample_images: np.ndarray) -> None:
    scores = default_box.scores(sample_images[:1])[0]
    top = np.argsort(-scores)
    options: dict[str, Any] = {"progress": False, "steps": 1}
    expected = {
        None: scores[top[0]],
        285: scores[285],
        "Egyptian cat": scores[285],
        "tabby": scores[281],
        bx.Top(5): scores[top[:5]].sum(),
        bx.Labels("tabby", 285): scores[281] + scores[285],
        bx.Difference(285, "tabby"): scores[285] - scores[281],
    }
    for target, value in expected.items():
        result = bx.explain(default_box, sample_images[:1], target, **options)
        assert result.score[0] == pytest.approx(value, abs=1e-6)
    mixed = bx.explain(default_box, sample_images[:2], ["tabby", bx.Top(2)], **options)
    assert mixed.target[0] == "tabby"
    assert " + " in mixed.target[1]


class Keeping(Linear):
    """Keeps all images that it is asked about, and copies of them as they were then."""

    def __init__(self) -> None:
        super().__init__(np.full((1, 16, 16), 1 / 256))
        self.asked: list[np.ndarray] = []
        self.copies: list[np.ndarray] = []

    def scores(self, images: np.ndarray) -> np.ndarray:
        self.asked.append(images[1:])  # a part of it is enough to hold it
        self.copies.append(images[1:].copy())
        return super().scores(images)


class OnHost(Keeping):
    """Says that it computes where NumPy's arrays are."""

    def native(self, array: np.ndarray) -> np.ndarray:
        return array


@pytest.mark.parametrize(("box", "batch_size", "most"), [(Keeping(), 16, 64), (OnHost(), 16, 16), (OnHost(), 1, 16)])
def test_arrays_that_a_model_keeps_stay_as_they_are(box: Keeping, batch_size: int, most: int) -> None:
    images = np.random.default_rng(0).random((2, 1, 16, 16))
    bx.explain(box, images, 0, method="rise", masks=150, batch_size=batch_size, progress=False)
    assert max(len(one) + 1 for one in box.asked) == most
    for asked, copied in zip(box.asked, box.copies, strict=True):
        np.testing.assert_array_equal(asked, copied)


def test_arrays_that_nobody_holds_are_filled_again() -> None:
    spare = _Spare()
    first = spare.take((4, 3), np.dtype(np.float32))
    address = first.ctypes.data
    view = first[1:2]
    del first
    second = spare.take((4, 3), np.dtype(np.float32))
    assert second.ctypes.data != address
    del view
    assert spare.take((4, 3), np.dtype(np.float32)).ctypes.data == address
    assert spare.take((4, 3), np.dtype(np.float64)).dtype == np.float64
    assert spare.take((2, 3), np.dtype(np.float32)).shape == (2, 3)


def test_circles_that_differ_by_rounding_are_equal() -> None:
    rng = np.random.default_rng(0)
    # Three heights, each ten times.
    falls = np.repeat([0.9, 0.5, 0.1], 10)[rng.permutation(30)]
    wanted = _order(falls)
    assert falls[np.argsort(wanted)].tolist() == sorted(falls, reverse=True)
    for _ in range(20):
        np.testing.assert_array_equal(_order(falls + rng.normal(0, 1e-7, 30)), wanted)
    # Others keep the order of what they are.
    others = rng.random(30)
    np.testing.assert_array_equal(np.argsort(_order(others)), np.argsort(-others))
    assert _order(np.zeros(3)).tolist() == [0, 1, 2]
