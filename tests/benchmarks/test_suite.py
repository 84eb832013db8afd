"""Results of the suite: where they go, what became slower, and the page that is drawn of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from benchmarks import compare, convergence, memory, overhead, page
from benchmarks.common.hardware import file_of, folder_of, machine, record, recorded
from benchmarks.common.loops import paired
from benchmarks.compare import changes, timings_of
from benchmarks.peers.rows import LEFT, METRICS
from benchmarks.peers.verdicts import OURS
from tests.benchmarks.test_peers import row_of
from tests.kinds import kept


def result(**timings: list[float]) -> dict[str, Any]:
    return {
        "benchmark": "speed",
        "settings": {},
        "machine": machine("1"),
        "measured": {name: {"all_s": values, "median_s": float(np.median(values))} for name, values in timings.items()},
    }


def test_a_result_says_all_that_it_must_be_read_with(tmp_path: Path) -> None:
    path = record("speed", {"repeats": 2}, {"one": {"all_s": [1.0, 2.0]}}, tmp_path, commit="abc")
    stored = json.loads(path.read_text(encoding="utf-8"))
    assert stored["measured"] == {"one": {"all_s": [1.0, 2.0]}}
    assert stored["settings"] == {"repeats": 2}
    assert stored["machine"]["commit"] == "abc"
    assert {"processor", "cores", "memory_gib", "versions"} <= set(stored["machine"])
    assert path == folder_of(stored["machine"], tmp_path) / "speed.json"
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize(
    ("known", "name"),
    [
        ({"processor": "AMD EPYC", "cores": 2}, "amd-epyc-2-cores"),
        ({"processor": "Intel(R) Xeon(R) CPU @ 2.20GHz", "cores": 8}, "intel-xeon-8-cores"),
        ({"processor": "x", "cores": 16, "gpu": {"name": "NVIDIA H200"}}, "nvidia-h200"),
    ],
)
def test_folders_are_named_by_the_machine(known: dict[str, Any], name: str) -> None:
    assert folder_of(known).name == name


def test_what_became_slower_is_told_from_noise() -> None:
    old = result(slow=[1.0, 1.1, 1.2], noisy=[1.0, 2.0, 3.0], same=[1.0, 1.0, 1.0], fast=[2.0, 2.1, 2.2], gone=[1.0])
    new = result(slow=[1.5, 1.6, 1.7], noisy=[1.5, 2.4, 3.5], same=[1.04, 1.04, 1.04], fast=[1.0, 1.1, 1.2])
    found = {one.name: one for one in changes(old, new)}
    assert {name: one.kind for name, one in found.items()} == {
        "slow": "slower",
        "noisy": "same",
        "same": "same",
        "fast": "faster",
    }
    assert found["slow"].ratio == pytest.approx(1.6 / 1.1)


def test_short_runs_and_those_on_a_gpu_leave_other_files_alone(tmp_path: Path) -> None:
    for settings, name in (
        ({"device": "cpu", "quick": False}, "speed.json"),
        ({"device": "cpu", "quick": True}, "speed-quick.json"),
        ({"device": "cuda"}, "speed-cuda.json"),
        ({"device": "cuda", "tiny": True}, "speed-cuda-quick.json"),
    ):
        record("speed", settings, {"of": name}, tmp_path)
        assert file_of("speed", settings) == name
    for settings in ({}, {"quick": True}):
        stored = recorded("speed", tmp_path, settings)
        assert stored is not None
        assert stored["measured"] == {"of": file_of("speed", settings)}
    assert file_of("gpu", {"device": "cuda"}) == "gpu.json"


def test_timings_are_found_wherever_they_stand() -> None:
    measured = {"a": {"b": [{"all_ms": [1, 2]}, {"all_ms": []}]}, "c": {"all_s": [3.0], "median_s": 3.0}}
    assert dict(timings_of(measured)) == {"a / b / 0": [1.0, 2.0], "c": [3.0]}


def test_compare_says_so_and_fails(tmp_path: Path) -> None:
    import typer

    app = typer.Typer()
    app.command()(compare.main)
    paths = [tmp_path / name for name in ("old.json", "new.json")]
    for path, seconds in zip(paths, ([1.0, 1.1], [2.0, 2.1]), strict=True):
        path.write_text(json.dumps(result(explain=seconds)), encoding="utf-8")
    done = CliRunner().invoke(app, [str(one) for one in paths])
    assert done.exit_code == 1
    assert "1 of 1 timings became slower" in done.output
    assert CliRunner().invoke(app, [str(paths[0]), str(paths[0])]).exit_code == 0


def test_the_page_says_what_is_not_measured(tmp_path: Path) -> None:
    text = page.page_of(tmp_path)
    assert text.count(page.NOT_YET) == len(page.SECTIONS)
    record("memory", {"quick": True}, {"onnx": {}}, tmp_path)
    assert page.page_of(tmp_path).count(page.NOT_YET) == len(page.SECTIONS)


def test_the_page_holds_what_the_files_hold(tmp_path: Path) -> None:
    row = {"batch": 4, "steps": 10, "images": 16, "peak_mib": 512.4, "seconds_per_image": 0.31}
    row["last_tenth_over_first"] = 0.987
    record("memory", {}, {"onnx": {"batch": [row]}}, tmp_path)
    ours, theirs = row_of([2.0, 3.0], 0.1), row_of([1.0, 1.0], 0.2)
    measured = {OURS: ours, "Grad-CAM": theirs, "SHAP, partition": {"skipped": "shap: ModuleNotFoundError"}}
    record("peers-googlenet", {}, measured, tmp_path)
    once = {"median_s": 1.5, "all_s": [1.5]}
    single = {"gradients": 42, "scores": 18, "explain": once, "ratio": 1.034}
    together = {"batch": 4, "images": 16, "seconds_per_image": {"median_s": 0.25}}
    speed = {"PyTorch": {"one image": {"fast": single}, "together": {"4": together}}, "start": {"import": once}}
    record("speed", {}, speed, tmp_path)
    text = page.page_of(tmp_path)
    for line in (
        "| onnx | batch | 4 | 10 | 16 | 512 | 0.31 | 0.99 |",
        f"| {OURS} | 2.50 | 60 |{' 0.100 |' * len((*METRICS, *LEFT))} 2 |",
        f"- Better than {OURS}, by the mean of insertion, blur: Grad-CAM (insertion, blur 0.200 against 0.100, p",
        "| PyTorch | fast | 42 + 18 | 1.50 | 1.034 |",
        "| PyTorch | 4 | 16 | 0.250 |",
        "Not measured: SHAP, partition: shap: ModuleNotFoundError.",
    ):
        assert line in text
    (picture,) = tmp_path.glob("*/peers-googlenet.png")
    assert f"({picture.parent.name}/peers-googlenet.png)" in text


def test_two_things_in_turns_are_told_with_all_repetitions() -> None:
    # A pair that warms up; then the second goes first, and then the first again.
    ticks = iter([tick for seconds in (5.0, 5.0, 3.0, 1.0, 3.0, 1.0) for tick in (0.0, seconds)])
    found = paired(lambda: None, lambda: None, 2, clock=lambda: next(ticks)).to_dict("ours", "theirs", calls=2)
    assert found["repetitions"] == {"ours": {"all_ms": [500.0, 1500.0]}, "theirs": {"all_ms": [1500.0, 500.0]}}
    assert (found["ours_ms"], found["theirs_ms"]) == (1000.0, 1000.0)
    assert found["ratio"] == pytest.approx((1 / 3 + 3) / 2)
    assert dict(timings_of({"row": found})) == {
        "row / repetitions / ours": [500.0, 1500.0],
        "row / repetitions / theirs": [1500.0, 500.0],
    }


@pytest.mark.parametrize("backend", kept(["onnx", "torch", "tensorflow"], "onnx"))
def test_the_loop_is_held_against_the_model_alone(backend: overhead.Backend, tmp_path: Path) -> None:
    overhead.main(backend, quick=True, results=tmp_path)
    (path,) = tmp_path.glob(f"*/overhead-{backend}-quick.json")
    (row,) = json.loads(path.read_text(encoding="utf-8"))["measured"]["rows"]
    assert row["ratio"] > 0
    assert row["loop_ms"] > 0 < row["model_ms"]
    assert row["beside"] > 0


def test_memory_is_measured_in_a_process_of_its_own() -> None:
    found = memory.peak_of("onnx", 1, 1, 1, repetitions=2)
    assert found["peak_mib"] > found["before_mib"] > 0
    assert found["seconds_per_image"] > 0 < found["last_tenth_over_first"]
    assert found["peak_mib"] == pytest.approx(np.mean([run["peak_mib"] for run in found["runs"]]))
    assert len(found["runs"]) == 2


@pytest.mark.usefixtures("shared_photos")
def test_convergence_in_short_measures_the_presets_and_stores_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[slice, int]] = []
    left = {"left": {"0.03": 0.5}, "kept": {"0.10": 0.5}, "transfer": {"noise": 0.1}}
    row = {**left, "gradients": 3.0, "region": 0.2, "agreement": 0.9}

    def measured(_box: Any, _photos: Any, rows: slice, _settings: Any, limit: int) -> dict[str, Any]:
        asked.append((rows, limit))
        return row

    monkeypatch.setattr(convergence, "measure", measured)
    monkeypatch.setattr(convergence, "record", lambda *_: pytest.fail("stored"))
    convergence.main(cache=tmp_path, page=tmp_path / "none.md", quick=True)
    halves = (slice(0, None, 2), slice(1, None, 2))
    assert asked == [(half, 1) for half in halves for _ in convergence.HELD_OUT]
