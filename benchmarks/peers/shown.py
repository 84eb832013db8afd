"""Tables of peers, what they say, and quality against time, for the page of results."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common.markdown import NOT_YET, table
from benchmarks.paper.statistics import in_words, mean_of
from benchmarks.peers.methods import PEERS
from benchmarks.peers.rows import LEFT, METRICS, REGIONS
from benchmarks.peers.verdicts import TOGETHER, Rows, complete, photos_of, seconds_of, verdicts

__all__ = ["drawn", "peers"]

COLOURS = {"PyTorch": "tab:red", "ONNX": "tab:orange"}


def peers(path: Path, measured: Rows) -> list[str]:
    """Return what the page shows of one run: a plot beside the file, tables and claims."""
    rows = complete(measured)
    missing = [f"{name}: {_why(row)}" for name, row in measured.items() if name not in rows]
    if not rows:
        return [NOT_YET, f"So far: {'; '.join(missing)}."]
    order = sorted(rows, key=lambda name: float(np.nanmean(rows[name]["quality"][REGIONS[0]])))
    picture = drawn(rows, path.with_suffix(".png"))
    commits = sorted({one for row in measured.values() for one in row.get("commits", ())})
    return [
        f"![quality against time]({picture.parent.name}/{picture.name})",
        table(
            ["claim", "holds", "figures"], [[one.claim, in_words(one.holds), one.told] for one in verdicts(measured)]
        ),
        "Seconds of an image (median, quartiles), images that the network is run on, and means over the photos with "
        "their standard errors:",
        table(
            ["by", "seconds", "images asked", *METRICS, "photos"], [_row(name, rows[name], METRICS) for name in order]
        ),
        "The share of the score that is left once so much of the image is deleted:",
        table(
            ["by", *(one.removeprefix("score left, ") for one in LEFT)],
            [[name, *_means(rows[name], LEFT)] for name in order],
        ),
        "\n".join(f"- {name}: {PEERS[name].how}" for name in rows if name in PEERS and PEERS[name].how),
        *([f"Not judged: {'; '.join(missing)}."] if missing else []),
        f"Measured at {', '.join(commits)}{_versions(measured)}.",
    ]


def drawn(rows: Rows, picture: Path) -> Path:
    """Draw the smallest region against time, a numbered point for each row; lower and further left is better.

    A line joins the presets by each backend, one photo at a time and several.  Points of fewer photos are hollow.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 6.5), layout="constrained")
    FigureCanvasAgg(figure)
    numbered = sorted(rows, key=lambda name: seconds_of(rows[name]))
    most = max(map(photos_of, rows.values()))
    panels = figure.subplots(1, len(REGIONS), sharey=True)
    for axes, metric in zip(panels, REGIONS, strict=True):
        for number, name in enumerate(numbered, 1):
            mean = mean_of(np.asarray(rows[name]["quality"][metric], np.float64))
            place, colour = (seconds_of(rows[name]), mean.mean), COLOURS.get(rows[name].get("by", ""), "tab:gray")
            filled = colour if photos_of(rows[name]) == most else "none"
            axes.errorbar(*place, yerr=mean.error, fmt="o", color=colour, mfc=filled, markersize=5, elinewidth=0.8)
            axes.annotate(str(number), place, xytext=(4, 4), textcoords="offset points", fontsize=8, color=colour)
        for together in (1, TOGETHER):
            for by, colour in COLOURS.items():
                own = [one for one in numbered if (rows[one].get("by"), rows[one].get("together")) == (by, together)]
                means = [float(np.nanmean(rows[one]["quality"][metric])) for one in own]
                axes.plot([seconds_of(rows[one]) for one in own], means, color=colour, alpha=0.5)
        axes.set(xscale="log", xlabel="seconds per image", title=metric)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("share of the image")
    names = "\n".join(
        f"{number}  {name}{f' ({photos_of(rows[name])} photos)' if photos_of(rows[name]) < most else ''}"
        for number, name in enumerate(numbered, 1)
    )
    figure.text(1.01, 0.5, names, fontsize=8, va="center", ha="left", linespacing=1.5)
    figure.savefig(picture, dpi=110, bbox_inches="tight", metadata={"Software": None})
    return picture


def _row(name: str, row: dict[str, Any], metrics: Iterable[str]) -> list[str]:
    low, middle, high = np.quantile(row["all_s"], (0.25, 0.5, 0.75))
    counts = f"{np.mean(row['queries']):.0f}", *_means(row, metrics), str(photos_of(row))
    return [name, f"{middle:.2f} ({low:.2f} to {high:.2f})", *counts]


def _means(row: dict[str, Any], metrics: Iterable[str]) -> list[str]:
    return [str(mean_of(np.asarray(row["quality"][one], np.float64))) for one in metrics]


def _versions(measured: Rows) -> str:
    """Return the packages of which several versions were at work, by rows that were measured at other times."""
    found: dict[str, set[str]] = {}
    for row in measured.values():
        for package, some in row.get("versions", {}).items():
            found.setdefault(package, set()).update(some)
    told = [f"{package} {' and '.join(sorted(some))}" for package, some in sorted(found.items()) if len(some) > 1]
    return f"; by several versions of {', '.join(told)}" if told else ""


def _why(row: dict[str, Any]) -> str:
    return str(row.get("skipped") or row.get("failed") or f"{photos_of(row)} photos so far")
