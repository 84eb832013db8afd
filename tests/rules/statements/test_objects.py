"""Where a class comes from, on toys that look at one place only."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest

from blackbox_explain.box.input_spec import InputSpec
from blackbox_explain.data.samples import Samples
from blackbox_explain.errors import InputError
from blackbox_explain.rules.measuring.faithfulness import faithfulness
from blackbox_explain.rules.questions import Questions
from blackbox_explain.rules.serialization import from_dict
from blackbox_explain.rules.statements.object_decides import ObjectDecides, softened
from blackbox_explain.rules.studies.shortcuts import find_shortcuts
from tests.toys import Scores, box_region

SIZE = 16
CENTRE = box_region((SIZE, SIZE), (5, 5), (11, 11))
CORNER = box_region((SIZE, SIZE), (0, 0), (4, 4))

Array = np.ndarray[Any, Any]


def looking_at(place: Array) -> Scores:
    """Bright, dark or neither, in one place."""

    def scores(images: Array) -> Array:
        value = 2 * images[:, 0, place].mean(axis=1) - 1
        return np.stack([value, -value, 0.5 - np.abs(value)], axis=1)

    return Scores(scores, (1, SIZE, SIZE))


def photos(count: int = 12, regions: Array | None = None, place: Array | None = None) -> Samples:
    """Grey photos, every other bright and dark where the object is, or at another place."""
    images = np.full((count, 1, SIZE, SIZE), 0.5, dtype=np.float32)
    labels = np.arange(count) % 2
    images[:, 0, CENTRE if place is None else place] = np.where(labels, 0.02, 0.98)[:, None]
    regions = np.repeat(CENTRE[None], count, axis=0) if regions is None else regions
    return Samples.of(images, InputSpec((1, SIZE, SIZE)), labels=labels.tolist(), regions=regions)


def check(rule: ObjectDecides, box: Scores, samples: Samples) -> Any:
    return rule.check(Questions(box, samples), np.arange(len(samples)))


@pytest.mark.parametrize("way", ["constant", "noise", "zero"])
def test_a_box_that_looks_at_the_object_needs_it_and_nothing_else(way: Any) -> None:
    box = looking_at(CENTRE)
    samples = photos()
    if way == "zero":
        # Black is dark: only the bright ones lose their class.
        samples = samples.take(np.arange(0, 12, 2))
    for part in ("outside", "object", "elsewhere"):
        found = check(ObjectDecides(part, (way,)), box, samples)
        assert found.applies.all()
        assert found.held.all()
        assert (found.amount < 0).all()


def test_a_box_that_looks_at_the_corner_needs_what_is_there() -> None:
    box, samples = looking_at(CORNER), photos(place=CORNER)
    outside = check(ObjectDecides("outside", ("constant",)), box, samples)
    without = check(ObjectDecides("object", ("constant",)), box, samples)
    assert not outside.held.any()
    assert not without.held.any()
    assert (outside.amount > 0).all()
    # The corner is untouched: bright and dark lead by 0.96 - (0.5 - 0.96).
    assert without.amount == pytest.approx(1.42, abs=1e-4)


def test_a_class_survives_only_if_it_does_in_all_ways() -> None:
    box = looking_at(CENTRE)
    dark = photos().take(np.arange(1, 12, 2))
    assert not check(ObjectDecides("object", ("zero",)), box, dark).held.any()
    assert check(ObjectDecides("object", ("zero", "constant")), box, dark).held.all()


def test_it_says_nothing_of_photos_without_an_object_or_without_anything_else() -> None:
    regions = np.stack([CENTRE, CENTRE & False, CENTRE | True, box_region((SIZE, SIZE), (0, 0), (SIZE, 10))])
    samples = photos(4, regions)
    questions = Questions(looking_at(CENTRE), samples)
    for part, applies in (
        ("outside", [True, False, False, True]),
        ("object", [True, False, False, True]),
        ("elsewhere", [True, False, False, False]),
    ):
        found = ObjectDecides(part, ("constant",)).check(questions, np.arange(4))
        assert found.applies.tolist() == applies
        assert found.held[~found.applies].all()
    nothing = ObjectDecides("object").check(questions, np.arange(1, 3))
    assert not nothing.applies.any()


def test_the_control_deletes_an_equal_area_beside_the_object() -> None:
    samples = photos(6)
    questions = Questions(looking_at(CENTRE), samples)
    rule = ObjectDecides("elsewhere", ("constant",), margin=0.0)
    weights = rule._weights(questions, np.arange(6))
    assert (weights.sum(axis=(1, 2)) == CENTRE.sum()).all()
    assert not weights[:, CENTRE].any()
    assert len({one.tobytes() for one in weights}) > 1
    assert (rule._weights(questions, np.arange(6)) == weights).all()


def test_a_region_ends_softly_outside_of_the_object() -> None:
    region = np.zeros((1, 1, 20), bool)
    region[..., 10] = True
    assert softened(region[:, 0], 0.1)[0, 8:13] == pytest.approx([1 / 3, 2 / 3, 1, 2 / 3, 1 / 3])
    assert (softened(region[:, 0], 0.0) == region[:, 0]).all()


def test_signals_have_objects_too() -> None:
    box = Scores(lambda x: np.stack([x[:, 0, 3], 1 - x[:, 0, 3], 0 * x[:, 0, 3] + 0.6], axis=1), (1, 32))
    images = np.full((2, 1, 32), 0.5, np.float32)
    images[:, :, 2:5] = 1
    regions = np.zeros((2, 32), bool)
    regions[:, 2:5] = True
    samples = Samples.of(images, box.spec, regions=regions)
    for part in ("outside", "object", "elsewhere"):
        assert check(ObjectDecides(part), box, samples).held.all()


def test_its_error_is_measured_like_any_other() -> None:
    found = faithfulness(
        ObjectDecides("object", ("constant",)), looking_at(CORNER), photos(place=CORNER), progress=False
    )
    assert (found.errors, found.n) == (12, 12)
    assert found.sentence.startswith(
        "if the object is painted in the image's mean colour, the top class changes: wrong for 100 % of 12 images"
    )


def test_each_part_is_one_sentence_and_a_saved_rule_is_the_same_rule() -> None:
    assert ObjectDecides().sentence == (
        "if everything outside the object is blurred away, painted in the image's mean colour or replaced by noise, "
        "the top class stays the same"
    )
    assert ObjectDecides("object", ("blur", "noise")).sentence == (
        "if the object is blurred away or replaced by noise, the top class changes at least once"
    )
    assert "if an equal area outside the object is blurred away," in ObjectDecides("elsewhere", ("blur",)).sentence
    rule = ObjectDecides("elsewhere", ("blur", "zero"), 0.1)
    assert from_dict(json.loads(json.dumps(rule.to_dict()))) == rule


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: ObjectDecides("background"), "no such part"),
        (lambda: ObjectDecides(ways=("blr",)), "no such way to delete"),
        (lambda: ObjectDecides(ways=()), "Nothing deletes like that"),
        (lambda: ObjectDecides(margin=2), "margin=2"),
        (lambda: find_shortcuts(looking_at(CENTRE), photos(), least=0), "least=0"),
        (lambda: find_shortcuts(looking_at(CENTRE), photos(), confidence=95), "confidence=95"),
        (lambda: find_shortcuts(looking_at(CENTRE), photos(), seed=-1), "seed=-1"),
    ],
)
def test_what_makes_no_sense_is_an_error(make: Any, match: str) -> None:
    with pytest.raises(InputError, match=match):
        make()


def test_without_regions_nothing_is_said() -> None:
    box = looking_at(CENTRE)
    samples = Samples.of(photos().images, box.spec)
    for ask in (lambda: check(ObjectDecides(), box, samples), lambda: find_shortcuts(box, samples)):
        with pytest.raises(InputError, match="needs the object's place in each image"):
            ask()


def test_without_a_photo_that_is_told_rightly_nothing_is_said() -> None:
    box, samples = looking_at(CENTRE), photos()
    wrong = Samples.of(samples.images, samples.spec, labels=[2] * 12, regions=samples.regions)
    with pytest.raises(InputError, match="No photo can be asked about its object"):
        find_shortcuts(box, wrong, progress=False)


def test_classes_told_by_the_corner_are_flagged_and_by_the_object_are_not() -> None:
    found = find_shortcuts(looking_at(CORNER), photos(60, place=CORNER), progress=False)
    assert [one.index for one in found.flagged] == [0, 1]
    assert found.keeps.count == 60
    assert len(found.photos) == 60
    assert f"    {found.photos[0].name} (its class leads by" in found.summary()
    assert "    and 50 more" in found.summary()
    assert "shortcut: where the object is" in found.summary()
    assert [photo.amount for photo in found.photos] == sorted((one.amount for one in found.photos), reverse=True)
    found = find_shortcuts(looking_at(CENTRE), photos(60), progress=False)
    assert found.flagged == ()
    assert found.keeps.count == 0
    assert (found.object_alone.count, found.elsewhere.count) == (60, 60)


def test_what_is_said_of_any_photo_without_an_object_is_not_flagged() -> None:
    # Grey is dark to this one, and so the dark ones stay dark.
    box = Scores(lambda x: np.stack([x[:, 0, CENTRE].mean(axis=1), 0 * x[:, 0, 0, 0] + 0.8], axis=1), (1, SIZE, SIZE))
    found = find_shortcuts(box, photos(60), progress=False)
    dark = next(one for one in found.findings if one.index == 1)
    assert dark.weakest.keeps.value == dark.weakest.becomes.value == 1
    assert len(dark.photos) == 30
    assert found.flagged == ()


def test_a_class_without_others_to_compare_is_not_flagged() -> None:
    samples = photos(60, place=CORNER).take(np.arange(0, 60, 2))
    found = find_shortcuts(looking_at(CORNER), samples, progress=False)
    assert found.flagged == ()
    assert "no images" in found.findings[0].sentence


def test_where_there_is_nothing_to_compare_with_that_is_said_and_not_that_nothing_was_found() -> None:
    bright = photos(60, place=CORNER).take(np.arange(0, 60, 2))
    found = find_shortcuts(looking_at(CORNER), bright, progress=False)
    needed = "nothing to compare with: photos of at least two classes are needed"
    assert found.compared == ()
    assert needed in found.summary().splitlines()
    assert "no shortcut found" not in found.summary()
    saved = found.to_dict()
    assert (saved["verdict"], saved["compared"]) == (needed, 0)
    found = find_shortcuts(looking_at(CENTRE), photos(12), least=7, progress=False)
    assert found.findings == ()
    assert "nothing to compare: a class of at least 7 photos is needed, and photos of others" in found.summary()
    assert "not enough photos of 2 classes (fewer than 7)" in found.summary()
    found = find_shortcuts(looking_at(CENTRE), photos(13), least=7, progress=False)
    assert found.verdict == "no shortcut found in 1 class"
    assert find_shortcuts(looking_at(CENTRE), photos(12), progress=False).verdict == "no shortcut found in 2 classes"
    assert find_shortcuts(looking_at(CORNER), photos(60, place=CORNER), progress=False).verdict == (
        "2 shortcuts found in 2 classes"
    )


def test_where_every_object_covers_more_than_half_there_is_no_control_and_the_rest_is_found() -> None:
    large = np.repeat(box_region((SIZE, SIZE), (0, 3), (SIZE, SIZE))[None], 60, axis=0)
    samples = photos(60, large, place=CENTRE)
    found = find_shortcuts(looking_at(CENTRE), samples, progress=False)
    assert (found.elsewhere.n, found.keeps.n, found.object_alone.count) == (0, 60, 60)
    assert all(one.elsewhere.n == 0 for one in found.findings)
    assert "the class survives without an equal area elsewhere: no images" in found.summary()
    json.dumps(found.to_dict(), allow_nan=False)
    control = faithfulness(ObjectDecides("elsewhere"), looking_at(CENTRE), samples, progress=False)
    assert control.sentence.endswith("it speaks of none of these images")
    questions = Questions(looking_at(CENTRE), samples)
    answers = ObjectDecides("elsewhere").answers(questions, np.arange(0))
    assert answers.said.shape == (0, 3)
    assert answers.survives.shape == answers.top.shape == (0,)
    assert questions.queries == 0


def test_a_model_with_one_output_has_no_top_class() -> None:
    box = Scores(lambda images: images[:, 0, :1, 0], (1, SIZE, SIZE))
    samples = photos(6)
    unlabelled = Samples.of(samples.images, samples.spec, regions=samples.regions)
    for ask in (
        lambda: faithfulness(ObjectDecides(), box, samples, progress=False),
        lambda: find_shortcuts(box, unlabelled, progress=False),
    ):
        with pytest.raises(InputError, match="The top class of one is always the same"):
            ask()


def test_scores_without_end_are_no_number_in_json() -> None:
    def scores(images: Array) -> Array:
        bright = images[:, 0, CORNER].mean(axis=1) > 0.5
        return np.where(np.stack([bright, ~bright], axis=1), 0, -np.inf)

    found = find_shortcuts(Scores(scores, (1, SIZE, SIZE)), photos(60, place=CORNER), progress=False)
    assert found.photos[0].amount == np.inf
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["photos"][0]["amount"] is None
    json.dumps([one.to_dict() for one in found.findings], allow_nan=False)


def test_the_result_says_what_was_left_out_and_what_it_took() -> None:
    regions = np.repeat(CENTRE[None], 14, axis=0)
    regions[[0, 1, 3]] = False
    seen: list[int] = []
    samples = photos(14, regions)
    labels = samples.require_labels("").copy()
    labels[5] = 2
    samples = Samples.of(samples.images, samples.spec, labels=labels, regions=regions)
    found = find_shortcuts(looking_at(CENTRE), samples, least=6, progress=seen.append)
    assert found.left_out == 4
    assert found.not_enough == ("class 1",)
    assert [one.index for one in found.findings] == [0]
    assert found.queries == 14 + 10 * 9
    assert sum(seen) == 14 * 10
    saved = json.loads(json.dumps(found.to_dict()))
    assert saved["findings"][0]["ways"][2]["way"] == "noise"
    assert "left out: 4 photos" in found.summary()
    assert "left out: 1 photo without" in dataclasses.replace(found, left_out=1).summary()
    assert "not enough photos of 1 class (fewer than 6)" in found.summary()


def test_without_labels_the_class_of_a_photo_is_its_top_class() -> None:
    labelled = photos(60, place=CORNER)
    samples = Samples.of(labelled.images, labelled.spec, regions=labelled.regions)
    assert len(find_shortcuts(looking_at(CORNER), samples, progress=False).flagged) == 2
