"""Draw ``benchmarks/results/README.md`` from the stored results, machine by machine: ``python -m benchmarks.page``.

Tables and plots hold what the files hold, and nothing else; where there is no file it says "not measured yet".
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks import memory
from benchmarks.common.hardware import RESULTS
from benchmarks.common.markdown import NOT_YET, Rows, table
from benchmarks.gpu.shown import gpu
from benchmarks.peers.verdicts import REGION, summary, verdicts

__all__ = ["NOT_YET", "draw", "page_of"]

UNTOLD, LONGEST = ("message", "seconds", "how"), 4
"""What reliability's tables leave to the files: keys, and lists of more numbers."""


def page_of(results: Path) -> str:
    """Return the page about all results under a folder; pictures are drawn beside them."""
    parts = [
        "# Results",
        "Written by `python -m benchmarks.page` from the files beside it; nothing here is typed by hand. Runs that "
        "only show that a command works (`--quick`, `--tiny`) are left out.",
    ]
    for command, files, title, show in SECTIONS:
        parts.append(f"## {title}\n\n`python -m benchmarks.{command}`")
        found = _found(results, files)
        if not found:
            parts.append(NOT_YET)
        for path, stored in found:
            parts += [_heading(path, stored), *show(path, stored["measured"])]
    return "\n\n".join(parts) + "\n"


def _found(results: Path, files: str) -> list[tuple[Path, dict[str, Any]]]:
    """Return the results of whole runs, machine by machine."""
    every = [(path, json.loads(path.read_text(encoding="utf-8"))) for path in sorted(results.glob(f"*/{files}.json"))]
    return [one for one in every if not one[1]["settings"].get("quick") and not one[1]["settings"].get("tiny")]


def _heading(path: Path, stored: dict[str, Any]) -> str:
    told = stored["machine"]
    versions = ", ".join(f"{name} {one}" for name, one in told["versions"].items())
    card = f", {told['gpu']['name']}" if "gpu" in told else ""
    where = f"{told['processor']}, {told['cores']} cores{card}"
    return f"### {path.parent.name}, {path.stem}\n\n{where}; {stored['date']} at {told['commit']}; {versions}."


def _speed(path: Path, measured: dict[str, Any]) -> list[str]:
    single, together = Rows(), Rows()
    for by, rows in measured.items():
        for preset, row in rows.get("one image", {}).items():
            counts = f"{row['gradients']} + {row['scores']}"
            single.append([by, preset, counts, f"{row['explain']['median_s']:.2f}", f"{row['ratio']:.3f}"])
        for batch, row in rows.get("together", {}).items():
            together.append([by, batch, str(row["images"]), f"{row['seconds_per_image']['median_s']:.3f}"])
    start = [[what, f"{row['median_s']:.2f}"] for what, row in measured.get("start", {}).items()]
    return [
        table(["by", "preset", "gradients + scores", "seconds for one image", "of the model alone"], single),
        table(["by", "batch", "images", "seconds per image"], together),
        table(["from its start", "seconds"], start) if start else NOT_YET,
    ]


def _first_run(path: Path, measured: dict[str, Any]) -> list[str]:
    rows = [[part, f"{row['median_s']:.1f}", str(len(row["all_s"]))] for part, row in measured.items()]
    return [table(["part", "seconds", "times"], rows)]


def _overhead(path: Path, measured: dict[str, Any]) -> list[str]:
    rows = [
        [row["backend"], row["preset"], str(row["batch"]), f"{row['ratio']:.3f}", f"{row['beside']:.1%}"]
        for row in measured["rows"]
    ]
    return [table(["by", "preset", "batch", "step of the loop over the model alone", "time beside the model"], rows)]


def _memory(path: Path, measured: dict[str, Any]) -> list[str]:
    rows = [
        [by, varied, *memory.told(row)]
        for by, kinds in measured.items()
        for varied, found in kinds.items()
        for row in found
    ]
    return [table(["by", "varied", *memory.COLUMNS], rows)]


def _peers(path: Path, measured: dict[str, Any]) -> list[str]:
    told = summary(measured)
    judged = {name: row for name, row in told.items() if row["quality"]}
    if not judged:
        return [NOT_YET]
    metrics = list(next(iter(judged.values()))["quality"])
    rows = [
        [
            name,
            f"{row['seconds']:.2f}",
            f"{row['queries']:.0f}",
            *(f"{row['quality'][one]:.3f}" for one in metrics),
            str(row["photos"]),
        ]
        for name, row in sorted(judged.items(), key=lambda one: one[1]["quality"][REGION])
    ]
    missing = [f"{name}: {row.get('skipped') or row['failed']}" for name, row in measured.items() if name not in told]
    picture = path.with_suffix(".png")
    draw(judged, picture)
    return [
        f"![quality against time]({picture.parent.name}/{picture.name})",
        table(["by", "seconds per image", "queries", *metrics, "photos"], rows),
        "\n".join(f"- {line}" for line in verdicts(measured)),
        *([f"Not measured: {'; '.join(missing)}."] if missing else []),
    ]


def draw(measured: dict[str, Any], picture: Path, metric: str = REGION) -> None:
    """Draw quality against time, a point for each method; lower and further left is better."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 5.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for name, row in measured.items():
        ours = name.startswith("ours")
        place = row["seconds"], row["quality"][metric]
        axes.plot(*place, "o", color="tab:red" if ours else "tab:gray", markersize=7)
        axes.annotate(name, place, xytext=(6, 4), textcoords="offset points", fontsize=8)
    axes.set(xscale="log", xlabel="seconds per image", ylabel=f"{metric}, share of the image")
    axes.margins(x=0.2)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(picture, dpi=110, metadata={"Software": None})


def _reliability(path: Path, measured: dict[str, Any]) -> list[str]:
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


SECTIONS: tuple[tuple[str, str, str, Callable[[Path, dict[str, Any]], list[str]]], ...] = (
    ("first_run", "first-run", "A first run", _first_run),
    ("speed", "speed*", "Speed", _speed),
    ("overhead", "overhead-*", "The loop beside the model", _overhead),
    ("peers", "peers-*", "Peers", _peers),
    ("memory", "memory*", "Memory", _memory),
    ("gpu", "gpu", "On a GPU", gpu),
    ("audits.reliability", "reliability-*", "What audits bear", _reliability),
)
"""Command, names of its files, title, and what is shown of each."""


def main(results: Annotated[Path, typer.Option(help="Folder of the folders of machines.")] = RESULTS) -> None:
    """Draw the page."""
    path = results / "README.md"
    path.write_text(page_of(results), encoding="utf-8")
    print(f"wrote {path.parent.name}/{path.name}")


if __name__ == "__main__":
    typer.run(main)
