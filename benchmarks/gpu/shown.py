"""What the page of results says of a run on a GPU."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.common.markdown import NOT_YET, Rows, table

__all__ = ["gpu"]

COLUMNS = {
    "images / s": "images_per_s",
    "of peak": "of_peak",
    "of bare rate": "of_bare_rate",
    "in model": "share_in_model",
    "peak, GiB": "peak_gib",
}
"""Of the tables of rates, with the keys in the files."""


def gpu(path: Path, measured: dict[str, Any]) -> list[str]:
    """Return the parts of the page: tests, what the card can do, rates, waits, whole calls, effects of modes."""
    waits = measured.get("waits in the loop", {})
    return [
        _tests(measured.get("tests marked gpu", {})),
        _peaks(measured.get("peaks", {})),
        *_rates(measured),
        _onnx_runtime(measured.get("ONNX Runtime", {})),
        f"Waits for the device in a step of the loop: {waits.get('by_step', NOT_YET) or 'none'}.",
        _calls(measured),
        _effects(measured.get("effects of modes", {})),
    ]


def _tests(tests: dict[str, Any]) -> str:
    if "passed" not in tests:
        return f"Tests marked gpu: {tests.get('skipped', 'stopped')}."
    return f"Tests marked gpu: {tests['passed']} passed, {tests['failed']} failed, {tests['skipped']} skipped."


def _peaks(peaks: dict[str, Any]) -> str:
    rows = [[unit, f"{row['tflops']:.3g} TFLOP/s"] for unit, row in peaks.items() if "tflops" in row]
    rows += [[unit, f"{row['gb_per_s']:.4g} GB/s"] for unit, row in peaks.items() if "gb_per_s" in row]
    return "What the card can do:\n\n" + (table(["measured with", "rate"], rows) if rows else NOT_YET)


def _rates(measured: dict[str, Any]) -> Iterator[str]:
    for name, modes in measured.items():
        if name.startswith(("bare, ", "loop, ")):
            rows = [
                [mode, batch, *(f"{row[key]:.3g}" if key in row else "" for key in COLUMNS.values())]
                for mode, batches in modes.items()
                if isinstance(batches, dict)
                for batch, row in batches.items()
                if isinstance(row, dict) and "images_per_s" in row
            ]
            yield f"{name}:\n\n" + (table(["mode", "batch", *COLUMNS], rows) if rows else NOT_YET)


def _onnx_runtime(found: dict[str, Any]) -> str:
    provider = found.get("provider", {}).get("used", "")
    rows: Rows = []
    for batch, row in found.items():
        if isinstance(row, dict) and "scores" in row:
            gradient = row["gradient"].get("images_per_s")
            rates = [f"{row['scores']['images_per_s']:.3g}", "" if gradient is None else f"{gradient:.3g}"]
            rows.append([batch, *rates])
    if rows:
        head = ["batch", "scores, images / s", "scores and gradient, images / s"]
        return f"ONNX Runtime, {provider}, arrays bound on the device:\n\n{table(head, rows)}"
    return f"ONNX Runtime: {found.get('skipped') or NOT_YET}"


def _calls(measured: dict[str, Any]) -> str:
    calls = [
        [mode, what, f"{row['seconds_per_image']:.4f}"]
        for mode, rows in measured.get("whole calls", {}).items()
        for what, row in rows.items()
        if isinstance(row, dict) and "seconds_per_image" in row
    ]
    plain = measured.get("one image by a plain loop", {})
    if "seconds_per_image" in plain:
        calls.append(["fp32", "the plain loop, 1", f"{plain['seconds_per_image']:.4f}"])
    return table(["mode", "preset, images", "seconds per image"], calls) if calls else NOT_YET


def _effects(modes: dict[str, Any]) -> str:
    known = {mode: row for mode, row in modes.items() if "left" in row}
    if not known:
        return NOT_YET
    rows = [
        [
            mode,
            f"{row['objective']:.4f}",
            f"{row['region']:.1%}",
            f"{row['alike_to_fp32']:.3f}",
            *(f"{one:.2f}" for one in row["left"].values()),
        ]
        for mode, row in known.items()
    ]
    shares = next(iter(known.values()))["left"]
    heads = ["mode", "objective", "region", "alike to fp32", *(f"left at {float(one):.0%}" for one in shares)]
    return table(heads, rows)
