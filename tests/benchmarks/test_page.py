"""The page of results: what was aimed at, what is not measured, and what files of any age hold."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import page
from benchmarks.adapters.onnx_gradient import over_faster
from benchmarks.common.hardware import CACHE, RESULTS, record
from benchmarks.common.timings import summary
from benchmarks.peers.verdicts import Verdict
from benchmarks.score_only import (
    BATCH,
    ScoresOnly,
    better_photo_by_photo,
    better_than_peer,
    judge,
    learn_timed,
    ranked,
)
from benchmarks.shown.targets import targets
from tests.auditing.stamped import StampModel


def table_of(text: str) -> dict[tuple[str, str], list[str]]:
    """Return the cells of a table's lines after the first two, by these."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()[2:]]
    return {(row[0], row[1]): row[2:] for row in rows}


def test_the_page_says_what_is_not_measured(tmp_path: Path) -> None:
    _, aimed, rest = page.page_of(tmp_path).partition(page.JUDGED)
    table, sections = rest.split("\n\n## ", 1)
    assert aimed
    assert sections.count(page.NOT_YET) == len(page.SECTIONS)
    assert table.count("| |") == 0
    lines = table_of(table.strip())
    assert len(lines) == 19
    assert all(cells == ["", page.NOT_YET] for cells in lines.values())
    record("memory", {"quick": True}, {"onnx": {}}, tmp_path)
    assert page.page_of(tmp_path).count(page.NOT_YET) == len(page.SECTIONS) + len(lines)


def test_the_page_is_drawn_of_all_that_is_stored(tmp_path: Path) -> None:
    # A copy: pictures are drawn beside the files.
    results = Path(shutil.copytree(RESULTS, tmp_path / "results", ignore=shutil.ignore_patterns("paper", "cache")))
    # What a run keeps for another is no result.
    (results / CACHE.name).mkdir()
    (results / CACHE.name / "convergence-0123456789abcdef.json").write_text('{"commit": "abc"}', encoding="utf-8")
    text = page.page_of(results)
    for title in ("Gradients of ONNX models", "A step of TensorFlow", "Rankings by their settings"):
        section = text.partition(f"## {title}\n")[2].partition("\n## ")[0]
        assert "### " in section
        assert page.NOT_YET not in section


def test_the_page_holds_what_the_files_hold(tmp_path: Path) -> None:
    row = {"batch": 4, "steps": 10, "images": 16, "peak_mib": 512.4, "seconds_per_image": 0.31}
    row["last_tenth_over_first"] = 0.987
    record("memory", {}, {"onnx": {"batch": [row]}}, tmp_path)
    speed = {
        "PyTorch": {
            "one image": {
                "fast": {"gradients": 42, "scores": 18, "explain": summary([1.5]), "ratio": 1.034},
            },
            "batches": {
                "images": 32,
                "settled": 8,
                "best": "16",
                "seconds_per_image": {"16": summary([0.2, 0.2]), "auto": summary([0.21, 0.23])},
                "over_best": [1.05, 1.15],
            },
        },
        "start": {"import": summary([1.5])},
    }
    record("speed", {}, speed, tmp_path)
    overhead = {"backend": "torch", "preset": "fast", "batch": 16, "ratio": 1.041, "beside": 0.02}
    record("overhead-torch", {}, {"rows": [overhead]}, tmp_path)
    text = page.page_of(tmp_path)
    for line in (
        "| onnx | batch | 4 | 10 | 16 | 512 | 0.310 | 0.99 |",
        "| PyTorch | fast | 42 + 18 | 1.50 (no spread) | 1.034 (no spread) |",
        "| PyTorch | auto, settled at 8 | 32 | 0.220 (0.215 to 0.225, 2 times) | 1.10 (1.07 to 1.12, 2 times) |",
        "| torch | fast | 16 | 1.041 (no spread) | 2.0% (no spread) |",
        "| import | 1.50 (no spread) |",
    ):
        assert line in text


def one_of(found: dict[tuple[str, str], list[str]], word: str) -> list[str]:
    """Return the cells of the one aim that is measured whose name holds a word."""
    ((_, cells),) = ((key, cells) for key, cells in found.items() if word in key[0] and cells[0])
    return cells


def test_aims_are_judged_by_all_repetitions(tmp_path: Path) -> None:
    pairs = {"loop": {"all_ms": [10.0, 10.1, 10.2]}, "model": {"all_ms": [10.0] * 3}}
    slow = {"loop": {"all_ms": [12.0, 12.1, 12.2]}, "model": {"all_ms": [10.0] * 3}}
    row: dict[str, Any] = {"backend": "torch", "batch": 16, "ratio": 1.0, "beside": 0.0}
    rows = [{**row, "preset": "fast", "repetitions": pairs}]
    record("overhead-torch", {}, {"rows": rows}, tmp_path)
    assert one_of(table_of(targets(tmp_path)), "PyTorch, at batch 16") == ["1.010 (1.005 to 1.015, 3 times)", "met"]
    record("overhead-torch", {}, {"rows": [*rows, {**row, "preset": "quick", "repetitions": slow}]}, tmp_path)
    assert one_of(table_of(targets(tmp_path)), "PyTorch, at batch 16") == [
        "1.210 (1.205 to 1.215, 3 times), quick (the highest of 2)",
        "missed",
    ]
    parts = {"installation": summary([20.0, 21.0, 22.0]), "first picture": summary([30.0, 31.0, 32.0])}
    record("first-run", {}, parts, tmp_path)
    found = table_of(targets(tmp_path))
    assert [one_of(found, word)[1] for word in ("installation", "first picture")] == ["met", "missed"]


def test_batches_that_are_too_small_for_a_gpu_are_not_judged(tmp_path: Path) -> None:
    row = {"backend": "torch", "preset": "fast", "batch": 16, "ratio": 2.0, "beside": 1.0}
    record("overhead-torch", {"device": "cuda"}, {"rows": [row]}, tmp_path)
    assert [value for value, _ in table_of(targets(tmp_path)).values() if value] == []
    assert "| torch | fast | 16 | 2.000 (no spread) |" in page.page_of(tmp_path)


def test_sizes_that_did_not_settle_are_no_success(tmp_path: Path) -> None:
    batches = {"images": 32, "settled": None, "best": "16", "seconds_per_image": {"16": summary([0.2])}}
    record("speed", {}, {"PyTorch": {"batches": batches}}, tmp_path)
    assert one_of(table_of(targets(tmp_path)), "auto") == ["did not settle", "undecided"]


def test_gradients_are_held_against_the_faster_layout() -> None:
    row: dict[str, Any] = {"torch_ms_per_image": 5.0, "channels_last_ms_per_image": 4.0}
    row |= {"over_torch": 0.6, "over_channels_last": 0.75}
    assert over_faster(row) == ("channels_last", [0.75])
    times = {"gradient": {"all_ms": [3.0, 2.0]}, "torch": {}, "channels_last": {"all_ms": [4.0, 4.0]}}
    assert over_faster({**row, "repetitions": times}) == ("channels_last", [0.75, 0.5])


def test_claims_of_peers_stand_among_the_aims(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record("peers-googlenet", {}, {"row": {}}, tmp_path)
    told = [Verdict("none is better", None, "0.1 against 0.2")]
    monkeypatch.setattr(page, "verdicts", lambda measured: told if "row" in measured else [])
    line, missing = page.of_peers(tmp_path)
    assert (missing.by, missing.value, missing.verdict) == ("efficientnet-lite0", "", page.NOT_YET)
    assert (line.what, line.value, line.verdict) == ("peers: none is better", "0.1 against 0.2", "undecided")
    assert line.by.endswith(", googlenet")


def test_time_beside_the_model_is_told_batch_by_batch() -> None:
    images = np.random.default_rng(0).random((BATCH + 1, 3, 32, 32), dtype=np.float32)
    hidden = ScoresOnly(StampModel())
    results, times = learn_timed(hidden, images, "fast", queries=200)
    assert [len(one) for one in results] == [BATCH, 1]
    assert all(whole > inside > 0 for whole, inside in times)
    assert sum(inside for _, inside in times) == pytest.approx(hidden.seconds)
    left = ranked(hidden, images, results)
    assert left["left"] == pytest.approx({share: np.mean(values) for share, values in left["each"].items()})
    assert {len(values) for values in left["each"].values()} == {BATCH + 1}


def test_scores_alone_are_judged_by_photos_and_batches() -> None:
    exact = {"objective": 1.0, "objectives": [1.0, 1.0, 1.0]}
    row = {"objectives": [1.0, 1.02, 1.01], "suppressions": [1.0, 1.0, 0.9], "overhead": 0.05}
    found = judge({"1000": row, "5000": {**row, "overheads": [0.04, 0.05, 0.06]}}, exact)
    assert list(found.values()) == [True, True, False, None]
    timed = {"1000": {**row, "overheads": [0.04, 0.05, 0.06]}}
    assert list(judge(timed, exact).values()) == [True, True]
    own, peer = [0.1 + 0.01 * one for one in range(10)], [0.3 + 0.02 * one for one in range(10)]
    rows = {"1000": {"each": {"0.03": own}}, "2000": {"left": {"0.03": 0.1}}, "SHAP": {"each": {"0.03": peer}}}
    assert list(better_than_peer(rows).values()) == [True, None]
    each = {"ours": [[one] for one in peer], "SHAP": [[one] for one in own]}
    assert list(better_photo_by_photo(each).values()) == [False]
