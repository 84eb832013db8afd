"""Variants of rankings: what is measured of photos one by one, and what is kept of an earlier run."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import convergence
from benchmarks.common.each_photo import left_of_each, means_of
from benchmarks.common.masked import hard_deletion
from benchmarks.common.photos import LabelledPhotos
from benchmarks.convergence import HELD_OUT, VARIANTS, conditions, of_variant, stored_row
from blackbox_explain import explain
from tests.auditing.stamped import StampModel


def photos_of(count: int) -> LabelledPhotos:
    images = np.random.default_rng(0).random((count, 3, 32, 32), dtype=np.float32)
    return LabelledPhotos(tuple(Path(f"{row}.png") for row in range(count)), np.arange(count), images, "stretch")


@pytest.mark.usefixtures("shared_photos")
def test_convergence_in_short_measures_the_presets_and_stores_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[slice, int]] = []
    left = {"left": {"0.03": 0.5}, "kept": {"0.10": 0.5}, "transfer": {"noise": 0.1}, "elsewhere": 0.3}
    row = {**left, "gradients": 3.0, "region": 0.2, "agreement": 0.9}

    def measured(_box: Any, _other: Any, _photos: Any, rows: slice, _settings: Any, limit: int) -> dict[str, Any]:
        asked.append((rows, limit))
        return row

    monkeypatch.setattr(convergence, "measure", measured)
    monkeypatch.setattr(convergence, "record", lambda *_: pytest.fail("stored"))
    convergence.main(cache=tmp_path, page=tmp_path / "none.md", quick=True)
    halves = (slice(0, None, 2), slice(1, None, 2))
    assert asked == [(half, 1) for half in halves for _ in HELD_OUT]


def test_values_of_each_photo_are_those_of_all_together() -> None:
    box, images = StampModel(), photos_of(3).images
    results = [explain(box, images, method="gradient", progress=False)]
    maps = np.random.default_rng(1).random(results[0].saliency.shape)  # without ties, which are broken by chance
    each = left_of_each(box, images, results, maps, (0.1, 0.3))
    assert [len(values) for values in each.values()] == [3, 3]
    together = hard_deletion(box, images, results, maps, (0.1, 0.3))
    assert means_of(each) == pytest.approx(together, abs=1e-4)


def test_what_is_measured_holds_every_photo() -> None:
    photos, few = replace(photos_of(4), labels=np.zeros(4, np.int64)), {"preset": "quick", "steps": 1}
    photos.images[2, 1:] = 0  # of which alone the other network is sure
    found = convergence.measure(StampModel(), StampModel(), photos, slice(0, None, 2), few, 2)
    each = found["each"]
    assert found["photos"] == 2
    assert found["left"] == pytest.approx({share: np.mean(values) for share, values in each["left"].items()})
    assert found["region"] == pytest.approx(np.mean(each["region"]))
    assert [len(values) for values in (each["gradients"], each["region"], each["agreement"])] == [2, 2, 2]
    assert {len(values) for values in each["transfer"].values()} == {2}
    assert len(each["elsewhere"]) == 1
    assert found["elsewhere"] == each["elsewhere"][0] == pytest.approx(each["left"]["0.15"][1], abs=1e-6)


@pytest.mark.parametrize("changed", ["device", "threads", "limit", "photos", "benchmark", "versions"])
def test_what_is_kept_is_of_the_same_conditions_and_says_its_commit(changed: str, tmp_path: Path) -> None:
    given, runs = conditions(photos_of(2), "cpu", 1, 2), list[int]()

    def run() -> dict[str, Any]:
        runs.append(1)
        return {"value": len(runs)}

    def asked(given: dict[str, Any], commit: str, versions: str = "1") -> dict[str, Any]:
        known = {"commit": commit, "versions": versions}
        return of_variant(tmp_path, given, "tuned_on", "fast", known, run)

    assert asked(given, "old") == {"commit": "old", "value": 1}
    assert asked(given, "new") == {"commit": "old", "value": 1}
    other = {**given, changed: "other"} if changed != "versions" else given
    assert asked(other, "new", "2" if changed == "versions" else "1") == {"commit": "new", "value": 2}


def test_stored_rows_are_taken_over_where_they_are_of_the_same() -> None:
    given = conditions(photos_of(2), "cpu", None, 16)
    settings = json.loads(json.dumps({**given, "variants": {name: str(one) for name, one in VARIANTS.items()}}))
    measured = {"tuned_on": {"fast": {"region": 0.1, "commit": "first"}, "quick": {"region": 0.2}}}
    stored = {"settings": settings, "machine": {"commit": "whole"}, "measured": measured}
    assert stored_row(stored, given, "tuned_on", "fast") == {"commit": "first", "region": 0.1}
    assert stored_row(stored, given, "tuned_on", "quick") == {"commit": "whole", "region": 0.2}
    assert stored_row(stored, given, "tuned_on", "thorough") is None
    assert stored_row(stored, {**given, "photos": []}, "tuned_on", "fast") is None
    assert stored_row({**stored, "settings": {"fast": "{}"}}, given, "tuned_on", "fast") is None
    assert stored_row(None, given, "tuned_on", "fast") is None
