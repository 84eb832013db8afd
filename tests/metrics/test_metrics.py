"""Metrics against values by hand; `evaluate` with failures, other models, several methods; metrics by name."""

from __future__ import annotations

import dataclasses
from importlib.metadata import EntryPoint
from typing import Any

import numpy as np
import pytest

import blackbox_explain as bx
from blackbox_explain.box import entry_points as registered
from blackbox_explain.errors import InputError, ModelError, NoGradientError
from blackbox_explain.evaluating.measurement import joined
from blackbox_explain.evaluating.pooling import pooled_rows
from blackbox_explain.metrics.by_name import METRICS, metric_of
from blackbox_explain.metrics.deletion_insertion import Deletion, Insertion
from blackbox_explain.metrics.smallest_region import SmallestRegion
from blackbox_explain.testing import check_metric
from tests.toys import Faulty, Linear, Scores

WEIGHTS = np.asarray([[[4.0, 3.0], [2.0, 1.0]]])
ZERO = {"deletion": Deletion("zero"), "insertion": Insertion("zero")}
"""Blur leaves the score of such a model as it is, and nothing to measure."""

IMAGES = np.ones((2, 1, 2, 2)) * np.asarray([1.0, 0.5])[:, None, None, None]


def by_gradient(box: Any = None, images: np.ndarray = IMAGES) -> bx.Explanation:
    return bx.explain(box or Linear(WEIGHTS), images, 0, method="gradient", progress=False)


def test_areas_by_hand() -> None:
    # Pixel after pixel leaves 6, 3, 1 and 0 of 10, whatever the image's own brightness; returning brings 4, 7, 9, 10.
    metrics = [Deletion("zero", steps=4), Insertion("zero", steps=4)]
    found = bx.evaluate(Linear(WEIGHTS), by_gradient(), metrics, progress=False)
    deletion, insertion = found.measurements
    np.testing.assert_allclose(deletion.values, (10 / 2 + 6 + 3 + 1) / 40)
    np.testing.assert_allclose(insertion.values, (4 + 7 + 9 + 10 / 2) / 40)
    assert deletion.queries.tolist() == [5, 5]
    assert (deletion.better, insertion.better) == ("lower", "higher")
    assert found["gradient", "deletion"] is deletion
    assert deletion.mean == deletion.values[0]
    assert np.isnan([deletion.low, deletion.high]).all()
    assert found.summary().count("all alike") == 2


def test_twenty_steps_tell_no_regions_apart_that_are_within_the_first() -> None:
    # A score of one pixel of 400, which is the first that is deleted, or the twentieth.
    weights = np.zeros((1, 20, 20))
    weights[0, 3, 4] = 1.0
    box = Linear(weights)
    ranked = by_gradient(box, np.ones((1, 1, 20, 20)))
    late = ranked.saliency.copy()
    late[0, 0, :19] = 2 * late.max()
    late[0, 3, 4] = 1.5 * ranked.saliency.max()
    several = {"first": ranked, "twentieth": dataclasses.replace(ranked, saliency=late)}
    for steps, same in ((20, True), (100, False)):
        found = bx.evaluate(box, several, [Deletion("zero", steps=steps)], progress=False)
        assert (found["first", "deletion"].mean == found["twentieth", "deletion"].mean) is same
        assert found["first", "deletion"].mean == pytest.approx(0.5 / steps)


def test_the_better_order_has_the_better_areas() -> None:
    good = by_gradient()
    images, worst = good.images, Linear(WEIGHTS[:, ::-1, ::-1])
    bad = bx.explain(worst, images, 0, method="gradient", progress=False)
    found = bx.evaluate(Linear(WEIGHTS), {"good": good, "bad": bad}, ZERO, progress=False)
    assert found["good", "deletion"].mean < found["bad", "deletion"].mean
    assert found["good", "insertion"].mean > found["bad", "insertion"].mean


@pytest.mark.parametrize("metric", ["deletion", "insertion", Deletion("noise", steps=7)])
def test_the_contract(metric: Any) -> None:
    rng = np.random.default_rng(0)
    box = Linear(rng.normal(size=(3, 8, 6)))
    check_metric(metric, box, by_gradient(box, rng.random((3, 3, 8, 6))))


def test_the_interval_is_that_of_a_bootstrap() -> None:
    rng = np.random.default_rng(0)
    box = Linear(rng.random((1, 6, 6)))
    found = bx.evaluate(box, by_gradient(box, rng.random((40, 1, 6, 6))), [ZERO["deletion"]], progress=False)
    one = found.measurements[0]
    error = one.values.std(ddof=1) / np.sqrt(40)
    assert one.low < one.mean < one.high
    np.testing.assert_allclose([one.mean - one.low, one.high - one.mean], 1.96 * error, rtol=0.25)


def test_rows_that_fail_leave_the_others_alone() -> None:
    rng = np.random.default_rng(0)
    images = 0.8 * rng.random((4, 1, 6, 6))
    images[1, 0, 0, 0] = 1.0
    box = Faulty(lambda good: np.nan * good, (1, 6, 6))
    explained = by_gradient(box, images)
    assert [one.failed for one in explained.outcome] == [False, True, False, False]
    found = bx.evaluate(box, explained, [ZERO["deletion"]], progress=False).measurements[0]
    assert np.isnan(found.values).tolist() == [False, True, False, False]
    assert found.queries.tolist() == [21, 0, 21, 21]
    alone = bx.evaluate(box, explained[[3]], [ZERO["deletion"]], progress=False).measurements[0]
    np.testing.assert_allclose(found.values[3], alone.values[0])


def test_a_model_that_fails_on_an_image_now() -> None:
    rng = np.random.default_rng(0)
    images = rng.random((3, 1, 6, 6))
    good = Linear(rng.normal(size=(1, 6, 6)))
    explained = by_gradient(good, images)

    class Raising(Linear):
        def scores(self, asked: np.ndarray) -> np.ndarray:
            if any(np.isclose(one, images[1]).sum() > 3 for one in asked):
                raise ValueError("broken on purpose")
            return super().scores(asked)

    raising = Raising(good.weights)
    found = bx.evaluate(raising, explained, [ZERO["deletion"]], progress=False).measurements[0]
    assert list(found.failures) == [1]
    assert np.isfinite(found.values[[0, 2]]).all()
    assert "2 of 3" in bx.evaluate(raising, explained, [ZERO["deletion"]], progress=False).summary()


def test_another_model_is_asked_too() -> None:
    explained = by_gradient()
    other = Linear(2 * WEIGHTS + 1)
    assert np.isfinite(bx.evaluate(other, explained, ZERO, progress=False)["gradient", "deletion"].mean)
    three = Scores(lambda images: np.ones((len(images), 3)), (1, 2, 2))
    with pytest.raises(ModelError, match=r"other classes. Got 3; expected 2"):
        bx.evaluate(three, explained, progress=False)
    with pytest.raises(InputError, match=r"of other images. Got images of shape \(1, 2, 2\) in 'gradient'"):
        bx.evaluate(Linear(np.ones((1, 3, 3))), explained, progress=False)


def test_metrics_by_name() -> None:
    box = Linear(WEIGHTS)
    found = bx.metrics_for(box)
    assert {"deletion", "insertion", "smallest-region", "pointing-game"} <= set(found)
    assert {name for name, why in found.items() if why} == {"randomization"}
    assert "needs Randomizable, a box with parameter_layers and randomized" in str(found["randomization"])
    with pytest.raises(InputError, match=r"no such metric.*did you mean 'deletion'"):
        bx.evaluate(box, by_gradient(), ["deletoin"], progress=False)
    with pytest.raises(InputError, match="This is no metric"):
        bx.evaluate(box, by_gradient(), [3], progress=False)  # type: ignore[list-item]
    with pytest.raises(InputError, match="steps of 'deletion' is out of range"):
        Deletion(steps=0)
    with pytest.raises(InputError, match="no such perturbation"):
        Deletion("blurr")


def test_a_metric_that_needs_more_than_the_box_has(monkeypatch: pytest.MonkeyPatch) -> None:
    known = registered.entry_points
    needy = EntryPoint("needy", "tests.metrics.test_metrics:Needy", METRICS)
    monkeypatch.setattr(registered, "entry_points", lambda group: (*known(group), needy))
    box = Scores(Linear(WEIGHTS).scores, (1, 2, 2))
    assert "needy" in str(bx.metrics_for(box)["needy"])
    assert bx.metrics_for(Linear(WEIGHTS))["needy"] is None
    explained = by_gradient()
    with pytest.raises(NoGradientError, match="'needy'"):
        bx.evaluate(box, explained, ["needy"], progress=False)


def test_explanations_that_do_not_belong_together_are_refused() -> None:
    box, one = Linear(WEIGHTS), by_gradient()

    def of_model(fingerprint: str) -> bx.Explanation:
        return dataclasses.replace(one, provenance=dataclasses.replace(one.provenance, model_fingerprint=fingerprint))

    with pytest.raises(InputError, match=r"of different models are not.*Got b: sha256:1; c: sha256:2"):
        bx.evaluate(box, {"a": one, "b": of_model("sha256:1"), "c": of_model("sha256:2")}, progress=False)
    other = dataclasses.replace(one, suppress=0.8)
    with pytest.raises(InputError, match=r"Got a: suppress=0.95; b: suppress=0.8"):
        bx.evaluate(box, {"a": one, "b": other}, progress=False)
    # Nothing tells of which model the first is.
    assert len(bx.evaluate(box, {"a": one, "b": of_model("sha256:1")}, progress=False).measurements) == 4


class Needy(Deletion):
    """A metric of boxes with gradients."""

    name = "needy"
    needs = bx.Differentiable


def test_the_table_and_json() -> None:
    found = bx.evaluate(Linear(WEIGHTS), by_gradient(), progress=False)
    lines = found.summary().splitlines()
    assert lines[0].split() == ["method", "metric", "better", "mean", "95", "%", "interval", "images", "queries"]
    assert lines[1].startswith("gradient  deletion   lower")
    told = found.to_dict()["measurements"][1]
    assert (told["metric"], told["better"], len(told["values"])) == ("insertion", "higher", 2)


@pytest.mark.parametrize("metric", ["deletion", "insertion"])
def test_a_score_that_perturbing_does_not_lower_has_nothing_to_measure(metric: str) -> None:
    explained = by_gradient()
    opposite = bx.evaluate(Linear(-WEIGHTS), explained, [Deletion("zero"), Insertion("zero")], progress=False)
    assert np.isnan(opposite["gradient", metric].values).all()
    assert not opposite["gradient", metric].failures
    # A fall of half a percent of the score is none.
    hardly = bx.evaluate(Linear(WEIGHTS, bias=2000.0), explained, [Deletion("zero"), Insertion("zero")], progress=False)
    assert np.isnan(hardly["gradient", metric].values).all()
    line = opposite.summary().splitlines()[1]
    assert "  -  " in line
    assert "0 of 2" in line


def test_scores_that_are_not_finite_are_failures_of_their_row() -> None:
    # Bright are images whose first pixel is above 0.9; returning pixels of the second image make it so.
    images = np.stack([np.full((1, 6, 6), 0.5), np.full((1, 6, 6), 0.95)])
    explained = by_gradient(Linear(np.full((1, 6, 6), 1 / 36)), images)
    for fault in (np.nan, np.inf):
        box = Faulty(lambda good, fault=fault: np.full_like(good, fault), (1, 6, 6))
        found = bx.evaluate(box, explained, [Insertion("zero")], progress=False).measurements[0]
        assert list(found.failures) == [1]
        assert "not finite" in str(found.failures[1])
        assert np.isfinite(found.values).tolist() == [True, False]


def test_what_fails_everywhere_for_one_leaves_the_others() -> None:
    explained = by_gradient()

    class Endless(Deletion):
        name = "endless"

        def measure(self, oracle: Any, explanation: bx.Explanation) -> np.ndarray:
            return np.full(len(explanation), np.inf)

    found = bx.evaluate(Linear(WEIGHTS), explained, [Deletion("zero"), Endless("zero")], progress=False)
    assert found["gradient", "deletion"].measured == 2
    assert list(found["gradient", "endless"].failures) == [0, 1]
    with pytest.raises(ModelError, match="not finite"):
        bx.evaluate(Linear(WEIGHTS), explained, [Endless("zero")], progress=False)


def test_each_image_is_replaced_by_its_own_reference_in_every_batch() -> None:
    # Half of an image is what zero is to a score that counts from there: the areas are those of deletion to zero.
    images = np.ones((3, 1, 2, 2)) * np.asarray([1.0, 0.8, 0.6])[:, None, None, None]
    metric = Deletion(bx.Reference(images / 2), steps=4)
    found = bx.evaluate(Linear(WEIGHTS), by_gradient(images=images), [metric], batch_size=2, progress=False)
    np.testing.assert_allclose(found.measurements[0].values, (10 / 2 + 6 + 3 + 1) / 40)


def test_measurements_of_parts_are_joined() -> None:
    images = np.random.default_rng(0).random((7, *WEIGHTS.shape))
    explained = by_gradient(images=images)
    whole = bx.evaluate(Linear(WEIGHTS), explained[range(6)], ZERO, progress=False)["gradient", "deletion"]
    parts = [
        bx.evaluate(Linear(WEIGHTS), explained[rows], ZERO, progress=False).measurements[0]
        for rows in ([0], [1, 2, 3, 4, 5], [6])
    ]
    failed = dataclasses.replace(parts[2], values=np.asarray([np.nan]), failures={0: ModelError("torn")})
    found = joined([*parts[:2], failed], pooled_rows(explained))
    np.testing.assert_array_equal(found.values[:6], whole.values)
    assert (found.mean, found.low, found.high) == (whole.mean, whole.low, whole.high)
    assert (found.measured, found.queries.tolist(), list(found.failures)) == (6, [21] * 7, [6])


def test_two_metrics_of_one_kind_need_names() -> None:
    two = [Deletion("zero"), Deletion("blur")]
    with pytest.raises(InputError, match=r"Two metrics have one name. Got 'deletion'; try: a name for each"):
        bx.evaluate(Linear(WEIGHTS), by_gradient(), two, progress=False)
    named = bx.evaluate(Linear(WEIGHTS), by_gradient(), {"zero": two[0], "blur": two[1]}, progress=False)
    assert [one.metric for one in named.measurements] == ["zero", "blur"]
    assert named["gradient", "zero"].values[0] != named["gradient", "blur"].values[0]
    assert named.to_dict()["measurements"][0]["settings"] == "Deletion(perturbation='zero', steps=20)"


def test_a_class_is_no_metric() -> None:
    with pytest.raises(InputError, match="This is no metric"):
        bx.evaluate(Linear(WEIGHTS), by_gradient(), [Deletion], progress=False)  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("name", "setting"), [("deletion", "steps"), ("infidelity", "draws"), ("max-sensitivity", "draws")]
)
@pytest.mark.parametrize("value", [10**12, 0, 2.5, True, "ten", np.nan])
def test_counts_are_whole_and_bounded(name: str, setting: str, value: Any) -> None:
    with pytest.raises(InputError, match=f"{setting} of '{name}' is out of range"):
        metric_of(name, {setting: value})


@pytest.mark.parametrize("value", ["ten", True, np.nan, 0, 1])
def test_a_share_of_the_score_is_a_number_between_0_and_1(value: Any) -> None:
    with pytest.raises(InputError, match="no share of the score"):
        SmallestRegion(suppress=value)
