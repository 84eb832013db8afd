"""Doubts about preprocessing: raised where they must be, and not where a model is only small, sure or of one class."""

from __future__ import annotations

import numpy as np
import pytest

import blackbox_explain as bx
from benchmarks.common.photos import data_folder
from blackbox_explain.box.input_spec import InputSpec
from blackbox_explain.box.oracle import Oracle
from blackbox_explain.explanation import preprocessing_doubts as doubts
from blackbox_explain.explanation.outcome import DOUBTED
from blackbox_explain.explanation.preprocessing_doubts import Answer

ASSUMED = InputSpec((3, 8, 8), preprocessing_assumed=True)
STATED = InputSpec((3, 8, 8))


def answer(top: int, score: float, perturbed_top: int, perturbed: float, classes: int = 1000) -> Answer:
    return Answer(top, score, perturbed_top, perturbed, classes, distribution=True)


def test_an_answer_is_read_off_scores() -> None:
    found = Answer.of(np.asarray([0.1, 0.7, 0.2]), np.asarray([0.5, 0.3, 0.2]))
    assert found == Answer(1, 0.7, 0, 0.3, 3, distribution=True)
    assert not Answer.of(np.asarray([1.0, 7.0, np.nan]), np.asarray([0.5, 0.3, 0.2])).distribution


def test_one_class_for_all_images_blurred_or_not_is_doubted() -> None:
    same = [answer(885, 0.28, 885, 0.28), answer(885, 0.36, 885, 0.29), answer(885, 0.44, 885, 0.27)]
    for spec in (ASSUMED, STATED):
        (sentence,) = doubts.doubts_from(same, spec)
        assert "class 885 of 3 of 3 images" in sentence
        for option in ("preprocessing=", "--mean", "--bgr", "activation=", "--output"):
            assert option in sentence


def test_photos_of_one_class_are_not_doubted_while_the_blur_changes_the_answer() -> None:
    ten = [answer(281, 0.7 + 0.02 * one, 111, 0.01) for one in range(10)]
    collapsed = [answer(281, 0.9, 281, 0.05) for _ in range(10)]
    assert doubts.doubts_from(ten, ASSUMED) == doubts.doubts_from(collapsed, ASSUMED) == []


def test_a_score_that_the_blur_keeps_is_doubted_where_nothing_was_said() -> None:
    one = [answer(885, 0.28, 885, 0.279)]
    (sentence,) = doubts.doubts_from(one, ASSUMED)
    assert "at least 100% of the best score" in sentence
    assert doubts.doubts_from(one, STATED) == []
    # A photo whose colours alone tell its class, among others.
    assert doubts.doubts_from([answer(950, 0.9, 950, 0.6), answer(1, 0.9, 111, 0.0)], ASSUMED) == []


def test_few_classes_are_not_doubted() -> None:
    absent = [answer(0, 0.99, 0, 0.99, classes=2)] * 5
    assert doubts.doubts_from(absent, ASSUMED) == []
    assert doubts.doubts_from([], ASSUMED) == []


def test_a_model_that_is_undecided_is_doubted() -> None:
    # A softmax of probabilities: e / (e + 999).
    twice = [answer(3, 0.0027, 7, 0.001), answer(5, 0.0020, 7, 0.001)]
    (sentence,) = doubts.doubts_from(twice, STATED)
    assert "undecided" in sentence
    assert "activation" in sentence
    assert doubts.doubts_from([*twice, answer(5, 0.3, 7, 0.001)], STATED) == []


def blind(images: np.ndarray) -> np.ndarray:
    """Read bytes where it is given pixels from 0 to 1: every image is black to it."""
    bright = images.mean(axis=(2, 3)) / 255
    logits = np.concatenate([np.tile(bright, (1, 3)), bright[:, :1] + 2.0], axis=1)
    exponentials = np.exp(5 * logits)
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def test_a_model_that_cannot_tell_black_from_white_is_doubted_and_no_row_is_ok() -> None:
    images = np.random.default_rng(0).random((2, 3, 8, 8))
    box = bx.wrap(blind, shape=(3, 8, 8))
    result = bx.explain(box, images, progress=False, queries=100)
    assert "cannot tell black, white and noise" in result.provenance.doubts[0]
    assert result.outcome == (DOUBTED, DOUBTED)
    assert "doubt: the model cannot tell" in result.summary()
    assert tuple(doubts.ask_for_doubts(Oracle.of(box), images)) == result.provenance.doubts
    assert bx.verify(result, box, progress=False).rows[0].holds
    right = bx.wrap(blind, shape=(3, 8, 8), preprocessing=bx.Preprocessing(std=1 / 255))
    assert "cannot tell" not in " ".join(bx.explain(right, images, progress=False, queries=100).provenance.doubts)


def test_what_was_said_and_what_was_assumed() -> None:
    assert bx.wrap(blind, shape=(3, 8, 8)).spec.preprocessing_assumed
    assert bx.wrap(blind, shape=(3, 8, 8), bounds=(0, 255)).spec.preprocessing_assumed
    assert not bx.wrap(blind, shape=(3, 8, 8), preprocessing=bx.Preprocessing()).spec.preprocessing_assumed
    assert not InputSpec((3, 8, 8)).preprocessing_assumed


def test_doubts_of_other_photos_of_a_run_are_handed_on() -> None:
    box = bx.wrap(lambda images: images[:, 0, :1, 0].clip(0, 1), shape=(1, 16, 16), class_names=["corner"])
    result = bx.explain(box, np.ones((1, 1, 16, 16)), progress=False, queries=100)
    assert result.provenance.doubts == ()
    doubted = result.judged(["one"])
    assert doubted.provenance.doubts == ("one",)
    assert doubted.outcome == (DOUBTED,)
    assert doubted.judged([]).outcome == result.outcome
    assert result.provenance.doubts == ()


def test_the_default_model_has_no_doubts(default_box: bx.BlackBox, sample_images: np.ndarray) -> None:
    assert doubts.ask_for_doubts(Oracle.of(default_box), sample_images) == []
    assert doubts.ask_for_doubts(Oracle.of(default_box), sample_images[:1]) == []
    # Ten photos of one class.
    assert doubts.ask_for_doubts(Oracle.of(default_box), np.repeat(sample_images[:1], 10, axis=0)) == []


@pytest.mark.parametrize(("folder", "name"), [("googlenet", "googlenet_bvlc"), ("squeezenet", "squeezenet11")])
def test_networks_of_bytes_that_are_given_pixels_are_doubted(folder: str, name: str, shared_photos: list) -> None:
    path = data_folder() / folder / f"{name}.onnx"
    box = bx.wrap(path)
    images = bx.load_images(shared_photos[::30], box.spec)
    for some in (images, images[:1]):
        assert "cannot tell black, white and noise" in doubts.ask_for_doubts(Oracle.of(box), some)[0]
    right = bx.wrap(path, bounds=(0, 255), preprocessing=bx.Preprocessing(mean=(123, 117, 104), channels="BGR"))
    assert doubts.ask_for_doubts(Oracle.of(right), bx.load_images(shared_photos[::30], right.spec)) == []
