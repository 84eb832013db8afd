"""Rules of an audit: learned on a sample, shown in its report, and no harm where they cannot be learned."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from blackbox_explain.auditing.auditor import audit
from blackbox_explain.auditing.findings.sampled_rules import read_rules, rows_of_rules
from blackbox_explain.auditing.plan import AuditPlan
from blackbox_explain.auditing.report_page import page_of_audit
from blackbox_explain.errors import InputError, ModelError, ResultError
from tests.auditing.stamped import StampModel, make_photos

PLAN = AuditPlan(methods={"center": {}}, batch_size=8)


def run(box: Any, folder: Path, count: int, **options: Any) -> Path:
    make_photos(folder / "photos", count)
    out: Path = folder / "out"
    audit(box, folder / "photos", out, plan=PLAN, progress=False, **options)
    return out


def test_rules_are_learned_on_a_sample_and_shown(tmp_path: Path) -> None:
    out = run(StampModel(), tmp_path, 40, rules=32)
    report = read_rules(out)
    assert len(set(report["photos"])) == report["images"] == 32
    page = page_of_audit(out)
    assert page.rules_images == 32
    rules = {name: (up_to, error) for name, up_to, error, _ in page.rules}
    # The stamp of a third of the photos lies in a corner, which a flip takes away and brightness does not.
    assert rules["horizontal flip"][0] == "it may not be done"
    assert 0.2 < float(rules["horizontal flip"][1].rstrip("%")) / 100 < 0.5
    assert rules["brightness"][0].endswith("%")
    assert float(rules["brightness"][1].rstrip("%")) < 10
    written = (out / "rules.json").read_bytes()
    audit(StampModel(), tmp_path / "photos", out, plan=PLAN, progress=False, resume=True, rules=32)
    assert (out / "rules.json").read_bytes() == written


@pytest.mark.parametrize(("count", "rules"), [(24, 100), (40, 0)])
def test_few_images_or_none_wanted_give_no_rules(tmp_path: Path, count: int, rules: int) -> None:
    out = run(StampModel(), tmp_path, count, rules=rules)
    assert read_rules(out) == {}
    assert not page_of_audit(out).rules


def test_too_few_images_for_rules_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"rules=10; expected 30 or more, or 0"):
        run(StampModel(), tmp_path, 4, rules=10)
    assert not (tmp_path / "out").exists()


def test_a_model_that_fails_at_rules_is_said_on_the_page(tmp_path: Path) -> None:
    class Once(StampModel):
        tired = False

        def scores(self, images: Any) -> Any:
            if self.tired:
                raise ModelError("No more")
            return super().scores(images)

    box = Once()
    out = run(box, tmp_path, 40, rules=0)
    box.tired = True
    audit(box, tmp_path / "photos", out, plan=PLAN, progress=False, resume=True, rules=40)
    assert any("Rules could not be learned" in one and "No more" in one for one in page_of_audit(out).warnings)
    box.tired = False
    audit(box, tmp_path / "photos", out, plan=PLAN, progress=False, resume=True, rules=40)
    assert page_of_audit(out).rules
    assert not page_of_audit(out).warnings


@pytest.mark.parametrize("damage", ["[", "[]", '{"relations": [{}]}', '{"relations": 3}', '{"failed": [{}]}'])
def test_damaged_rules_are_said(tmp_path: Path, damage: str) -> None:
    (tmp_path / "rules.json").write_text(damage)
    with pytest.raises(ResultError, match="damaged"):
        read_rules(tmp_path)


def test_relations_of_one_level_may_be_done_or_not(tmp_path: Path) -> None:
    out = run(StampModel(), tmp_path, 30, rules=30)
    report = json.loads((out / "rules.json").read_text())
    assert np.isfinite(report["max_error"])
    found = {up_to for name, up_to, _, _ in rows_of_rules(report) if name in ("horizontal flip", "grey scale")}
    assert found <= {"it may be done", "it may not be done"}
    assert found
