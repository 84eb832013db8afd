"""Rules that are right by construction, wrong at a known rate, or right up to a known θ."""

from __future__ import annotations

import hashlib
import json
import tracemalloc
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from blackbox_explain.blackbox import InputSpec
from blackbox_explain.errors import InputError, ModelError, ResultError
from blackbox_explain.rules.classification import Classification
from blackbox_explain.rules.faithfulness import Faithfulness, faithfulness, percent
from blackbox_explain.rules.intervals import clopper_pearson
from blackbox_explain.rules.invariance import Invariance
from blackbox_explain.rules.joint import joint_region
from blackbox_explain.rules.learning import learn
from blackbox_explain.rules.questions import Questions, Rows
from blackbox_explain.rules.relations import Rotation
from blackbox_explain.rules.relations.relation import Relation
from blackbox_explain.rules.rule import Outcome, Rule, Subset
from blackbox_explain.rules.samples import Samples
from blackbox_explain.rules.saved import Saved
from blackbox_explain.rules.search import most_informative, visits
from blackbox_explain.rules.trials import Trials
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


def test_an_invariant_model_has_error_zero_and_the_upper_bound_of_the_exact_formula() -> None:
    found = faithfulness(Invariance(Brighter(), 30), Breaks(100), dark(650), progress=False)
    assert (found.errors, found.n, found.low) == (0, 650, 0.0)
    assert found.high == pytest.approx(1 - 0.025 ** (1 / 650), rel=1e-12)
    assert found.violations == ()
    assert found.sentence == (
        "if pixel 0 is brighter by at most 30 %, the top class stays the same: "
        "wrong for 0 % of 650 images (95 % interval 0–0.6 %)"
    )


def test_intervals_of_a_known_error_cover_it_in_500_runs() -> None:
    rule, covered = FirstPixel(0.93), 0
    for run in range(500):
        found = faithfulness(rule, BOX, uniform(200, run), seed=run, progress=False)
        covered += found.low <= 0.07 <= found.high
    assert covered / 500 >= 0.94


def test_sampling_that_stops_early_covers_too_and_asks_less() -> None:
    covered, asked = 0, []
    for run in range(500):
        found = faithfulness(
            FirstPixel(0.93), BOX, uniform(600, run), precision=0.12, batch_size=20, seed=run, progress=False
        )
        covered += found.low <= 0.07 <= found.high
        asked.append(found.n)
        assert found.bound == "sequence"
        assert found.n == 600 or found.high - found.low <= 0.12
    assert covered / 500 >= 0.94
    assert np.mean(asked) < 400


def test_the_learned_theta_is_where_the_model_breaks_and_its_interval_covers() -> None:
    found = most_informative(Brighter(), Breaks(20), dark(650), progress=False)
    assert abs(found.theta - 20) <= 1
    # The levels are drawn evenly: up to θ, (θ - 20) / θ of them break the model.
    for theta, one in found.curve:
        assert one.low <= max(0, theta - 20) / theta <= one.high, theta
    assert found.chosen.high <= 0.05
    assert [theta for theta, _ in found.curve] == sorted(theta for theta, _ in found.curve)


def test_the_corrected_interval_of_the_learned_theta_covers_over_many_searches() -> None:
    covered = 0
    for run in range(100):
        found = most_informative(Brighter(), Breaks(20), dark(150), max_error=0.1, seed=run, progress=False)
        true = max(0, found.theta - 20) / found.theta
        covered += found.chosen.low <= true <= found.chosen.high
        assert true <= 0.1, "an accepted rule is wrong for at most the level"
    assert covered >= 95


def test_the_search_takes_at_most_half_of_the_queries_of_a_grid_and_counts_them() -> None:
    box = Breaks(20)
    found = most_informative(Brighter(), box, dark(650), progress=False)
    assert found.queries == box.asked
    assert found.queries <= 0.5 * found.dense_queries
    whole = most_informative(Brighter(), Breaks(20), dark(650), whole_curve=True, progress=False)
    assert whole.theta == found.theta
    assert len(whole.curve) == 45
    # Some 1 + ln K queries an image, and the untouched one.
    assert whole.queries <= 650 * (3 + np.log(45))
    assert found.queries < whole.queries


def test_queries_go_in_full_batches() -> None:
    box = Breaks(20)
    most_informative(Brighter(), box, dark(320), batch_size=32, progress=False)
    assert box.calls <= box.asked / 32 + 8


def test_a_model_that_breaks_at_once_has_no_theta() -> None:
    found = most_informative(Brighter(), Breaks(0.5), dark(150), progress=False)
    assert found.theta == 0
    assert found.sentence.startswith("no brighter is small enough: if pixel 0 is brighter by at most 1 %")
    assert found.chosen.error == 1


def test_violations_are_the_worst_first_and_named() -> None:
    found = faithfulness(Invariance(Brighter(), 45), Breaks(20), dark(100), progress=False)
    amounts = [one.amount for one in found.violations]
    assert amounts == sorted(amounts, reverse=True)
    assert amounts[0] > 0
    assert found.violations[0].name == f"image {found.violations[0].row}"


def test_levels_are_drawn_evenly_and_kept_when_theta_shrinks() -> None:
    samples = dark(4000)
    questions = Questions(Breaks(20), samples)
    rows = np.arange(4000)
    drawn = {
        theta: np.round(100 * Invariance(Brighter(), theta).transformed(questions, rows)[:, 0, 0, 0])
        for theta in (2, 20, 40)
    }
    for theta, found in drawn.items():
        counts = np.bincount(found.astype(int), minlength=theta + 1)[1:]
        assert len(counts) == theta
        assert np.abs(counts - 4000 / theta).max() < 5 * np.sqrt(4000 / theta)
    same = drawn[40] <= 20
    np.testing.assert_array_equal(drawn[20][same], drawn[40][same])


def test_a_joint_region_is_outlined() -> None:
    box = Breaks(20, 30)
    found = joint_region(Brighter(), Brighter(1), box, dark(400), steps=9, progress=False)
    assert found.outline.tolist() == [[20.0, 30.0]]
    assert found.queries == box.asked <= 0.5 * found.dense_queries


@pytest.mark.parametrize("held_out", [0.0, 0.5])
def test_eq_1_weighs_error_against_regularizer(held_out: float) -> None:
    pool = [FirstPixel(below) for below in (0.5, 0.9, 0.97)]
    samples = uniform(1000)
    found = learn(pool, BOX, samples, lambda rule: rule.below, weight=0.5, held_out=held_out, progress=False)
    # 0.5 b + (1 - b) falls with b, 2 b + (1 - b) rises.
    assert found.rule == pool[2]
    assert learn(pool, BOX, samples, lambda rule: rule.below, weight=2, progress=False).rule == pool[0]
    alone = faithfulness(pool[2], BOX, samples, progress=False)
    if held_out:
        assert (found.chosen.n, found.chosen.looked_for) == (500, 1)
    else:
        assert found.chosen.low < alone.low < alone.high < found.chosen.high
        assert (found.chosen.low, found.chosen.high) == clopper_pearson(alone.errors, 1000, 1 - 0.05 / 3)


def test_the_corrected_interval_covers_where_the_plain_one_does_not() -> None:
    pool = [Tossed(k) for k in range(60)]
    plain, corrected = 0, 0
    for run in range(100):
        found = learn(pool, BOX, dark(50), seed=run, progress=False).chosen
        low, high = clopper_pearson(found.errors, found.n)
        plain += low <= 0.5 <= high
        corrected += found.low <= 0.5 <= found.high
    assert plain / 100 < 0.7
    assert corrected / 100 >= 0.94


@dataclass(frozen=True)
class Tossed(Rule):
    """Right half of the time."""

    which: int

    @property
    def sentence(self) -> str:
        return f"coin {self.which} shows heads"

    def check(self, questions: Questions, rows: Rows) -> Outcome:
        heads = [questions.generator(row, f"coin {self.which}").random() < 0.5 for row in rows]
        return Outcome.always(np.asarray(heads), np.zeros(len(rows)))


def test_rules_compose() -> None:
    samples = uniform(500, labels=np.arange(500) % 4)
    first = samples.images[:, 0, 0, 0]
    a, b = FirstPixel(0.5), FirstPixel(0.8)
    assert faithfulness(a & b, BOX, samples, progress=False).errors == (first >= 0.5).sum()
    assert faithfulness(a | b, BOX, samples, progress=False).errors == (first >= 0.8).sum()
    some = faithfulness(a.where(Subset((1, 2))), BOX, samples, progress=False)
    chosen = np.isin(samples.labels, (1, 2))
    assert (some.n, some.errors) == (250, (first[chosen] >= 0.5).sum())
    assert (a & b).sentence == "the first pixel is below 0.5, and the first pixel is below 0.8"
    assert a.where(Subset((1,), name="cats")).sentence == "for cats: the first pixel is below 0.5"
    top = faithfulness(a.where(Subset((0,), by="top")), BOX, samples, progress=False)
    assert top.n == (first > 0.5).sum() == top.errors
    none = faithfulness(a.where(Subset((9,))), BOX, samples, progress=False)
    assert none.n == 0
    assert np.isnan(none.error)
    assert none.sentence.endswith("it speaks of none of these images")


def test_sentences_of_rules_made_of_rules_tell_what_belongs_together() -> None:
    a, b, c = FirstPixel(0.5), FirstPixel(0.8), Tossed(1)
    cats = Subset((1,), name="cats")
    made = {
        (a.where(cats) & b).sentence: "(for cats: the first pixel is below 0.5), and the first pixel is below 0.8",
        (a & b).where(cats).sentence: "for cats: the first pixel is below 0.5, and the first pixel is below 0.8",
        (
            (a | b) & c
        ).sentence: "(the first pixel is below 0.5, or the first pixel is below 0.8), and coin 1 shows heads",
        (
            a | (b & c)
        ).sentence: "the first pixel is below 0.5, or (the first pixel is below 0.8, and coin 1 shows heads)",
    }
    assert len(made) == 4
    for said, expected in made.items():
        assert said == expected
    assert (a | b.where(cats)).sentence != (a | b).where(cats).sentence


def test_a_class_of_ones_own_never_takes_the_name_of_one_of_the_package() -> None:
    before = dict(Saved.kinds)
    with pytest.raises(InputError, match=r"class Rotation in tests\.rules\.test_learning; expected another name"):

        class Rotation(Relation):  # pyright: ignore[reportUnusedClass]
            name: ClassVar[str] = "other"

    assert Saved.kinds == before
    try:
        first = type("Mine", (Tossed,), {"__module__": __name__})
        again = type("Mine", (Tossed,), {"__module__": __name__})
        assert Saved.kinds["Mine"] is again is not first
    finally:
        Saved.kinds.pop("Mine", None)


def test_a_saved_rule_is_checked_again(tmp_path: Path) -> None:
    rule = Invariance(Brighter(), 30, response="score", tolerance=0.2).where(Subset((0,), by="top")) & FirstPixel(0.9)
    samples = dark(80)
    found = faithfulness(rule, Breaks(20), samples, seed=3, progress=False)
    found.save(tmp_path / "rule.json")
    loaded = Faithfulness.load(tmp_path / "rule.json")
    assert loaded.rule == rule
    assert loaded.to_dict() == found.to_dict()
    assert loaded.again(Breaks(20), samples).to_dict() == found.to_dict()
    assert loaded.again(Breaks(10), samples).errors > found.errors


def test_a_rule_that_was_chosen_is_checked_again_on_the_images_that_did_not_choose_it(tmp_path: Path) -> None:
    pool, samples = [Tossed(k) for k in range(60)], dark(100)
    found = learn(pool, BOX, samples, held_out=0.5, progress=False)
    path = tmp_path / "rule.json"
    found.chosen.save(path)
    loaded = Faithfulness.load(path)
    assert loaded.rows is not None
    assert loaded.rows == found.chosen.rows
    assert len(loaded.rows) == 50
    assert not {*loaded.rows} & {*(found.pool[0].rows or ())}
    assert loaded.again(BOX, samples).to_dict() == {**found.chosen.to_dict(), "queries": 0}
    # Another sample has no row that the rule was chosen by.
    assert loaded.again(BOX, dark(70)).n == 70
    assert learn(pool, BOX, samples, progress=False).chosen.rows is None


def test_trials_of_one_image_stay_on_one_side() -> None:
    trials = Trials.repeat(uniform(10), 7)
    found = learn([FirstPixel(0.5), FirstPixel(0.6)], BOX, trials, held_out=0.3, progress=False)
    kept, seen = found.chosen.rows, found.pool[0].rows
    assert kept is not None
    assert seen is not None
    assert sorted((*kept, *seen)) == list(range(70))
    assert len(kept) == 21
    assert not {row // 7 for row in kept} & {row // 7 for row in seen}
    with pytest.raises(InputError, match=r"held_out=0\.5 of 1"):
        learn([FirstPixel(0.5)], BOX, Trials.repeat(dark(1), 50), held_out=0.5, progress=False)


def test_a_precision_that_is_not_reached_is_said() -> None:
    found = faithfulness(FirstPixel(0.5), BOX, uniform(100), precision=0.01, progress=False)
    assert not found.precise
    assert found.verdict.endswith("wider than the 1 % asked for: there are no more images)")
    found = faithfulness(FirstPixel(0.5), BOX, uniform(100), precision=0.5, progress=False)
    assert found.precise
    assert "wider" not in found.verdict
    assert faithfulness(FirstPixel(0.5), BOX, uniform(3), progress=False).precise


def test_amounts_without_end_are_no_number_in_json(tmp_path: Path) -> None:
    box = Scores(
        lambda images: np.stack([np.where(images[:, 0, 0, 0] > 0.5, 1, -np.inf), 0 * images[:, 0, 0, 0]], 1), SPEC.shape
    )
    found = faithfulness(Classification(), box, uniform(20, labels=[0] * 20), progress=False)
    assert found.violations[0].amount == np.inf
    found.save(tmp_path / "rule.json")
    assert json.loads((tmp_path / "rule.json").read_text(encoding="utf-8"))["violations"][0]["amount"] is None
    loaded = Faithfulness.load(tmp_path / "rule.json")
    assert np.isnan(loaded.violations[0].amount)
    assert loaded.to_dict() == found.to_dict()
    json.dumps(
        faithfulness(FirstPixel(1).where(Subset((9,), by="top")), BOX, dark(2), progress=False).to_dict(),
        allow_nan=False,
    )
    endless = faithfulness(FirstPixel(np.inf), BOX, dark(2), progress=False)
    json.dumps(endless.to_dict(), allow_nan=False)
    with pytest.raises(ResultError, match="finite settings"):
        endless.save(tmp_path / "rule.json")


def test_images_alone_are_samples() -> None:
    images, rule = uniform(40).images, FirstPixel(0.5)
    found = faithfulness(rule, BOX, images, progress=False)
    assert found.to_dict() == faithfulness(rule, BOX, Samples.of(images, SPEC), progress=False).to_dict()
    assert found.again(BOX, images).to_dict() == found.to_dict()
    assert learn([rule], BOX, images, progress=False).chosen.errors == found.errors


def test_first_guesses_that_are_no_rules_are_told_what_to_do() -> None:
    hint = r"try: Invariance\(Rotation\(\), 23\), or most_informative\(Rotation\(\), box, samples\)"
    for ask in (
        lambda: faithfulness(Rotation(), BOX, dark(2)),  # type: ignore[arg-type]
        lambda: learn([FirstPixel(1), Rotation()], BOX, dark(2)),  # type: ignore[list-item]
    ):
        with pytest.raises(InputError, match=hint):
            ask()
    for rule in (Rotation(), FirstPixel(1)):
        with pytest.raises(InputError, match="expected a list of rules"):
            learn(rule, BOX, dark(2))  # type: ignore[arg-type]
    for wrong in ("invariance", None, Classification):
        with pytest.raises(InputError, match="no rule"):
            faithfulness(wrong, BOX, dark(2))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="not a black box"):
        faithfulness(FirstPixel(1), lambda images: images, dark(2))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"confidence": 95}, "Got confidence=95; expected such as 0.95; try: confidence=0.95"),
        ({"confidence": -20}, "confidence=-20"),
        ({"confidence": float("nan")}, "confidence=nan"),
        ({"seed": -1}, "seed=-1"),
        ({"seed": 0.5}, "seed=0.5"),
        ({"batch_size": 0}, "batch_size=0"),
    ],
)
def test_settings_are_checked_before_the_model_is_asked(options: dict[str, Any], match: str) -> None:
    box, rule = Breaks(20), FirstPixel(1)
    for ask in (
        lambda: faithfulness(rule, box, dark(2), progress=False, **options),
        lambda: faithfulness(rule, box, dark(2), precision=0.1, progress=False, **options),
        lambda: learn([rule], box, dark(2), progress=False, **options),
    ):
        with pytest.raises(InputError, match=match):
            ask()
    assert box.asked == 0
    with pytest.raises(InputError, match="looked_for=0"):
        faithfulness(rule, box, dark(2), looked_for=0, progress=False)


def test_regions_are_true_or_false() -> None:
    images, region = np.zeros((1, *SPEC.shape), np.float32), np.asarray([[[0.0, 1.0], [1.0, 0.0]]])
    assert Samples.of(images, SPEC, regions=region).require_regions("").sum() == 2
    assert Samples.of(images, SPEC, regions=region.astype(int).tolist()).require_regions("").dtype == bool
    for wrong in (region * 0.3, region * 255, region - 1, region * np.nan, region.astype(str)):
        with pytest.raises(InputError, match="Regions are True on the object"):
            Samples.of(images, SPEC, regions=wrong)


def test_a_fingerprint_takes_no_copy_of_the_images_and_is_the_same_in_any_order_of_memory() -> None:
    images = np.random.default_rng(0).integers(0, 256, size=(64, 3, 64, 64), dtype=np.uint8)
    spec = InputSpec((3, 64, 64))
    samples = Samples.of(images, spec, labels=range(64))
    turned = Samples(images[::-1].copy()[::-1], spec, samples.labels)
    tracemalloc.start()
    try:
        assert samples.fingerprint == turned.fingerprint
        assert tracemalloc.get_traced_memory()[1] < images.nbytes / 16
    finally:
        tracemalloc.stop()
    whole = str((images.shape, images.dtype.str)).encode() + images.tobytes() + np.arange(64).tobytes()
    assert samples.fingerprint == hashlib.sha256(whole).hexdigest()[:16]


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"format": "blackbox_explain rule, 1", "rule": {"kind": "os"}}'])
def test_files_that_hold_no_rule(tmp_path: Path, text: str) -> None:
    path = tmp_path / "rule.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ResultError, match="rule"):
        Faithfulness.load(path)
    with pytest.raises(ResultError, match="cannot be read"):
        Faithfulness.load(tmp_path / "none.json")
    with pytest.raises(ResultError, match="cannot be written"):
        faithfulness(FirstPixel(1), BOX, dark(1), progress=False).save(tmp_path / "no" / "rule.json")


def test_images_that_are_too_few_for_a_level_are_named_before_any_query() -> None:
    box = Breaks(100)
    with pytest.raises(InputError, match=r"So few images cannot show.*Got 146; expected at least 147") as error:
        most_informative(Brighter(), box, dark(146), progress=False)
    assert box.asked == 0
    feasible = float(str(error.value).rpartition("max_error of ")[2].rstrip("."))
    assert most_informative(Brighter(), box, dark(146), max_error=feasible, progress=False).theta == 45
    assert most_informative(Brighter(), box, dark(147), progress=False).theta == 45


@pytest.mark.parametrize("whole_curve", [False, True])
def test_progress_ends_near_its_total(whole_curve: bool) -> None:
    counted: list[int] = []
    found = most_informative(
        Brighter(), Breaks(20), dark(200), whole_curve=whole_curve, progress=lambda images: counted.append(images)
    )
    assert found.queries <= sum(counted) <= visits(Brighter(), whole_curve) * 200


def test_scores_may_be_infinite_and_rounded_otherwise_in_other_company() -> None:
    def logarithms(images: np.ndarray) -> np.ndarray:
        return np.stack([np.zeros(len(images)), np.full(len(images), -np.inf)], axis=1)

    def rounded(images: np.ndarray) -> np.ndarray:
        return np.stack([np.full(len(images), 0.5) + 1e-7 * (len(images) % 3), np.zeros(len(images))], axis=1)

    for scores in (logarithms, rounded):
        for response in ("exact", "score", "class"):
            rule = Invariance(Brighter(), 5, response=response)
            found = faithfulness(rule, Scores(scores, SPEC.shape), dark(7), batch_size=4, progress=False)
            assert found.errors == 0, (scores, response)


def test_one_relation_done_twice_is_drawn_twice() -> None:
    questions, rows = Questions(Breaks(20), dark(500)), np.arange(500)
    both = Invariance(Brighter(), 45, also=((Brighter(1), 45),)).transformed(questions, rows)
    first, second = both[:, 0, 0, 0], both[:, 0, 0, 1]
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.15


def test_one_image_is_enough_to_say_little() -> None:
    found = faithfulness(FirstPixel(1), BOX, dark(1), progress=False)
    assert found.sentence.endswith("wrong for 0 % of 1 image (95 % interval 0–97.5 %)")


def test_responses() -> None:
    samples, box = uniform(300), BOX
    exact = faithfulness(Invariance(Brighter(), 5, response="exact"), box, samples, progress=False)
    assert exact.error == 1
    score = Invariance(Brighter(), 5, response="score", tolerance=0.0501)
    assert faithfulness(score, box, samples, progress=False).errors == 0
    assert score.sentence.endswith("the score of its top class changes by at most 0.0501")
    narrow = Invariance(Brighter(), 5, response="score", tolerance=0.0201)
    assert faithfulness(narrow, box, samples, progress=False).error == pytest.approx(3 / 5, abs=0.1)


@dataclass(frozen=True)
class Shrinks(Brighter):
    name: ClassVar[str] = "shrinking"

    def transform(self, images: Any, amounts: Any, spec: InputSpec, generators: Sequence[np.random.Generator]) -> Any:
        return images[..., :-1]


@dataclass(frozen=True)
class Raises(Brighter):
    name: ClassVar[str] = "raises"

    def transform(self, images: Any, amounts: Any, spec: InputSpec, generators: Sequence[np.random.Generator]) -> Any:
        return images / (1 // 0)


@pytest.mark.parametrize("theta", [0, -1, 0.5, 46, float("nan")])
def test_a_theta_out_of_range_is_said(theta: float) -> None:
    with pytest.raises(InputError, match="range of the relation brighter"):
        Invariance(Brighter(), theta)


def test_what_is_asked_wrongly_is_said() -> None:
    with pytest.raises(ModelError, match="changes the shape"):
        faithfulness(Invariance(Shrinks(), 3), BOX, dark(2), progress=False)
    with pytest.raises(InputError, match="no such response"):
        Invariance(Brighter(), 3, response="logits")
    with pytest.raises(InputError, match="width of an interval"):
        faithfulness(FirstPixel(1), BOX, dark(2), precision=0, progress=False)
    with pytest.raises(InputError, match="empty pool"):
        learn([], BOX, dark(2), progress=False)
    with pytest.raises(InputError, match="cannot be divided"):
        learn([FirstPixel(1)], BOX, dark(2), held_out=0.9, progress=False)
    with pytest.raises(InputError, match="error is a share"):
        most_informative(Brighter(), BOX, dark(2), max_error=0, progress=False)
    with pytest.raises(InputError, match="no seed"):
        faithfulness(FirstPixel(1), BOX, dark(2), seed=-1, progress=False)
    with pytest.raises(InputError, match=r"relation raises raised an error.*ZeroDivisionError"):
        faithfulness(Invariance(Raises(), 3), BOX, dark(2), progress=False)
    with pytest.raises(InputError, match="top class of one score"):
        faithfulness(Invariance(Brighter(), 3), Scores(lambda x: x[:, 0, 0, :1], SPEC.shape), dark(2), progress=False)
    with pytest.raises(InputError, match="needs the true class"):
        faithfulness(FirstPixel(1).where(Subset((1,))), BOX, dark(2), progress=False)
    with pytest.raises(InputError, match="labels do not fit"):
        Samples.of(np.zeros((2, *SPEC.shape)), SPEC, labels=[1])
    with pytest.raises(InputError, match="there are none"):
        Samples.of(np.zeros((0, 1, 2, 2), np.uint8), SPEC)
    with pytest.raises(InputError, match="another model"):
        faithfulness(FirstPixel(1), Scores(lambda x: x, (1, 3, 3)), dark(2), progress=False)
    with pytest.raises(ModelError):
        faithfulness(Invariance(Brighter(), 3), Scores(lambda x: x[:0], SPEC.shape), dark(2), progress=False)


@pytest.mark.parametrize(
    ("share", "text"), [(0, "0"), (1, "100"), (0.041, "4.1"), (0.0004, "0.04"), (0.99999, "99.999"), (0.95, "95")]
)
def test_percentages_never_round_to_certainty(share: float, text: str) -> None:
    assert percent(share) == text
