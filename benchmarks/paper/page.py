"""The page of all results: our figures beside the paper's, which claims hold, and why the sets differ."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.paper.experiments import EXPERIMENTS
from benchmarks.paper.methods import label_of
from benchmarks.paper.statistics import in_words
from benchmarks.paper.written import Table, table_as_markdown

__all__ = ["write_page"]

HEAD = """# The paper's experiments, run again

Fong and Vedaldi, *Interpretable Explanations of Black Boxes by Meaningful Perturbation*, ICCV 2017, on the paper's own
network, BVLC GoogLeNet. Each section is written by `python -m benchmarks.paper NAME`, and this page by
`python -m benchmarks.paper page`, from the files beside it: `results.json` holds settings, evaluation counts and tests.
`measured/` holds what was measured of each image, and the masks of eq. 4; `python -m benchmarks.paper store` puts them
there, and with `--resume` the commands go on from there.
"""

RULE = """Methods are compared in the same images (Wilcoxon's signed-rank test; McNemar's of hits), and means with
limits (t-test). "Yes" means that each comparison of the claim is as claimed with p < 0.05; "no", that one of them is
the other way with p < 0.05, adjusted for their number (Holm); "undecided", that neither is known. A "yes" needs all of
its comparisons, so that p needs no adjustment there. Lists of methods name each with p < 0.05, not adjusted. Claims
about one photo say so; they have no p.
"""

SETS = """## Why the sets differ

- The paper takes 5,000 to 50,000 validation images; here there are 650 of 471 classes, stretched to 227 pixels, with
  boxes of one class each: an easier subset, on which GoogLeNet is right more often. Experiments take those that it
  classifies right, so that there is a score to suppress; and 200 of the half for claims where many methods are
  compared, because their maps of one image take {minutes:.1f} core-minutes.
- Pointing is measured on COCO in the paper. Here most objects are large and in the middle, so that small ones and
  those that the centre is no part of are told apart.
- The eyes and feet of the paper's 76 classes are not to be had: there are 25 dogs with noses and paws, and 24 cats with
  eyes, mouths and ears.
- The paper's photos are not to be had either: figures show other photos of the same classes.
"""


def write_page(folder: Path) -> Path:
    """Write ``README.md`` from the results in a folder; return its path."""
    found = {name: folder / name / "results.json" for name in EXPERIMENTS}
    results: dict[str, Any] = {
        name: json.loads(path.read_text(encoding="utf-8")) for name, path in found.items() if path.exists()
    }
    rows = [
        [f"[{name}](#{name})", one["claim"], one["paper"], one["ours"], in_words(one["holds"])]
        for name, result in results.items()
        for one in result["claims"]
    ]
    parts = [HEAD, "## In short\n", table_as_markdown(_in_short(results)), "## Which claims hold\n", RULE]
    parts.append(table_as_markdown(Table(("where", "claim", "paper", "here", "holds"), rows)))
    missing = [name for name in EXPERIMENTS if name not in results]
    if missing:
        parts.append(f"Not run at full size yet: {', '.join(missing)}.\n")
    parts.append(SETS.format(minutes=_core_minutes(results)))
    for name, result in results.items():
        parts += [f"## {name}\n", f"{result['title']}.\n", f"![{result['title']}]({name}/figure.png)\n"]
        parts += ["\n".join(f"- {key}: {_told(value)}" for key, value in result["settings"].items()) + "\n"]
        parts += ["\n".join(f"- {note}" for note in result["notes"]) + "\n"] if result["notes"] else []
        files = (("Table", "table.md"), ("CSV", "table.csv"), ("comparisons", "comparisons.md"))
        files += (("CSV", "comparisons.csv"), ("numbers", "results.json"))
        there = [f"[{words}]({name}/{file})" for words, file in files if (folder / name / file).exists()]
        parts.append(", ".join(there) + ".\n")
    path = folder / "README.md"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(parts), encoding="utf-8")
    return path


def _in_short(results: dict[str, Any]) -> Table:
    """Count the claims of each experiment by whether they hold."""
    rows: list[list[str]] = []
    for name, result in results.items():
        told = [one["holds"] for one in result["claims"]]
        counts = [str(sum(one is holds for one in told)) for holds in (True, None, False)]
        rows.append([f"[{name}](#{name})", result["title"], *counts])
    return Table(("where", "what", "claims that hold", "undecided", "that do not"), rows)


def _core_minutes(results: dict[str, Any]) -> float:
    """Return what the maps of one image take by all methods that were run."""
    costs = {method: one for result in results.values() for method, one in result.get("costs", {}).items()}
    return sum(one["core_seconds_per_image"] for one in costs.values()) / 60


def _told(value: Any) -> str:
    """Return a setting in words: methods by their names in figures, and numbers as short as they are in tables."""
    if isinstance(value, dict):
        return "; ".join(f"{label_of(key)}: {_inner(one)}" for key, one in value.items())
    return ", ".join(map(_told, value)) if isinstance(value, list) else _number(value)


def _inner(value: Any) -> str:
    return f"({_told(value)})" if isinstance(value, (dict, list)) else _number(value)


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
