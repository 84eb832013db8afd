"""What the page says of gradients of ONNX, a step of TensorFlow, methods, rankings, and scores alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import convergence
from benchmarks.adapters import onnx_gradient
from benchmarks.common.judged import ratios_of, said, spread, within
from benchmarks.common.markdown import Rows, table
from benchmarks.methods_speed import TARGET, TO_PEER
from benchmarks.paper.statistics import SURE, compared
from benchmarks.score_only import verdicts_of

__all__ = ["methods_speed", "of_convergence", "of_gradients", "score_only", "tensorflow_step"]

FIRST = "fast"
"""The default, which other rankings are held against."""


def of_gradients(path: Path, measured: dict[str, Any]) -> list[str]:
    """Return a line for each network and batch, against PyTorch's faster layout."""
    rows = Rows()
    for name, batches in measured["networks"].items():
        for batch, row in batches.items():
            faster, ratios = onnx_gradient.over_faster(row)
            times = [f"{row[f'{one}_ms_per_image']:.1f}" for one in ("gradient", *onnx_gradient.LAYOUTS, "forward")]
            told = [f"{onnx_gradient.LAYOUTS[faster]}: {spread(ratios)}", said(within([ratios], onnx_gradient.GOAL))]
            rows.append([name, batch, *times, f"{row['over_forward']:.2f}", *told])
    layouts = [f"PyTorch {one}" for one in onnx_gradient.LAYOUTS.values()]
    head = ["network", "batch", "gradient, ms", *layouts, "forward", "over forward", "over PyTorch's faster"]
    return [table([*head, f"at most {onnx_gradient.GOAL}"], rows)]


def tensorflow_step(path: Path, measured: dict[str, Any]) -> list[str]:
    """Return our step beside one that is written by hand."""
    rows = [
        [row["preset"], str(row["batch"]), f"{row['ours_ms']:.1f}", f"{row['by_hand_ms']:.1f}", spread(ratios_of(row))]
        for row in measured["rows"]
    ]
    return [table(["preset", "batch", "ours, ms / step", "by hand, ms / step", "ratio"], rows)]


def methods_speed(path: Path, measured: dict[str, Any]) -> list[str]:
    """Return what methods take over the runs that they count, and beside peers."""
    ours, peers = Rows(), Rows()
    for row in (*measured["gradients"], *measured["scores"]):
        own = spread(ratios_of(row["own_rules"])) if "own_rules" in row else _two(row.get("of_own_rules"))
        ratios = ratios_of(row)
        ours.append([row["method"], f"{row['method_ms']:.0f}", spread(ratios), said(within([ratios], TARGET)), own])
    for row in measured["peers"]:
        ratios = ratios_of(row)
        peers.append([row["what"], f"{row['ours_ms']:.0f}", spread(ratios), said(within([ratios], TO_PEER))])
    return [
        table(["method", "ms", "over its runs of the model", f"at most {TARGET}", "over runs of its own rules"], ours),
        table(["beside a peer", "ms", "over the peer's", f"at most {TO_PEER:.0f}"], peers),
    ]


def of_convergence(path: Path, measured: dict[str, Any]) -> list[str]:
    """Return the presets on photos that nothing was chosen by, and what is lower or higher than by default."""
    rows = measured["held_out"]
    head = [*convergence.columns(), f"against {FIRST}, score left"]
    cells = [[*convergence.cells_of(name, row), _against_first(rows, name)] for name, row in rows.items()]
    return [table(head, cells)]


def _against_first(rows: dict[str, Any], name: str) -> str:
    """Return the shares at which less, or more, of the score is left than by default, beyond chance (Bonferroni)."""
    if name == FIRST:
        return ""
    if not all("each" in rows.get(one, {}) for one in (FIRST, name)):
        return "not stored photo by photo"
    own, first = (rows[one]["each"]["left"] for one in (name, FIRST))
    tests = {share: compared(np.asarray(own[share]), np.asarray(first[share])) for share in own}
    lower, higher = (
        [f"{float(share):.0%}" for share, test in tests.items() if getattr(test, way) and test.p * len(tests) < SURE]
        for way in ("lower", "higher")
    )
    told = [f"{word} at {', '.join(shares)}" for word, shares in (("less", lower), ("more", higher)) if shares]
    return "; ".join(told) or "no difference beyond chance"


def score_only(path: Path, measured: dict[str, Any]) -> list[str]:
    """Return what was wanted of masks and rankings learned from scores, with what came of it."""
    rows = [[what, said(holds)] for what, holds in verdicts_of(measured).items()]
    parts = [table(["wanted", "verdict"], rows)]
    if "by_queries" in measured:
        exact = measured["exact"]["objective"]
        masks = [
            [
                queries,
                f"{row['objective']:.4f}",
                f"{row['objective'] / exact:.2f}",
                spread(row.get("overheads", [row["overhead"]]), ".1%"),
            ]
            for queries, row in measured["by_queries"].items()
        ]
        parts.append(table(["queries", "objective", "over that by gradients", "time beside the model"], masks))
    if "rows" in measured:
        shares = list(next(iter(measured["rows"].values()))["left"])
        left = [[name, *(f"{row['left'][one]:.3f}" for one in shares)] for name, row in measured["rows"].items()]
        parts.append(table(["queries", *(f"left at {float(one):.0%}" for one in shares)], left))
    if "shares" in measured:
        told = [
            [f"{float(share):.0%}", f"{row['ours']:.3f}", f"{row['SHAP']:.3f}", f"{row['p']:.2g}"]
            for share, row in measured["shares"].items()
        ]
        parts.append(table(["share blurred", "left, ours", "left, SHAP", "p (Wilcoxon)"], told))
    return parts


def _two(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
