"""What the page of results says of a run on a GPU."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common.markdown import NOT_YET, Rows, table
from benchmarks.gpu.effects import PLAIN
from benchmarks.gpu.one_image import PLAIN_LOOPS
from benchmarks.paper.statistics import SURE, Compared, compared, in_words, mean_of, verdict

__all__ = ["gpu"]

COLUMNS = {
    "images / s": "images_per_s",
    "of peak": "of_peak",
    "of bare rate": "of_bare_rate",
    "in model": "share_in_model",
    "peak, GiB": "peak_gib",
}
"""Of the tables of rates, with the keys in the files."""

TIMES, SECONDS = 100, 0.5
"""What is wanted of an H100: so many times the plain loop's throughput, and one image in so many seconds."""

CROPS = "The photos are crops of two: what is beyond chance is so of such crops, not of photos at large."


def gpu(path: Path, measured: dict[str, Any]) -> list[str]:
    """Return the parts of the page: tests, what the card can do, rates, waits, whole calls, effects of modes."""
    compared_calls, others = (_rows_of(measured, name) for name in ("against the plain loop", "whole calls"))
    return [
        _tests(measured.get("tests marked gpu", {})),
        _peaks(measured.get("peaks", {})),
        *_rates(measured),
        _onnx_runtime(measured.get("ONNX Runtime", {})),
        _waits(_rows_of(measured, "waits in the loop")),
        _calls({**compared_calls, **others}),
        *_against_plain(compared_calls),
        *_effects(_rows_of(measured, "effects of modes")),
    ]


def _rows_of(measured: dict[str, Any], part: str) -> dict[str, dict[str, Any]]:
    """Return the rows of a part; what is said of the whole part is none."""
    return {name: row for name, row in measured.get(part, {}).items() if isinstance(row, dict)}


def _tests(tests: dict[str, Any]) -> str:
    told = ", ".join(f"{count} {kind}" for kind, count in tests.get("counts", {}).items())
    problem = tests.get("failed") or tests.get("skipped") or ("" if told else NOT_YET)
    return f"Tests marked gpu: {'; '.join(one for one in (told, problem) if one).rstrip('.')}."


def _peaks(peaks: dict[str, Any]) -> str:
    known = {unit: row for unit, row in peaks.items() if isinstance(row, dict)}
    rows = [[unit, f"{row['tflops']:.3g} TFLOP/s"] for unit, row in known.items() if "tflops" in row]
    rows += [[unit, f"{row['gb_per_s']:.4g} GB/s"] for unit, row in known.items() if "gb_per_s" in row]
    return "What the card can do:\n\n" + (table(["measured with", "rate"], rows) if rows else NOT_YET)


def _rates(measured: dict[str, Any]) -> Iterator[str]:
    for name in measured:
        if name.startswith(("bare, ", "loop, ")):
            rows: Rows = []
            for mode, batches in _rows_of(measured, name).items():
                known = {batch: row for batch, row in batches.items() if isinstance(row, dict)}
                for batch, row in sorted(known.items(), key=lambda one: int(one[0])):
                    if "images_per_s" in row:
                        cells = [f"{row[key]:.3g}" if key in row else "" for key in COLUMNS.values()]
                        rows.append([mode, batch, *cells, _graphs(row)])
            yield f"{name}:\n\n" + (table(["mode", "batch", *COLUMNS, "compiled"], rows) if rows else NOT_YET)


def _graphs(row: dict[str, Any]) -> str:
    told = row.get("compiled")
    return f"{told['graphs']} graphs of {told['calls']} calls" if told else ""


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


def _waits(found: dict[str, dict[str, Any]]) -> str:
    told = [f"{name}: {row.get('failed') or _in_a_step(row)}" for name, row in found.items()]
    return f"Waits for the device in a step of the loop: {'; '.join(told).rstrip('.') or NOT_YET.rstrip('.')}."


def _in_a_step(row: dict[str, Any]) -> str:
    waits = ", ".join(f"{count:.3g} {event}" for event, count in row.get("by_step", {}).items()) or "none"
    return f"{waits} (meant: at most {row['meant']:.3g} of a kind)" if "meant" in row else row["skipped"]


def _calls(calls: dict[str, dict[str, Any]]) -> str:
    rows = [
        [name, str(row[what]["images"]), f"{row[what]['seconds_per_image']:.4f}", str(row[what]["repetitions"])]
        for name, row in calls.items()
        for what in ("one image", "together")
        if "seconds_per_image" in row.get(what, {})
    ]
    plain = [
        [name, "1", f"{row['seconds_per_image']:.4f}", f"{len(row['all_ms'])} of {row['steps_timed']} steps"]
        for name, row in calls.items()
        if name in PLAIN_LOOPS and "seconds_per_image" in row
    ]
    head = ["mode, preset", "images", "seconds per image", "repetitions"]
    return "Whole calls, host to host:\n\n" + (table(head, rows + plain) if rows or plain else NOT_YET)


def _against_plain(calls: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Tell whether our presets are as much faster than the plain loop as is wanted, and better than it."""
    plain = {tf32: calls.get(name, {}) for name, tf32 in PLAIN_LOOPS.items()}
    theirs = plain[False].get("left")
    rows: Rows = []
    for name, row in calls.items():
        if name in PLAIN_LOOPS or "left" not in row:
            continue
        beside = plain[row["tf32"]].get("seconds_per_image")
        each, single = (row[what].get("seconds_per_image") for what in ("together", "one image"))
        better = None if theirs is None else verdict(_by_share(row["left"], theirs).values(), "lower")
        times = f"{beside / each:.0f}" if beside and each else ""
        rows.append([name, times, "" if single is None else f"{single:.3f}", in_words(better), *_means(row["left"])])
    if not rows:
        return
    if theirs is not None:
        rows.append([next(iter(PLAIN_LOOPS)), "1", "", "", *_means(theirs)])
    heads = [f"left at {float(share):.0%}" for share in next(row["left"] for row in calls.values() if "left" in row)]
    yield (
        f"Against the plain loop, in the same rounding; wanted are {TIMES} times its throughput with batches at a "
        f"better table of deletions, and one image in {SECONDS} s. {CROPS}\n\n"
        + table(["mode, preset", "times as many images / s", "one image, s", "less left at each share", *heads], rows)
    )


def _effects(modes: dict[str, dict[str, Any]]) -> Iterator[str]:
    known = {mode: row for mode, row in modes.items() if "left" in row}
    if not known:
        yield f"Effects of modes: {NOT_YET}"
        return
    rows = [
        [
            mode,
            f"{mean_of(np.asarray(row['objective'])).mean:.4f}",
            f"{mean_of(np.asarray(row['region'])).mean:.1%}",
            f"{np.mean(row['alike_to_fp32']):.3f}" if "alike_to_fp32" in row else "",
            _graphs(row),
            *_means(row["left"]),
        ]
        for mode, row in known.items()
    ]
    heads = [f"left at {float(share):.0%}" for share in next(iter(known.values()))["left"]]
    head = ["mode", "objective", "region", "alike to fp32", "compiled", *heads]
    yield f"What modes do to explanations, all judged in {PLAIN}. {CROPS}\n\n{table(head, rows)}"
    if PLAIN in known:
        lines = [f"- {mode}: {_differs(row, known[PLAIN])}" for mode, row in known.items() if mode != PLAIN]
        yield f"Differences from {PLAIN}, photo by photo:\n\n" + "\n".join(lines)


def _differs(row: dict[str, Any], plain: dict[str, Any]) -> str:
    """Return in what two modes differ beyond chance, with as many looks as there are, and the mean of the first."""
    tests = {
        "objective": compared(np.asarray(row["objective"]), np.asarray(plain["objective"])),
        "region": compared(np.asarray(row["region"]), np.asarray(plain["region"])),
        **{f"left at {float(share):.0%}": one for share, one in _by_share(row["left"], plain["left"]).items()},
    }
    sure = [f"{what} {_signed(one)}, p = {one.p:.2g}" for what, one in tests.items() if one.p * len(tests) < SURE]
    return f"objective {_signed(tests['objective'])}; beyond chance: {'; '.join(sure) or 'nothing'}"


def _signed(one: Compared) -> str:
    return f"{one.difference:+.2g} ± {one.error:.1g}"


def _by_share(ours: dict[str, list[float]], theirs: dict[str, list[float]]) -> dict[str, Compared]:
    return {share: compared(np.asarray(values), np.asarray(theirs[share])) for share, values in ours.items()}


def _means(left: dict[str, list[float]]) -> list[str]:
    return [f"{mean_of(np.asarray(values)).mean:.2f}" for values in left.values()]
