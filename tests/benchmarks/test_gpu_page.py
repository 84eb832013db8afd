"""What the page of results says of a run on a GPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.common.markdown import NOT_YET
from benchmarks.gpu import rates
from benchmarks.gpu.device import Device
from benchmarks.gpu.shown import gpu
from benchmarks.gpu.sizes import TINY

SHARES = ("0.03", "0.10")


def call(left: float, single: float, each: float, **more: Any) -> dict[str, Any]:
    timed = {"images": 64, "repetitions": 5}
    return {
        "tf32": False,
        "left": {share: [left + 0.01 * row for row in range(8)] for share in SHARES},
        "one image": {**timed, "images": 1, "seconds_per_image": single},
        "together": {**timed, "seconds_per_image": each},
        **more,
    }


def plain_loop(left: float, seconds: float) -> dict[str, Any]:
    row = call(left, 1, 1)
    return {"left": row["left"], "seconds_per_image": seconds, "steps_timed": 30, "all_ms": [1.0] * 20}


def mode(objective: float) -> dict[str, Any]:
    return {
        "objective": [objective + 0.01 * row for row in range(8)],
        "region": [0.1] * 8,
        "left": call(0.2, 1, 1)["left"],
        "alike_to_fp32": [0.9] * 8,
    }


def test_what_the_card_can_do_and_what_is_missing() -> None:
    peak = dict(rates.peaks(Device("cpu"), TINY))
    bare = {
        "fp32": {"8": {"images_per_s": 1234.5, "of_peak": 0.321, "peak_gib": 1.5}},
        "TF32": {"64": {"images_per_s": 2.0}, "8": {"images_per_s": 1.0}},
    }
    text = "\n".join(gpu(Path(), {"peaks": peak, "bare, a network": bare, "ONNX Runtime": {"skipped": "no package"}}))
    assert f"| copy | {peak['copy']['gb_per_s']:.4g} GB/s |" in text
    assert "| fp32 | 8 | 1.23e+03 | 0.321 |  |  | 1.5 |  |" in text
    assert text.index("| TF32 | 8 |") < text.index("| TF32 | 64 |")
    assert "ONNX Runtime: no package" in text
    assert text.count(NOT_YET) == 4  # tests, waits, whole calls, effects of modes


def test_of_tests_what_speaks_against_them_is_told() -> None:
    counts = {"passed": 3, "failed": 0, "skipped": 1}
    (told,) = (one for one in gpu(Path(), {"tests marked gpu": {"counts": counts}}) if "Tests" in one)
    assert told == "Tests marked gpu: 3 passed, 0 failed, 1 skipped."
    problem = {"counts": counts, "failed": "the tests were stopped after 120 s"}
    (told,) = (one for one in gpu(Path(), {"tests marked gpu": problem}) if "Tests" in one)
    assert told.endswith("1 skipped; the tests were stopped after 120 s.")


def test_compiled_rows_tell_what_was_compiled() -> None:
    row = {"images_per_s": 5.0, "compiled": {"graphs": 1, "calls": 98, "breaks": 0}}
    assert "| compiled | 64 | 5 |  |  |  |  | 1 graphs of 98 calls |" in "\n".join(
        gpu(Path(), {"loop, a network": {"compiled": {"64": row}}})
    )


def test_waits_that_are_not_meant_are_told() -> None:
    waits = {
        "fast": {"by_step": {}, "meant": 0.0},
        "paper": {"by_step": {"cudaMemcpy": 2.0}, "meant": 0.1, "failed": "the host waits in a step: 2 cudaMemcpy"},
        "other": {"skipped": "out of time"},
    }
    text = "\n".join(gpu(Path(), {"waits in the loop": waits}))
    assert "fast: none (meant: at most 0 of a kind); paper: the host waits in a step: 2 cudaMemcpy; other: out" in text


def test_presets_are_held_against_the_plain_loop() -> None:
    calls = {
        "fp32, fast": call(0.1, 0.4, 0.01),
        "fp32, quick": call(0.3, 0.2, 0.02),
        "TF32, channels-last, fast": call(0.1, 0.4, 0.01, tf32=True),
        "the plain loop, fp32": plain_loop(0.2, 3.0),
        "the plain loop, TF32": {**plain_loop(0.2, 2.0), "left": None},
    }
    del calls["the plain loop, TF32"]["left"]
    text = "\n".join(gpu(Path(), {"against the plain loop": calls}))
    assert "| fp32, fast | 300 | 0.400 | yes |" in text
    assert "| fp32, quick | 150 | 0.200 | **no** |" in text
    assert "| TF32, channels-last, fast | 200 | 0.400 | yes |" in text
    assert "| fp32, fast | 64 | 0.0100 | 5 |" in text


def test_a_row_that_has_no_plain_loop_beside_it_claims_nothing() -> None:
    text = "\n".join(gpu(Path(), {"against the plain loop": {"fp32, fast": call(0.1, 0.4, 0.01)}}))
    assert "| fp32, fast |  | 0.400 | undecided |" in text


def test_modes_differ_where_it_is_beyond_chance() -> None:
    modes = {"fp32": mode(0.1), "fp32, again": mode(0.1), "bf16": mode(0.3)}
    del modes["fp32"]["alike_to_fp32"]
    text = "\n".join(gpu(Path(), {"effects of modes": modes}))
    assert "| fp32 | 0.1350 | 10.0% |  |" in text
    assert "- fp32, again: objective +0 ± 0; beyond chance: nothing" in text
    assert "- bf16: objective +0.2 ± " in text
    assert "beyond chance: objective +0.2" in text
