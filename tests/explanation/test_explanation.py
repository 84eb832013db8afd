"""The result: saved and loaded, verified, printed, drawn."""

from __future__ import annotations

import dataclasses
import json
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

import blackbox_explain as bx
from blackbox_explain.errors import InputError, ModelError, ResultError
from blackbox_explain.explanation import archive
from blackbox_explain.explanation.region import REGION_QUERIES
from tests.toys import Faulty, Linear, Regions, box_region


@pytest.fixture(scope="module")
def box() -> Regions:
    return Regions([box_region((48, 40), (8, 8), (28, 30))])


@pytest.fixture(scope="module")
def result(box: Regions) -> bx.Explanation:
    images = np.concatenate([box.image(), box.image()[:, :, ::-1]])
    return bx.explain(box, images, "texture", progress=False)


def test_fields_fit_each_other(result: bx.Explanation) -> None:
    assert result.mask.shape == result.saliency.shape
    assert result.saliency.shape == (2, 48, 40)
    assert result.history.shape == (2, 38)
    assert (result.queries[:, 1] == 42).all()
    assert (result.queries[:, 0] == 3 + REGION_QUERIES).all()
    np.testing.assert_allclose(result.region.mean(axis=(1, 2)), result.share, atol=1e-6)
    assert result.curve.shape == (2, len(result.curve_shares))
    np.testing.assert_array_equal(result.scores[:, 1], result.score_masked)
    left = (result.score_masked - result.score_perturbed) / (result.score - result.score_perturbed)
    np.testing.assert_allclose(result.suppression, 1 - left)
    np.testing.assert_allclose(result.area, result.share, atol=0.02)
    assert (np.sort(result.saliency.reshape(2, -1), axis=1)[:, 0] > 0).all()
    assert result.provenance.gradients == "exact"


def test_save_and_load_return_the_same(result: bx.Explanation, tmp_path: Path) -> None:
    path = result.save(tmp_path / "result")
    assert path.name == "result.npz"
    loaded = bx.Explanation.load(path)
    for field in dataclasses.fields(result):
        before, after = getattr(result, field.name), getattr(loaded, field.name)
        if isinstance(before, np.ndarray):
            np.testing.assert_array_equal(before, after, err_msg=field.name)
        elif field.name == "provenance":
            assert json.dumps(before.to_dict()) == json.dumps(after.to_dict())
        else:
            assert before == after
    assert [path.name for path in tmp_path.iterdir()] == ["result.npz"]


def test_masks_that_were_saved_before_the_stride_was_a_setting_had_one_cell_for_8_pixels(
    box: Regions, tmp_path: Path
) -> None:
    found = bx.explain(box, box.image(), 0, preset="quick", steps=1, progress=False)
    told = dict(found.provenance.settings)
    assert told.pop("stride") == 6
    before = dataclasses.replace(found, provenance=dataclasses.replace(found.provenance, settings=told))
    before.save(tmp_path / "before.npz")
    assert bx.Explanation.load(tmp_path / "before.npz").provenance.settings == {**told, "stride": 8}
    found.save(tmp_path / "now.npz")
    assert bx.Explanation.load(tmp_path / "now.npz").provenance.settings["stride"] == 6


def test_files_that_are_no_results(result: bx.Explanation, tmp_path: Path) -> None:
    good = result.save(tmp_path / "good.npz").read_bytes()
    (tmp_path / "short.npz").write_bytes(good[: len(good) // 2])
    (tmp_path / "text.npz").write_text("hello")
    np.savez(tmp_path / "other.npz", mask=np.zeros(3))
    np.savez(tmp_path / "pickle.npz", meta=np.asarray([object()], dtype=object))
    for name in ("short", "text", "other", "pickle"):
        with pytest.raises(ResultError, match="not a saved explanation"):
            bx.Explanation.load(tmp_path / f"{name}.npz")
    with pytest.raises(ResultError, match="no such file"):
        bx.Explanation.load(tmp_path / "missing.npz")
    with pytest.raises(ResultError, match="cannot be written"):
        result.save(tmp_path / "no" / "folder" / "result.npz")


def test_verify_recomputes_the_scores(box: Regions, result: bx.Explanation) -> None:
    assert bx.verify(result, box, progress=False).holds
    other = Regions([box_region((48, 40), (0, 0), (10, 10))])
    assert not bx.verify(result, other, progress=False).holds
    with pytest.raises(ModelError, match="other classes"):
        bx.verify(result, bx.wrap(lambda images: images[:, 0, 0, :3], shape=(1, 48, 40)), progress=False)
    with pytest.raises(InputError, match="Only masks claim"):
        bx.verify(bx.explain(box, result.images, method="gradient", progress=False), box)


def test_summary_and_dict(result: bx.Explanation) -> None:
    lines = result.summary().splitlines()
    assert lines[0] == "mask (fast): deletion by blur"
    assert lines[1].split() == ["image", "class", "before", "region", "all", "share", "outcome"]
    assert [line.split()[:3] for line in lines[2:4]] == [["image", "1", "texture"], ["image", "2", "texture"]]
    whole = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert whole["rows"][1]["score"] == pytest.approx(1.0)


def test_failed_rows_are_shown_as_failed() -> None:
    box = Faulty(lambda scores: scores * np.nan)
    images = np.stack([np.full((1, 16, 16), 0.5), np.ones((1, 16, 16))])
    result = bx.explain(box, images, 0, progress=False)
    assert json.loads(json.dumps(result.to_dict(), allow_nan=False))["rows"][1]["score_masked"] is None
    assert "failed" in result.summary()
    with pytest.raises(InputError, match="cannot be drawn"):
        result.plot(1)


@pytest.mark.parametrize("shape", [(3, 32, 24), (1, 32, 24), (2, 90), (1, 16, 18, 20)])
def test_plots_of_pictures_signals_and_volumes(shape: tuple[int, ...], tmp_path: Path) -> None:
    box = Linear(np.random.default_rng(0).random(shape) / np.prod(shape))
    result = bx.explain(box, np.random.default_rng(1).random((1, *shape)), 0, progress=False, steps=2)
    drawing = result.plot()
    titles = [axes.get_title(loc="left") for axes in drawing.axes]
    assert titles[:3] == [titles[0], "what matters", "without the region"]
    assert titles[0].partition(" (slice")[0] == "what the model sees"
    assert ("slice" in titles[0]) == (len(shape) == 4)
    drawing.savefig(tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 5000
    with pytest.raises(InputError, match="no such row"):
        result.plot(1)


def test_class_names_are_not_formulas(tmp_path: Path) -> None:
    box = Regions([box_region((32, 32), (8, 8), (20, 20))])
    box.spec = bx.InputSpec(box.spec.shape, class_names=(r"a $\foo$ b", "nothing"))
    bx.explain(box, box.image(), 0, progress=False, steps=2).plot().savefig(tmp_path / "plot.png")


def test_rows_and_slices(result: bx.Explanation) -> None:
    assert len(result) == 2
    assert len(result[1]) == len(result[np.int64(-1)]) == len(result[:1]) == 1
    np.testing.assert_array_equal(result[-1].mask, result.mask[1:])
    with pytest.raises(IndexError):
        result[2]


def test_a_field_of_earlier_versions_says_what_it_is_called_now(result: bx.Explanation) -> None:
    with pytest.raises(AttributeError, match="no attribute 'score_original'; it is called score now"):
        _ = result.score_original
    with pytest.raises(AttributeError, match=r"no attribute 'colour'$"):
        _ = result.colour
    assert not hasattr(result, "status")
    assert len(pickle.loads(pickle.dumps(result))) == 2  # noqa: S301 it was made here


def test_some_rows_by_their_numbers(result: bx.Explanation) -> None:
    for rows in ([1, 0], np.asarray([1, 0]), (-1, 0)):
        some = result[rows]
        np.testing.assert_array_equal(some.saliency, result.saliency[::-1])
        assert some.target == result.target[::-1]
    assert len(result[[]]) == 0
    for wrong in ([2], -3, np.asarray([5])):
        with pytest.raises(IndexError, match="of 2"):
            result[wrong]
    for mask in ([True, False], np.asarray([True, False]), True):
        with pytest.raises(TypeError, match="flatnonzero"):
            result[mask]
    with pytest.raises(TypeError):
        result[[0.5]]  # type: ignore[list-item]


def test_a_small_file_that_would_fill_the_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez_compressed(tmp_path / "bomb.npz", meta=np.asarray("{}"), saliency=np.zeros(4_000_000, np.uint8))
    monkeypatch.setattr(archive, "SAFE", 1_000_000)
    with pytest.raises(ResultError, match="would unpack to far more than a result does"):
        bx.Explanation.load(tmp_path / "bomb.npz")
    # A head that promises what no memory holds.
    with zipfile.ZipFile(tmp_path / "huge.npz", "w") as file, file.open("saliency.npy", "w") as member:
        head = {"descr": "|u1", "fortran_order": False, "shape": (2**62,)}
        np.lib.format.write_array_header_2_0(member, head)
    with pytest.raises(ResultError):
        bx.Explanation.load(tmp_path / "huge.npz")
