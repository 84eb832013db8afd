"""What is measured of the maps of one image, and that it is stored."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from benchmarks.paper import measured as module
from benchmarks.paper.each_image import measured, tried
from benchmarks.paper.kept import Arrays, Kept
from benchmarks.paper.measured import LOCALIZED, POINTED, REACH, SUPPRESSION, SUPPRESSIONS, Asked, boxes, representative
from benchmarks.paper.methods import explained, map_of
from benchmarks.paper.plan import Labelled, Plan
from benchmarks.paper.silent import Silent
from benchmarks.paper.stored import Stored
from benchmarks.paper.written import costs, store
from blackbox_explain.box.oracle import Oracle
from blackbox_explain.data.images import LoadedImages
from blackbox_explain.metrics.maps import smoothed
from blackbox_explain.metrics.minimal_box import MinimalBox
from tests.toys import Regions, Scores


def test_of_a_map_that_is_the_region_box_and_region_are_it(plan: Plan, region: Regions) -> None:
    asked = Asked(plan, Labelled("image", LoadedImages(region.image()), 0))
    found = asked.measured(SUPPRESSION, "grad")
    np.testing.assert_allclose(found["box"], 64 / 1024)
    # Some of the region suffices for a part of the suppression, and all of it for nearly all.
    assert (np.diff(found["region"]) >= 0).all()
    assert 0.6 * 64 / 1024 < found["region"][0] <= found["region"][-1] <= 1.1 * 64 / 1024


def test_curves_of_such_a_map_fall_to_nothing_once_the_region_is_cut(plan: Plan, region: Regions) -> None:
    asked = Asked(plan, Labelled("image", LoadedImages(region.image()), 0))
    assert not asked.has(representative(0), "grad")
    left = asked.measured(representative(0), "grad")["left"]
    assert asked.has(representative(0), "grad")
    assert left.shape == (3, 20)
    # The map is 1 in the region and 0 elsewhere: it is deleted at every α.
    np.testing.assert_allclose(left, 0, atol=1e-9)


def test_what_was_measured_is_stored_and_gone_on_with_without_maps(tmp_path: Path, region: Regions) -> None:
    folder, texture = tmp_path / "measured", region.image()
    images = [
        Labelled(name, LoadedImages(pixels), 0) for name, pixels in (("a.JPEG", texture), ("b.JPEG", 1 - texture))
    ]
    found: dict[str, Arrays] = {}
    for one in images:
        # A run for each image: the second one adds to what the first one stored.
        plan = Plan("googlenet", region, Kept(tmp_path / one.name, stored=Stored(folder)))
        for method in ("grad", "center"):
            found[one.name + method] = Asked(plan, one).measured(SUPPRESSION, method)
        store(plan)
    before = {path.name: path.read_bytes() for path in (folder / "googlenet").iterdir()}
    assert before.keys() == {"suppression.npz", "queries.npz"}  # no mask was learned
    again = Plan("googlenet", region, Kept(tmp_path / "empty", stored=Stored(folder)))
    for one in images:
        for method in ("grad", "center"):
            read = Asked(again, one).measured(SUPPRESSION, method)
            assert read.keys() == found[one.name + method].keys()
            for key, array in read.items():
                np.testing.assert_array_equal(array, found[one.name + method][key])
    assert costs(again, images, ["grad"])["grad"]["gradients_per_image"] == 1
    assert not (tmp_path / "empty").exists()
    store(again)
    assert {path.name: path.read_bytes() for path in (folder / "googlenet").iterdir()} == before


@pytest.mark.usefixtures("shared_photos")
def test_boxes_of_validation_images_are_found(tmp_path: Path) -> None:
    plan = Plan("googlenet", Silent(Scores(lambda images: images, (3, 224, 224)), 1000), Kept(tmp_path))
    wide = {
        name: max((x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in (one.box for one in own)) / 227**2
        for name, own in plan.objects.items()
    }
    for name in (max(wide, key=wide.__getitem__), min(wide, key=wide.__getitem__)):
        found = Asked(plan, plan.image(name)).measured(LOCALIZED, "center")
        # At α = 0 the box is the whole image, whose intersection over union with the largest box is that box's share.
        assert found["value"][0] == (wide[name] >= 0.5)
        assert (len(found["value"]), len(found["mean"])) == (20, 21)
    middle = next(
        name
        for name, own in plan.objects.items()
        if own[0].box[0] < 113 < own[0].box[2] and own[0].box[1] < 113 < own[0].box[3]
    )
    assert Asked(plan, plan.image(middle)).measured(POINTED, "center")["point"].tolist() == [1.0, 1.0]


def test_boxes_of_smoothed_maps_and_how_far_a_map_reaches(plan: Plan, region: Regions) -> None:
    asked = Asked(plan, Labelled("image", LoadedImages(region.image()), 0))
    plain = asked.measured(SUPPRESSION, "grad")["box"]
    np.testing.assert_array_equal(asked.measured(boxes(0), "grad")["box"], plain)
    # The 8 × 8 pixels are less than a tenth: they alone are the strongest.
    assert asked.measured(REACH, "grad") == {"box": 64 / 1024, "largest": 1}
    box = asked.measured(boxes(2), "center")["box"]
    saliency = smoothed(map_of(plan, asked.one, "center")["saliency"][None], 2)
    again = explained(region, asked.one, saliency[0].astype(np.float32))
    np.testing.assert_array_equal(
        box, [MinimalBox(one).measure(Oracle.of(region, 1), again)[0] for one in SUPPRESSIONS]
    )


def test_strong_parts_that_lie_apart_reach_far(plan: Plan, region: Regions, monkeypatch: pytest.MonkeyPatch) -> None:
    apart = np.zeros((32, 32), np.float32)
    apart[0, 0] = apart[20:22, 10] = apart[31, 30] = 1
    for saliency, found in ((apart, {"box": 31 / 32, "largest": 0.5}), (apart * 0 + 1, {"box": 1, "largest": 1})):
        monkeypatch.setattr(module, "map_of", lambda *_, saliency=saliency: {"saliency": saliency})
        asked = Asked(plan, Labelled(str(found), LoadedImages(region.image()), 0))
        assert asked.measured(REACH, "grad") == found


def test_ways_are_tried_on_all_images_before_one_is_chosen(
    plan: Plan, region: Regions, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = {f"{k}.JPEG": Labelled(f"{k}.JPEG", LoadedImages(region.image() * (1 - k / 10)), 0) for k in range(4)}
    monkeypatch.setattr(Plan, "image", lambda _self, name: images[name])
    ways = {sigma: boxes(sigma) for sigma in (0, 8)}
    first, second = (dataclasses.replace(plan, part=(k, 2)) for k in (0, 1))
    assert tried(first, list(images), ("center",), ways, "x") is None
    found = tried(second, list(images), ("center",), ways, "x")
    assert found is not None
    assert {way: one["center"]["box"].shape for way, one in found.items()} == {0: (4, 4), 8: (4, 4)}
    alone = dataclasses.replace(plan, kept=Kept(plan.kept.folder / "alone"))
    for sigma, way in ways.items():
        own = measured(alone, list(images), ("center",), way, "x")
        np.testing.assert_array_equal(found[sigma]["center"]["box"], own["center"]["box"])
    assert (found[0]["center"]["box"] != found[8]["center"]["box"]).any()


def test_the_second_map_of_an_image_is_measured_as_it_is_alone(plan: Plan, region: Regions) -> None:
    one = Labelled("image", LoadedImages(region.image()), 0)
    first, alone = Asked(plan, one), Asked(dataclasses.replace(plan, kept=Kept(plan.kept.folder / "alone")), one)
    first.measured(SUPPRESSION, "center")
    for what in (SUPPRESSION, representative(0)):
        for key, values in alone.measured(what, "grad").items():
            np.testing.assert_array_equal(first.measured(what, "grad")[key], values)
