"""Real networks that are shown the wrong pixels are found out; with the right ones they are not accused."""

from __future__ import annotations

from pathlib import Path

import pytest

import blackbox_explain as bx
from benchmarks.common.photos import data_folder

RIGHT = bx.Preprocessing(mean=(123 / 255, 117 / 255, 104 / 255), std=1 / 255, channels="BGR")
OTHERS = bx.Preprocessing((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
NETWORKS = ["googlenet/googlenet_bvlc.onnx", "squeezenet/squeezenet11.onnx"]
QUICK = {"steps": 3, "start": "centre"}


@pytest.mark.parametrize("model", NETWORKS)
def test_without_their_mean_they_are_never_ok(model: str, shared_photos: list[Path]) -> None:
    wrong = bx.wrap(data_folder() / model)
    for photos in (shared_photos[::30], shared_photos[:1]):
        result = bx.explain(wrong, bx.load_images(photos, wrong.spec), progress=False, **QUICK)
        assert result.provenance.doubts
        assert {one.kind for one in result.outcome} == {"weak"}
        assert "--mean" in result.summary()


@pytest.mark.exhaustive
@pytest.mark.parametrize("model", NETWORKS)
def test_with_a_mean_of_other_networks_they_are_not_ok(model: str, shared_photos: list[Path]) -> None:
    wrong = bx.wrap(data_folder() / model, preprocessing=OTHERS)
    result = bx.explain(wrong, bx.load_images(shared_photos[::12], wrong.spec), progress=False, **QUICK)
    assert result.provenance.doubts
    assert "ok" not in [one.kind for one in result.outcome]


@pytest.mark.exhaustive
def test_with_their_mean_they_are_not_accused(default_box: bx.BlackBox, shared_photos: list[Path]) -> None:
    for box in (default_box, *(bx.wrap(data_folder() / model, preprocessing=RIGHT) for model in NETWORKS)):
        images = bx.load_images(shared_photos[::5], box.spec)
        assert bx.explain(box, images, progress=False, **QUICK).provenance.doubts == ()
        singles = [bx.explain(box, images[row : row + 1], progress=False, **QUICK) for row in range(3)]
        assert [one.provenance.doubts for one in singles] == [()] * 3
