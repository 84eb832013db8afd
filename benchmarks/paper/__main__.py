"""The command: ``python -m benchmarks.paper fig8``.

Then ``store`` puts what was measured of each image among the results, and ``page`` draws the page of all results.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Annotated, Literal

import matplotlib as mpl
import typer

from benchmarks.common.hardware import CACHE, RESULTS
from benchmarks.paper.each_image import console
from benchmarks.paper.experiments import EXPERIMENTS, Experiment
from benchmarks.paper.kept import Kept
from benchmarks.paper.page import write_page
from benchmarks.paper.plan import Plan
from benchmarks.paper.stored import Stored
from benchmarks.paper.written import store
from benchmarks.rules import black_box


def main(
    what: Annotated[
        Literal[Experiment, "all", "store", "page"], typer.Argument(help="Which; or what is made of what they found.")
    ],
    model: Annotated[Literal["googlenet", "efficientnet-lite0"], typer.Option(help="What is explained.")] = "googlenet",
    limit: Annotated[
        int | None, typer.Option(help="Most images that claims are of; fewer than asked for are no result.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Take what is finished, whichever version of the sources made it.")
    ] = False,
    part: Annotated[str, typer.Option(help="K/N: every Nth image, so that processes share the work.")] = "0/1",
    threads: Annotated[int, typer.Option(help="That the model may use.")] = 1,
    steps: Annotated[int | None, typer.Option(help="Fewer steps of eq. 4, to try things out; no result.")] = None,
    cache: Annotated[Path, typer.Option(help="Folder of what is finished.")] = CACHE / "paper",
) -> None:
    """Run the paper's experiments on its own network."""
    mpl.use("Agg")
    if what == "page":
        console.print(f"written: {write_page(RESULTS / 'paper')}")
        return
    share, of = (int(one) for one in part.split("/"))
    if not 0 <= share < of:
        raise typer.BadParameter(f"{part!r} is no part; try 0/2 and 1/2", param_hint="--part")
    kept = Kept(cache, resume, Stored(RESULTS / "paper" / "measured"))
    plan = Plan(model, black_box(model, threads), kept, limit, steps, (share, of))
    if what == "store":
        if steps is not None:
            raise typer.BadParameter("what was learned in fewer steps is no result", param_hint="--steps")
        for path in store(plan):
            console.print(f"written: {path}")
        return
    for name in EXPERIMENTS if what == "all" else (what,):
        console.print(name)
        import_module(f"benchmarks.paper.experiments.{name}").run(plan)


if __name__ == "__main__":
    typer.run(main)
