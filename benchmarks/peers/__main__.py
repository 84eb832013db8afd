"""Peers and presets beside one another: seconds, queries and quality of each, by one model on the same photos.

Run with ``python -m benchmarks.peers``; packages that are absent, or fail, are named.  `pip install
'blackbox-explain[bench]'` brings most of them.  Each photo is explained by all rows of a run before the next one is, so
that their times are of the same minutes; rows that are measured in another run (``--only``) are of others.  A run that
was stopped goes on with ``--resume``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.common.hardware import RESULTS, file_of, machine, record, recorded
from benchmarks.common.photos import validation_images
from benchmarks.paper.statistics import in_words
from benchmarks.peers.methods import PEERS
from benchmarks.peers.rows import REGIONS, Row, of_ours, of_peer
from benchmarks.peers.subjects import Model, Subject, subject_of
from benchmarks.peers.verdicts import COSTLY, PHOTOS, TOGETHER, complete, verdicts
from blackbox_explain import Explanation, explain
from blackbox_explain.methods.mask.settings import Settings

Device = Literal["cpu", "cuda"]

PRESETS = ("quick", "fast", "thorough")

BY: dict[Device, tuple[str, ...]] = {"cpu": ("PyTorch", "ONNX"), "cuda": ("PyTorch",)}
"""By what the model is run; the file runs on the CPU."""

ANEW = "--anew, without --only, measures all anew"

Measure = Callable[[Subject, Explanation, int], Row]

console = Console(width=160, highlight=False)


def main(
    photos: Annotated[int, typer.Option(help="Validation images; no setting was chosen by them.")] = PHOTOS,
    model: Annotated[Model, typer.Option(help="What is explained.")] = "efficientnet-lite0",
    device: Annotated[Device, typer.Option(help="Where the model runs.")] = "cpu",
    quick: Annotated[bool, typer.Option("--quick", help="One photo, and few steps: shows that it works.")] = False,
    only: Annotated[list[str] | None, typer.Option(help="This row alone; repeatable.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on after the photos that are stored.")] = False,
    anew: Annotated[bool, typer.Option("--anew", help="Measure all anew, in place of what is stored.")] = False,
    results: Annotated[Path, typer.Option(help="Folder of the folders of machines.")] = RESULTS,
) -> None:
    """Measure every peer and preset on photos that the classifier is sure of."""
    single, several = rows_of(device, quick), at_once(device, quick)
    if unknown := set(only or ()) - single.keys() - several.keys():
        expected = ", ".join((*single, *several))
        raise typer.BadParameter(f"no such row: {', '.join(unknown)}; there are {expected}", param_hint="--only")
    subject = subject_of(model, device)
    chosen = validation_images(subject.torch, "stretch", 1 if quick else photos)
    settings = {
        "files": [one.name for one in chosen.paths],
        "quick": quick,
        "device": device,
        "model": model,
        "threads": torch.get_num_threads(),
        "presets": {preset: repr(Settings(preset)) for preset in PRESETS},
    }
    name, known = f"peers-{model}", machine()
    before = recorded(name, results, settings)
    if before and not (resume or anew or quick):
        raise SystemExit("there are results of this network: --resume goes on with them, --anew measures all anew")
    kept = resume or bool(only)
    measured = stored_rows(before, settings, known["versions"]) if kept else {}
    measured = {key: row for key, row in measured.items() if key in single or key in several}
    if anew:
        measured = {key: row for key, row in measured.items() if key not in (only or measured)}
    if before and kept:  # which may be of more photos than these
        settings["files"] = max(before["settings"]["files"], settings["files"], key=len)

    def measure(rows: Mapping[str, Measure], place: int, some: slice) -> None:
        template = explain(
            subject.torch, chosen.images[some], chosen.labels[some].tolist(), method="center", progress=False
        )
        for key, of in rows.items():
            if (only and key not in only) or done(measured.get(key), place, key):
                continue
            found = of(subject, template, place)
            add(measured.setdefault(key, {}), found, known)
            console.print(f"  {chosen.paths[some][0].name}, {key}: {_told(found)}")
        record(name, settings, measured, results, known=known)

    for place in range(len(chosen.paths)):
        measure(single, place, slice(place, place + 1))
        turn, left = divmod(place + 1, TOGETHER)
        if left == 0:
            measure(several, turn - 1, slice(place + 1 - TOGETHER, place + 1))
    show(measured)
    console.print(f"stored as {file_of(name, settings)}")


def stored_rows(
    before: dict[str, Any] | None, settings: dict[str, Any], versions: dict[str, str]
) -> dict[str, dict[str, Any]]:
    """Return the rows of an earlier run to go on with; what was skipped or failed is tried again.

    Rows of presets that have other settings by now are left out, to be measured anew.

    Raises
    ------
    SystemExit
        If that run was of other photos, which rows would be paired with, or other threads.
    """
    if before is None:
        return {}
    files, now = before["settings"]["files"], settings["files"]
    both = min(len(files), len(now))
    if files[:both] != now[:both] or before["settings"]["threads"] != settings["threads"]:
        raise SystemExit(f"what is stored is of other photos, or by other threads: {ANEW}")
    presets = before["settings"].get("presets", {})
    other = [preset for preset, one in settings["presets"].items() if presets.get(preset) != one]
    if other:
        console.print(f"  with other settings than before, and left out until measured anew: {', '.join(other)}")
    then = before["machine"]["versions"]
    for package in sorted(then.keys() | versions.keys()):
        if then.get(package) != versions.get(package):
            console.print(f"  {package}: {then.get(package)} before, {versions.get(package)} now")
    return {
        key: {part: value for part, value in row.items() if part not in ("skipped", "failed")}
        for key, row in before["measured"].items()
        if not any(key.startswith(f"ours, {preset},") for preset in other)
    }


def rows_of(device: Device, quick: bool) -> dict[str, Measure]:
    """Return what is measured of a photo, by name."""
    few: dict[str, Any] = {"steps": 1} if quick else {}
    ours: dict[str, Measure] = {
        f"ours, {preset}, {by}": partial(_ours, preset, by, few) for preset in PRESETS for by in BY[device]
    }
    return ours | {name: partial(_peer, name, device) for name in PEERS}


def at_once(device: Device, quick: bool) -> dict[str, Measure]:
    """Return what is measured of several photos, by name."""
    few: dict[str, Any] = {"steps": 1} if quick else {}
    return {
        f"ours, {preset}, {by}, {TOGETHER} together": partial(_ours, preset, by, few)
        for preset in PRESETS
        for by in BY[device]
    }


def add(row: dict[str, Any], found: Row, known: dict[str, Any]) -> None:
    """Add what was measured of photos to a row, with the commit and versions of what `machine` returned.

    What failed once is not tried again in the same run.
    """
    if why := {key: found[key] for key in ("skipped", "failed") if key in found}:
        row.update(why)
        return
    row.update({key: found[key] for key in ("by", "together") if key in found})
    row.setdefault("all_s", []).append(found["seconds"])
    row.setdefault("queries", []).append(found["queries"])
    row.setdefault("commits", []).append(known["commit"])
    for package, version in known["versions"].items():
        seen = row.setdefault("versions", {}).setdefault(package, [])
        seen += [version] if version not in seen else []
    for metric, values in found["quality"].items():
        row.setdefault("quality", {}).setdefault(metric, []).extend(values)


def done(row: dict[str, Any] | None, place: int, name: str = "") -> bool:
    """Tell whether a row holds this photo, or will hold no more."""
    if name in PEERS and PEERS[name].costly and place >= COSTLY:
        return True
    return row is not None and ("skipped" in row or "failed" in row or len(row.get("all_s", ())) > place)


def show(measured: dict[str, Any]) -> None:
    """Print a table of all rows, and what it says."""
    table = Table("by", "s / image", "images asked", *REGIONS)
    rows = complete(measured)
    for name, row in rows.items():
        quality = [f"{_mean(row['quality'][one]):.3f}" for one in REGIONS]
        table.add_row(name, f"{_mean(row['all_s']):.2f}", f"{_mean(row['queries']):.0f}", *quality)
    for name, row in measured.items():
        if why := row.get("skipped") or row.get("failed"):
            table.add_row(name, why)
    console.print(table)
    for one in verdicts(measured):
        console.print(f"{one.claim}: {in_words(one.holds)}; {one.told}")


def _ours(preset: str, by: str, few: dict[str, Any], subject: Subject, template: Explanation, _: int) -> Row:
    return of_ours(preset, subject, template, by, **few)


def _peer(name: str, device: Device, subject: Subject, template: Explanation, place: int) -> Row:
    return of_peer(name, subject, template, device, seed=place)


def _mean(values: list[float]) -> float:
    return float(np.nanmean(values))


def _told(found: Row) -> str:
    return str(found.get("skipped") or found.get("failed") or f"{found['seconds']:.2f} s")


if __name__ == "__main__":
    typer.run(main)
