"""What leaves the model's answer as it is: rules with measured errors, learned on a sample of an audit's images."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from blackbox_explain.auditing.decoded_image import Decoder
from blackbox_explain.auditing.entries import Entry
from blackbox_explain.box.protocols import BlackBox
from blackbox_explain.data.samples import Samples
from blackbox_explain.errors import BlackBoxExplainError, InputError, ResultError
from blackbox_explain.explanation.archive import finite
from blackbox_explain.progress import progress_bar
from blackbox_explain.rules.measuring.rule_family import least_error
from blackbox_explain.rules.questions import Questions
from blackbox_explain.rules.relations import relations_for
from blackbox_explain.rules.serialization import from_dict
from blackbox_explain.rules.studies.examination import Examination, examine, looked_for
from blackbox_explain.whole_files import written_whole

__all__ = [
    "LEAST",
    "RULES",
    "SAMPLE",
    "check_sample",
    "failures_of_rules",
    "learn_rules",
    "read_rules",
    "rows_of_rules",
]

RULES = "rules.json"
"""Name of the file in the folder of an audit; it has the form of that of ``blackbox-explain rules``."""

SAMPLE, LEAST = 100, 30
"""Images that rules are learned on where nothing else is said, and the fewest that say something of them."""

MAX_ERROR, CONFIDENCE = 0.05, 0.95
"""Of images that a rule may be wrong for; larger where the images are too few to show so little."""


def check_sample(images: int) -> None:
    """Raise `InputError` unless rules can be learned on so many images, or on none."""
    if 0 < images < LEAST:
        raise InputError(
            "So few images say nothing of a rule", got=f"rules={images}", expected=f"{LEAST} or more, or 0"
        )


def learn_rules(
    box: BlackBox,
    decoder: Decoder,
    entries: Sequence[Entry],
    folder: Path,
    *,
    most: int,
    seed: int,
    progress: bool | None,
) -> None:
    """Learn rules by all relations that fit the model, and write them, unless they are there; of few images none.

    Parameters
    ----------
    box
        The black box.
    decoder
        Reads images; those that it cannot read are left out.
    entries
        Images of the audit.
    folder
        Of the audit.
    most
        Images that rules are learned on, at most: a sample drawn at random.  With fewer than `LEAST` there are none.
    seed
        Of all random draws.
    progress
        True or False; None shows a bar on a terminal.

    Raises
    ------
    ResultError
        If the file cannot be written, or is damaged.
    """
    relations = relations_for(box.spec)
    learned = read_rules(folder)
    # What failed is tried again by the next run, as images are that failed in the model.
    if min(most, len(entries)) < LEAST or not relations or (learned and not learned.get("failed")):
        return
    drawn = np.random.default_rng([seed, 0x72756C6573]).permutation(len(entries))[:most]
    read = [one for one in (decoder.decode(entries[row]) for row in sorted(drawn)) if one.pixels is not None]
    if len(read) < LEAST:
        return
    names = [one.entry.source.name for one in read]
    allowed = max(MAX_ERROR, least_error(len(read), looked_for(relations), CONFIDENCE))
    report: dict[str, Any] = {"photos": names, "max_error": allowed}
    try:
        samples = Samples.of(np.stack([one.pixels for one in read if one.pixels is not None]), box.spec, names=names)
        with progress_bar(len(relations), "learning rules", progress) as advance:

            def finished(so_far: Examination) -> None:
                report.update(so_far.to_dict())
                advance(1)

            questions = Questions(box, samples, seed)
            examine(questions, relations, max_error=allowed, confidence=CONFIDENCE, finished=finished)
    except BlackBoxExplainError as error:
        report.setdefault("failed", [{"part": "rules", "error": str(error)}])
    with written_whole(folder / RULES, "The rules cannot be written") as partial:
        partial.write_text(json.dumps(finite(report), indent=2, allow_nan=False) + "\n", encoding="utf-8")


def read_rules(folder: Path) -> dict[str, Any]:
    """Return what `learn_rules` wrote; nothing where it wrote nothing.

    Raises
    ------
    ResultError
        If the file is damaged.
    """
    path = folder / RULES
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        rows_of_rules(found)
        failures_of_rules(found)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError, TypeError, KeyError, AttributeError, InputError) as error:
        raise ResultError("The rules of this audit are damaged", got=f"{path}: {error!r}") from error
    return found


def failures_of_rules(report: dict[str, Any]) -> list[str]:
    """Return what could not be learned, and why."""
    return [f"Rules could not be learned: {one['part']}: {one['error']}" for one in report.get("failed", ())]


def rows_of_rules(report: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """Return the rows of the rules' table: what is varied, up to where, the share of wrong images, its interval."""
    rows: list[tuple[str, str, str, str]] = []
    for one in report.get("relations", ()):
        rule, theta, unit = one["chosen"], float(one["theta"]), one["unit"]
        relation = from_dict(one["relation"])
        if len(relation.levels) == 1:
            up_to = "it may be done" if theta else "it may not be done"
        else:
            up_to = f"{theta:g}{unit}" if theta else f"less than {rule['rule']['theta']:g}{unit}"
        interval = f"{100 * rule['low']:.1f}–{rule['high']:.1%}"
        rows.append((relation.name.replace("-", " "), up_to, f"{rule['error']:.1%}", interval))
    return rows
