"""Sheets: a cell for each row, and what all of them share said once."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

import blackbox_explain as bx
from blackbox_explain.errors import InputError
from blackbox_explain.explanation.outcome import Outcome
from blackbox_explain.report.contact_sheet import sheet
from tests.report.pictures import box_of, check_texts, explained, photo_file, said


def test_a_sheet_has_a_cell_for_each_row(tmp_path: Path) -> None:
    box = box_of()
    paths = [photo_file(tmp_path, (64, 48), f"photo-{index}.png") for index in range(5)]
    result = bx.explain(box, bx.load_images(paths, box.spec), progress=False, perturbation=bx.Constant(0.1))
    drawing = sheet([result, result[:1]], columns=3)
    cells = [axes for axes in drawing.axes if axes.images and axes.get_position().height * drawing.bbox.height > 50]
    assert len(cells) == 6
    assert len({round(axes.get_position().x0, 4) for axes in cells}) == 3
    assert all(path.name in said(drawing) for path in paths)
    numbers = f"{result.score[0]:.3f} → {result.score_region[0]:.3f}"
    assert said(drawing).count(numbers) == 6
    assert "score of the image → score with the region replaced by a constant" in said(drawing)
    check_texts(drawing)
    failed = dataclasses.replace(result, outcome=(Outcome("failed", "no"), *result.outcome[1:]))
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
    monkeypatch.setattr("blackbox_explain.report.contact_sheet.MOST_CELLS", 2)
    result = explained(photo_file(tmp_path, (64, 48)))
    assert "and 3 more" in said(sheet([result] * 5))
