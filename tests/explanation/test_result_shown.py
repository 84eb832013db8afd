"""Results in words, in notebooks, as tables and in files, with their photos and what the model says."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import blackbox_explain as bx
from blackbox_explain.errors import BackendMissingError
from blackbox_explain.report.contact_sheet import sheet
from tests.report.pictures import box_of, explained, photo_file, said


def test_photos_and_predictions_are_saved(tmp_path: Path) -> None:
    result = explained(photo_file(tmp_path, (90, 60)))
    again = bx.Explanation.load(result.save(tmp_path / "one"))
    assert again.predictions == result.predictions
    assert again.predictions[0].before[0][0] == "spot"
    assert again.predictions[0].before[0][1] == pytest.approx(result.score[0])
    assert dict(again.predictions[0].after)["spot"] == pytest.approx(result.score_region[0])
    assert again.photos is not None
    (photo,) = again.photos
    assert photo is not None
    assert (photo.name, photo.box) == ("spot.png", (15.0, 0.0, 75.0, 60.0))
    assert np.abs(photo.pixels.astype(int) - result.photos[0].pixels).mean() < 5  # type: ignore[index]
    assert again.summary() == result.summary()


def test_the_size_of_a_large_photo_is_saved(tmp_path: Path) -> None:
    result = explained(photo_file(tmp_path, (2400, 1600)))
    again = bx.Explanation.load(result.save(tmp_path / "one"))
    sizes = [one.photos[0].size for one in (result, again)]  # type: ignore[index, union-attr]
    assert sizes == [(2400, 1600), (2400, 1600)]


def test_the_summary_fits_80_columns(tmp_path: Path) -> None:
    long = photo_file(tmp_path, (64, 64), "a_very_long_name_of_a_photo_that_goes_on_and_on_0001.png")
    one = explained(long)
    box = box_of(("a class with quite a long name, or two", "another"))
    images = bx.load_images([long, photo_file(tmp_path, (64, 64))], box.spec)
    several = bx.explain(box, images, perturbation=bx.Constant(0.1), progress=False)
    kept = bx.explain(box, images, game="preservation", perturbation=bx.Constant(0.1), progress=False)
    for result in (one, several, kept):
        assert max(map(len, result.summary().splitlines())) <= 80
    assert "_on_0001.png" in several.summary()
    assert "top classes, before → without the region:" in several.summary()
    before, after = several.predictions[1].before, several.predictions[1].after
    words = " ".join(several.summary().split())
    assert f"spot.png: {before[0][0]} {before[0][1]:.3f} · {before[1][0]} {before[1][1]:.3f} → {after[0][0]}" in words
    assert "top classes before: spot" in one.summary()


def test_notebooks_show_escaped_text(tmp_path: Path) -> None:
    box = box_of(("<b>spot</b>", "no spot"))
    result = bx.explain(box, bx.load_images([photo_file(tmp_path, (64, 48))], box.spec), 0, progress=False)
    page = result._repr_html_()
    assert "&lt;b&gt;spot" in page
    assert "<b>spot" not in page
    assert result._repr_png_().startswith(b"\x89PNG")  # type: ignore[union-attr]
    # A figure that is the last line of a cell is shown too, without pyplot.
    assert result.plot()._repr_png_().startswith(b"\x89PNG")  # type: ignore[union-attr]


def test_a_frame_has_a_line_for_each_row(tmp_path: Path) -> None:
    result = explained(photo_file(tmp_path, (64, 48)))
    frame = result.to_frame()
    assert list(frame["photo"]) == ["spot.png"]
    assert frame["score_region"][0] == pytest.approx(result.score_region[0])
    assert frame["top_before"][0] == "spot"


def test_a_frame_needs_pandas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(BackendMissingError, match=r"needs pandas.*pip install pandas"):
        explained(photo_file(tmp_path, (64, 48))).to_frame()


def test_rows_that_share_a_photo_keep_it_once(tmp_path: Path) -> None:
    box = box_of()
    images = bx.load_images([photo_file(tmp_path, (64, 48))], box.spec)[[0, 0]]
    result = bx.explain(box, images, [0, 1], progress=False, perturbation=bx.Constant(0.1))
    path = result.save(tmp_path / "two")
    with np.load(path) as file:
        assert [name for name in file.files if name.startswith("photo_")] == ["photo_0"]
    again = bx.Explanation.load(path)
    assert again.photos is not None
    assert again.photos[0] is not None
    assert again.photos[1] is not None
    assert again.photos[0].name == again.photos[1].name == "spot.png"
    assert again.photos[0].pixels is again.photos[1].pixels


def test_doubts_are_said_where_the_result_is_shown(tmp_path: Path) -> None:
    result = explained(photo_file(tmp_path, (64, 64)))
    doubts = ["the model may not see this photo as it should: check --mean", "and something else is odd"]
    doubted = result.judged(doubts)
    for words in (said(doubted.plot()), " ".join(doubted.summary().split()), said(sheet([doubted, doubted]))):
        assert doubts[0] in words
    assert "doubt: and something else is odd" in doubted.summary()
    for doubt in doubts:
        assert doubt in doubted._repr_html_()
