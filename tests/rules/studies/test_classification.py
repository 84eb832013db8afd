"""Q1 on scores written by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest

from blackbox_explain.box.input_spec import InputSpec
from blackbox_explain.data.samples import Samples
from blackbox_explain.errors import InputError, TargetError
from blackbox_explain.rules.questions import Questions
from blackbox_explain.rules.serialization import from_dict
from blackbox_explain.rules.statements.rule import Outcome, Rule
from blackbox_explain.rules.studies.classification import Classification, class_rules, classes_of, recall_and_precision

NAMES = ("tabby, tabby cat", "goldfish, Carassius auratus", "flute")

SCORES = np.asarray([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.5, 0.3, 0.2], [0.2, 0.7, 0.1], [0.3, 0.3, 0.4]])
LABELS = [0, 0, 0, 1, 2]


class Told:
    """Says of each image what is written in its pixels."""

    def __init__(self, classes: int, names: tuple[str, ...] | None = None) -> None:
        self.spec = InputSpec((1, classes), class_names=names)

    def scores(self, images: np.ndarray) -> np.ndarray:
        return images[:, 0]


def told(
    scores: np.ndarray, labels: list[int] | None, names: tuple[str, ...] | None = NAMES
) -> tuple[Told, Samples, Questions]:
    box = Told(scores.shape[1], names)
    samples = Samples.of(scores[:, None], box.spec, labels=labels)
    return box, samples, Questions(box, samples)


def check(rule: Rule, scores: np.ndarray, labels: list[int] | None, names: tuple[str, ...] | None = NAMES) -> Outcome:
    return rule.check(told(scores, labels, names)[2], np.arange(len(scores)))


def test_overall_it_is_wrong_where_the_top_class_is_not_the_true_one() -> None:
    found = check(Classification(), SCORES, LABELS)
    assert found.held.tolist() == [True, False, True, True, True]
    assert found.amount == pytest.approx([-0.5, 0.5, -0.2, -0.5, -0.1], abs=1e-6)


def test_of_one_class_it_is_wrong_both_ways() -> None:
    found = check(Classification(1), SCORES, LABELS)
    assert found.held.tolist() == [True, False, True, True, True]
    assert found.amount == pytest.approx([-0.5, 0.3, -0.2, -0.5, -0.1], abs=1e-6)
    found = check(Classification(0), SCORES, LABELS)
    assert found.held.tolist() == [True, False, True, True, True]
    assert found.amount[1] == pytest.approx(0.5)


def test_the_true_class_may_be_asked_to_be_among_the_top_k() -> None:
    labels = [2, 0, 1, 1, 0]
    assert check(Classification(k=2), SCORES, labels).held.tolist() == [False, False, True, True, True]
    assert check(Classification(k=2), SCORES, labels).amount == pytest.approx([0.1, 0.2, -0.1, -0.6, 0], abs=1e-6)


def test_of_equal_scores_the_first_counts_as_the_higher_as_everywhere() -> None:
    scores = np.asarray([[0.5, 0.5], [0.5, 0.5]])
    found = check(Classification(), scores, [0, 1], None)
    assert found.held.tolist() == [True, False]
    assert found.amount.tolist() == [0, 0]


def test_each_rule_is_one_sentence_with_the_names_of_its_classes() -> None:
    samples = told(SCORES, LABELS)[1]
    assert [rule.sentence for rule in class_rules(samples)][1:] == [
        "the top class is goldfish for every image of goldfish and for no other",
        "the top class is flute for every image of flute and for no other",
    ]
    assert Classification().sentence == "the top class is the true class"
    assert Classification(k=5).sentence == "the true class is among the top 5"
    assert Classification(3, 5).sentence == (
        "class 3 is among the top 5 classes for every image of class 3 and for no other"
    )
    assert class_rules(told(SCORES, [1] * 5, None)[1], k=2) == (Classification(1, 2),)


def test_a_class_is_found_by_name_and_a_saved_rule_is_the_same_rule() -> None:
    rule = Classification.of_class("carassius auratus", NAMES, k=2)
    assert rule == Classification(1, 2, "goldfish")
    assert from_dict(json.loads(json.dumps(rule.to_dict()))) == rule
    with pytest.raises(TargetError, match="no such class"):
        Classification.of_class("trombone", NAMES)


def test_recall_and_precision_are_read_off_one_pass() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 90)
    says = np.where(rng.random(90) < 0.8, labels, 1 - labels)
    says[:4], labels[4] = 2, 2
    box, samples, _ = told(np.eye(3)[says], labels.tolist())
    seen: list[int] = []
    found = recall_and_precision(box, samples, progress=seen.append)
    assert found.queries == sum(seen) == 90
    for one in found.classes:
        true = int(((says == one.index) & (labels == one.index)).sum())
        assert (one.recall.count, one.recall.n) == (true, (labels == one.index).sum())
        assert (one.precision.count, one.precision.n) == (true, (says == one.index).sum())
        assert one.recall.low <= one.recall.value <= one.recall.high
    assert found.correct.count == (says == labels).sum()
    assert [one.name for one in found.not_enough] == ["flute"]
    assert "0 % of 1 (0–97.5 %, not enough images)" in found.summary()
    assert "not enough images to know the recall of 1 of 3 classes" in found.summary()
    assert json.loads(json.dumps(found.to_dict()))["classes"][2]["recall"]["enough_images"] is False


def test_a_class_that_is_never_said_has_no_precision() -> None:
    box, samples, _ = told(np.eye(3)[[0, 0, 1]], [0, 2, 1])
    flute = recall_and_precision(box, samples).classes[2]
    assert flute.precision.to_dict()["share"] is None
    assert flute.precision.text == "no images"
    assert flute.sentence == "flute: recall 0 % of 1 (0–97.5 %, not enough images), precision no images"


def test_two_classes_of_one_name_are_told_apart() -> None:
    names = ("crane", "flute, transverse flute", "crane, lifting gear")
    samples = told(SCORES, LABELS, names)[1]
    assert (
        class_rules(samples)[0].sentence == "the top class is crane (0) for every image of crane (0) and for no other"
    )
    box, samples, _ = told(SCORES, LABELS, names)
    shown = {row[0] for row in recall_and_precision(box, samples).rows()}
    assert shown == {"crane (0)", "flute", "crane, lifting gear"}


def test_a_confidence_is_checked_before_the_model_is_asked() -> None:
    box, samples, questions = told(SCORES, LABELS)
    with pytest.raises(InputError, match="confidence=95"):
        recall_and_precision(box, samples, confidence=95)
    with pytest.raises(InputError, match="confidence=-1"):
        classes_of(questions, k=1, confidence=-1, together=True)
    assert questions.queries == 0


def test_rows_are_the_worst_recalled_first_and_may_leave_out_classes_that_no_image_is_of() -> None:
    box, samples, _ = told(np.eye(3)[[0, 0, 2, 1]], [0, 0, 1, 1])
    found = recall_and_precision(box, samples)
    assert [row[0] for row in found.rows()] == ["goldfish", "tabby", "flute"]
    assert [row[0] for row in found.rows(known=True)] == ["goldfish", "tabby"]
    assert found.rows(known=True)[0][1].startswith("50 % of 2")


def test_intervals_that_hold_together_are_wider() -> None:
    box, samples, _ = told(np.eye(3)[[0, 1] * 20], [0, 1] * 20)
    alone, together = (recall_and_precision(box, samples, together=one).classes[0].recall for one in (False, True))
    assert together.low < alone.low
    assert together.value == alone.value == 1


def test_among_the_top_two_more_is_recalled() -> None:
    box, samples, _ = told(SCORES, LABELS)
    assert recall_and_precision(box, samples).correct.count == 4
    found = recall_and_precision(box, samples, k=2)
    assert found.correct.count == 4
    assert sum(one.precision.n for one in found.classes) == 10


def test_without_labels_nothing_is_said() -> None:
    box, samples, questions = told(SCORES, None)
    for ask in (
        lambda: Classification().check(questions, np.arange(5)),
        lambda: class_rules(samples),
        lambda: recall_and_precision(box, samples),
    ):
        with pytest.raises(InputError, match="needs the true class of each image"):
            ask()


@pytest.mark.parametrize(
    ("labels", "rule", "match"),
    [
        ([0, 0, 0, 0, 3], Classification(), "lacks the class of an image. Got class 3; expected 0 to 2"),
        ([0, 0, 0, 0, -1], Classification(), "Got class -1"),
        (LABELS, Classification(3), "no such class. Got class 3"),
        (LABELS, Classification(k=3), "All classes together say nothing"),
    ],
)
def test_what_does_not_fit_the_scores_is_an_error(labels: list[int], rule: Rule, match: str) -> None:
    with pytest.raises(InputError, match=match):
        check(rule, SCORES, labels)


def test_what_is_no_class_is_an_error() -> None:
    with pytest.raises(InputError, match="k=0"):
        Classification(k=0)
    with pytest.raises(InputError, match="class -1"):
        Classification(-1)


def test_one_image_is_enough_to_be_asked_about_and_not_to_know() -> None:
    box, samples, _ = told(SCORES[:1], [0])
    found = recall_and_precision(box, samples)
    assert found.correct.text == "100 % of 1 (2.5–100 %, not enough images)"
