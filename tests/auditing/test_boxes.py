"""Boxes and certificates of an audit: what cannot be told is said in the row, what fits nothing is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from blackbox_explain.auditing import row_maker
from blackbox_explain.auditing.auditor import audit, read_audit
from blackbox_explain.auditing.ledger.columns import CERTIFICATES
from blackbox_explain.auditing.plan import AuditPlan
from blackbox_explain.errors import InputError, ModelError
from tests.auditing.stamped import NAMES, StampModel, make_photos

PLAN = AuditPlan(methods={"mask": {"preset": "quick", "perturbation": "constant"}}, batch_size=4)


def run(folder: Path, boxes: list[str]) -> Any:
    """Audit six photos, with boxes given as lines of a CSV file; return the table."""
    make_photos(folder / "photos", 6)
    (folder / "boxes.csv").write_text("file,x0,y0,x1,y1,label\n" + "\n".join(boxes))
    audit(StampModel(), folder / "photos", folder / "out", plan=PLAN, boxes=folder / "boxes.csv", progress=False)
    return read_audit(folder / "out")


def test_a_box_outside_of_its_photo_is_said(tmp_path: Path) -> None:
    table = run(tmp_path, [f"000_{NAMES[0]}.png,40,40,60,60,{NAMES[0]}", f"001_{NAMES[1]}.png,8,8,24,24,{NAMES[1]}"])
    assert "outside of its photo" in table.message[0]
    assert table.inside_boxes.isna().tolist() == [True, False, True, True, True, True]
    assert table.message[1:].isna().all()
    assert table.boxes_share[0] == 0
    assert table.boxes_share[1] == pytest.approx(1 / 4)
    assert table.boxes[0] is None
    assert table.boxes[1].tolist() == [0.25, 0.25, 0.75, 0.75]


def test_boxes_that_the_model_does_not_see_are_told(tmp_path: Path) -> None:
    make_photos(tmp_path / "photos", 3)
    with Image.open(tmp_path / "photos" / f"001_{NAMES[1]}.png") as photo:
        wide = Image.new("RGB", (96, 32))
        wide.paste(photo, (32, 0))
        wide.save(tmp_path / "photos" / f"001_{NAMES[1]}.png")
    # The middle square is read: the box lies left of it.
    (tmp_path / "boxes.csv").write_text(f"file,x0,y0,x1,y1,label\n001_{NAMES[1]}.png,0,0,20,32,{NAMES[1]}\n")
    done = audit(
        StampModel(), tmp_path / "photos", tmp_path / "out", plan=PLAN, boxes=tmp_path / "boxes.csv", progress=False
    )
    one = next(one for one in done.findings() if one.name == "boxes not seen")
    assert (one.count, one.total, one.positions) == (1, 1, (1,))
    assert "none of the boxes" in read_audit(tmp_path / "out").message[1]


def test_boxes_of_classes_that_the_model_lacks_count_where_others_are_known(tmp_path: Path) -> None:
    table = run(tmp_path, [f"000_{NAMES[0]}.png,0,0,9,9,unicorn", f"001_{NAMES[1]}.png,8,8,24,24,{NAMES[1]}"])
    assert table.inside_boxes.isna().tolist() == [True, False, True, True, True, True]


def test_boxes_of_none_of_the_classes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no box of any class of the model. Got none of 1, such as unicorn"):
        run(tmp_path, [f"000_{NAMES[0]}.png,0,0,9,9,unicorn"])


def test_why_a_region_could_not_be_checked_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise ModelError("No more today")

    monkeypatch.setattr(row_maker.Transfer, "measure", refuse)
    table = run(tmp_path, [f"001_{NAMES[1]}.png,8,8,24,24,{NAMES[1]}"])
    assert set(table.outcome) == {"ok"}
    assert set(table.message) == {"the region could not be checked: No more today."}
    assert table.transfer_noise.isna().all()


@pytest.mark.parametrize(
    ("perturbation", "others"),
    [
        ("blur", ["transfer_constant", "transfer_noise"]),
        ("constant", ["transfer_blur", "transfer_noise"]),
        ("middle", ["transfer_blur", "transfer_noise"]),
        ("noise", ["transfer_blur", "transfer_constant"]),
    ],
)
def test_regions_are_checked_by_two_other_kinds_of_perturbation(
    tmp_path: Path, perturbation: str, others: list[str]
) -> None:
    make_photos(tmp_path / "photos", 3)
    plan = AuditPlan(methods={"mask": {"preset": "quick", "perturbation": perturbation}}, batch_size=4)
    audit(StampModel(), tmp_path / "photos", tmp_path / "out", plan=plan, progress=False)
    table = read_audit(tmp_path / "out")
    asked = [name for name in CERTIFICATES if table[name].notna().any()]
    assert asked == others
    assert table[others[1]].notna().all()
