"""Peers and presets beside one another: seconds, queries and quality of each, by one model on the same photos.

Run with ``python -m benchmarks.peers``; packages that are absent, or fail, are named.  `pip install
'blackbox-explain[bench]'` brings most of them.  Each photo is explained by all of them before the next one is, so that
times are of the same minutes, and a run that was stopped goes on with ``--resume``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.common.hardware import RESULTS, file_of, machine, record, recorded
from benchmarks.common.photos import confident_photos
from benchmarks.peers.methods import PEERS
from benchmarks.peers.rows import METRICS, Row, of_ours, of_peer, together
from benchmarks.peers.subjects import Model, Subject, subject_of
from benchmarks.peers.verdicts import summary, verdicts
from blackbox_explain import Explanation, explain

Device = Literal["cpu", "cuda"]

PRESETS = ("quick", "fast", "thorough")

BY: dict[Device, tuple[str, ...]] = {"cpu": ("PyTorch", "ONNX"), "cuda": ("PyTorch",)}
"""By what the model is run; the file runs on the CPU."""

Measure = Callable[[Subject, Explanation], Row]

TOGETHER = 8
"""Photos at once, in the rows that say so."""

console = Console(width=160, highlight=False)


def main(
    photos: Annotated[int, typer.Option(help="How many; none that settings were chosen by.")] = 40,
    model: Annotated[Model, typer.Option(help="What is explained.")] = "efficientnet-lite0",
    device: Annotated[Device, typer.Option(help="Where the model runs.")] = "cpu",
    quick: Annotated[bool, typer.Option("--quick", help="One photo, and few steps: shows that it works.")] = False,
    only: Annotated[list[str] | None, typer.Option(help="This row alone; repeatable.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on after the photos that are stored.")] = False,
    results: Annotated[Path, typer.Option(help="Folder of the folders of machines.")] = RESULTS,
) -> None:
    """Measure every peer and preset on photos that the classifier is sure of."""
    single, several = rows_of(device, quick), at_once(device, quick)
    if unknown := set(only or ()) - single.keys() - several.keys():
        expected = ", ".join((*single, *several))
        raise typer.BadParameter(f"no such row: {', '.join(unknown)}; there are {expected}", param_hint="--only")
    subject = subject_of(model, device)
    # Settings were chosen by every second photo from the first on.
    chosen = confident_photos(subject.torch, "stretch")
    count = 1 if quick else photos
    paths = chosen.paths[1::2][:count]
    images, labels = (one[1::2][:count] for one in (chosen.images, chosen.labels))
    settings = {"files": [one.name for one in paths], "quick": quick, "device": device, "model": model}
    name, known = f"peers-{model}", machine()
    measured = stored_rows(recorded(name, results, settings), settings) if resume else {}

    def measure(rows: Mapping[str, Measure], place: int, some: slice) -> None:
        template = explain(subject.torch, images[some], labels[some].tolist(), method="center", progress=False)
        for key, of in rows.items():
            if (only and key not in only) or done(measured.get(key), place):
                continue
            add(measured.setdefault(key, {}), of(subject, template), known["commit"])
            console.print(f"  {paths[some][0].name}, {key}: {_told(measured[key])}")
        record(name, settings, measured, results, known=known)

    for place in range(len(images)):
        measure(single, place, slice(place, place + 1))
    for turn, first in enumerate(range(0, len(images), TOGETHER)):
        measure(several, turn, slice(first, first + TOGETHER))
    show(measured)
    console.print(f"stored as {file_of(name, settings)}")


def stored_rows(before: dict[str, Any] | None, settings: dict[str, Any]) -> dict[str, Any]:
    """Return the rows of an earlier run to go on with; what was skipped is tried again.

    Raises
    ------
    SystemExit
        If that run was of other photos, which rows would be paired with.
    """
    if before is None:
        return {}
    files, now = before["settings"]["files"], settings["files"]
    both = min(len(files), len(now))
    if files[:both] != now[:both]:
        raise SystemExit("what is stored is of other photos: run without --resume")
    return {key: row for key, row in before["measured"].items() if "skipped" not in row}


def rows_of(device: Device, quick: bool) -> dict[str, Measure]:
    """Return what is measured of a photo, by name."""
    few: dict[str, Any] = {"steps": 1} if quick else {}
    ours = {
        f"ours, {preset}, {by}": (
            lambda subject, template, preset=preset, by=by: of_ours(preset, subject, template, by, **few)
        )
        for preset in PRESETS
        for by in BY[device]
    }
    return ours | {
        name: (lambda subject, template, name=name: of_peer(name, subject, template, device)) for name in PEERS
    }


def at_once(device: Device, quick: bool) -> dict[str, Measure]:
    """Return what is measured of several photos, by name."""
    few: dict[str, Any] = {"steps": 1} if quick else {}
    return {
        f"ours, {preset}, {by}, {TOGETHER} together": (
            lambda subject, template, preset=preset, by=by: together(preset, subject, template, by, **few)
        )
        for preset in PRESETS
        for by in BY[device]
    }


def add(row: dict[str, Any], found: Row, commit: str) -> None:
    """Add what was measured of a photo to a row; what failed once is not tried again."""
    if why := {key: found[key] for key in ("skipped", "failed") if key in found}:
        row.update(why)
        return
    row.setdefault("all_s", []).append(found["seconds"])
    row.setdefault("queries", []).append(found["queries"])
    row.setdefault("commits", []).append(commit)
    for metric, value in found.get("quality", {}).items():
        row.setdefault("quality", {}).setdefault(metric, []).append(value)


def show(measured: dict[str, Any]) -> None:
    """Print a table of all rows, and what it says."""
    table = Table("by", "s / image", "queries", *METRICS)
    for name, row in summary(measured).items():
        quality = [f"{row['quality'][one]:.3f}" if one in row["quality"] else "" for one in METRICS]
        table.add_row(name, f"{row['seconds']:.2f}", f"{row['queries']:.0f}", *quality)
    for name, row in measured.items():
        if why := row.get("skipped") or row.get("failed"):
            table.add_row(name, why)
    console.print(table)
    for line in verdicts(measured):
        console.print(line)


def done(row: dict[str, Any] | None, place: int) -> bool:
    """Tell whether a row holds this photo, or will hold no more."""
    return row is not None and ("skipped" in row or "failed" in row or len(row.get("all_s", ())) > place)


def _told(row: dict[str, Any]) -> str:
    return f"{row['all_s'][-1]:.2f} s" if row.get("all_s") else (row.get("skipped") or row["failed"])


if __name__ == "__main__":
    typer.run(main)
