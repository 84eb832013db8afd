"""Rules and models whose errors are known by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

import blackbox_explain as bx
from blackbox_explain.box.input_spec import InputSpec
from blackbox_explain.data.samples import Samples
from blackbox_explain.rules.questions import Questions, Rows
from blackbox_explain.rules.relations.relation import Relation
from blackbox_explain.rules.statements.rule import Outcome, Rule
from tests.toys import Scores

SPEC = InputSpec((1, 2, 2))


@dataclass(frozen=True)
class Brighter(Relation):
    """Adds hundredths to the first or second pixel."""

    name: ClassVar[str] = "brighter"
    unit: ClassVar[str] = " %"
    largest: ClassVar[float] = 45.0
    step: ClassVar[float] = 1.0
    pixel: int = 0

    def phrase(self, theta: float) -> str:
        return f"pixel {self.pixel} is brighter by at most {theta:g} %"

    def transform(self, images: Any, amounts: Any, spec: InputSpec, generators: Sequence[np.random.Generator]) -> Any:
        made = images.copy()
        made[:, 0, 0, self.pixel] += (amounts / 100).astype(np.float32)
        return made


class Breaks:
    """The top class is 0 until pixels are brighter than they may be; counts what it is asked."""

    def __init__(self, *limits: float) -> None:
        self.spec, self.limits, self.asked, self.calls = SPEC, limits, 0, 0

    def scores(self, images: np.ndarray) -> np.ndarray:
        self.asked += len(images)
        self.calls += 1
        over = sum(np.maximum(images[:, 0, 0, k] - limit / 100 - 1e-6, 0) for k, limit in enumerate(self.limits))
        return np.stack([0.5 - (over > 0) * (0.1 + over), 0.5 + (over > 0) * (0.1 + over)], axis=1)


@dataclass(frozen=True)
class FirstPixel(Rule):
    """The first pixel is below a number: a rule whose error is known by hand."""

    below: float

    @property
    def sentence(self) -> str:
        return f"the first pixel is below {self.below:g}"

    def check(self, questions: Questions, rows: Rows) -> Outcome:
        found = questions.samples.batch(rows)[:, 0, 0, 0].astype(float)
        return Outcome.always(found < self.below, found - self.below)


def dark(count: int) -> Samples:
    return Samples.of(np.zeros((count, *SPEC.shape), np.float32), SPEC)


def uniform(count: int, seed: int = 0, **known: Any) -> Samples:
    return Samples.of(np.random.default_rng(seed).random((count, *SPEC.shape), dtype=np.float32), SPEC, **known)


BOX = Scores(lambda images: np.stack([images[:, 0, 0, 0], 1 - images[:, 0, 0, 0]], axis=1), SPEC.shape)


def attribution(box: Any, images: np.ndarray, target: Any, method: str) -> np.ndarray:
    """Return the signed attribution (N, *shape) of a method."""
    found = bx.explain(box, images, target, method=method, progress=False).attribution
    assert found is not None
    return found
