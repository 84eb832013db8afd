"""Sizes of batches side by side, growth of memory, audits that stream, and limits that are judged."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import memory
from benchmarks.audits.reliability.audits import make_photos
from benchmarks.common.judged import ratios_of, said, spread, within
from benchmarks.scale.batch_sizes import settled, sizes_beside
from benchmarks.scale.growth import departures, growths, slopes
from benchmarks.scale.own_process import asked_of, held_mib, peak_mib
from benchmarks.scale.streamed import streamed
from benchmarks.speed import one_image
from blackbox_explain import wrap
from tests.auditing.stamped import StampModel

FEW: dict[str, Any] = {"preset": "quick", "steps": 1, "start": "centre"}


def test_sizes_are_timed_once_auto_has_settled() -> None:
    box = StampModel()
    # The last is enough for the largest size that there is.
    found = sizes_beside(box, 3, sizes=(4, 16), together=8, counts=(16, 512, 2100), settings=FEW)
    size = found["settled"]
    assert size is not None
    assert found["images"] == max(8, size)
    assert list(found["seconds_per_image"]) == ["4", "16", "auto"]
    auto, best = (found["seconds_per_image"][one]["all_s"] for one in ("auto", found["best"]))
    assert found["over_best"] == pytest.approx([a / b for a, b in zip(auto, best, strict=True)], rel=0.05)
    medians = {one: found["seconds_per_image"][one]["median_s"] for one in ("4", "16")}
    assert medians[found["best"]] == min(medians.values())


def test_a_box_that_never_settles_is_told() -> None:
    assert settled(StampModel(), (16,), FEW) is None
    found = sizes_beside(StampModel(), 1, sizes=(1, 2), together=2, counts=(2,), settings=FEW)
    assert found["settled"] is None
    assert "over_best" not in found
    assert "auto" not in found["seconds_per_image"]


def test_one_image_is_timed_in_turns_with_its_evaluations() -> None:
    found = one_image(wrap("efficientnet-lite0"), "onnx", "quick", 2, steps=1)
    whole, model = (found[name]["all_s"] for name in ("explain", "model_alone"))
    assert len(whole) == len(model) == 2
    assert found["all_ratios"] == pytest.approx([a / b for a, b in zip(whole, model, strict=True)], rel=0.01)
    assert found["gradients"] >= 1 <= found["scores"]


def rows_of(figures: dict[int, list[float]]) -> list[dict[str, Any]]:
    made = list[dict[str, Any]]()
    for batch, values in figures.items():
        row: dict[str, Any] = {"batch": batch}
        for value in values:
            row = memory.with_run(row, {"peak_mib": value})
        made.append(row)
    return made


def test_growth_is_of_a_line_through_each_round() -> None:
    rows = rows_of({1: [110, 210], 2: [120, 220], 4: [140, 240]})
    assert [row["peak_mib"] for row in rows] == [160, 170, 190]
    assert slopes(rows, "batch", "peak_mib") == pytest.approx([10, 10])
    assert growths(rows, "batch", "peak_mib") == pytest.approx([30 / 110, 30 / 210])
    assert departures(rows, "batch", "peak_mib") == pytest.approx([0, 0], abs=1e-9)
    bent = rows_of({1: [100], 2: [100], 3: [130]})
    # The line rises from 95 to 125; the middle is 10 below it.
    assert departures(bent, "batch", "peak_mib") == pytest.approx([10 / 30])
    older = [{"batch": 1, "peak_mib": 5.0}, {"batch": 3, "peak_mib": 10.0}]
    assert growths(older, "batch", "peak_mib") == pytest.approx([1.0])
    assert growths(rows[:1], "batch", "peak_mib") == []


def test_claims_of_memory_are_of_files_that_streamed() -> None:
    batch = rows_of({1: [100.0] * 3, 2: [110.0] * 3, 4: [130.0] * 3})
    files = [
        {"images": count, "files": True, "runs": [{"peak_mib": 100.0, "last_tenth_over_first": tenths}] * 3}
        for count, tenths in ((16, 1.0), (1000, 3.0))
    ]
    files[-1]["last_tenth_over_first"] = 3.0
    found = {what: (values, limit) for what, values, limit in memory.claims({"batch": batch, "images": files})}
    assert list(found) == [memory.LINEAR, memory.FILES_FLAT, memory.TIME_FLAT]
    assert [said(within([values], limit)) for values, limit in found.values()] == ["met", "met", "missed"]
    without = [{name: row[name] for name in row if name != "files"} for row in files]
    assert memory.claims({"images": without}) == []


def test_memory_is_measured_in_a_process_of_its_own() -> None:
    found = asked_of("benchmarks.scale.explained", "onnx", 1, 1, 1, "cpu")
    assert found["peak_mib"] > found["before_mib"] > 0
    assert found["seconds_per_image"] > 0
    with pytest.raises(SystemExit, match=r"benchmarks\.scale\.explained .* failed"):
        asked_of("benchmarks.scale.explained", "neither")


def test_the_peak_of_a_process_outlasts_what_it_gave_back() -> None:
    code = (
        "import numpy as np; from benchmarks.scale.own_process import held_mib, peak_mib; "
        "before = held_mib(); a = np.ones(2**24); del a; print(peak_mib() - before, held_mib() - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    peak, held = map(float, done.stdout.split())
    assert peak > 120
    assert held < 60
    assert peak_mib() >= held_mib() - 1 > 0


def test_files_stream_through_an_audit_and_are_told_by_tenths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.scale.streamed.WARM", 16)
    make_photos(tmp_path / "photos", 16 * 20)
    found = streamed("torch", str(tmp_path / "photos"), 16 * 20, 1, "cpu")
    assert json.loads(json.dumps(found)) == found
    assert found["peak_mib"] >= found["before_mib"] > 0
    assert len(found["tenths_s"]) == len(found["tenths_mib"]) == 10
    assert min(found["tenths_s"]) > 0
    few = streamed("torch", str(tmp_path / "photos"), 16, 3, "cpu")
    assert len(few["each_audit_s"]) == 3
    assert few["seconds_per_image"] == np.median(few["each_audit_s"])
    assert "tenths_s" not in few


def test_limits_are_judged_beyond_chance_and_told_with_spread() -> None:
    assert [said(within(cases, 1.05)) for cases in ([[1.0, 1.01, 1.02]], [[1.2, 1.21, 1.22]], [[1.0, 1.1, 1.2]])] == [
        "met",
        "missed",
        "undecided",
    ]
    assert within([[1.0, 1.01, 1.02], [1.2, 1.21, 1.22]], 1.05) is False
    assert within([[1.0]], 1.05) is None
    assert spread([1.0, 2.0, 3.0]) == "2.00 (1.50 to 2.50, 3 times)"
    assert spread([0.5], ".0%") == "50% (no spread)"
    assert ratios_of({"ratio": 1.5}) == [1.5]
    repetitions = {"loop": {"all_ms": [3.0, 4.0]}, "model": {"all_ms": [2.0, 2.0]}}
    assert ratios_of({"ratio": 1.7, "repetitions": repetitions}) == [1.5, 2.0]
