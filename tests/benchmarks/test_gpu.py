"""What the benchmarks of a GPU measure, by their twins on the CPU; `make gpu-dry-run` runs the whole."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.common import masked
from benchmarks.common.photos import data_folder
from benchmarks.gpu import effects, one_image, onnx_runtime, rates, waits
from benchmarks.gpu.__main__ import main
from benchmarks.gpu.device import Device, quartiles_of
from benchmarks.gpu.modes import MODES
from benchmarks.gpu.networks import FIRST
from benchmarks.gpu.shown import gpu
from benchmarks.gpu.sizes import TINY, Budget, or_error

TWIN = Device("cpu")
SMALL = replace(TINY, batches=(1,), loop_batch=1, side=32, repeats=2, peak_side=16)
QUICK = ("fp32", "TF32, channels-last", "TF32, channels-last, CUDA graph")


@pytest.fixture
def quick_modes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in set(MODES) - set(QUICK):
        monkeypatch.delitem(MODES, name)


@pytest.mark.usefixtures("quick_modes")
def test_rates_hold_all_repetitions_and_what_they_are_a_share_of() -> None:
    peak = dict(rates.peaks(TWIN, SMALL))
    row = dict(rates.bare_rates(TWIN, FIRST, SMALL, Budget(999), peak))["fp32"]["1"]
    assert len(row["all_ms"]) == SMALL.repeats
    assert row["images_per_s"] == pytest.approx(1e3 / row["median_ms"])
    assert row["of_peak"] == pytest.approx(row["tflops"] / peak["fp32"]["tflops"])
    loops = dict(rates.loop_rates(TWIN, FIRST, SMALL, Budget(999)))
    assert set(loops) == set(QUICK)
    step = loops["fp32"]["1"]
    assert 0 < step["share_in_model"] < 1
    # Timed in turns, pair by pair.
    pairs = np.divide(step["bare"]["all_ms"], step["all_ms"])
    assert step["of_bare_rate"] == pytest.approx(np.median(pairs), rel=1e-3)


@pytest.mark.usefixtures("quick_modes")
def test_without_the_peak_of_the_card_rates_are_measured_all_the_same() -> None:
    row = dict(rates.bare_rates(TWIN, FIRST, SMALL, Budget(999), {"fp32": {"failed": "no memory"}}))["fp32"]["1"]
    assert "of_peak" not in row
    assert row["images_per_s"] > 0


def test_calls_in_turns_are_made_in_turns() -> None:
    made: list[str] = []
    found = TWIN.in_turns([lambda: made.append("a"), lambda: made.append("b")], 2, warmup=1)
    assert made == ["a", "b"] * 3
    assert [len(one) for one in found] == [2, 2]


@pytest.mark.usefixtures("quick_modes")
def test_what_does_not_fit_in_the_time_is_named() -> None:
    found = dict(rates.bare_rates(TWIN, FIRST, SMALL, Budget(0), {}))
    assert found["fp32"] == {"1": {"skipped": "out of time"}}
    for part in (effects.effects_of_modes, one_image.against_plain):
        told = dict(part(TWIN, SMALL, Budget(0)))
        assert len(told) >= len(QUICK)
        assert list(told.values()) == [{"skipped": "out of time"}] * len(told)


def test_a_call_that_would_take_too_long_is_made_once_and_named() -> None:
    calls: list[int] = []
    times = iter([0.0, 0.0, 0.0])
    budget = Budget(9, clock=lambda: next(times))
    slow = replace(SMALL, repeats=10**9)
    found = or_error(lambda: one_image._timed(TWIN, lambda: calls.append(1), 1, slow.repeats, budget))
    assert found == {"skipped": "out of time"}
    assert calls == [1]


def test_waits_are_counted_by_step() -> None:
    def three_reads() -> None:
        for _ in range(3):
            torch.ones(1).item()

    assert waits.waits_of(TWIN, three_reads)["aten::_local_scalar_dense"] == 3
    found = dict(islice(waits.waits_of_the_loop(TWIN, SMALL), 2))
    assert list(found) == ["fast", "fast, mean and std by channel"]
    found["paper"] = waits._row(TWIN, SMALL, "paper", 2, None, 0.1)
    for row in found.values():
        assert row["steps"] == [2, 4]
        # The twin reads values on the host, which is no wait.
        assert set(row["by_step"]) <= set(waits.HOST_READS)
        assert "failed" not in row


class Seen:
    """A device whose profiler sees what it is told to."""

    name, cuda = "cpu", True

    def synchronize(self) -> None: ...


@pytest.mark.parametrize(
    ("seen", "problem"),
    [
        ([{}, {}], "the profiler saw no wait"),
        ([{"cudaDeviceSynchronize": 1}] * 2, None),
        ([{"cudaDeviceSynchronize": 1, "cudaStreamSynchronize": 1}] * 2, None),
        ([{"cudaDeviceSynchronize": 1}, {"cudaDeviceSynchronize": 1, "cudaMemcpy": 4}], "cudaMemcpy"),
        ([{"cudaDeviceSynchronize": 1, "aten::is_nonzero": n} for n in (2, 4)], None),
    ],
)
def test_waits_pass_where_the_profiler_saw_that_of_the_measurement_and_no_other(
    seen: list[dict[str, int]], problem: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    counters = iter([Counter(one) for one in seen])
    monkeypatch.setattr(waits, "waits_of", lambda *_: next(counters))
    device: Any = Seen()
    found = waits._row(device, SMALL, "fast", 2, None, 0.0)
    assert problem is None or problem in found["failed"]
    assert ("failed" in found) == (problem is not None)


@pytest.mark.usefixtures("quick_modes")
def test_effects_of_modes_are_judged_by_one_model() -> None:
    sizes = replace(SMALL, side=64)
    found = dict(effects.effects_of_modes(TWIN, sizes, Budget(999)))
    assert list(found) == ["fp32", effects.AGAIN, *QUICK[1:]]
    assert "alike_to_fp32" not in found["fp32"]
    for name, row in found.items():
        # On a CPU these modes compute the same up to rounding.
        assert row["objective"] == pytest.approx(found["fp32"]["objective"], rel=1e-3)
        assert len(row["objective"]) == len(row["region"]) == sizes.photos
        assert set(row["left"]) == {f"{share:.2f}" for share in masked.DELETED}
        assert {len(one) for one in row["left"].values()} == {sizes.photos}
        if name != "fp32":
            assert row["alike_to_fp32"] == pytest.approx([1] * sizes.photos, abs=1e-3)


def test_our_presets_and_the_plain_loop_are_judged_on_the_same_photos(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(one_image, "COMPARED", (("fp32", "quick"),))
    sizes = replace(SMALL, side=64)
    found = dict(one_image.against_plain(TWIN, sizes, Budget(999)))
    plain = found["the plain loop, fp32"]
    assert plain["seconds_per_image"] == pytest.approx(plain["median_ms"] / 1e3 * sizes.plain_steps)
    row = found["fp32, quick"]
    assert set(row["left"]) == set(plain["left"])
    assert len(row["one image"]["all_ms"]) == sizes.repeats
    assert row["together"]["images"] == sizes.many
    assert row["together"]["seconds_per_image"] == pytest.approx(row["together"]["median_ms"] / 1e3 / sizes.many)
    assert "left" not in found["the plain loop, TF32"]


def test_onnx_runtime_binds_arrays() -> None:
    found = dict(onnx_runtime.onnx_runtime_rates(TWIN, SMALL, Budget(999)))
    assert found["provider"]["used"] == "CPUExecutionProvider"
    assert {"scores", "gradient"} == set(found["1"])
    assert len(found["1"]["gradient"]["all_ms"]) == SMALL.repeats
    scores, gradient = (found["1"][what]["images_per_s"] for what in ("scores", "gradient"))
    assert f"| 1 | {scores:.3g} | {gradient:.3g} |" in "".join(gpu(Path(), {"ONNX Runtime": found}))


def test_spread_keeps_everything() -> None:
    assert quartiles_of([3.0, 1.0, 2.0]) == {"median_ms": 2.0, "quartiles_ms": [1.5, 2.5], "all_ms": [3.0, 1.0, 2.0]}


def test_without_a_gpu_the_command_says_so(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is one")
    assert main(["--results", str(tmp_path)]) == 2
    assert "no CUDA device" in capsys.readouterr().out


@pytest.mark.exhaustive
# What PyTorch's compiler looks at, and warns of; as an error it would end the compilation.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
def test_the_whole_script_runs_through(tmp_path: Path) -> None:
    if not (data_folder() / "googlenet").is_dir():
        pytest.skip("no weights of GoogLeNet")
    assert main(["--device", "cpu", "--tiny", "--seconds", "3600", "--results", str(tmp_path)]) == 0
