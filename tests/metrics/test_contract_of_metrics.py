"""No check of the contract of metrics is one that cannot fail."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import pytest

import blackbox_explain as bx
from blackbox_explain.testing import check_metric
from tests.toys import Linear

BOX = Linear(np.random.default_rng(0).normal(size=(1, 6, 6)))
IMAGES = np.random.default_rng(1).random((3, 1, 6, 6))
EXPLAINED = bx.explain(BOX, IMAGES, 0, method="gradient-times-input", progress=False)


@dataclass(frozen=True)
class Good:
    """The largest saliency."""

    name: ClassVar[str] = "good"
    needs: ClassVar[type[Any]] = bx.BlackBox
    better: ClassVar[Literal["higher", "lower"]] = "higher"
    range: ClassVar[tuple[float, float]] = (0, np.inf)

    def measure(self, oracle: Any, explanation: bx.Explanation) -> Any:
        return explanation.saliency.max(axis=(1, 2))


@dataclass
class Mutable:
    name: ClassVar[str] = "mutable"
    needs: ClassVar[type[Any]] = bx.BlackBox
    better: ClassVar[str] = "higher"
    range: ClassVar[tuple[float, float]] = (0, np.inf)

    def measure(self, oracle: Any, explanation: bx.Explanation) -> Any:
        return explanation.saliency.max(axis=(1, 2))


class Sideways(Good):
    better: ClassVar[Any] = "sideways"


class OutOfRange(Good):
    range: ClassVar[tuple[float, float]] = (-1, 0)


class Company(Good):
    def measure(self, oracle: Any, explanation: bx.Explanation) -> Any:
        return explanation.saliency.max(axis=(1, 2)) / explanation.saliency.max()


class Asks(Good):
    def measure(self, oracle: Any, explanation: bx.Explanation) -> Any:
        if len(explanation) > 1:
            oracle.scores(explanation.images)
        return explanation.saliency.max(axis=(1, 2))


class OneForAll(Good):
    def measure(self, oracle: Any, explanation: bx.Explanation) -> Any:
        return explanation.saliency.max()


class Endless(Good):
    def measure(self, oracle: Any, explanation: bx.Explanation) -> Any:
        return np.asarray([np.inf, *explanation.saliency.max(axis=(1, 2))[1:]])


class Nothing(Good):
    def measure(self, oracle: Any, explanation: bx.Explanation) -> Any:
        return np.full(len(explanation), np.nan)


def test_a_good_one_passes() -> None:
    check_metric(Good(), BOX, EXPLAINED)


@pytest.mark.parametrize(
    ("metric", "broken"),
    [
        (Mutable, "is not frozen"),
        (Sideways, "better is 'sideways'"),
        (OutOfRange, "are not in the range"),
        (Company, "depends on its company or its place"),
        (Asks, "how often a row is asked"),
        (OneForAll, "a number for each image"),
        (Nothing, "no row has a value"),
        (Endless, "not finite"),
    ],
)
def test_a_broken_one_fails(metric: Any, broken: str) -> None:
    with pytest.raises(AssertionError, match=broken):
        check_metric(metric(), BOX, EXPLAINED)


def test_one_image_has_no_company() -> None:
    with pytest.raises(AssertionError, match="one image alone has no company"):
        check_metric(Good(), BOX, EXPLAINED[:1])
