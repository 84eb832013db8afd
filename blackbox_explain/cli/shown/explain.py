"""What the command ``explain`` shows of its results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.markup import escape

from blackbox_explain.auditing.output_folder import OutputFolder
from blackbox_explain.auditing.photo_run import PhotoResult
from blackbox_explain.cli.console import End, Start, numbers_table, stdout, tell
from blackbox_explain.data.photo_paths import names_of
from blackbox_explain.explanation.outcome import DOUBTED
from blackbox_explain.explanation.summary import region_words

__all__ = ["show_found", "show_refused"]

PREDICTIONS = 3
"""Shown of each photo."""

SCORES = ("score", "score_region", "score_perturbed")


def show_found(
    found: Sequence[PhotoResult], count: int, out: OutputFolder, seconds: float, assumptions: Sequence[str]
) -> None:
    """Print a table with a line for each explanation, then what to know of each, and where everything is."""
    good = [one for one in found if one.rows]
    rows = [
        (name, row) for name, one in zip(names_of([one.path for one in good]), good, strict=True) for row in one.rows
    ]
    if "method" in rows[0][1]:
        _show_methods(good, rows)
    else:
        _show_one_method(rows, several=len(rows) > len(good))
    if doubted := sum(row["message"] == DOUBTED.message for _, row in rows):
        noun = "masks" if all(row["provenance"]["method"] == "mask" for _, row in rows) else "explanations"
        stdout.print(f"{doubted} of {len(rows)} {noun}: {DOUBTED}")
    for doubt in dict.fromkeys(doubt for _, row in rows for doubt in row["provenance"]["doubts"]):
        stdout.print(f"[yellow]check:[/] {escape(doubt)}")
    if rows[0][1]["provenance"]["gradients"] == "estimated":
        _show_queries([row for _, row in rows if row["provenance"]["gradients"] == "estimated"])
    tell("assumed", assumptions)
    _show_where(good, count, out, seconds)


def show_refused(refused: Mapping[str, str]) -> None:
    """Name the methods that the model does not allow."""
    for name, why in refused.items():
        stdout.print(f"[yellow]not {escape(name)}:[/] {escape(why)}", soft_wrap=True)


def _show_one_method(rows: Sequence[tuple[str, dict[str, Any]]], several: bool) -> None:
    """Print a table with a line for each explanation, the leading classes, and what is weak; several of a photo."""
    table, digits = numbers_table(("photo", "class"), ("before", "region", "all", "share"), ("outcome",))
    for name, row in rows:
        scores = (_number(row[key], digits) for key in SCORES)
        share = "–" if row["share"] is None else f"{row['share']:.1%}"
        table.add_row(End(name), Start(row["target"]), *scores, share, row["outcome"])
    stdout.print(table)
    method = rows[0][1]["provenance"]["method"]
    by = "" if method == "mask" else f"by {method}; "
    columns = f"scores: before, {region_words(rows[0][1]['game'])}, of the whole image perturbed; share: of the region"
    stdout.print(by + columns, style="dim")
    abouts = [f"{name}, {row['target']}" if several else name for name, row in rows]
    _show_predictions([(about, row) for about, (_, row) in zip(abouts, rows, strict=True)])
    for about, (_, row) in zip(abouts, rows, strict=True):
        if row["outcome"] != "ok" and row["message"] != DOUBTED.message:
            stdout.print(f"{escape(about)}: {row['outcome']}: {escape(row['message'])}")


def _show_methods(good: Sequence[PhotoResult], rows: Sequence[tuple[str, dict[str, Any]]]) -> None:
    """Print a table with a line for each photo and method, the smallest region of each photo first."""
    table, digits = numbers_table(("photo", "class", "method"), ("region", "share", "runs", "seconds"), ("outcome",))
    for name in dict.fromkeys(name for name, _ in rows):
        own = [row for called, row in rows if called == name]
        for row in sorted(own, key=lambda row: (row["outcome"] != "ok", row["share"] or 0.0)):
            share = "–" if row["share"] is None else f"{row['share']:.1%}"
            numbers = (_number(row["score_region"], digits), share, f"{sum(row['queries'].values()):,}")
            told = (f"{row['seconds']:.1f}", row["outcome"])
            table.add_row(End(name), Start(row["target"]), Start(row["method"]), *numbers, *told)
    stdout.print(table)
    words = region_words(rows[0][1]["game"])
    stdout.print(f"region: score {words}; share: of the region; runs: images that the model was run on", style="dim")
    for one in good:
        for method, why in one.failures.items():
            stdout.print(f"{escape(str(one.path))}: {escape(method)} failed: {escape(why)}", soft_wrap=True)


def _show_where(good: Sequence[PhotoResult], count: int, out: OutputFolder, seconds: float) -> None:
    """Say how many photos are done, and where everything is."""
    replaced = f", {out.replaced} of them in place of an earlier run's" if out.replaced else ""
    stdout.print(
        f"{len(good)} of {count} explained in {seconds:.1f} s{replaced}; pictures, results and summaries in "
        f"{escape(str(out.path))}/"
    )


def _show_predictions(rows: Sequence[tuple[str, dict[str, Any]]]) -> None:
    """Print the top predictions for each photo, and what the model says without its region."""
    stdout.print(f"top predictions, of the photo → {region_words(rows[0][1]['game'])}:")
    for about, row in rows:
        before, after = (
            ", ".join(f"{one['class']} {one['score']:.2f}" for one in row["predictions"][when][:PREDICTIONS])
            for when in ("before", "after")
        )
        if before:
            stdout.print(f"  {escape(about)}: {escape(before)} → {escape(after)}")


def _show_queries(rows: Sequence[dict[str, Any]]) -> None:
    """Say how well the gradient was estimated, and why it was."""
    objectives = [row["objective"] for row in rows if row["objective"] is not None]
    most = max(sum(row["queries"].values()) for row in rows)
    mean = sum(objectives) / max(len(objectives), 1)
    stdout.print(f"gradient estimated from scores: mean objective {mean:.4f} with {most} queries a photo")
    stdout.print(escape(f"the gradient is estimated from scores: {rows[0]['provenance']['why_estimated']}"))


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"
