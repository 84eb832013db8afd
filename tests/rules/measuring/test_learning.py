"""Rules chosen from a pool, rules made of rules, and the names that saved rules go by."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from blackbox_explain.binomial_interval import clopper_pearson
from blackbox_explain.errors import InputError
from blackbox_explain.rules.measuring.faithfulness import Faithfulness, faithfulness
from blackbox_explain.rules.measuring.learning import learn
from blackbox_explain.rules.questions import Questions, Rows
from blackbox_explain.rules.relations.relation import Relation
from blackbox_explain.rules.repeated_samples import RepeatedSamples
from blackbox_explain.rules.serialization import Saved
from blackbox_explain.rules.statements.rule import Outcome, Rule, Subset
from tests.rules.toys import BOX, FirstPixel, dark, uniform


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


@pytest.mark.exhaustive
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
    with pytest.raises(
        InputError, match=r"class Rotation in tests\.rules\.measuring\.test_learning; expected another name"
    ):

        class Rotation(Relation):  # pyright: ignore[reportUnusedClass]
            name: ClassVar[str] = "other"

    assert Saved.kinds == before
    try:
        first = type("Mine", (Tossed,), {"__module__": __name__})
        again = type("Mine", (Tossed,), {"__module__": __name__})
        assert Saved.kinds["Mine"] is again is not first
    finally:
        Saved.kinds.pop("Mine", None)


def test_a_rule_that_was_chosen_is_checked_again_on_the_images_that_did_not_choose_it(tmp_path: Path) -> None:
    pool, samples = [Tossed(k) for k in range(60)], uniform(100)
    found = learn(pool, BOX, samples, held_out=0.5, progress=False)
    path = tmp_path / "rule.json"
    found.chosen.save(path)
    loaded = Faithfulness.load(path)
    assert loaded.chosen_by is not None
    assert loaded.chosen_by == found.chosen.chosen_by
    assert len(loaded.chosen_by) == 50
    assert loaded.again(BOX, samples).to_dict() == {**found.chosen.to_dict(), "queries": 0}
    # In another order, with some of them twice and others among them, the same are left out.
    kept = [one for one, of in enumerate(samples.digests) if of not in loaded.chosen_by]
    mixed = np.concatenate([uniform(70, seed=1).images, samples.images[::-1], samples.images])
    assert loaded.again(BOX, mixed).n == 70 + 2 * len(kept) == 170
    # Stored as numbers of another kind, they are the same images.
    for same in (samples.images.astype(np.float64), np.rint(255 * samples.images).astype(np.uint8)):
        assert loaded.again(BOX, same).n == len(kept)
    with pytest.raises(InputError, match="chosen by these images"):
        loaded.again(BOX, np.delete(samples.images, kept, axis=0))
    assert learn(pool, BOX, samples, progress=False).chosen.chosen_by is None


def test_trials_of_one_image_stay_on_one_side() -> None:
    trials = RepeatedSamples.repeat(uniform(10), 7)
    found = learn([FirstPixel(0.5), FirstPixel(0.6)], BOX, trials, held_out=0.3, progress=False)
    assert (found.chosen.n, found.pool[0].n) == (21, 49)
    assert found.chosen.chosen_by is not None
    assert len(found.chosen.chosen_by) == 7
    # Copies do too.
    twice = np.repeat(uniform(10).images, 2, axis=0)
    found = learn([FirstPixel(0.5), FirstPixel(0.6)], BOX, twice, held_out=0.3, progress=False)
    assert (found.chosen.n, found.pool[0].n) == (6, 14)
    with pytest.raises(InputError, match=r"held_out=0\.5 of 1 different"):
        learn([FirstPixel(0.5)], BOX, RepeatedSamples.repeat(dark(1), 50), held_out=0.5, progress=False)


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf")])
def test_what_is_no_weight_is_refused(weight: float) -> None:
    with pytest.raises(InputError, match="no weight of the regularizer"):
        learn([FirstPixel(0.5)], BOX, uniform(20), lambda rule: 1.0, weight=weight, progress=False)


def test_an_infinite_regularizer_rules_out_where_it_counts() -> None:
    pool = [FirstPixel(below) for below in (0.5, 0.9)]
    samples = uniform(20)

    def only_first(rule: Any) -> float:
        return 1.0 if rule is pool[0] else float("inf")

    assert learn(pool, BOX, samples, only_first, progress=False).rule == pool[0]
    with pytest.raises(InputError, match="rules out every rule that speaks"):
        learn(pool, BOX, samples, lambda rule: float("inf"), progress=False)
    assert np.isfinite(learn(pool, BOX, samples, lambda rule: float("inf"), weight=0, progress=False).costs).all()
