"""Pictures: maps lie where they belong on the photo, nothing is cut off, and what has to be said is in them."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

import blackbox_explain as bx
from blackbox_explain.errors import InputError, ResultError
from blackbox_explain.overlay import Canvas, canvas_of, without_region
from blackbox_explain.sheet import sheet

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


def explained(path: Path, fit: Any = "crop", **options: Any) -> bx.Explanation:
    box = box_of()
    images = bx.load_images([path], box.spec, fit=fit)
    return bx.explain(box, images, 0, perturbation=bx.Constant(0.1), progress=False, **options)


def texts(drawing: Figure) -> str:
    return "\n".join(one.get_text() for one in drawing.findobj(Text))


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


@pytest.mark.parametrize("size", [(400, 120), (120, 300), (64, 64)])
@pytest.mark.parametrize("options", [{}, {"game": "preservation"}])
def test_nothing_is_cut_off_and_every_number_is_there(
    tmp_path: Path, size: tuple[int, int], options: dict[str, Any]
) -> None:
    result = explained(photo_file(tmp_path, size), **options)
    drawing = result.plot()
    said = texts(drawing)
    for part in ("spot.png: spot", f"{result.score_original[0]:.4f}", f"{result.score_region[0]:.4f}", "no spot"):
        assert part in said
    assert f"{result.region_share[0]:.1%}" in said
    drawing.canvas.draw()
    whole = drawing.bbox
    shown = [text for text in drawing.findobj(Text) if text.get_text() and text.get_visible()]
    extents = np.asarray([text.get_window_extent().extents for text in shown])
    assert (extents[:, :2] >= whole.min - 1).all()
    assert (extents[:, 2:] <= whole.max + 1).all()
    assert min(text.get_fontsize() for text in shown) >= 9


def test_a_status_that_is_not_ok_is_said_in_words(tmp_path: Path) -> None:
    result = explained(photo_file(tmp_path, (64, 64)))
    told = "weak: 90% of the score is left without the outlined region; try preset 'authors' (--preset authors)" * 2
    assert told in texts(dataclasses.replace(result, status=(told,)).plot()).replace("\n", " ")
    assert "weak" not in texts(dataclasses.replace(result, status=("ok",)).plot())


def test_no_region_is_said(tmp_path: Path) -> None:
    result = explained(photo_file(tmp_path, (64, 64)))
    flat = dataclasses.replace(result, saliency=np.full_like(result.saliency, 0.1))
    assert "No region was found" in texts(flat.plot())
    assert "no outline" in texts(flat.plot())


def test_files_axes_and_pixels(tmp_path: Path) -> None:
    result = explained(photo_file(tmp_path, (90, 60)))
    for suffix in ("png", "pdf", "svg"):
        result.plot().savefig(tmp_path / f"one.{suffix}")
        assert (tmp_path / f"one.{suffix}").stat().st_size > 1000
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
    assert [sum(bool(axes.images) for axes in drawing.axes), len(drawing.axes)] == [6, 6]
    assert all(path.name in texts(drawing) for path in paths)


def test_notebooks_show_escaped_text(tmp_path: Path) -> None:
    box = box_of(("<b>spot</b>", "no spot"))
    result = bx.explain(box, bx.load_images([photo_file(tmp_path, (64, 48))], box.spec), 0, progress=False)
    page = result._repr_html_()
    assert "&lt;b&gt;spot" in page
    assert "<b>spot" not in page
    assert result._repr_png_().startswith(b"\x89PNG")  # type: ignore[union-attr]


def test_a_frame_has_a_line_for_each_row(tmp_path: Path) -> None:
    pytest.importorskip("pandas")
    result = explained(photo_file(tmp_path, (64, 48)))
    frame = result.to_frame()
    assert list(frame["photo"]) == ["spot.png"]
    assert frame["score_region"][0] == pytest.approx(result.score_region[0])
    assert frame["top_before"][0] == "spot"


def test_signals_are_drawn_over_time_and_have_no_overlay() -> None:
    def scores(signals: np.ndarray) -> np.ndarray:
        return signals[:, :, 20:40].mean(axis=(1, 2))[:, None]

    box = bx.wrap(scores, shape=(1, 64), activation="none")
    signal = np.zeros((1, 1, 64))
    signal[..., 20:40] = 1
    result = bx.explain(box, signal, perturbation=bx.Constant(0.0), queries=300, progress=False)
    drawing = result.plot()
    assert drawing.axes[0].get_xlim() == (-0.5, 63.5)
    with pytest.raises(InputError, match="A signal is no picture"):
        result.overlay()
