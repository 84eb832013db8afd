"""Methods keep their contract; those that do not are told from them."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import EntryPoint
from typing import Any, ClassVar

import numpy as np
import pytest

import blackbox_explain as bx
from blackbox_explain.arrays import to_numpy
from blackbox_explain.errors import InputError, NoGradientError
from blackbox_explain.methods import Attribution, Budget, finding
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
        for _ in range(3):
            oracle.scores(images)
        return super().explain(oracle, images, weights, seed)


class NotFinite(Plain):
    def explain(self, oracle: Any, images: Any, weights: Any, seed: int) -> Attribution:
        return Attribution(saliency=to_numpy(images).mean(axis=1) * np.nan)


class Smaller(Plain):
    def explain(self, oracle: Any, images: Any, weights: Any, seed: int) -> Attribution:
        return Attribution(saliency=to_numpy(images).mean(axis=1)[:, ::2])


@pytest.mark.parametrize(
    ("method", "said"),
    [
        (LooksAround(), "depends on its company"),
        (AsksMore(), "5 queries of a row, and the budget says 3"),
        (NotFinite(), "not finite"),
        (Smaller(), "the saliency has shape"),
    ],
)
def test_broken_ones_are_told(method: Any, said: str) -> None:
    check_method(Plain(), toy())
    with pytest.raises(AssertionError, match=said):
        check_method(method, toy())


def test_what_a_box_allows_and_why_not() -> None:
    allowed = bx.methods_for(toy())
    assert {name for name, reason in allowed.items() if reason is None} >= {"mask", "gradient", "gradient-times-input"}
    alone = bx.methods_for(Scores(toy().scores, (1, 24, 24)))
    assert alone["mask"] is None
    assert "scores but no gradients; the method 'gradient' needs Differentiable" in str(alone["gradient"])
    with pytest.raises(NoGradientError, match="the method 'gradient' needs Differentiable"):
        bx.explain(Scores(toy().scores, (1, 24, 24)), toy().image(), method="gradient")


def test_a_broken_method_of_others_warns_and_breaks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    registered = finding.entry_points
    broken = EntryPoint("broken", "math:no_such_name", finding.METHODS)
    monkeypatch.setattr(finding, "entry_points", lambda group: (*registered(group), broken))
    with pytest.warns(RuntimeWarning, match="the method 'math:no_such_name' is broken"):
        allowed = bx.methods_for(toy())
    assert "cannot be loaded" in str(allowed["broken"])
    assert bx.explain(toy(), toy().image(), method="gradient", progress=False).method == "gradient"


def test_what_is_no_method() -> None:
    with pytest.raises(InputError, match="This is no method"):
        bx.explain(toy(), toy().image(), method=3)  # type: ignore[call-overload]
    changed = bx.explain(toy(), toy().image(), method=Mask(steps=3), steps=5, progress=False)
    assert changed.provenance.settings["steps"] == 5
