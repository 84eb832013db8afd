"""The sanity check by cascading randomisation: by hand, on every kind of box, and what it refuses."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
from scipy.stats import spearmanr

import blackbox_explain as bx
from blackbox_explain.box.adapter_tools.random_parameters import drawn_like
from blackbox_explain.errors import InputError, ModelError, NotMeasurableError, UnsupportedModelError
from blackbox_explain.metrics.randomization import Randomization
from blackbox_explain.samples import CAT, COFFEE
from tests.metrics.drawn import value_of, values_of
from tests.metrics.test_infidelity import by_gradient
from tests.toys import Factors, Linear

WEIGHTS = np.random.default_rng(3).normal(size=(1, 6, 6))
IMAGES = np.random.default_rng(4).random((3, 1, 6, 6))
BOX = Factors(WEIGHTS)


def test_by_hand() -> None:
    # The map is |w|; the layer nearest to the output is all ones, which no draw changes.
    found = bx.evaluate(BOX, by_gradient(BOX, IMAGES), [Randomization((0.5, 1.0))], progress=False).measurements[0]
    drawn = drawn_like(WEIGHTS, 0, "first")
    expected = spearmanr(np.abs(WEIGHTS).ravel(), np.abs(drawn).ravel()).statistic
    np.testing.assert_allclose(found.curve, np.tile([1.0, expected], (3, 1)))
    np.testing.assert_allclose(found.values, expected)
    assert found.to_dict()["curve"] == found.curve.tolist()  # type: ignore[union-attr]
    assert (found.queries == 6).all()  # scores and gradient, of the model and of two random ones


def test_a_map_that_does_not_come_from_the_model_never_changes() -> None:
    box = Factors(WEIGHTS)
    explained = bx.explain(box, IMAGES, 0, method="center", progress=False)
    assert values_of(Randomization(), explained, box) == [1.0] * 3


def test_layers_are_replaced_from_the_output_on_and_the_target_stays() -> None:
    asked: list[tuple[str, ...]] = []

    class Watched(Factors):
        def parameter_layers(self) -> tuple[str, ...]:
            return ("e", "d", "c", "b", "a")

        def randomized(self, layers: Sequence[str], seed: int) -> Any:
            asked.append(tuple(layers))
            return Linear(-self.weights)

    class OfTarget:
        name: ClassVar[str] = "of-target"

        def explain(self, oracle: Any, images: Any, weights: Any, seed: int) -> Any:
            np.testing.assert_array_equal(weights, [[1, 0]] * len(images))
            _, slopes = oracle.gradient(images, weights)
            return SimpleNamespace(saliency=slopes[:, 0], failures={})

    box = Watched(WEIGHTS)
    metric = Randomization((0.2, 0.5, 1.0), method=OfTarget())
    explained = by_gradient(box, IMAGES)
    # The random model's own class is the other one, and its slope for the target is the opposite.
    np.testing.assert_allclose(values_of(metric, explained, box), -1)
    assert asked == [("e",), ("e", "d", "c"), ("e", "d", "c", "b", "a")]
    bx.evaluate(box, explained, [metric], batch_size=1, progress=False)
    assert len(asked) == 3  # they were made once, whatever the batches


def test_maps_without_ranks() -> None:
    class Dark(Factors):
        def randomized(self, layers: Sequence[str], seed: int) -> Any:
            return Linear(0 * self.weights)

    assert value_of(Randomization(), by_gradient(Dark(WEIGHTS), IMAGES[:1]), Dark(WEIGHTS)) == 0
    nothing = Factors(0 * WEIGHTS)
    assert np.isnan(value_of(Randomization(), by_gradient(nothing, IMAGES[:1]), nothing))


def test_a_random_model_that_fails_fails_the_row() -> None:
    class Fails(Factors):
        def randomized(self, layers: Sequence[str], seed: int) -> Any:
            return Linear(np.nan * self.weights)

    box = Fails(WEIGHTS)
    explained = by_gradient(box, IMAGES)
    with pytest.raises(ModelError, match="not finite"):
        bx.evaluate(box, explained, [Randomization()], progress=False)


def test_boxes_without_parameters_are_refused() -> None:
    blind = bx.wrap(lambda images: images[:, 0, :2].mean(axis=(1, 2))[:, None], shape=(1, 6, 6))
    assert "cannot be drawn anew" in str(bx.metrics_for(blind)["randomization"])
    explained = bx.explain(blind, IMAGES, 0, method="occlusion", progress=False)
    with pytest.raises(UnsupportedModelError, match="'randomization' needs Randomizable"):
        bx.evaluate(blind, explained, ["randomization"], progress=False)

    class Refuses(Factors):
        def parameter_layers(self) -> tuple[str, ...]:
            raise UnsupportedModelError("Nothing to draw")

    with pytest.raises(NotMeasurableError, match="Nothing to draw"):
        values_of(Randomization(), by_gradient(Refuses(WEIGHTS), IMAGES), Refuses(WEIGHTS))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"shares": ()}, "no steps of a cascade"),
        ({"shares": (0.5, 0.25)}, "no steps of a cascade"),
        ({"shares": (0.0, 1.0)}, "no steps of a cascade"),
        ({"shares": (0.5, 1.5)}, "no steps of a cascade"),
        ({"shares": 1.0}, "no steps of a cascade"),
        ({"shares": "all"}, "no steps of a cascade"),
        ({"seed": -1}, "out of range"),
        ({"method": "gradient"}, "This is no method"),
    ],
)
def test_settings_out_of_range(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Randomization(**settings)


@pytest.mark.exhaustive
def test_methods_of_the_default_model_depend_on_its_parameters(default_box: bx.BlackBox) -> None:
    images = bx.load_images([COFFEE, CAT], default_box.spec)
    explained = {name: bx.explain(default_box, images, method=name, progress=False) for name in ("gradient", "center")}
    found = bx.evaluate(default_box, explained, [Randomization()], progress=False)
    assert found["gradient", "randomization"].mean < 0.5
    assert found["center", "randomization"].mean == 1
