"""Run with ``python -m benchmarks.audits.reliability`` and, to run some parts alone, ``--only kill --only fuzz``.

``--scale 0.02`` runs a share of each part, to see that it works; results are stored of whole ones alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated, Any

import typer
from rich.console import Console

from benchmarks.audits.reliability.failing import failing
from benchmarks.audits.reliability.fuzzing import fuzzed
from benchmarks.audits.reliability.killing import killed
from benchmarks.audits.reliability.load import loaded
from benchmarks.audits.reliability.security import attacked
from benchmarks.common.hardware import record

PARTS: dict[str, Callable[[float], dict[str, Any]]] = {
    "kill": killed,
    "fail": failing,
    "fuzz": fuzzed,
    "load": loaded,
    "security": attacked,
}

console = Console(width=100, highlight=False)


def main(
    only: Annotated[
        list[str] | None,
        typer.Option(help=f"Parts to run: {', '.join(PARTS)}; the results of others stay."),
    ] = None,
    scale: Annotated[float, typer.Option(help="Share of each part that is run.", min=0.001, max=1)] = 1.0,
) -> None:
    """Run the parts one after the other, and store what became of each."""
    if unknown := [name for name in only or () if name not in PARTS]:
        raise typer.BadParameter(f"{unknown[0]!r} is none of {', '.join(PARTS)}", param_hint="--only")
    for name in only or list(PARTS):
        console.print(f"{name} ...")
        started = time.monotonic()
        found = PARTS[name](scale) | {"seconds": time.monotonic() - started}
        console.print(f"{name}: {found}", markup=False)
        if scale == 1:
            record(f"reliability-{name}", {}, found)


if __name__ == "__main__":
    typer.run(main)
