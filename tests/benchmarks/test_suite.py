"""Results of the suite: where they go, how things are timed in turns, and what became slower."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from benchmarks import compare, overhead
from benchmarks.common.backends import Backend, present
from benchmarks.common.hardware import file_of, folder_of, machine, record, recorded
from benchmarks.common.loops import paired
from benchmarks.common.timings import in_rounds
from benchmarks.compare import changes, gone, timings_of
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
    old = result(
        slow=[1.0, 1.05, 1.1, 1.15, 1.2],
        noisy=[1.0, 1.5, 2.0, 2.5, 3.0],
        same=[1.0] * 5,
        fast=[2.0, 2.05, 2.1, 2.15, 2.2],
        few=[1.0] * 4,
        gone=[1.0] * 5,
    )
    new = result(
        slow=[1.5, 1.55, 1.6, 1.65, 1.7],
        noisy=[1.5, 2.0, 2.4, 3.0, 3.5],
        same=[1.04] * 5,
        fast=[1.0, 1.05, 1.1, 1.15, 1.2],
        few=[2.0] * 5,
    )
    found = {one.name: one for one in changes(old, new)}
    assert {name: one.kind for name, one in found.items()} == {
        "slow": "slower",
        "noisy": "same",
        "same": "same",
        "fast": "faster",
        "few": "too few to tell",
    }
    assert found["slow"].ratio == pytest.approx(1.6 / 1.1)
    assert gone(old, new) == ["gone"]
    assert gone(new, old) == []


def test_rows_are_compared_by_what_they_are_of_and_not_by_their_place() -> None:
    def rows(*of: tuple[str, int, float]) -> dict[str, Any]:
        made = [
            {"backend": "onnx", "preset": preset, "batch": batch, "repetitions": {"loop": {"all_ms": [value] * 5}}}
            for preset, batch, value in of
        ]
        return {**result(), "measured": {"rows": made}}

    old, new = rows(("fast", 1, 1.0), ("fast", 8, 5.0), ("quick", 1, 2.0)), rows(("quick", 1, 2.0), ("fast", 1, 3.0))
    name = "rows / backend onnx, preset {}, batch {} / repetitions / loop"
    assert {one.name: one.kind for one in changes(old, new)} == {
        name.format("fast", 1): "slower",
        name.format("quick", 1): "same",
    }
    assert gone(old, new) == [name.format("fast", 8)]


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
    measured: dict[str, Any] = {
        "a": {"b": [{"all_ms": [1, 2]}, {"all_ms": []}]},
        "c": {"all_s": [3.0], "median_s": 3.0},
    }
    measured["d"] = [{"batch": 1, "all_ms": [4]}, {"batch": 1, "all_ms": [5]}, {"batch": 2, "all_ms": [6]}]
    assert dict(timings_of(measured)) == {
        "a / b / 0": [1.0, 2.0],
        "c": [3.0],
        "d / 0": [4.0],
        "d / 1": [5.0],
        "d / batch 2": [6.0],
    }


def test_compare_says_so_and_fails(tmp_path: Path) -> None:
    import typer

    app = typer.Typer()
    app.command()(compare.main)
    paths = [tmp_path / name for name in ("old.json", "new.json")]
    for path, seconds in zip(paths, (1.0, 2.0), strict=True):
        measured = {"explain": [seconds] * 5, "once": [seconds], path.stem: [1.0]}
        path.write_text(json.dumps(result(**measured)), encoding="utf-8")
    done = CliRunner().invoke(app, [str(one) for one in paths])
    assert done.exit_code == 1
    assert "1 of 2 timings became slower" in done.output
    assert "too few to tell: 1 of 2 timings" in done.output
    assert "gone: old\nnew: new\n" in done.output
    assert CliRunner().invoke(app, [str(paths[0]), str(paths[0])]).exit_code == 0


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
def test_the_loop_is_held_against_the_model_alone(backend: Backend, tmp_path: Path) -> None:
    overhead.main(backend, quick=True, results=tmp_path)
    (path,) = tmp_path.glob(f"*/overhead-{backend}-quick.json")
    (row,) = json.loads(path.read_text(encoding="utf-8"))["measured"]["rows"]
    assert row["ratio"] > 0
    assert row["loop_ms"] > 0 < row["model_ms"]
    assert row["beside"] > 0
    assert len(row["all_beside"]) == len(row["repetitions"]["loop"]["all_ms"]) == 1


def test_a_backend_that_does_not_compute_on_the_device_is_left_out_and_named() -> None:
    said: list[str] = []
    found = present(("onnx", "torch"), "cuda", None, said.append)
    assert len(found) + len(said) == 2
    if torch.cuda.is_available():
        assert "torch" in found
    else:
        assert [line.partition(" is left out: ")[0] for line in said] == ["ONNX Runtime", "PyTorch"]


def test_a_device_is_waited_for_within_what_is_timed() -> None:
    done: list[str] = []
    clock = iter(range(100))
    found = paired(
        lambda: done.append("first"),
        lambda: done.append("second"),
        1,
        clock=lambda: next(clock),
        finish=lambda: done.append("finished"),
    )
    assert done == ["first", "finished", "second", "finished", "second", "finished", "first", "finished"]
    assert found.times.shape == (1, 2)


def test_rounds_begin_with_another_call_each() -> None:
    called: list[str] = []
    found = in_rounds({name: (lambda name=name: called.append(name)) for name in "abc"}, 2)
    assert "".join(called) == "abcbca"
    assert [len(times) for times in found.values()] == [2, 2, 2]
