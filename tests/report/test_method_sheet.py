"""One picture of several methods: a cell for each, what each took, and what is not drawn."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from matplotlib.text import Text

import blackbox_explain as bx
from blackbox_explain.errors import InputError
from blackbox_explain.explanation.outcome import Outcome
from blackbox_explain.report.method_sheet import plot_methods
from blackbox_explain.report.overlay import in_specks
from tests.report.pictures import box_of, check_texts, photo_file, said


def by_methods(folder: Path) -> dict[str, bx.Explanation]:
    box = box_of()
    images = bx.load_images([photo_file(folder, (64, 48))], box.spec)
    return {
        name: bx.explain(box, images, progress=False, method=name, perturbation="middle")
        for name in ("occlusion", "circle-occlusion", "mask")
    }


def test_each_method_has_a_cell(tmp_path: Path) -> None:
    results = by_methods(tmp_path)
    drawing = plot_methods(results, seconds={"occlusion": 1.25}, refused={"grad-cam": "the model has no layers."})
    assert sum(bool(axes.images) and axes.get_position().height > 0.2 for axes in drawing.axes) == 4
    text = said(drawing)
    for name, one in results.items():
        assert name in text
        assert f"{one.share[0]:.1%}" in text
        assert f"{int(one.queries[0, 0]):,} scores" in text
    assert "1.2 s, " in text or "1.3 s, " in text
    assert "not drawn: grad-cam: the model has no layers." in text
    check_texts(drawing)


def test_cells_stand_in_the_order_of_a_table_and_words_say_what_they_show(tmp_path: Path) -> None:
    results = by_methods(tmp_path)
    results["mask"] = dataclasses.replace(results["mask"], outcome=(Outcome("weak", "nothing does it"),))
    drawing = plot_methods(results)
    text = said(drawing)
    good = sorted(("occlusion", "circle-occlusion"), key=lambda name: float(results[name].share[0]))
    titles = [one.get_text() for one in drawing.findobj(Text) if one.get_text() in results]
    assert titles == [*good, "mask"]
    assert "Weak: no part of up to half of the image does that" in text
    kept = {name: dataclasses.replace(one, game="preservation") for name, one in results.items()}
    assert "keeps 95% of the score when all the rest is" in said(plot_methods(kept))


def test_a_method_that_failed_is_named(tmp_path: Path) -> None:
    results = by_methods(tmp_path)
    results["mask"] = dataclasses.replace(results["mask"], outcome=(Outcome("failed", "the model broke"),))
    assert "not drawn: mask: the model broke" in said(plot_methods(results))
    with pytest.raises(InputError, match="nothing to draw"):
        plot_methods({"mask": results["mask"]})


def test_results_of_other_images_are_refused(tmp_path: Path) -> None:
    results = by_methods(tmp_path)
    other = dataclasses.replace(results["mask"], target=("no spot",))
    with pytest.raises(InputError, match="not of the same images"):
        plot_methods({"occlusion": results["occlusion"], "mask": other})


def test_specks_are_told_from_regions(tmp_path: Path) -> None:
    result = by_methods(tmp_path)["occlusion"]
    assert not in_specks(result, 0)
    shape = result.saliency.shape[1:]
    noise = np.random.default_rng(0).random((1, *shape)).astype(result.saliency.dtype)
    torn = dataclasses.replace(result, saliency=noise, region=noise > 0.8)
    assert in_specks(torn, 0)
    assert "in specks" in said(plot_methods({"occlusion": torn}))
    assert "no outline: the region is in specks" in said(torn.plot())


def test_what_is_doubtful_is_said(tmp_path: Path) -> None:
    results = {name: one.judged(["every photo gets one class."]) for name, one in by_methods(tmp_path).items()}
    drawing = plot_methods(results)
    assert "every photo gets one class." in said(drawing)
    check_texts(drawing)


def test_specks_of_a_large_region_are_told_by_how_much_of_the_image_their_edge_is(tmp_path: Path) -> None:
    result = by_methods(tmp_path)["occlusion"]
    rows, columns = np.indices(result.saliency.shape[1:])
    for side, torn in ((2, True), (12, False)):
        squares = ((rows // side + columns // side) % 2 == 0)[None]
        other = dataclasses.replace(result, saliency=squares.astype(result.saliency.dtype), region=squares)
        assert in_specks(other, 0) == torn


def test_a_sequence_is_named_by_its_methods(tmp_path: Path) -> None:
    results = by_methods(tmp_path)
    drawing = bx.plot_methods(list(results.values()))
    assert said(drawing) == said(bx.plot_methods(results))
    with pytest.raises(InputError, match="Two explanations are by one method"):
        bx.plot_methods([results["mask"], results["mask"]])
    with pytest.raises(InputError, match="There are no explanations"):
        bx.plot_methods([])
