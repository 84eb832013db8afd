"""What the command ``audit`` shows: what the model says of the first images, and what was found."""

from __future__ import annotations

import math
import shlex

from rich.markup import escape

from blackbox_explain.auditing.auditor import Audit
from blackbox_explain.auditing.findings.sampled_rules import LEAST, read_rules, rows_of_rules
from blackbox_explain.auditing.first_look import FirstLook
from blackbox_explain.auditing.ledger.shards import paths_of
from blackbox_explain.cli.console import numbers_table, stdout
from blackbox_explain.report.page.content import Finding

__all__ = ["show_audit", "show_first_look"]

NAMED = 3
"""Images that are named of each finding: the clearest."""

COLOURS = {"problem": "red", "notice": "yellow", "none": "green"}


def show_first_look(look: FirstLook) -> None:
    """Say in a few lines whether the model sees sense in the first images."""
    asked = look.readings[0]
    of = f" of {look.labelled} with a label" if look.labelled < look.images else ""
    right = "" if asked.accuracy is None else f"{asked.accuracy:.0%}{of} right, "
    images, classes = (
        f"{n} {word}{'' if n == 1 else plural}"
        for n, word, plural in ((look.images, "image", "s"), (asked.classes, "class", "es"))
    )
    leading = ", ".join(f"{name} ({count})" for name, count in look.leading[:3])
    stdout.print(
        f"first look at {images}: {right}mean score {asked.score:.2f}, {classes}, most often {escape(leading)}",
        soft_wrap=True,
    )


def show_audit(done: Audit) -> None:
    """Print the findings and where everything is."""
    table, _ = numbers_table(("finding",), ("images", "of", "share", "95 % interval"))
    found = done.findings()
    for one in found:
        if one.severity != "none":
            table.add_row(f"[{COLOURS[one.severity]}]{escape(one.name)}[/]", *_numbers(one))
    if table.row_count:
        stdout.print(table)
    clearest = {one.name: one.positions[:NAMED] for one in found if one.severity != "none"}
    paths = paths_of(done.folder, {position for positions in clearest.values() for position in positions})
    for one in found:
        if one.severity != "none":
            names = ", ".join(paths[position] for position in clearest[one.name])
            more = ", …" if len(one.positions) > NAMED else ""
            said = f"{escape(one.title)} [dim]({escape(names)}{more})[/]" if names else escape(one.title)
            stdout.print(f"[{COLOURS[one.severity]}]{one.severity}:[/] {said}", soft_wrap=True)
    fine = [one.name for one in found if one.severity == "none" and one.total]
    if fine:
        stdout.print(f"[green]not found:[/] {', '.join(fine)}", soft_wrap=True)
    for one in found:
        if one.severity == "none" and not one.total:
            stdout.print(f"{one.name}: {one.title[0].lower()}{escape(one.title[1:])}", style="dim", soft_wrap=True)
    if len(done.methods) > 1:
        stdout.print(f"findings are of {done.methods[0]}, the first method", style="dim")
    rules, _ = numbers_table(("the class stays under", "up to"), ("but in", "95 % interval"))
    for row in rows_of_rules(read_rules(done.folder)):
        rules.add_row(*map(escape, row))
    if rules.row_count:
        stdout.print(rules)
    elif done.images < LEAST:
        stdout.print(f"no rules were learned: they need {LEAST} images, and --rules above 0", style="dim")
    failed, good = done.unexplained(), done.done - done.failed
    before = done.images - failed - good
    again = f", {before:,} before" if before else ""
    lost = f"; {failed:,} of {done.images:,} failed" if failed else ""
    stdout.print(
        f"{good:,} images explained in {done.seconds:.0f} s{again}{lost}; results in {escape(str(done.folder))}, of "
        f"which 'blackbox-explain report {escape(shlex.quote(str(done.folder)))}' makes a page",
        soft_wrap=True,
    )


def _numbers(one: Finding) -> tuple[str, str, str, str]:
    interval = "–" if math.isnan(one.low) else f"{one.low:.1%} to {one.high:.1%}"
    return f"{one.count:,}", f"{one.total:,}", "–" if math.isnan(one.share) else f"{one.share:.1%}", interval
