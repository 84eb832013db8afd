"""What the page says of audits that are killed, starved and loaded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.common.markdown import table

__all__ = ["reliability"]

UNTOLD, LONGEST = ("message", "seconds", "how"), 4
"""What is left to the files: keys, and lists of more numbers."""


def reliability(path: Path, measured: dict[str, Any]) -> list[str]:
    """Return what became of each case: a line for each that has several figures, and one for all others together."""
    several = {name: one for name, one in measured.items() if isinstance(one, dict)}
    single = {name: one for name, one in measured.items() if name not in several and name not in UNTOLD}
    rows = [[path.stem.removeprefix("reliability-"), "; ".join(_figures(single))]] if single else []
    rows += [[name, "; ".join(_figures(one))] for name, one in several.items()]
    return [table(["case", "what became of it"], rows)]


def _figures(found: dict[str, Any], within: str = "") -> Iterator[str]:
    for key, value in found.items():
        name = f"{within}{key.replace('_', ' ')}"
        if isinstance(value, dict):
            yield from _figures(value, f"{name} ")
        elif key not in UNTOLD and not (isinstance(value, list) and len(value) > LONGEST):
            yield f"{name}: {_figure(value)}"


def _figure(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.3g}"
    return "none" if value == [] else str(value)
