"""The adapter keeps the contract of black boxes."""

import numpy as np
import pytest
from tiny_centroids import Centroids

import blackbox_explain
from blackbox_explain.errors import InputError, UnsupportedModelError
from blackbox_explain.testing import CHECKS, Case, check_method, check_metric

MODEL = Centroids(np.random.default_rng(0).random((3, 3, 16, 16)), ["a", "b", "c"])
PREPROCESSING = blackbox_explain.Preprocessing(mean=(0.4, 0.5, 0.6), std=(0.5, 0.6, 0.7), channels="BGR")


@pytest.mark.parametrize("check", CHECKS)
def test_contract(check):
    check(Case(lambda: blackbox_explain.wrap(MODEL, preprocessing=PREPROCESSING), state=MODEL.images.tobytes))


def test_a_file_gives_the_same_scores(tmp_path):
    MODEL.save(tmp_path / "model.centroids")
    images = np.random.default_rng(1).random((2, 3, 16, 16))
    box = blackbox_explain.wrap(tmp_path / "model.centroids")
    np.testing.assert_array_equal(box.scores(images), blackbox_explain.wrap(MODEL).scores(images))
    assert box.spec.class_names == ("a", "b", "c")


def test_other_files_are_refused(tmp_path):
    (tmp_path / "model.centroids").write_bytes(b"anything else")
    with pytest.raises(UnsupportedModelError, match="no centroids"):
        blackbox_explain.wrap(tmp_path / "model.centroids")


def test_the_method_keeps_its_contract():
    check_method("squares", blackbox_explain.wrap(MODEL))


def test_the_method_is_found_by_its_name_with_its_settings(tmp_path):
    box = blackbox_explain.wrap(MODEL)
    assert blackbox_explain.methods_for(box)["squares"] is None
    images = np.random.default_rng(1).random((2, 3, 16, 16))
    result = blackbox_explain.explain(box, images, "a", method="squares", side=8, progress=False)
    assert result.method == "squares"
    assert result.provenance.settings == {"side": 8}
    # The image, four squares, the blurred image, and the images that the curve and the region stand on.
    asked = 6 + len(result.curve_shares)
    assert ((result.queries[:, 0] >= asked) & (result.queries[:, 0] < 2 * asked)).all()
    assert (result.queries[:, 1] == 0).all()
    again = blackbox_explain.Explanation.load(result.save(tmp_path / "result"))
    np.testing.assert_array_equal(again.saliency, result.saliency)
    result.plot().savefig(tmp_path / "squares.png")
    with pytest.raises(InputError, match="'squares' has no such setting"):
        blackbox_explain.explain(box, images, method="squares", sides=8)


def test_the_metric_keeps_its_contract_and_is_found_by_its_name():
    box = blackbox_explain.wrap(MODEL)
    images = np.random.default_rng(1).random((3, 3, 16, 16))
    result = blackbox_explain.explain(box, images, method="squares", progress=False)
    check_metric("spread", box, result)
    found = blackbox_explain.evaluate(box, result, ["spread", "deletion"], progress=False)
    assert (found["squares", "spread"].values > 0).all()
    assert found["squares", "spread"].queries.tolist() == [0, 0, 0]
