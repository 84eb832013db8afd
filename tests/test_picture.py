"""Pictures: maps lie where they belong on the photo, nothing is cut off, and what has to be said is in them."""

from __future__ import annotations

import dataclasses
import io
import json
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib import colormaps, rcParams
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

import blackbox_explain as bx
from blackbox_explain.errors import BackendMissingError, InputError, ResultError
from blackbox_explain.lettering import DOTS, families_for, width_of, wrapped
from blackbox_explain.overlay import Canvas, canvas_of, without_region
from blackbox_explain.sheet import sheet
from blackbox_explain.status import DOUBTED

SIDE = 32


def spot(images: np.ndarray) -> np.ndarray:
    """Is the lower right quarter bright? A classifier of two classes."""
    bright = images[:, :, SIDE // 2 :, SIDE // 2 :].mean(axis=(1, 2, 3))
    return np.stack([bright, 1 - bright], axis=1)


def vjp(images: np.ndarray, weights: np.ndarray) -> np.ndarray:
    found = np.zeros_like(images)
    share = (weights[:, 0] - weights[:, 1]) / (3 * (SIDE // 2) ** 2)
    found[:, :, SIDE // 2 :, SIDE // 2 :] = share[:, None, None, None]
    return found


def box_of(names: tuple[str, str] = ("spot", "no spot")) -> bx.BlackBox:
    return bx.wrap(spot, shape=(3, SIDE, SIDE), gradient=vjp, class_names=names, activation="none")


def photo_file(folder: Path, size: tuple[int, int], name: str = "spot.png") -> Path:
    """Write a dark photo that is bright in the lower right quarter, however it is fitted to a model."""
    width, height = size
    pixels = np.full((height, width, 3), 30, np.uint8)
    pixels[height // 2 :, width // 2 :] = 250
    Image.fromarray(pixels).save(folder / name)
    return folder / name


def explained(
    path: Path, fit: Any = "crop", names: tuple[str, str] = ("spot", "no spot"), target: Any = 0, **options: Any
) -> bx.Explanation:
    box = box_of(names)
    images = bx.load_images([path], box.spec, fit=fit)
    return bx.explain(box, images, target, perturbation=bx.Constant(0.1), progress=False, **options)


def said(drawing: Figure) -> str:
    """Return all words of a picture, however they are wrapped."""
    return " ".join(one.get_text() for one in drawing.findobj(Text) if one.get_text())


def drawn_texts(drawing: Figure) -> list[Text]:
    """Return what is drawn of the texts: axes keep labels beyond their limits, and those of axes without any."""
    found = [*drawing.texts]
    for axes in drawing.axes:
        found += [*axes.texts, *(one for one in axes.get_children() if isinstance(one, Text))]
        for axis in (axes.xaxis, axes.yaxis) if axes.axison else ():
            low, high = sorted(axis.get_view_interval())
            ticks = [tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
            found += [axis.label, *ticks]
    return list(dict.fromkeys(found))


def check_texts(drawing: Figure) -> None:
    """Every text lies within the picture, none on another, and none is tiny."""
    drawing.draw_without_rendering()
    shown = [text for text in drawn_texts(drawing) if text.get_text().strip() and text.get_visible()]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        extents = np.asarray([text.get_window_extent().extents for text in shown])
    assert (extents[:, :2] >= drawing.bbox.min).all()
    assert (extents[:, 2:] <= drawing.bbox.max).all()
    assert min(text.get_fontsize() for text in shown) >= 9
    for place, (x0, y0, x1, y1) in enumerate(extents):
        apart = (
            (extents[:, 0] >= x1) | (extents[:, 2] <= x0) | (extents[:, 1] >= y1 - 1.5) | (extents[:, 3] <= y0 + 1.5)
        )
        apart[place] = True
        assert apart.all(), (shown[place].get_text(), shown[int(apart.argmin())].get_text())


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("size", [(300, 150), (120, 260)])
def test_a_map_lies_where_it_belongs_on_the_photo(tmp_path: Path, fit: Any, size: tuple[int, int]) -> None:
    result = explained(photo_file(tmp_path, size), fit)
    canvas = canvas_of(result, 0)
    width, height = size
    assert canvas.pixels.shape == (height, width, 3)
    important = canvas.placed(result.saliency[0]) > 0.5
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
    "weak": {"size": (64, 64), "status": "weak: " + "90% of the score is left without the outlined region; " * 5},
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_nothing_is_cut_off_and_nothing_is_on_top_of_another(tmp_path: Path, case: dict[str, Any]) -> None:
    options = dict(case)
    size, status = options.pop("size"), options.pop("status", "ok")
    result = dataclasses.replace(explained(photo_file(tmp_path, size), **options), status=(status,))
    check_texts(result.plot())
    check_texts(sheet([result] * 3))


def test_every_number_is_there(tmp_path: Path) -> None:
    result = explained(photo_file(tmp_path, (64, 64)))
    words = said(result.plot())
    for part in ("spot.png: spot", f"{result.score_original[0]:.4f}", f"{result.score_region[0]:.4f}", "no spot"):
        assert part in words
    assert f"the outlined {result.region_share[0]:.1%} of the image replaced by a constant" in words
    for part in ("importance", "outline: the region that is deleted"):
        assert part in words
    assert "frame:" not in words
    assert "frame: the part that the model reads" in said(explained(photo_file(tmp_path, (90, 64))).plot())


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
    told = "weak: 90% of the score is left without the outlined region; try preset 'authors' (--preset authors) " * 2
    assert told.strip() in said(dataclasses.replace(result, status=(told.strip(),)).plot())
    assert "weak" not in said(dataclasses.replace(result, status=("ok",)).plot())


def test_doubts_are_said_where_the_result_is_shown(tmp_path: Path) -> None:
    result = explained(photo_file(tmp_path, (64, 64)))
    doubts = ["the model may not see this photo as it should: check --mean", "and something else is odd"]
    doubted = dataclasses.replace(result, status=(DOUBTED,), settings={**result.settings, "doubts": doubts})
    for words in (said(doubted.plot()), " ".join(doubted.summary().split()), said(sheet([doubted, doubted]))):
        assert doubts[0] in words
    assert "also: and something else is odd" in doubted.summary()
    for doubt in doubts:
        assert doubt in doubted._repr_html_()


def test_no_region_is_said(tmp_path: Path) -> None:
    result = explained(photo_file(tmp_path, (64, 64)))
    flat = dataclasses.replace(result, saliency=np.full_like(result.saliency, 0.1))
    words = said(flat.plot())
    assert "No region was found: nothing has an importance above 0.5." in words
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
        assert picture.width == 11 * DOTS


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


def test_photos_and_predictions_are_saved(tmp_path: Path) -> None:
    result = explained(photo_file(tmp_path, (90, 60)))
    again = bx.Explanation.load(result.save(tmp_path / "one"))
    assert again.predictions == result.predictions
    assert again.predictions[0].before[0][0] == "spot"
    assert again.predictions[0].before[0][1] == pytest.approx(result.score_original[0])
    assert dict(again.predictions[0].after)["spot"] == pytest.approx(result.score_region[0])
    assert again.photos is not None
    (photo,) = again.photos
    assert photo is not None
    assert (photo.name, photo.box) == ("spot.png", (15.0, 0.0, 75.0, 60.0))
    assert np.abs(photo.pixels.astype(int) - result.photos[0].pixels).mean() < 5  # type: ignore[index]
    assert again.summary() == result.summary()


def test_the_summary_fits_80_columns(tmp_path: Path) -> None:
    long = photo_file(tmp_path, (64, 64), "a_very_long_name_of_a_photo_that_goes_on_and_on_0001.png")
    one = explained(long)
    box = box_of(("a class with quite a long name, or two", "another"))
    images = bx.load_images([long, photo_file(tmp_path, (64, 64))], box.spec)
    several = bx.explain(box, images, perturbation=bx.Constant(0.1), progress=False)
    for result in (one, several):
        assert max(map(len, result.summary().splitlines())) <= 80
    assert "_on_0001.png" in several.summary()
    assert "top classes before: spot" in one.summary()


def test_a_sheet_has_a_cell_for_each_row(tmp_path: Path) -> None:
    box = box_of()
    paths = [photo_file(tmp_path, (64, 48), f"photo-{index}.png") for index in range(5)]
    result = bx.explain(box, bx.load_images(paths, box.spec), progress=False, perturbation=bx.Constant(0.1))
    drawing = sheet([result, result[:1]], columns=3)
    cells = [axes for axes in drawing.axes if axes.images and axes.get_position().height * drawing.bbox.height > 50]
    assert len(cells) == 6
    assert len({round(axes.get_position().x0, 4) for axes in cells}) == 3
    assert all(path.name in said(drawing) for path in paths)
    numbers = f"{result.score_original[0]:.3f} → {result.score_region[0]:.3f}"
    assert said(drawing).count(numbers) == 6
    assert "score of the image → score with the outlined region replaced by a constant" in said(drawing)
    check_texts(drawing)
    failed = dataclasses.replace(result, status=("failed: no", *result.status[1:]))
    assert "not drawn: 1 that failed" in said(sheet(failed))
    with pytest.raises(InputError, match="nothing to draw"):
        sheet(failed[:1])
    with pytest.raises(InputError, match="at least one column"):
        sheet(result, columns=0)


def test_a_sheet_of_one_photo_names_it_once(tmp_path: Path) -> None:
    box = box_of()
    images = bx.load_images([photo_file(tmp_path, (64, 48))] * 2, box.spec)
    result = bx.explain(box, images, ["spot", "no spot"], progress=False, perturbation=bx.Constant(0.1))
    assert said(sheet(result)).count("spot.png") == 1
    assert said(sheet(result, columns=1)).count("no spot") == 1


def test_a_sheet_of_many_says_how_many_more_there_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("blackbox_explain.sheet.MOST_CELLS", 2)
    result = explained(photo_file(tmp_path, (64, 48)))
    assert "and 3 more" in said(sheet([result] * 5))


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


def test_results_of_earlier_versions_are_drawn_too(tmp_path: Path) -> None:
    path = explained(photo_file(tmp_path, (64, 48))).save(tmp_path / "old")
    with np.load(path) as file:
        parts = {name: file[name] for name in file.files if name != "region_images" and not name.startswith("photo_")}
    meta = json.loads(str(parts.pop("meta")))
    for name in ("photos", "predictions"):
        del meta[name]
    np.savez(path, meta=json.dumps(meta), **parts)
    old = bx.Explanation.load(path)
    assert old.photos is None
    assert old.predictions == ()
    assert "spot" in old.summary()
    check_texts(old.plot())


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
    assert edges == list(np.flatnonzero(np.diff((result.saliency[0] > 0.5).astype(int))) + 0.5)
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
    assert np.array_equal(shown[..., 0] > 0.5, volume[0, 0, 7] > 0.5)
