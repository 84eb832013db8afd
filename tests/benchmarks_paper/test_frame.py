"""What the paper's experiments stand on: what is kept, statistics, pictures' numbers, the page."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from benchmarks.paper import kept
from benchmarks.paper.experiments.fig3 import spread
from benchmarks.paper.experiments.fig6 import strongest_box
from benchmarks.paper.experiments.learners.joint import Joint, joint_reference, side_by_side
from benchmarks.paper.kept import Kept
from benchmarks.paper.methods import METHODS, explained, make_maps, map_name, map_of
from benchmarks.paper.page import write_page
from benchmarks.paper.plan import Labelled, Plan, remembering
from benchmarks.paper.silent import Silent
from benchmarks.paper.statistics import compared
from benchmarks.paper.stored import Stored
from benchmarks.paper.written import Claim, Table, table_as_markdown, write
from blackbox_explain import explain
from blackbox_explain.data.images import LoadedImages
from blackbox_explain.data.objects import Object
from tests.toys import Linear, Regions, box_region


class Counting(Linear):
    """A linear box that counts the images that it is asked about."""

    asked = 0

    def scores(self, images: np.ndarray) -> np.ndarray:
        type(self).asked += len(images)
        return super().scores(images)


def test_what_is_kept_is_not_made_again_and_has_the_same_bytes(tmp_path: Path) -> None:
    made: list[int] = []

    def make() -> dict[str, np.ndarray]:
        made.append(1)
        return {"a": np.arange(5.0)}

    first, second = Kept(tmp_path / "one"), Kept(tmp_path / "two")
    assert first.get("x/y", make)["a"].tolist() == [0, 1, 2, 3, 4]
    first.get("x/y", make)
    assert len(made) == 1
    second.get("x/y", make)
    assert first.path("x/y").read_bytes() == second.path("x/y").read_bytes()


def test_other_sources_make_it_anew_unless_it_is_to_be_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Kept(tmp_path).get("x", lambda: {"a": np.zeros(1)})
    monkeypatch.setattr(kept, "source_hash_once", lambda: "another")
    assert not Kept(tmp_path).has("x")
    assert Kept(tmp_path, resume=True).has("x")
    assert Kept(tmp_path).get("x", lambda: {"a": np.ones(1)})["a"].tolist() == [1]


def test_a_file_that_was_not_finished_is_none(tmp_path: Path) -> None:
    def fail() -> dict[str, np.ndarray]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Kept(tmp_path).get("x", fail)
    assert not Kept(tmp_path).has("x")


def test_a_box_that_remembers_answers_the_same_and_is_asked_once() -> None:
    box = Counting(np.arange(16.0).reshape(1, 4, 4))
    images = np.random.default_rng(0).integers(0, 2, (3, 1, 4, 4)).astype(float)  # sums are exact
    wanted = box.scores(images)
    again = remembering(box)
    Counting.asked = 0
    np.testing.assert_array_equal(again.scores(images[[0, 1, 0]]), wanted[[0, 1, 0]])
    np.testing.assert_array_equal(again.scores(images), wanted)
    assert Counting.asked == 3


def test_maps_are_those_of_the_library_and_come_from_the_cache(plan: Plan, region: Regions) -> None:
    one = Labelled("image", LoadedImages(region.image()), 0)
    found = map_of(plan, one, "grad")["saliency"]
    wanted = explain(region, one.image, 0, method="gradient", progress=False).saliency[0]
    np.testing.assert_array_equal(found, wanted)
    assert plan.kept.has(map_name(plan, one, "grad"))
    np.testing.assert_array_equal(explained(region, one, found).saliency[0], wanted)


@pytest.mark.parametrize("name", ["grad", "fast"])
def test_maps_made_together_are_those_made_alone_and_are_made_once(tmp_path: Path, region: Regions, name: str) -> None:
    alone, together = (Plan("googlenet", region, Kept(tmp_path / part)) for part in ("alone", "together"))
    texture = region.image()
    images = [Labelled(name, LoadedImages(pixels), 0) for name, pixels in (("one", texture), ("two", 1 - texture))]
    make_maps(together, images, name)
    made = [together.kept.path(map_name(together, one, name)).stat().st_mtime_ns for one in images]
    for one in images:
        wanted, found = map_of(alone, one, name), map_of(together, one, name)
        assert wanted.keys() == found.keys()
        for key, array in wanted.items():
            np.testing.assert_allclose(found[key], array, atol=1e-6, err_msg=key)
    assert made == [together.kept.path(map_name(together, one, name)).stat().st_mtime_ns for one in images]


def test_what_is_stored_counts_where_these_sources_made_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "net/measured/what/method/image"
    stored = Stored(tmp_path / "stored")
    both = Kept(tmp_path / "cache", stored=stored)
    with pytest.raises(KeyError, match="not finished"):
        both.read(name)
    with monkeypatch.context() as before:
        before.setattr(kept, "source_hash_once", lambda: "earlier")
        both.put(name, {"a": np.zeros(1)}, 1.0)
    assert not both.has(name)
    Kept(tmp_path / "other").put(name, {"a": np.ones(1)}, 2.0)
    ((_, row),) = Kept(tmp_path / "other").matching("net/measured/*/*/*").items()
    stored.add(name, row)
    assert both.has(name)
    assert both.read(name)["a"].tolist() == [1]
    assert both.told(name)["core_seconds"] == 2
    # What is stored and current is not replaced by what is neither.
    assert both.matching("net/measured/*/*/*") == {}
    stored.add("net/measured/what/method/another", ({"b": np.ones(1)}, row[1]))
    with pytest.raises(ValueError, match="other arrays"):
        stored.write()


def test_a_mask_of_other_sources_makes_no_map_of_these(plan: Plan, region: Regions) -> None:
    one = Labelled("image", LoadedImages(region.image()), 0)
    short = Plan("googlenet", region, Kept(plan.kept.folder, resume=True), steps=2)
    with pytest.MonkeyPatch.context() as before:
        before.setattr(kept, "source_hash_once", lambda: "earlier")
        map_of(short, one, "authors")
    short.kept.path(map_name(short, one, "authors")).unlink()
    map_of(short, one, "authors")
    assert short.kept.told(map_name(short, one, "authors"))["source"] == "earlier"


@pytest.mark.parametrize("name", ["paper", "authors"])
def test_a_mask_that_is_stored_is_applied_again_and_gives_the_same_map(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    box = Regions([box_region((32, 32), (4, 4), (12, 12)) for _ in range(6)])
    one = Labelled("image", LoadedImages(box.image()), 0)
    plan = Plan("googlenet", box, Kept(tmp_path / "one"), steps=3)
    wanted = map_of(plan, one, name)
    assert wanted["mask"].size < wanted["saliency"].size
    stored = Stored(tmp_path / "stored")
    for place, row in plan.kept.matching("googlenet/measured/*/*/*").items():
        stored.add(place, row)
    stored.write()
    monkeypatch.setattr("benchmarks.paper.methods.explain", None)
    again = Plan("googlenet", box, Kept(tmp_path / "two", stored=Stored(tmp_path / "stored")), steps=3)
    found = map_of(again, one, name)
    assert found.keys() == wanted.keys()
    for key, array in wanted.items():
        np.testing.assert_allclose(found[key], array, atol=1e-6, err_msg=key)


def test_a_ranking_as_it_is_shown_is_not_learned_again(plan: Plan, region: Regions) -> None:
    one = Labelled("image", LoadedImages(region.image()), 0)
    ranking, shown = map_of(plan, one, "fast"), map_of(plan, one, "shown")
    assert not plan.kept.has(map_name(plan, one, "shown"))
    np.testing.assert_array_equal(shown["saliency"], ranking["importance"])
    first = ranking["saliency"] >= np.quantile(ranking["saliency"], 0.99)
    assert shown["saliency"][first].min() > shown["saliency"][~first].mean()


def test_a_silent_box_has_a_score_for_each_class(region: Regions) -> None:
    assert Silent(region, 1).scores(region.image()).tolist() == [[0.0, 0.0]]
    assert Silent(Linear(np.ones((1, 4, 4))), 7).scores(np.zeros((2, 1, 4, 4))).shape == (2, 7)


def test_masks_are_learned_by_the_plan_with_fewer_steps_and_kept_apart(plan: Plan, region: Regions) -> None:
    short = Plan("googlenet", region, plan.kept, steps=2)
    assert METHODS["paper"].called(short) == {"preset": "paper", "steps": 2}
    assert METHODS["fast"].called(short) == {"preset": "fast"}
    one = Labelled("image", LoadedImages(region.image()), 0)
    assert map_name(short, one, "paper") != map_name(plan, one, "paper")


def test_parts_of_a_run_share_all_images(tmp_path: Path, region: Regions) -> None:
    shares = [Plan("toy", region, Kept(tmp_path), part=(k, 3)).share(range(8)) for k in range(3)]
    assert sorted(one for share in shares for one in share) == list(range(8))


def test_results_of_fewer_images_are_no_results(plan: Plan) -> None:
    assert plan.folder("fig8", 200, 200) == plan.out / "fig8"
    assert plan.out not in plan.folder("fig8", 4, 200).parents
    short = Plan("googlenet", plan.box, plan.kept, steps=2, out=plan.out)
    assert plan.out not in short.folder("fig8", 200, 200).parents


def test_what_two_boxes_share_is_covered_once(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    boxes = ((0, 0, 227, 100), (0, 50, 227, 150), (0, 0, 10, 10))
    monkeypatch.setattr(Plan, "objects", {"a": tuple(Object(one, 0) for one in boxes)})
    assert plan.covered("a") == pytest.approx(150 / 227)


def test_the_strongest_square_of_a_map() -> None:
    saliency = np.zeros((40, 40))
    saliency[10:18, 20:28] = 1
    region = strongest_box(saliency, 0.04)
    assert region.sum() == 64
    np.testing.assert_array_equal(region, saliency > 0)


def test_a_map_in_one_corner_is_not_spread() -> None:
    saliency = np.zeros((64, 64))
    saliency[:24, :24] = np.random.default_rng(0).random((24, 24)) + 1
    assert spread(saliency) <= 36 / 256
    assert spread(np.random.default_rng(0).random((64, 64))) > 0.75


def test_a_joint_box_has_the_mean_of_its_copies() -> None:
    box = Linear(np.arange(16.0).reshape(1, 4, 4))
    joint = Joint(box, 2)
    images = np.random.default_rng(0).random((2, 2, 4, 4))
    np.testing.assert_allclose(joint.scores(images), (box.scores(images[:, :1]) + box.scores(images[:, 1:])) / 2)
    weights = np.tile([1.0, 0.0], (2, 1))
    scores, slope = joint.scores_and_gradient(images, weights)
    np.testing.assert_allclose(scores, joint.scores(images))
    np.testing.assert_allclose(slope, np.tile(box.weights / 2, (2, 2, 1, 1)))
    one = images[:, :1]
    assert side_by_side(one, 2).shape == (2, 2, 4, 4)
    gone = np.asarray(joint_reference(one, ("zero", "middle"), box.spec).images)
    assert np.unique(gone[:, 0]).tolist() == [0.0]
    assert np.unique(gone[:, 1]).tolist() == [0.5]


def test_results_and_the_page_that_is_drawn_from_them(tmp_path: Path) -> None:
    folder = tmp_path / "fig8"
    folder.mkdir()
    table = Table(("method", "mean"), [["a|b", 0.123456]])
    claims = [Claim("boxes are smallest", "yes", "0.1 ± 0.0", False)]
    paired = {"fast": {"grad": [compared(np.zeros(9), np.ones(9)).to_dict()]}}
    numbers = {"values": np.asarray([1.0, np.nan]), "paired": paired}
    write(folder, title="Boxes", figure=Figure(), table=table, claims=claims, settings={"n": 4}, numbers=numbers)
    assert table_as_markdown(table).splitlines()[2] == "| a\\|b | 0.1235 |"
    assert json.loads((folder / "results.json").read_text(encoding="utf-8"))["values"] == [1.0, None]
    assert (folder / "figure.png").stat().st_size > 0
    comparisons = (folder / "comparisons.md").read_text(encoding="utf-8").splitlines()
    assert comparisons[2].startswith("| mask (ours, fast), gradient, 1 | -1 | 0 | 0.003906 | Wilcoxon | 9 |")
    page = write_page(tmp_path).read_text(encoding="utf-8")
    assert "| [fig8](#fig8) | boxes are smallest | yes | 0.1 ± 0.0 | **no** |" in page
    assert "![Boxes](fig8/figure.png)" in page
    assert "Not run at full size yet: fig1" in page
