"""What the command ``compare`` shows of a comparison."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rich.markup import escape

from blackbox_explain.box.protocols import BlackBox
from blackbox_explain.box.targets import resolve
from blackbox_explain.cli.console import End, Start, numbers_table, stderr, stdout, tell
from blackbox_explain.comparing.comparison import Comparison, Tolerances

__all__ = ["show_comparison"]

PREDICTIONS = 3
"""Shown of each photo."""


def show_comparison(found: Comparison, names: Sequence[str], tolerances: Tolerances, boxes: Sequence[BlackBox]) -> None:
    """Print a table with a line for each photo, then what is weak, then what is kept and what is broken."""
    heads = ("score A", "score B", "Δ", "corr.", "IoU", "A on B", "B on A")
    table, digits = numbers_table(("photo", "class"), heads)
    rows = np.flatnonzero(found.compared).tolist()
    for row in rows:
        scores = (found.first.score[row], found.second.score[row], found.score_difference[row])
        table.add_row(
            End(names[row]),
            Start(found.first.target[row]),
            *(f"{one:.{digits}f}" for one in scores),
            f"{found.correlation[row]:.{digits - 1}f}",
            f"{found.iou[row]:.2f}",
            *("–" if np.isnan(one) else f"{one:.2f}" for one in (found.effect[row, 0, 1], found.effect[row, 1, 0])),
        )
    stdout.print(table)
    done = (
        "how much B's score falls without A's region, where 1 is as far as it can"
        if found.first.game == "deletion"
        else "how much of B's score A's region alone keeps, where 1 is all of it"
    )
    stdout.print(f"Δ: largest difference of any score; corr., IoU: of the masks; A on B: {done}")
    for row in rows:
        if found.top[row, 0] != found.top[row, 1]:
            class_names = boxes[1].spec.class_names or boxes[0].spec.class_names
            weights = found.second.weights[row : row + 1]
            other = resolve(int(found.top[row, 1]), weights, class_names)[1][0]
            stdout.print(f"{escape(names[row])}: [red]{escape(found.first.target[row])}, but B: {escape(other)}[/]")
    _show_predictions(found, [(row, names[row]) for row in rows])
    poor = [
        (names[row], letter, outcome)
        for row in rows
        for letter, outcome in zip("AB", found.outcome[row], strict=True)
        if outcome.kind != "ok"
    ]
    if poor:
        stdout.print(f"{len(poor)} of {2 * len(rows)} masks are weak:")
    for name, letter, outcome in poor:
        stdout.print(f"  {escape(name)}, {letter}: {escape(str(outcome))}")
    for name, (value, allowed, kept) in found.verdicts(tolerances).items():
        sign = "at most" if name.startswith("largest") else "at least"
        told = "–" if np.isnan(value) else f"{value:.4f}"
        stdout.print(f"{'[green]kept  [/]' if kept else '[red]BROKEN[/]'} {name}: {told}, {sign} {allowed:g}")
    for note in found.notes:
        stderr.print(f"[yellow]note:[/] {escape(note)}")
    for letter, result in zip("AB", (found.first, found.second), strict=True):
        tell(f"assumed of {letter}", result.provenance.assumptions)
        tell(letter, result.provenance.notes)
        for doubt in result.provenance.doubts:
            stdout.print(f"[yellow]check {letter}:[/] {escape(doubt)}")


def _show_predictions(found: Comparison, rows: Sequence[tuple[int, str]]) -> None:
    """Print what either model says of each photo."""
    stdout.print("top predictions:")
    for row, name in rows:
        for letter, result in zip("AB", (found.first, found.second), strict=True):
            best = ", ".join(f"{one} {score:.2f}" for one, score in result.predictions[row].before[:PREDICTIONS])
            stdout.print(f"  {escape(name)}, {letter}: {escape(best)}")
