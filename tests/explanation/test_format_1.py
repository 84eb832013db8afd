"""Results that version 0.1 saved: two files of it are kept here."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import blackbox_explain as bx
from blackbox_explain.errors import ResultError
from tests.report.pictures import check_texts
from tests.toys import Regions, box_region

KEPT = Path(__file__).parent / "data"


def test_a_result_of_version_0_1_is_read_and_holds(tmp_path: Path) -> None:
    old = bx.Explanation.load(KEPT / "version_0_1.npz")
    assert isinstance(old, bx.MaskExplanation)
    assert [one.kind for one in old.outcome] == ["ok", "ok"]
    assert (old.game, old.perturbation, old.method) == ("deletion", "blur", "mask")
    assert old.provenance.settings["steps"] == 3
    assert old.provenance.gradients == "exact"
    np.testing.assert_allclose(old.score, 1.0)
    box = Regions([box_region((24, 24), (6, 6), (16, 16))])
    assert bx.verify(old, box, progress=False).holds
    assert "outcome: ok" in old[0].summary()
    check_texts(old.plot())
    again = bx.Explanation.load(old.save(tmp_path / "again"))
    np.testing.assert_array_equal(again.mask, old.mask)
    assert again.outcome == old.outcome


def test_what_was_estimated_says_why() -> None:
    old = bx.Explanation.load(KEPT / "version_0_1_estimated.npz")
    assert old.provenance.gradients == "estimated"
    assert old.provenance.why_estimated == "the black box has none"
    assert old.provenance.notes == ()
    assert old.outcome[0].kind == "weak"
    assert "the gradient is estimated from scores: the black box has none" in old.summary()
    assert "mask (fast)" in old.summary()


def test_a_result_without_pictures_of_its_regions_is_drawn_too(tmp_path: Path) -> None:
    with np.load(KEPT / "version_0_1.npz") as file:
        parts = {name: file[name] for name in file.files if name != "region_images"}
    meta = json.loads(str(parts.pop("meta")))
    for name in ("photos", "predictions"):
        del meta[name]
    np.savez(tmp_path / "old.npz", meta=json.dumps(meta), **parts)
    old = bx.Explanation.load(tmp_path / "old.npz")
    assert old.photos is None
    assert old.predictions == ()
    check_texts(old.plot())


def test_a_format_of_the_future_is_refused_with_a_clear_word(tmp_path: Path) -> None:
    np.savez(tmp_path / "new.npz", meta=json.dumps({"format": 99}))
    with pytest.raises(ResultError, match=r"another format.*new.npz: 99; expected 2.*read it with the version"):
        bx.Explanation.load(tmp_path / "new.npz")
