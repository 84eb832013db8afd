"""A model that is shown the wrong pixels is found out; one that is shown the right ones is not accused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import blackbox_explain as bx
from benchmarks.common import data_folder
from blackbox_explain.doubts import doubts_about, with_doubts

RIGHT = bx.Preprocessing(mean=(123 / 255, 117 / 255, 104 / 255), std=1 / 255, channels="BGR")
QUICK = {"steps": 3, "start": "centre"}


def pictures(count: int) -> np.ndarray:
    return np.random.default_rng(0).random((count, 3, 8, 8))


def scores(top: list[int], best: float, classes: int = 20) -> np.ndarray:
    rows = np.full((len(top), classes), (1 - best) / (classes - 1))
    rows[np.arange(len(top)), top] = best
    return rows


def test_one_class_for_different_images_is_suspicious_where_nothing_was_said() -> None:
    gone = scores([5, 5, 5], 0.06)
    (doubt,) = doubts_about(scores([3, 3, 3], 0.9), gone, pictures(3), assumed=True)
    assert "3 different images all get one class" in doubt
    assert "--mean" in doubt
    assert "preprocessing=Preprocessing()" in doubt
    assert doubts_about(scores([3, 3, 3], 0.9), gone, pictures(3), assumed=False) == ()
    assert doubts_about(scores([3, 3, 4], 0.9), gone, pictures(3), assumed=True) == ()
    same = np.repeat(pictures(1), 3, axis=0)
    assert doubts_about(scores([3, 3, 3], 0.9), gone, same, assumed=True) == ()


def test_a_score_that_survives_the_deletion_of_everything_is_suspicious() -> None:
    (doubt,) = doubts_about(scores([3], 0.8), scores([3], 0.7), pictures(1), assumed=False)
    assert "deleting the whole image keeps 88% of the top score" in doubt
    assert doubts_about(scores([3], 0.8), scores([3], 0.1), pictures(1), assumed=False) == ()


def test_a_model_that_is_sure_of_nothing_is_suspicious() -> None:
    before, gone = scores([1, 2, 3], 0.3), scores([9, 9, 9], 0.06)
    (doubt,) = doubts_about(before, gone, pictures(3), assumed=False)
    assert "no top score is above 0.30" in doubt
    assert doubts_about(scores([1, 2], 0.3), gone[:2], pictures(2), assumed=False) == ()


def test_few_classes_and_other_scores_than_probabilities_tell_nothing() -> None:
    two = scores([1, 1, 1], 0.9, classes=2)
    assert doubts_about(two, two, pictures(3), assumed=True) == ()
    logits = 10 * scores([1, 1, 1], 0.9)
    assert doubts_about(logits, logits, pictures(3), assumed=True) == ()


def test_further_doubts_change_the_status(default_box: bx.BlackBox, sample_images: np.ndarray) -> None:
    result = bx.explain(default_box, sample_images[:2], progress=False)
    assert result.settings["doubts"] == []
    doubted = with_doubts(result, ("the pixels are wrong",))
    assert doubted.status == ("weak: the pixels are wrong",) * 2
    assert doubted.settings["doubts"] == ["the pixels are wrong"]
    assert with_doubts(doubted, ("the pixels are wrong",)) is doubted
    assert bx.certify(doubted, default_box, seeds=0, progress=False).holds


@pytest.mark.parametrize("model", ["googlenet/googlenet_bvlc.onnx", "squeezenet/squeezenet11.onnx"])
def test_real_networks_without_their_mean_are_never_ok(model: str, shared_photos: list[Path]) -> None:
    for preprocessing in (None, bx.Preprocessing((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))):
        wrong = bx.wrap(data_folder() / model, preprocessing=preprocessing)
        result = bx.explain(wrong, bx.load_images(shared_photos[::20], wrong.spec), progress=False, **QUICK)
        assert result.settings["doubts"]
        assert {status.partition(":")[0] for status in result.status} == {"weak"}


def test_real_networks_with_their_mean_are_not_accused(default_box: bx.BlackBox, shared_photos: list[Path]) -> None:
    boxes = [default_box]
    boxes += [
        bx.wrap(data_folder() / model, preprocessing=RIGHT)
        for model in ("googlenet/googlenet_bvlc.onnx", "squeezenet/squeezenet11.onnx")
    ]
    for box in boxes:
        images = bx.load_images(shared_photos[::5], box.spec)
        assert bx.explain(box, images, progress=False, **QUICK).settings["doubts"] == []
        singles = [bx.explain(box, images[row : row + 1], progress=False, **QUICK) for row in range(4)]
        assert [one.settings["doubts"] for one in singles] == [[]] * 4
