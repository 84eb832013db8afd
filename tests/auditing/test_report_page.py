"""The report of an audit: what its page shows is what the table says, and photos are found where they were."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import blackbox_explain as bx
from blackbox_explain.auditing.plan import AuditPlan
from blackbox_explain.auditing.report_page import page_of_audit, write_report
from blackbox_explain.cli import app
from blackbox_explain.errors import ResultError
from blackbox_explain.report.picture_files import map_of
from tests.auditing.stamped import StampModel, make_photos
from tests.auditing.test_auditor import PLAN


def audited(photos: Any, out: Path, **options: Any) -> Path:
    bx.audit(StampModel(), photos, out, plan=PLAN, progress=False, **options)
    return out


def test_the_page_shows_what_the_table_says(tmp_path: Path) -> None:
    make_photos(tmp_path / "photos", 12)
    folder = audited(tmp_path / "photos", tmp_path / "out")
    table, page = bx.read_audit(folder), page_of_audit(folder)
    assert [card.path for card in page.cards] == table.path.tolist()
    first = page.cards[0]
    assert first.score == pytest.approx(table.score[0])
    assert map_of(first.region).mean() == pytest.approx(first.share)
    assert len(first.curve) == len(page.curve_shares)
    assert first.box == (0.0, 0.0, 1.0, 1.0)
    with Image.open(io.BytesIO(first.photo)) as photo:
        assert photo.size == (32, 32)
    assert [(name, count) for name, count, _ in page.classes] == [("stamped", 4), ("green", 4), ("blue", 4)]
    stamped = page.classes[0][2]
    assert stamped.shape == (28, 28)
    assert np.unravel_index(stamped.argmax(), stamped.shape) < (8, 8)
    assert page.summary["images"] == "12 of 12"
    assert not page.warnings
    assert page.left_out == 0


def test_an_audit_that_is_not_finished_says_so_first(tmp_path: Path) -> None:
    make_photos(tmp_path / "photos", 6)
    folder = audited(tmp_path / "photos", tmp_path / "out", command="blackbox-explain audit photos --out out")
    assert page_of_audit(folder).command == "blackbox-explain audit photos --out out"
    told = json.loads((folder / "audit.json").read_text())
    told["runs"][-1]["ended"], told["count"] = "interrupted", 50
    (folder / "audit.json").write_text(json.dumps(told))
    page = page_of_audit(folder)
    assert page.warnings[0] == "This audit is not finished: all of this is about 6 of 50 images."
    assert page.command == "blackbox-explain audit photos --out out --resume"


def test_of_many_images_those_that_something_was_found_of_come_first(tmp_path: Path) -> None:
    paths = make_photos(tmp_path / "photos", 12)
    paths[7].write_bytes(b"no photo")
    page = page_of_audit(audited(tmp_path / "photos", tmp_path / "out"), most=4)
    assert len(page.cards) == 4
    assert page.left_out == 8
    failed = next(card for card in page.cards if card.position == 7)
    assert failed.photo is None
    assert failed.outcome == "failed"
    assert failed.findings == ("failed",)
    assert next(one for one in page.findings if one.name == "failed").positions == (7,)
    assert [card.position for card in page.cards] == sorted(card.position for card in page.cards)


def test_of_several_methods_images_are_counted_and_shown_by_all_of_them(tmp_path: Path) -> None:
    make_photos(tmp_path / "photos", 6)
    plan = AuditPlan(methods={"center": {}, "occlusion": {"side": 8, "stride": 8}})
    bx.audit(StampModel(), tmp_path / "photos", tmp_path / "out", plan=plan, progress=False)
    page = page_of_audit(tmp_path / "out", most=5)
    assert [(card.position, card.method) for card in page.cards] == [
        (position, method) for position in sorted({card.position for card in page.cards}) for method in plan.methods
    ]
    assert len(page.cards) == 4
    assert page.left_out == 4
    assert [(name, count) for name, count, _ in page.classes] == [("stamped", 2), ("green", 2), ("blue", 2)]


def test_photos_are_found_in_shards_and_from_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = make_photos(tmp_path / "photos", 6)
    with tarfile.open(tmp_path / "six.tar", "w") as shard:
        for path in paths:
            shard.add(path, f"a/{path.name}")
    monkeypatch.chdir(tmp_path)
    audited("six.tar", Path("out"))
    monkeypatch.chdir("/")
    page = page_of_audit(tmp_path / "out")
    assert page.cards[3].path == "six.tar/a/003_stamped.png"
    assert all(card.photo for card in page.cards)
    (tmp_path / "six.tar").unlink()
    assert all(card.photo is None for card in page_of_audit(tmp_path / "out").cards)


def test_a_photo_that_was_replaced_since_is_not_shown(tmp_path: Path) -> None:
    paths = make_photos(tmp_path / "photos", 3)
    folder = audited(tmp_path / "photos", tmp_path / "out")
    paths[1].write_bytes(paths[2].read_bytes())
    assert [card.photo is None for card in page_of_audit(folder).cards] == [False, True, False]


@pytest.mark.parametrize("part", ["methods", "grid", "shape", "curve_shares", "fit", "white"])
def test_a_manifest_that_lacks_a_part_is_damaged(tmp_path: Path, part: str) -> None:
    make_photos(tmp_path / "photos", 2)
    folder = audited(tmp_path / "photos", tmp_path / "out")
    told = json.loads((folder / "audit.json").read_text())
    del told["plan"][part]
    (folder / "audit.json").write_text(json.dumps(told))
    with pytest.raises(ResultError, match=rf"manifest of this audit is damaged.*plan: {part}"):
        page_of_audit(folder)


def test_an_audit_of_another_version_is_named(tmp_path: Path) -> None:
    make_photos(tmp_path / "photos", 3)
    folder = audited(tmp_path / "photos", tmp_path / "out")
    told = json.loads((folder / "audit.json").read_text())
    (folder / "audit.json").write_text(json.dumps(told | {"format": 1}))
    with pytest.raises(ResultError, match=r"written by another version.*format 1; expected format 2"):
        page_of_audit(folder)


def test_the_command_writes_the_page_and_says_where(tmp_path: Path) -> None:
    make_photos(tmp_path / "photos", 6)
    folder = audited(tmp_path / "photos", tmp_path / "out")
    done = CliRunner().invoke(app, ["report", str(folder)])
    assert done.exit_code == 0, done.output
    assert str(folder / "report.html") in done.output.replace("\n", "")
    assert "003_stamped.png" in (folder / "report.html").read_text(encoding="utf-8")
    assert write_report(folder, tmp_path / "page.html", most=2) == tmp_path / "page.html"
    wrong = CliRunner().invoke(app, ["report", str(tmp_path / "photos")])
    assert wrong.exit_code == 2
    assert "no results in this folder" in wrong.output
    (folder / "audit.json").unlink()
    with pytest.raises(ResultError, match="no manifest"):
        write_report(folder)
