"""Draw ``benchmarks/results/README.md`` from the stored results, machine by machine: ``python -m benchmarks.page``.

Tables and plots hold what the files hold, and nothing else; where there is no file it says "not measured yet".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.common.hardware import RESULTS
from benchmarks.common.judged import said
from benchmarks.common.markdown import NOT_YET
from benchmarks.gpu.shown import gpu
from benchmarks.peers.shown import peers
from benchmarks.peers.subjects import MODELS
from benchmarks.peers.verdicts import verdicts
from benchmarks.shown.audits import reliability
from benchmarks.shown.comparisons import methods_speed, of_convergence, of_gradients, score_only, tensorflow_step
from benchmarks.shown.files import heading, whole_runs
from benchmarks.shown.targets import Line, targets
from benchmarks.shown.timings import first_run, of_memory, of_overhead, of_speed

__all__ = ["JUDGED", "NOT_YET", "SECTIONS", "of_peers", "page_of"]

JUDGED = (
    "Repetitions are told as median (quartiles, number). Met, or missed: they are below, or above, the limit beyond "
    "what chance makes at 5 % (Wilcoxon's test of the repetitions, of too few a t-test; of several cases all "
    "are to be below, and one above is enough to miss it, by Holm's adjustment). Undecided: neither, or too few "
    "repetitions. Of peers, photos are compared in place of repetitions."
)


def page_of(results: Path) -> str:
    """Return the page about all results under a folder; pictures are drawn beside them."""
    parts = [
        "# Results",
        "Written by `python -m benchmarks.page` from the files beside it; nothing here is typed by hand. Runs that "
        "only show that a command works (`--quick`, `--tiny`) are left out.",
        "## What was aimed at",
        JUDGED,
        targets(results, [*of_peers(results), *_on_gpu(results)]),
    ]
    for command, files, title, show in SECTIONS:
        parts.append(f"## {title}\n\n`python -m benchmarks.{command}`")
        found = whole_runs(results, files)
        if not found:
            parts.append(NOT_YET)
        for path, stored in found:
            parts += [heading(path, stored), *show(path, stored["measured"])]
    parts.append(ELSEWHERE)
    return "\n\n".join(parts) + "\n"


def of_peers(results: Path) -> Iterator[Line]:
    """Return a line for each claim about peers, as they judge it, and of each network."""
    found = [(path.stem.removeprefix("peers-"), path, stored) for path, stored in whole_runs(results, "peers-*")]
    for name, path, stored in found:
        for one in verdicts(stored["measured"]):
            yield Line(f"peers: {one.claim}", f"{path.parent.name}, {name}", one.told, said(one.holds))
    for name in MODELS:
        if name not in [one for one, *_ in found]:
            yield Line("peers: no smaller regions at any cost, none faster and better, times of the plain loop", name)


def _on_gpu(results: Path) -> Iterator[Line]:
    found = whole_runs(results, "gpu")
    what = "on a GPU: overhead at 64 and more, throughput and seconds of one image"
    for path, _ in found:
        yield Line(what, path.parent.name, "", "[told below](#on-a-gpu)")
    if not found:
        yield Line(what)


SECTIONS: tuple[tuple[str, str, str, Callable[[Path, dict[str, Any]], list[str]]], ...] = (
    ("first_run", "first-run", "A first run", first_run),
    ("speed", "speed*", "Speed", of_speed),
    ("overhead", "overhead-*", "The loop beside the model", of_overhead),
    ("adapters.onnx_gradient", "onnx-gradient*", "Gradients of ONNX models", of_gradients),
    ("adapters.tensorflow_step", "tensorflow-step", "A step of TensorFlow", tensorflow_step),
    ("peers", "peers-*", "Peers", peers),
    ("memory", "memory*", "Memory", of_memory),
    ("methods_speed", "methods-speed", "Methods beside their runs of the model", methods_speed),
    ("convergence", "convergence*", "Rankings by their settings", of_convergence),
    ("score_only", "score-only*", "From scores alone", score_only),
    ("gpu", "gpu", "On a GPU", gpu),
    ("audits.reliability", "reliability-*", "What audits bear", reliability),
)
"""Command, names of its files, title, and what is shown of each."""

ELSEWHERE = (
    "Told on pages of their own: quality, exports and rules on [benchmarks](../../docs/benchmarks.md), the other half "
    "of the photos of rankings on [ranking](../../docs/ranking.md), rates of audits on [audits](../../docs/audits.md), "
    "and [the paper's experiments](paper/README.md)."
)


def main(results: Annotated[Path, typer.Option(help="Folder of the folders of machines.")] = RESULTS) -> None:
    """Draw the page."""
    path = results / "README.md"
    path.write_text(page_of(results), encoding="utf-8")
    print(f"wrote {path.parent.name}/{path.name}")


if __name__ == "__main__":
    typer.run(main)
