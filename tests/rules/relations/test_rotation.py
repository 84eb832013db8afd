"""Rules about rotation on models whose answers are known: one that does not see it, one that breaks at 20°."""

from __future__ import annotations

import numpy as np
import pytest

from blackbox_explain import rules
from blackbox_explain.box.input_spec import InputSpec

SIZE = 40


def grid() -> tuple[np.ndarray, np.ndarray]:
    rows, columns = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    return rows, columns


class Rings:
    """Sees how bright each of five rings around the centre is, and nothing else."""

    def __init__(self) -> None:
        self.spec = InputSpec((1, SIZE, SIZE))
        radius = np.hypot(*grid())
        self.rings = np.stack([(radius >= 4 * k) & (radius < 4 * k + 4) for k in range(5)]) / 1.0
        self.rings /= self.rings.sum(axis=(1, 2), keepdims=True)

    def scores(self, images: np.ndarray) -> np.ndarray:
        return np.tensordot(images[:, 0], self.rings, axes=((1, 2), (1, 2)))


class Upright:
    """Class 0 as long as a bar leans by at most some degrees from where it stood."""

    def __init__(self, limit: float) -> None:
        self.spec, self.limit = InputSpec((1, SIZE, SIZE)), limit

    def scores(self, images: np.ndarray) -> np.ndarray:
        rows, columns = grid()
        mass = images[:, 0] / images[:, 0].sum(axis=(1, 2), keepdims=True)
        across, along, both = ((mass * one).sum(axis=(1, 2)) for one in (columns**2, rows**2, rows * columns))
        lean = np.degrees(0.5 * np.arctan2(2 * both, along - across))
        inside = 1 / (1 + np.exp(np.abs(lean) - self.limit))
        return np.stack([inside, 1 - inside], axis=1)


def bars(count: int, box: Upright) -> rules.Samples:
    rows, columns = grid()
    width = np.random.default_rng(0).uniform(1.5, 2.5, size=(count, 1, 1, 1))
    return rules.Samples.of(np.exp(-((columns / width) ** 2) - (rows / 9) ** 2).astype(np.float32), box.spec)


def test_a_model_that_does_not_see_rotation_has_error_zero_and_the_bound_of_the_exact_formula() -> None:
    rng, box = np.random.default_rng(1), Rings()
    levels = rng.permuted(np.tile([0.1, 0.3, 0.5, 0.7, 0.9], (300, 1)), axis=1)
    images = np.tensordot(levels, box.rings > 0, axes=1) + rng.normal(0, 0.02, (300, SIZE, SIZE))
    samples = rules.Samples.of(np.clip(images, 0, 1)[:, None].astype(np.float32), box.spec)
    found = rules.faithfulness(rules.Invariance(rules.Rotation(180, 3), 180), box, samples, progress=False)
    assert (found.errors, found.low) == (0, 0.0)
    assert found.high == pytest.approx(1 - 0.025 ** (1 / 300), rel=1e-12)
    assert rules.most_informative(rules.Rotation(180, 3), box, samples, progress=False).theta == 180


@pytest.mark.parametrize("limit", [20.5, 7.5])
def test_the_largest_angle_of_a_model_that_breaks_is_found_within_one_step(limit: float) -> None:
    box = Upright(limit)
    found = rules.most_informative(rules.Rotation(), box, bars(400, box), progress=False)
    assert abs(found.theta - int(limit)) <= 1
    true = max(0.0, found.theta - int(limit)) / found.theta
    assert found.chosen.low <= true <= found.chosen.high <= 0.05
    assert found.sentence.startswith(
        f"if the image is rotated by at most {found.theta:g}°, the top class stays the same"
    )
    assert {int(limit) + 1} <= {round(abs(one.amount)) for one in found.nearest}


def test_rotation_and_scale_together_are_outlined() -> None:
    box = Upright(20.5)
    found = rules.joint_region(
        rules.Rotation(), rules.Scale(100, 5), box, bars(200, box), max_error=0.1, progress=False
    )
    # A bar leans as far whatever its size.
    assert len(found.outline) == 1
    assert found.outline[0, 1] == 100
    assert 15 <= found.outline[0, 0] <= 23
    assert found.queries <= 0.5 * found.dense_queries
