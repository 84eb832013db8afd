"""Methods keep their contract; those that do not are told from them."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

import blackbox_explain as bx
from blackbox_explain.arrays import to_numpy
from blackbox_explain.box import entry_points as registered
from blackbox_explain.errors import InputError, NoGradientError
from blackbox_explain.explanation.region import REGION_QUERIES
from blackbox_explain.methods import Attribution, Budget
from blackbox_explain.methods.by_name import METHODS
from blackbox_explain.methods.gradients.gradient import Gradient
from blackbox_explain.methods.mask.mask import Mask
from blackbox_explain.testing import check_method
from tests.toys import Regions, Scores, box_region


def toy() -> Regions:
    return Regions([box_region((24, 24), (6, 6), (16, 16))])


@pytest.mark.parametrize(
    "method", ["gradient", "gradient-times-input", Mask(steps=3), Mask("paper", steps=3), Mask("authors", steps=3)]
)
def test_ours_keep_it(method: Any) -> None:
    check_method(method, toy())


def test_estimated_masks_keep_it() -> None:
    box = Scores(toy().scores, (1, 24, 24))
    check_method(Mask(steps=5, queries=150), box)


@dataclass(frozen=True)
class Plain:
    """Returns the image itself, and asks nothing."""

    name: ClassVar[str] = "plain"
    needs: ClassVar[Any] = bx.BlackBox

    def budget(self, info: Any) -> Budget:
        return Budget(2)

    def explain(self, oracle: Any, images: Any, weights: Any, seed: int) -> Attribution:
        return Attribution(saliency=to_numpy(images).mean(axis=1))


class LooksAround(Plain):
    def explain(self, oracle: Any, images: Any, weights: Any, seed: int) -> Attribution:
        found = to_numpy(images).mean(axis=1)
        return Attribution(saliency=found - found.mean())


class AsksMore(Plain):
    def explain(self, oracle: Any, images: Any, weights: Any, seed: int) -> Attribution:
        for _ in range(2 + REGION_QUERIES):
            oracle.scores(images)
        return super().explain(oracle, images, weights, seed)


class NotFinite(Plain):
    def explain(self, oracle: Any, images: Any, weights: Any, seed: int) -> Attribution:
        return Attribution(saliency=to_numpy(images).mean(axis=1) * np.nan)


class Smaller(Plain):
    def explain(self, oracle: Any, images: Any, weights: Any, seed: int) -> Attribution:
        return Attribution(saliency=to_numpy(images).mean(axis=1)[:, ::2])


class NoSigns(Plain):
    def explain(self, oracle: Any, images: Any, weights: Any, seed: int) -> Attribution:
        return replace(super().explain(oracle, images, weights, seed), attribution=to_numpy(images) * np.nan)


class OtherSigns(Plain):
    def explain(self, oracle: Any, images: Any, weights: Any, seed: int) -> Attribution:
        return replace(super().explain(oracle, images, weights, seed), attribution=to_numpy(images)[:, 0])


class Bare(Plain):
    def explain(self, oracle: Any, images: Any, weights: Any, seed: int) -> Any:
        return to_numpy(images).mean(axis=1)


@pytest.mark.parametrize(
    ("method", "said"),
    [
        (LooksAround(), "depends on its company"),
        (AsksMore(), f" queries of a row, and the budget says {3 + REGION_QUERIES}"),
        (NotFinite(), "not finite"),
        (NoSigns(), "not finite"),
        (Smaller(), "the saliency has shape"),
        (OtherSigns(), "the attribution has shape"),
        (Bare(), "returned a ndarray; expected an Attribution"),
    ],
)
def test_broken_ones_are_told(method: Any, said: str) -> None:
    check_method(Plain(), toy())
    with pytest.raises(AssertionError, match=said):
        check_method(method, toy())


def test_a_row_whose_gradient_is_not_finite_fails_and_the_others_do_not() -> None:
    class Torn(Regions):
        def scores_and_gradient(self, images: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            scores, gradient = super().scores_and_gradient(images, weights)
            gradient[images[:, 0, 0, 0] == 0.125] = np.nan
            return scores, gradient

    box = Torn([box_region((24, 24), (6, 6), (16, 16))])
    images = np.concatenate([box.image()] * 3)
    images[1, 0, 0, 0] = 0.125
    result = bx.explain(box, images, method="gradient", progress=False)
    assert [one.kind for one in result.outcome] == ["ok", "failed", "ok"]
    assert np.isnan(result.saliency[1]).all()
    assert np.isnan(result.score[1])
    assert np.isfinite(result.saliency[[0, 2]]).all()


def test_images_whose_perturbed_versions_a_model_fails_on_fail_alone() -> None:
    class Sharp(Regions):
        def scores(self, images: np.ndarray) -> np.ndarray:
            if ((images.std(axis=(1, 2, 3)) < 0.1) & (images.mean(axis=(1, 2, 3)) > 0.6)).any():
                raise ValueError("not sharp")
            return super().scores(images)

    box = Sharp([box_region((24, 24), (6, 6), (16, 16))])
    images = np.concatenate([box.image()] * 3)
    images[1] = np.maximum(images[1], 0.7 * (np.arange(24) % 3 > 0))
    result = bx.explain(box, images, method="gradient", progress=False)
    assert [one.failed for one in result.outcome] == [False, True, False]
    assert "not sharp" in result.outcome[1].message
    assert np.isfinite(result.curve[[0, 2]]).all()


def test_every_method_gets_its_region_and_says_what_its_gradient_is() -> None:
    box = toy()
    plain = bx.explain(box, box.image(), method=Plain(), progress=False)
    assert plain.provenance.gradients == "none"
    assert plain.predictions[0].before
    assert plain.predictions[0].after
    assert plain.region.sum() == round(plain.share[0] * 24 * 24)
    assert bx.explain(box, box.image(), method="gradient", progress=False).provenance.gradients == "exact"
    alone = Scores(box.scores, (1, 24, 24))
    assert bx.explain(alone, box.image(), queries=100, progress=False).provenance.gradients == "estimated"


def test_what_a_box_allows_and_why_not() -> None:
    allowed = bx.methods_for(toy())
    assert {name for name, reason in allowed.items() if reason is None} >= {"mask", "gradient", "gradient-times-input"}
    alone = bx.methods_for(Scores(toy().scores, (1, 24, 24)))
    assert alone["mask"] is None
    assert "scores but no gradients; the method 'gradient' needs Differentiable" in str(alone["gradient"])
    with pytest.raises(NoGradientError, match="the method 'gradient' needs Differentiable"):
        bx.explain(Scores(toy().scores, (1, 24, 24)), toy().image(), method="gradient")


def test_a_broken_method_of_others_warns_and_breaks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    known = registered.entry_points
    broken = EntryPoint("broken", "math:no_such_name", METHODS)
    monkeypatch.setattr(registered, "entry_points", lambda group: (*known(group), broken))
    with pytest.warns(RuntimeWarning, match="the method 'math:no_such_name' is broken"):
        allowed = bx.methods_for(toy())
    assert "cannot be loaded" in str(allowed["broken"])
    assert bx.explain(toy(), toy().image(), method="gradient", progress=False).method == "gradient"


def test_what_is_no_method() -> None:
    with pytest.raises(InputError, match="This is no method"):
        bx.explain(toy(), toy().image(), method=3)  # type: ignore[call-overload]
    with pytest.raises(InputError, match=r"brings its own settings.*steps beside a method; try: set them in Mask"):
        bx.explain(toy(), toy().image(), method=Mask(steps=3), steps=5, progress=False)
    with pytest.raises(InputError, match="no perturbation"):
        bx.explain(toy(), toy().image(), perturbation=3)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Referring(Plain):
    """Deletes to an image of its own for each row."""

    images: Any = None

    def explain(self, oracle: Any, images: Any, weights: Any, seed: int) -> Attribution:
        return Attribution(saliency=to_numpy(images).mean(axis=1), perturbation=bx.Reference(self.images))


def test_references_are_those_of_the_rows_whatever_the_batch() -> None:
    box = toy()
    images = np.random.default_rng(0).random((3, 1, 24, 24))
    method = Referring(np.random.default_rng(1).random((3, 1, 24, 24)))
    found = [bx.explain(box, images, 0, method=method, batch_size=size, progress=False) for size in (1, 2, 3)]
    for other in found[1:]:
        np.testing.assert_allclose(other.score_perturbed, found[0].score_perturbed)
        np.testing.assert_allclose(other.curve, found[0].curve)


class Bytes(Plain):
    def explain(self, oracle: Any, images: Any, weights: Any, seed: int) -> Attribution:
        return Attribution(saliency=(to_numpy(images).mean(axis=1) > 0.7).astype(np.uint8) * 200)


class Places(Plain):
    def explain(self, oracle: Any, images: Any, weights: Any, seed: int) -> Attribution:
        return Attribution(saliency=to_numpy(images).mean(axis=1) > 0.7)


@pytest.mark.parametrize("method", [Bytes(), Places()])
def test_maps_of_bytes_are_ranked_as_those_of_floats(method: Any) -> None:
    box = toy()
    image = np.zeros((1, 1, 24, 24))
    image[:, :, 6:16, 6:16] = 1
    saliency = bx.explain(box, image, 0, method=method, progress=False).saliency
    assert saliency.dtype.kind == "f"
    found = bx.explain(box, image, 0, method=method, perturbation="zero", progress=False)
    assert found.region[0][6:16, 6:16].sum() == found.region[0].sum() > 0


@dataclass(frozen=True)
class HoldsALock(Plain):
    lock: Any = None
    model: Any = None


def test_what_a_method_holds_is_recorded_as_it_prints(tmp_path: Path) -> None:
    box = toy()
    method = HoldsALock(threading.Lock(), box)
    result = bx.explain(box, box.image(), method=method, progress=False)
    assert result.provenance.settings["lock"].startswith("<unlocked")
    json.dumps(result.to_dict())
    result.save(tmp_path / "held.npz")
    assert bx.Explanation.load(tmp_path / "held.npz").provenance.settings == result.provenance.settings
    kept = bx.explain(box, box.image(), method=method, game="preservation", progress=False)
    assert kept.game == "preservation"


def test_a_method_that_is_given_takes_game_and_perturbation_too() -> None:
    box = toy()
    named = bx.explain(box, box.image(), method="gradient", game="preservation", perturbation="low", progress=False)
    given = bx.explain(box, box.image(), method=Gradient(), game="preservation", perturbation="low", progress=False)
    assert np.array_equal(named.region, given.region)
    assert given.provenance.settings == named.provenance.settings
    with pytest.raises(InputError, match="brings its own settings"):
        bx.explain(box, box.image(), method=Mask(steps=3), game="preservation", progress=False)
