"""What the command ``rules`` shows, writes and draws."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from blackbox_explain.cli.console import stderr, stdout
from blackbox_explain.errors import ResultError
from blackbox_explain.explanation.archive import finite
from blackbox_explain.report.rule_plots import counterexamples_figure, curve_figure, mark_doubted, region_figure
from blackbox_explain.rules.measuring.faithfulness import percent
from blackbox_explain.rules.measuring.rule_family import check_enough, images_needed, least_error
from blackbox_explain.rules.questions import Questions
from blackbox_explain.rules.studies.classification import ClassReport
from blackbox_explain.rules.studies.examination import Examination
from blackbox_explain.whole_files import written_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["allowed_error", "show_examination", "write_pictures", "write_report"]

WORST_CLASSES = 5

DPI = 130


MAX_ERROR = 0.05
"""Asked for where nothing is."""

LARGEST_GUESS = 0.5
"""A rule that may be wrong more often is not worth looking for unasked."""


def allowed_error(count: int, rules: int, confidence: float, asked: float | None, *, told: bool) -> float:
    """Say how many photos an error takes, before any is asked about, and return the error to look for.

    Parameters
    ----------
    count
        Photos that there are.
    rules
        Rules that a search tells apart; 0 if none is looked for.
    confidence
        Of the intervals.
    asked
        The error that must be shown; None takes `MAX_ERROR`, or where photos are too few the smallest that they show.
    told
        Whether to say so.

    Raises
    ------
    InputError
        If there are too few photos.
    """
    wanted = MAX_ERROR if asked is None else asked
    if not rules:
        return wanted
    needed, feasible = images_needed(rules, confidence, wanted), least_error(count, rules, confidence)
    if needed > count and (asked is not None or feasible > LARGEST_GUESS):
        check_enough(count, rules, confidence, wanted)
    if needed > count:
        stderr.print(
            f"[yellow]note:[/] {count:,} photos are too few for --max-error {wanted:g}, which takes {needed:,}; "
            f"they can show --max-error {feasible:g}, which is looked for"
        )
        return feasible
    if told:
        stderr.print(f"[dim]--max-error {wanted:g} takes at least {needed:,} photos; here are {count:,}[/]")
    return wanted


def show_examination(found: Examination) -> None:
    """Print the table of sentences with intervals, and what labels and boxes tell."""
    if found.relations:
        doubted = ", and the model may not see them as it should: see below" if found.doubts else ""
        table = Table("rule", title=f"{found.images:,} photos{doubted}", title_justify="left", title_style="dim")
        for head in ("wrong", f"{percent(found.confidence)} % interval"):
            table.add_column(head, justify="right", no_wrap=True)
        for one in found.relations:
            rule = one.chosen
            text = "" if one.theta else f"[yellow]{one.refusal}:[/] "
            text += escape(rule.rule.sentence)
            table.add_row(text, f"{percent(rule.error)} %", f"{percent(rule.low)}–{percent(rule.high)} %")
        stdout.print(table)
    if found.joint is not None:
        first, second = found.joint.relations
        stdout.print(f"{first.name} and {second.name} at once, each up to:")
        for x, y in found.joint.outline.tolist():
            stdout.print(f"  {x:g}{first.unit} and {y:g}{second.unit}")
        if not len(found.joint.outline):
            stdout.print("  no two are small enough")
    if found.classes is not None:
        _show_classes(found.classes)
    if found.shortcuts is not None:
        stdout.print(escape(found.shortcuts.summary()))
    stdout.print(f"{found.queries:,} images asked about in {found.seconds:.0f} s")
    for doubt in found.doubts:
        stdout.print(f"[yellow]check:[/] {escape(doubt)}")


def write_report(report: dict[str, Any], out: Path) -> None:
    """Write rules.json, whole or not at all.

    Raises
    ------
    ResultError
        If it cannot be written.
    """
    text = json.dumps(finite(report), indent=2, ensure_ascii=False, allow_nan=False)
    with written_whole(out / "rules.json", "The report cannot be written") as partial:
        partial.write_text(text + "\n", encoding="utf-8")


def write_pictures(found: Examination, questions: Questions, out: Path) -> int:
    """Draw a plot for each relation and a strip of the photos that broke its rule; return how many pictures.

    Raises
    ------
    ResultError
        If one cannot be written.
    """
    drawn = 0

    def write(figure: Figure, name: str) -> None:
        nonlocal drawn
        if found.doubts:
            mark_doubted(figure, found.doubts[0])
        try:
            figure.savefig(out / name, dpi=DPI)
        except OSError as error:
            raise ResultError("A picture cannot be written", got=f"{out / name}: {error.strerror}") from error
        drawn += 1

    pictures = len(questions.samples.spec.shape) == 3 and questions.samples.spec.shape[0] in (1, 3)
    for one in found.relations:
        write(curve_figure(one), f"{one.relation.name}.png")
        if one.nearest and pictures:
            write(counterexamples_figure(one, questions), f"{one.relation.name}-nearest.png")
    if found.joint is not None:
        write(region_figure(found.joint), "-and-".join(one.name for one in found.joint.relations) + ".png")
    return drawn


def _show_classes(found: ClassReport) -> None:
    stdout.print(f"the top class is the true class: {found.correct.text}")
    rows = found.rows(known=True)[:WORST_CLASSES]
    table = Table("lowest recall")
    for head in ("recall", "precision"):
        table.add_column(head, justify="right")
    for row in rows:
        table.add_row(*(escape(text) for text in row))
    stdout.print(table)
    stdout.print(f"[dim]{percent(found.confidence)} % intervals, corrected for the number of classes[/]")
    if few := len(found.not_enough):
        stdout.print(f"[dim]not enough photos to know the recall of {few} of {len(found.classes)} classes[/]")
