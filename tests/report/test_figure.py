"""Pictures: maps lie where they belong on the photo, nothing is cut off, and what has to be said is in them."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib import colormaps, rcParams
from matplotlib.figure import Figure
from PIL import Image

import blackbox_explain as bx
from blackbox_explain.errors import InputError, ResultError
from blackbox_explain.explanation.outcome import Outcome
from blackbox_explain.report.contact_sheet import sheet
from blackbox_explain.report.overlay import Canvas, canvas_of, height_over_edge, without_region
from blackbox_explain.report.text_layout import DOTS, families_for, width_of, wrapped
from tests.report.pictures import SIDE, check_texts, explained, photo_file, said


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("size", [(300, 150), (120, 260)])
def test_a_map_lies_where_it_belongs_on_the_photo(tmp_path: Path, fit: Any, size: tuple[int, int]) -> None:
    result = explained(photo_file(tmp_path, size), fit)
    canvas = canvas_of(result, 0)
    width, height = size
    assert canvas.pixels.shape == (height, width, 3)
    important = canvas.placed(height_over_edge(result, 0)) > 0
    rows, columns = np.nonzero(important)
    assert rows.mean() > height / 2
    assert columns.mean() > width / 2
    bright = canvas.pixels.mean(axis=-1) > 0.5
    shared = int((important & bright & canvas.read).sum())
    assert shared >= 0.95 * int(important.sum())
    assert shared >= 0.6 * int((bright & canvas.read).sum())
    after = without_region(result, 0, canvas)
    assert after[bright & canvas.read].mean() < 0.5 * canvas.pixels[bright & canvas.read].mean()
    untouched = ~canvas.read
    assert np.array_equal(after[untouched], canvas.pixels[untouched])


def test_placing_is_exact() -> None:
    values = np.arange(12.0).reshape(3, 4)
    same = Canvas(np.zeros((3, 4, 3)), (0.0, 0.0, 4.0, 3.0))
    assert np.allclose(same.placed(values), values)
    assert same.whole
    moved = Canvas(np.zeros((5, 8, 3)), (2.0, 1.0, 6.0, 4.0))
    placed = moved.placed(values, outside=-1)
    assert np.allclose(placed[1:4, 2:6], values)
    assert (placed[:, :2] == -1).all()
    assert (placed[4] == -1).all()
    larger = Canvas(np.zeros((6, 8, 3)), (0.0, 0.0, 8.0, 6.0)).placed(values)
    assert np.allclose(larger[:, 0], np.interp(np.arange(6) / 2 - 0.25, [0, 1, 2], values[:, 0]))


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("size", [(300, 150), (120, 260), (64, 64)])
def test_every_pixel_of_a_map_has_its_place(tmp_path: Path, fit: Any, size: tuple[int, int]) -> None:
    result = explained(photo_file(tmp_path, size), fit)
    saliency = np.zeros((1, SIDE, SIDE))
    saliency[0, 10:20, 12:28] = 1
    result = dataclasses.replace(result, saliency=saliency)
    canvas = canvas_of(result, 0)
    assert result.photos is not None
    photo = result.photos[0]
    assert photo is not None
    left, top, right, bottom = photo.box
    across, down = (right - left) / SIDE, (bottom - top) / SIDE
    x, y = np.arange(size[0]) + 0.5, np.arange(size[1]) + 0.5
    inside = ((y > top + 10 * down) & (y < top + 20 * down))[:, None] & (
        (x > left + 12 * across) & (x < left + 28 * across)
    )[None, :]
    near = canvas.placed(saliency[0]) > 0.5
    # Corners of what is linear between pixels are cut by half a pixel of the model's image.
    assert (near & ~inside).sum() == 0
    assert (inside & ~near).sum() <= 4 * (across / 2 + 1) * (down / 2 + 1)
    axes = Figure().subplots()
    result.plot(ax=axes)
    drawn = np.concatenate([one.vertices for one in axes.collections[0].get_paths()])
    expected = [left + 12 * across, top + 10 * down, left + 28 * across, top + 20 * down]
    expected = np.clip(expected, 0, [*size, *size])
    found = np.concatenate([drawn.min(axis=0), drawn.max(axis=0)]) + 0.5
    assert np.abs(found - expected).max() < 0.51


def test_what_lies_in_the_padding_is_told(tmp_path: Path) -> None:
    result = explained(photo_file(tmp_path, (300, 150)), "pad")
    saliency = np.zeros((1, SIDE, SIDE))
    saliency[0, : SIDE // 2] = 1
    padded = dataclasses.replace(result, saliency=saliency)
    assert "50% of the region lies beyond the photo, in its padding." in said(padded.plot())
    assert "padding" not in said(explained(photo_file(tmp_path, (300, 150)), "crop").plot())


CASES: dict[str, dict[str, Any]] = {
    "wide": {"size": (400, 120)},
    "tall": {"size": (100, 420)},
    "padded": {"size": (300, 150), "fit": "pad"},
    "preservation": {"size": (64, 64), "game": "preservation"},
    "long names": {"size": (64, 64), "names": ("a class whose name " * 9, "another_one_without_spaces" * 6)},
    "other letters": {"size": (64, 64), "names": ("健康的彩椒", "فلفل صحي")},
    "formulas": {"size": (64, 64), "names": (r"a $\\foo$ b", "x_1^2")},
    "difference": {"size": (64, 64), "target": bx.Difference("spot", "no spot")},
    "weak": {
        "size": (64, 64),
        "outcome": Outcome("weak", "90% of the score is left without the region; " * 5),
    },
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_nothing_is_cut_off_and_nothing_is_on_top_of_another(tmp_path: Path, case: dict[str, Any]) -> None:
    options = dict(case)
    size, outcome = options.pop("size"), options.pop("outcome", Outcome("ok"))
    result = dataclasses.replace(explained(photo_file(tmp_path, size), **options), outcome=(outcome,))
    check_texts(result.plot())
    check_texts(sheet([result] * 3))


def test_every_number_is_there(tmp_path: Path) -> None:
    result = explained(photo_file(tmp_path, (64, 64)))
    words = said(result.plot())
    for part in ("spot.png: spot", f"{result.score[0]:.4f}", f"{result.score_region[0]:.4f}", "no spot"):
        assert part in words
    assert f"the region ({result.share[0]:.1%} of the image) replaced by a constant" in words
    for part in ("importance", "outline: the region that is deleted"):
        assert part in words
    assert "frame:" not in words
    assert "frame: what the model reads" in said(explained(photo_file(tmp_path, (90, 64))).plot())


def test_long_names_are_wrapped_and_whole(tmp_path: Path) -> None:
    name = "a class whose name goes on and on in words that nobody would have thought of " * 3
    result = explained(photo_file(tmp_path, (64, 64)), names=(name.strip(), "another"))
    lists = [axes for axes in result.plot().axes if any(one.get_text() == "another" for one in axes.texts)]
    assert len(lists) == 2
    for axes in lists:
        assert name.strip() in " ".join(one.get_text() for one in axes.texts)
    assert name.strip() in said(sheet(result))


def test_the_target_is_listed_where_it_is_no_leading_class_any_more(tmp_path: Path) -> None:
    result = explained(photo_file(tmp_path, (64, 64)))
    score = float(result.score_region[0])
    others = tuple((f"other {place}", 0.9 - place / 10) for place in range(5))
    told = dataclasses.replace(result.predictions[0], after=others)
    drawn = dataclasses.replace(result, predictions=(told,)).plot()
    listed = [[one.get_text() for one in axes.texts] for axes in drawn.axes]
    assert ["other 0", "0.900", "other 1", "0.800", "other 2", "0.700", "spot", f"{score:.3f}"] in listed


def test_a_status_that_is_not_ok_is_said_in_words(tmp_path: Path) -> None:
    result = explained(photo_file(tmp_path, (64, 64)))
    told = "90% of the score is left without the region; try preset 'authors' (--preset authors) " * 2
    weak = dataclasses.replace(result, outcome=(Outcome("weak", told.strip()),))
    assert f"weak: {told.strip()}" in said(weak.plot())
    assert "weak" not in said(dataclasses.replace(result, outcome=(Outcome("ok"),)).plot())


def test_no_region_is_said(tmp_path: Path) -> None:
    result = explained(photo_file(tmp_path, (64, 64)))
    flat = dataclasses.replace(result, region=np.zeros_like(result.region), share=np.zeros_like(result.share))
    words = said(flat.plot())
    assert "No region was found. The score is" in words
    assert "no region found" in words
    assert "outline:" not in words
    assert len([axes for axes in flat.plot().axes[:3] if axes.images]) == 2
    assert "no region found" in said(sheet(flat))


def test_files_axes_and_pixels(tmp_path: Path) -> None:
    result = explained(photo_file(tmp_path, (90, 60)))
    drawing = Figure()
    axes = drawing.subplots()
    assert result.plot(ax=axes, cmap="viridis", alpha=0.5) is drawing
    assert axes.images
    overlay = result.overlay()
    assert overlay.shape == (60, 90, 3)
    assert overlay.dtype == np.uint8
    data = result.saliency_png(tmp_path / "map.png")
    assert data == (tmp_path / "map.png").read_bytes()
    with Image.open(io.BytesIO(data)) as read:
        assert read.size == (90, 60)
        assert np.asarray(read)[45:, 60:75].mean() > 2 * np.asarray(read)[:20, 20:40].mean()
    with pytest.raises(ResultError, match=r"result\.plot\(\)\.savefig\('x\.png'\)"):
        result.save(tmp_path / "x.png")
    for wrong in ({"cmap": "no such map"}, {"alpha": 2.0}):
        with pytest.raises(InputError, match=r"no such colour map|no share"):
            result.plot(**wrong)  # type: ignore[arg-type]


def test_colours_of_the_overlay_are_those_of_the_map(tmp_path: Path) -> None:
    result = explained(photo_file(tmp_path, (SIDE, SIDE)))
    result = dataclasses.replace(result, saliency=np.ones_like(result.saliency))
    red, green, blue, _ = (round(255 * one) for one in colormaps["viridis"](1.0))
    assert (np.abs(result.overlay(cmap="viridis", alpha=1.0).astype(int) - [red, green, blue]) <= 1).all()
    nothing = dataclasses.replace(result, saliency=np.zeros_like(result.saliency)).overlay()
    assert result.photos is not None
    assert result.photos[0] is not None
    assert np.abs(nothing[..., 0] - 0.75 * result.photos[0].pixels.mean(axis=-1)).max() <= 1


def test_text_stays_text_in_vector_files(tmp_path: Path) -> None:
    result = explained(photo_file(tmp_path, (90, 60)))
    before = dict(rcParams)
    for suffix in ("png", "pdf", "svg"):
        result.plot().savefig(tmp_path / f"one.{suffix}")
    assert dict(rcParams) == before
    assert ">spot.png: spot</text>" in (tmp_path / "one.svg").read_text(encoding="utf-8")
    assert b"/CIDFontType2" in (tmp_path / "one.pdf").read_bytes()
    assert b"/Type3" not in (tmp_path / "one.pdf").read_bytes()
    with Image.open(tmp_path / "one.png") as picture:
        assert picture.width == int((11 + 2.5 + 0.5 + 0.12) * DOTS)


def test_letters_are_taken_from_a_font_that_has_them() -> None:
    assert families_for("plain") == tuple(rcParams["font.family"])
    # For private use, in a font that comes with matplotlib.
    special = families_for("a \ue000 b")
    assert special[:1] == tuple(rcParams["font.family"])
    assert any(name.startswith("STIX") for name in special[1:])
    assert not any(name.startswith("Last Resort") for name in families_for("健康"))


def test_words_are_wrapped_by_their_width() -> None:
    text = "several words and averyveryverylongone_without_any_space_in_it and more"
    lines = wrapped(text, 1.5, 10)
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert all(width_of(line, 10) <= 1.5 for line in lines)
    assert lines[0] == "several words and"
    assert wrapped("", 1.5, 10) == [""]


def test_signals_are_drawn_over_time_and_have_no_overlay() -> None:
    def scores(signals: np.ndarray) -> np.ndarray:
        return signals[:, :, 20:40].mean(axis=(1, 2))[:, None]

    box = bx.wrap(scores, shape=(1, 64), activation="none")
    signal = np.zeros((1, 1, 64))
    signal[..., 20:40] = 1
    result = bx.explain(box, signal, perturbation=bx.Constant(0.0), queries=300, progress=False)
    drawing = result.plot()
    assert drawing.axes[0].get_xlim() == (-0.5, 63.5)
    assert "time step" in said(drawing)
    assert "dashed: the region that is deleted" in said(drawing)
    edges = sorted(line.get_xdata()[0] for line in drawing.axes[2].lines if line.get_linestyle() == "--")
    assert edges == list(np.flatnonzero(np.diff(result.region[0].astype(int))) + 0.5)
    check_texts(drawing)
    check_texts(sheet([result, result]))
    with pytest.raises(InputError, match="A signal is no picture"):
        result.overlay()


def test_of_a_volume_the_slice_is_shown_where_most_matters() -> None:
    def scores(volumes: np.ndarray) -> np.ndarray:
        return volumes[:, 0, 6:9, 4:12, 4:12].mean(axis=(1, 2, 3))[:, None]

    box = bx.wrap(scores, shape=(1, 12, 16, 16), activation="none")
    volume = np.zeros((1, 1, 12, 16, 16))
    volume[:, 0, 6:9, 4:12, 4:12] = 1
    result = bx.explain(box, volume, perturbation=bx.Constant(0.0), queries=200, progress=False)
    saliency = np.zeros_like(result.saliency)
    saliency[0, 7, 4:12, 4:12] = 1
    drawing = dataclasses.replace(result, saliency=saliency).plot()
    assert "what the model sees (slice 8 of 12)" in said(drawing)
    assert "of the volume" in said(drawing)
    shown = np.asarray(drawing.axes[0].images[0].get_array())
    assert np.array_equal(shown[..., 0] > 127, volume[0, 0, 7] > 0.5)


def test_the_curve_is_drawn_with_the_point_of_the_region(tmp_path: Path) -> None:
    result = explained(photo_file(tmp_path, (64, 64)))
    drawn = next(axes for axes in result.plot().axes if axes.get_title(loc="left") == "score")
    shares, scores = drawn.lines[1].get_data()
    points = [(0, result.score[0]), *zip(100 * np.asarray(result.curve_shares), result.curve[0], strict=True)]
    points.append((100 * result.share[0], result.score_region[0]))
    np.testing.assert_allclose(np.stack([shares, scores], 1), sorted(points))
    (x,), (y,) = drawn.lines[-1].get_data()
    assert (x, y) == (pytest.approx(100 * result.share[0]), pytest.approx(result.score_region[0]))
    assert "deleted" in drawn.get_xlabel()


CURVES = {
    "falls": (0.9, 0.6, 0.5, 0.4, 0.2, 0.15, 0.1, 0.05, 0.02, 0.01),
    "falls and comes back": (0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.15, 0.1, 0.04, 0.2),
    "a plateau": (0.9, 0.9, 0.88, 0.87, 0.86, 0.85, 0.84, 0.05, 0.02, 0.01),
}


@pytest.mark.parametrize("scores", CURVES.values(), ids=CURVES)
@pytest.mark.parametrize("share", [0.01, 0.08, 0.21, 0.3, 0.45, 0.5])
def test_what_the_point_is_called_lies_on_no_line_of_the_curve(
    tmp_path: Path, scores: tuple[float, ...], share: float
) -> None:
    result = explained(photo_file(tmp_path, (64, 64)))
    known = np.interp(np.linspace(0, 1, len(result.curve_shares)), np.linspace(0, 1, len(scores)), scores)
    at_share = np.interp(share, result.curve_shares, known)
    drawing = dataclasses.replace(
        result, curve=known[None], share=np.asarray([share]), score_region=np.asarray([at_share])
    ).plot()
    drawing.draw_without_rendering()
    drawn = next(axes for axes in drawing.axes if axes.get_title(loc="left") == "score")
    (called,) = (text for text in drawn.texts if text.get_text().startswith("region: "))
    box = called.get_window_extent()
    xs, ys = drawn.lines[1].get_data()
    fine = np.linspace(0, 50, 2000)
    along = drawn.transData.transform(np.stack([fine, np.interp(fine, xs, ys)], 1))
    assert not np.any((along[:, 0] > box.x0) & (along[:, 0] < box.x1) & (along[:, 1] > box.y0) & (along[:, 1] < box.y1))
    frame = drawn.get_window_extent()
    assert frame.x0 - 1 <= box.x0 < box.x1 <= frame.x1 + 2
    assert frame.y0 - 1 <= box.y0 < box.y1 <= frame.y1 + 1


@pytest.mark.parametrize("shape", [(1, 1, 32), (1, 32, 1)])
def test_a_picture_one_pixel_high_or_wide_is_drawn(shape: tuple[int, ...]) -> None:
    box = bx.wrap(lambda images: images.reshape(len(images), -1)[:, 8:16].mean(axis=1)[:, None], shape=shape)
    image = np.zeros((1, *shape))
    image.reshape(-1)[8:16] = 1
    result = bx.explain(box, image, perturbation=bx.Constant(0.0), queries=150, progress=False)
    assert len(result.plot().axes) >= 4
