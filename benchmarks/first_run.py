"""What a first run on a fresh machine takes: the environment, the installation, the first picture.

Run with ``python -m benchmarks.first_run``; packages come from the registry that pip is set up for, and none from its
cache.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from benchmarks.common.hardware import RESULTS, record
from benchmarks.common.judged import said, spread, within
from benchmarks.common.timings import summary, timed
from blackbox_explain.samples import COFFEE

INSTALL, PICTURE = 60.0, 10.0
"""Seconds that it may take to install, and from there to the first picture."""

ROOT = Path(__file__).parents[1]

console = Console(width=100, highlight=False)


def first_run(extra: str) -> dict[str, float]:
    """Install the package with an extra into a new environment, and explain a photo twice; seconds of each part.

    Raises
    ------
    subprocess.CalledProcessError
        If a part fails.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        python, command = (folder / "env" / "bin" / one for one in ("python", "blackbox-explain"))
        # As on a machine where nothing was explained yet: no graph is kept.
        fresh = {**os.environ, "BLACKBOX_EXPLAIN_CACHE": str(folder / "cache"), "MPLCONFIGDIR": str(folder / "fonts")}
        fresh.pop("PYTHONPATH", None)

        def run(*words: str | Path) -> Callable[[], Any]:
            return lambda: subprocess.run([*map(str, words)], check=True, stdout=subprocess.PIPE, env=fresh, cwd=folder)

        pip = (python, "-m", "pip", "--disable-pip-version-check", "install", "--no-cache-dir", "--quiet")
        explain = run(command, "explain", COFFEE, "--out", folder / "explanations")
        return {
            "environment": timed(run(sys.executable, "-m", "venv", folder / "env")),
            "installation": timed(run(*pip, "--constraint", ROOT / "constraints.txt", f"{ROOT}[{extra}]")),
            "first picture": timed(explain),
            "second picture": timed(explain),
        }


def main(
    repeats: Annotated[int, typer.Option(help="How often all of it is done.")] = 3,
    extra: Annotated[str, typer.Option(help="Which extra is installed.")] = "onnx",
    results: Annotated[Path, typer.Option(help="Folder of the folders of machines.")] = RESULTS,
) -> None:
    """Measure a first run, and say whether it is quick enough."""
    runs = [first_run(extra) for _ in range(repeats)]
    measured = {part: summary([one[part] for one in runs]) for part in runs[0]}
    for part, most in (("installation", INSTALL), ("first picture", PICTURE)):
        every = measured[part]["all_s"]
        console.print(f"{part}: {spread(every, '.1f')} s, at most {most:.0f} s: {said(within([every], most))}")
    path = record("first-run", {"extra": extra, "repeats": repeats}, measured, results)
    console.print(f"stored in {path.parent.name}/{path.name}")


if __name__ == "__main__":
    typer.run(main)
