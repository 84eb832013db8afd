"""How well a ranking deletes, and keeps, by what it was learned with: one variant of the settings at a time.

Run with ``python -m benchmarks.convergence``.  Variants are compared on every second of the photos that the default
classifier gets right with p > 0.5; the presets, on the others, which nothing was chosen by.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.common.backends import Device, present
from benchmarks.common.each_photo import left_of_each, means_of
from benchmarks.common.hardware import CACHE, machine, record, recorded
from benchmarks.common.masked import DELETED, KEPT, left_of_region
from benchmarks.common.photos import LabelledPhotos, confident_photos, source_hash
from benchmarks.common.ranking_variants import Variant, learned_by
from benchmarks.rules import black_box
from blackbox_explain import BlackBox, Constant, MaskExplanation, Noise, explain
from blackbox_explain.explanation.map_similarity import correlation
from blackbox_explain.methods.mask.settings import PRESETS
from blackbox_explain.perturbations.perturbation import Perturbation

TUNED_ON, LIMIT = slice(0, None, 2), 16
"""Of the photos, those that settings are chosen by, and how many of them."""

TRANSFER: dict[str, Perturbation] = {"constant": Constant(), "noise": Noise()}
"""What the region is deleted by that it was not found with."""

NOISE = 1e-6
"""Added to the photos for a second run, in [0, 1]: what rounding alone changes."""
TWICE = 8
"""Photos that a second run is made of, at most; of the first batch."""

ELSEWHERE = 0.15
"""Share of the pixels that is deleted for another network too, which did not see how the map was learned."""
SURE = 0.5
"""Least score of the class there."""

BATCH = 16

VARIANTS: dict[str, dict[str, Any]] = {
    "fast": {},
    "learning rate .1": {"learning_rate": 0.1},
    "learning rate .3": {"learning_rate": 0.3},
    "learning rate falls to a tenth": {"end_factor": 0.1},
    "learning rate .3, falls to a tenth": {"learning_rate": 0.3, "end_factor": 0.1},
    "softness .1": {"softness": 0.1},
    "softness .15": {"softness": 0.15},
    "softness .4": {"softness": 0.4},
    "epsilon .3": {"epsilon": 0.3},
    "epsilon .5": {"epsilon": 0.5},
    "epsilon .6": {"epsilon": 0.6},
    "epsilon 1": {"epsilon": 1.0},
    "beta1 .9": {"beta1": 0.9},
    "beta2 .9": {"beta2": 0.9},
    "shares 2 to 30 %": {"most_share": 0.3},
    "shares 5 to 50 %": {"least_share": 0.05},
    "two shares a step": {"variant": Variant(two_shares=True)},
    "start: 1 point": {"start_points": 1, "steps": 41},
    "start: 2 points": {"start_points": 2, "steps": 40},
    "start: 8 points": {"start_points": 8, "steps": 34},
    "start: centre": {"start": "centre", "steps": 42},
    "stride 16": {"stride": 16},
    "stride 6": {"stride": 6},
    "stride 4": {"stride": 4},
    "coarse to fine": {"variant": Variant(coarse=2.0)},
    "total variation .1": {"variant": Variant(tv_weight=0.1)},
    "total variation .5": {"variant": Variant(tv_weight=0.5)},
    "last step": {"variant": Variant(result="last")},
    "mean of all": {"variant": Variant(result="mean of all")},
    "mean of the second half": {"variant": Variant(result="mean of the second half")},
    "no jitter": {"jitter": 0},
    "jitter 8": {"jitter": 8},
    "noise mixed in": {"variant": Variant(mixed_with="noise")},
    "constant mixed in": {"variant": Variant(mixed_with="constant")},
    "20 gradients": {"steps": 16},
    "60 gradients": {"steps": 56},
    "quick": {"preset": "quick"},
    "quick, stride 8": {"preset": "quick", "stride": 8},
    "quick, stride 4": {"preset": "quick", "stride": 4},
    "quick, learning rate .2": {"preset": "quick", "learning_rate": 0.2},
    "quick, learning rate .4": {"preset": "quick", "learning_rate": 0.4},
    "quick, learning rate .8": {"preset": "quick", "learning_rate": 0.8},
    "quick, start: 2 points": {"preset": "quick", "start_points": 2, "steps": 8},
    "quick, start: 4 points": {"preset": "quick", "start_points": 4, "steps": 6},
    "quick, start: centre": {"preset": "quick", "start": "centre", "steps": 10},
    "quick, 12 gradients": {"preset": "quick", "start_points": 4, "steps": 8},
    "quick, 14 gradients": {"preset": "quick", "start_points": 4, "steps": 10},
    "quick, 14 gradients, learning rate .2, start: 2 points, stride 8": {
        "preset": "quick",
        "start_points": 2,
        "steps": 12,
        "learning_rate": 0.2,
        "stride": 8,
    },
    "thorough": {"preset": "thorough"},
    "thorough, learning rate stays": {"preset": "thorough", "end_factor": 1.0},
    "thorough, learning rate .1 stays": {"preset": "thorough", "learning_rate": 0.1, "end_factor": 1.0},
    "thorough, learning rate .1 stays, epsilon .3": {
        "preset": "thorough",
        "learning_rate": 0.1,
        "end_factor": 1.0,
        "epsilon": 0.3,
    },
    "preservation": {"game": "preservation"},
    "preservation, softness .25": {"game": "preservation", "softness": 0.25},
    "preservation, epsilon .7": {"game": "preservation", "epsilon": 0.7},
    "preservation, epsilon .1": {"game": "preservation", "epsilon": 0.1},
    "both": {"game": "both"},
    "both, in one step": {"game": "both", "variant": Variant(together=True)},
    "both, epsilon .7": {"game": "both", "epsilon": 0.7},
    "both, 60 gradients": {"game": "both", "steps": 56},
}
HELD_OUT = ("fast", "quick", "thorough", "preservation", "both")
"""Variants that are measured on the other half too."""

SAME = ("device", "threads", "limit", "photos", "benchmark", "presets")
"""Conditions in which stored rows are alike; sources may differ, and each row has its commit."""

OWN_SOURCES = ("each_photo", "masked", "ranking_variants")
"""Modules of the benchmarks that figures depend on, beside this one."""

console = Console(width=190, highlight=False, markup=False)


def learn(box: BlackBox, images: Any, described: dict[str, Any]) -> list[MaskExplanation]:
    """Learn the rankings of images (N, *shape), a batch at a time."""
    settings = {name: value for name, value in described.items() if name != "variant"}
    with learned_by(described["variant"]) if "variant" in described else nullcontext():
        return [
            explain(box, images[first : first + BATCH], method="mask", progress=False, **settings)
            for first in range(0, len(images), BATCH)
        ]


def measure(
    box: BlackBox, other: BlackBox, photos: LabelledPhotos, rows: slice, settings: dict[str, Any], limit: int
) -> dict[str, Any]:
    """Return the score left when shares are deleted and kept, the gradients, the region, and how alike two runs are.

    Each is a mean over the photos; ``each`` holds the values of every photo, so that variants can be compared pairwise.
    What is left of the score of the `other` network is of the photos that it is sure of.
    """
    images = np.asarray(photos.images)[rows][:limit]
    found = learn(box, images, settings)
    maps = np.concatenate([one.saliency for one in found])
    twice = images[:TWICE]
    noisy = np.clip(twice + np.random.default_rng(0).normal(0, NOISE, twice.shape), 0, 1).astype(images.dtype)
    (again,) = learn(box, noisy, settings)
    each: dict[str, Any] = {
        "gradients": np.concatenate([one.queries for one in found])[:, 1].tolist(),
        "left": left_of_each(box, images, found, maps, DELETED),
        "kept": left_of_each(box, images, found, maps, KEPT, keep=True),
        "elsewhere": left_elsewhere(other, images, photos.labels[rows][:limit], found, maps),
        "region": np.concatenate([one.share for one in found]).tolist(),
        "transfer": {
            name: np.concatenate([left_of_region(box, one, other) for one in found]).tolist()
            for name, other in TRANSFER.items()
        },
        "agreement": [float(correlation(found[0].importance(row), again.importance(row))) for row in range(len(again))],
    }
    means = {
        name: means_of(values) if isinstance(values, dict) else float(np.mean(values or np.nan))
        for name, values in each.items()
    }
    return {"photos": len(images), **means, "each": each}


def left_elsewhere(
    other: BlackBox, images: Any, labels: Any, found: list[MaskExplanation], maps: np.ndarray[Any, Any]
) -> list[float]:
    """Return the share of another network's score that is left of each photo that it is sure of."""
    scores = np.asarray(other.scores(images))
    sure = np.flatnonzero((scores.argmax(axis=1) == labels) & (scores.max(axis=1) > SURE))
    single = [one[row] for one in found for row in range(len(one))]
    left = left_of_each(other, images[sure], [single[row] for row in sure], maps[sure], (ELSEWHERE,))
    return [value for values in left.values() for value in values]


def columns() -> list[str]:
    """Return the heads of the columns that `cells_of` fills."""
    shares = [*(f"{one:.0%}" for one in DELETED), *(f"kept {one:.0%}" for one in KEPT)]
    own = ["variant", "gradients", *shares, "region"]
    return [*own, *(f"by {one}" for one in TRANSFER), f"GoogLeNet {ELSEWHERE:.0%}", "two runs"]


def cells_of(name: str, row: dict[str, Any]) -> list[str]:
    """Return what a table says of one variant."""
    scores = [f"{one:.2f}" for one in (*row["left"].values(), *row["kept"].values())]
    transfer = [f"{one:.2f}" for one in (*row["transfer"].values(), row["elsewhere"])]
    return [name, f"{row['gradients']:.0f}", *scores, f"{row['region']:.1%}", *transfer, f"{row['agreement']:.3f}"]


def table_of(results: dict[str, dict[str, Any]], title: str) -> Table:
    """Return one line for each variant."""
    table = Table(*columns(), title=title)
    for name, row in results.items():
        table.add_row(*cells_of(name, row))
    return table


def lines_of(results: dict[str, dict[str, Any]]) -> list[str]:
    """Return one line of a Markdown table for each variant."""
    return [f"| {' | '.join(cells_of(name, row))} |" for name, row in results.items()]


def fill(page: Path, results: dict[str, dict[str, dict[str, Any]]]) -> None:
    """Put the results into a page, between a comment with the name of each half and one that ends it."""
    text = page.read_text(encoding="utf-8")
    names = columns()
    head = [f"| {' | '.join(names)} |", f"|{'---|' * len(names)}"]
    for half in ("tuned_on", "held_out"):
        before, start, rest = text.partition(f"<!-- {half} -->\n")
        _, end, after = rest.partition("<!-- end -->")
        text = before + start + "\n" + "\n".join([*head, *lines_of(results[half])]) + "\n\n" + end + after
    page.write_text(text, encoding="utf-8")


def conditions(photos: LabelledPhotos, device: Device, threads: int | None, limit: int) -> dict[str, Any]:
    """Return what results depend on beside the variant: kept ones are of the same, or they are measured again."""
    own = [Path(__file__), *(Path(__file__).parent / "common" / f"{name}.py" for name in OWN_SOURCES)]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in own)).hexdigest()
    return {
        "device": device,
        "threads": threads,
        "limit": limit,
        "photos": [path.name for path in photos.paths],
        "sources": source_hash(),
        "benchmark": digest,
        "presets": repr(PRESETS),
    }


def of_variant(
    cache: Path, given: dict[str, Any], half: str, name: str, known: dict[str, Any], run: Callable[[], dict[str, Any]]
) -> dict[str, Any]:
    """Return what was measured of a variant, with the commit that it was measured at: kept, or measured now."""
    key = json.dumps([given, known["versions"], half, repr(VARIANTS[name])])
    kept = cache / f"convergence-{hashlib.sha256(key.encode()).hexdigest()[:16]}.json"
    if not kept.exists():
        kept.write_text(json.dumps({"commit": known["commit"], **run()}), encoding="utf-8")
    return json.loads(kept.read_text(encoding="utf-8"))


def stored_row(stored: dict[str, Any] | None, given: dict[str, Any], half: str, name: str) -> dict[str, Any] | None:
    """Return what is stored of a variant, with its commit; None where its settings, or what it was run with, differ."""
    if stored is None or name not in stored["measured"][half]:
        return None
    before = stored["settings"]
    alike = before.get("variants", {}).get(name) == str(VARIANTS[name])
    if not alike or any(before.get(key) != given[key] for key in SAME):
        return None
    return {"commit": stored["machine"]["commit"], **stored["measured"][half][name]}


def main(
    limit: Annotated[int, typer.Option(help="Photos of each half; results are stored for 16 and more.")] = LIMIT,
    cache: Annotated[Path, typer.Option(help="Where finished variants are kept.")] = CACHE,
    page: Annotated[Path, typer.Option(help="What the tables are put into; of runs on the CPU alone.")] = Path(
        "docs/ranking.md"
    ),
    threads: Annotated[int | None, typer.Option(help="That the model may use; None: as many as it likes.")] = None,
    device: Annotated[Device, typer.Option(help="Where the model runs.")] = "cpu",
    quick: Annotated[
        bool,
        typer.Option("--quick", help="The presets on one photo of each half: shows that it works, stores nothing."),
    ] = False,
    only: Annotated[
        list[str] | None,
        typer.Option(help="Measure this variant, and keep what is stored of others, each with its commit; repeatable."),
    ] = None,
) -> None:
    """Measure every variant on one half of the photos, and the presets on the other."""
    cache.mkdir(parents=True, exist_ok=True)
    limit = 1 if quick else limit
    boxes = present(("onnx",), device, threads, console.print)
    if not boxes:
        raise typer.Exit(1)
    box, other, known = boxes["onnx"], black_box("googlenet", threads), machine()
    photos = confident_photos(box, "stretch")
    given = conditions(photos, device, threads, limit)
    results: dict[str, dict[str, Any]] = {"tuned_on": {}, "held_out": {}}
    stored = recorded("convergence", settings=given) if only else None
    for half, rows, names in (
        ("tuned_on", TUNED_ON, HELD_OUT if quick else tuple(VARIANTS)),
        ("held_out", slice(1, None, 2), HELD_OUT),
    ):
        for name in names:
            if only and name not in only:
                if row := stored_row(stored, given, half, name):
                    results[half][name] = row
                continue

            def run(name: str = name, rows: slice = rows) -> dict[str, Any]:
                return measure(box, other, photos, rows, VARIANTS[name], limit)

            results[half][name] = of_variant(cache, given, half, name, known, run)
            console.print(f"  {half}: {name}")
    console.print(table_of(results["tuned_on"], "every variant, on the photos that settings were chosen by"))
    console.print(table_of(results["held_out"], "presets, on the other photos"))
    left_out = [name for name in VARIANTS if name not in results["tuned_on"]]
    left_out += [name for name in HELD_OUT if name not in results["held_out"]]
    if limit < 16:
        console.print("not stored, since results are of 16 photos and more")
        return
    if left_out:
        # Stored as it is, it would take the place of a whole one.
        console.print(f"not stored, since these are missing or were measured otherwise: {', '.join(left_out)}")
    else:
        if device == "cpu":
            fill(page, results)
        variants = {name: str(one) for name, one in VARIANTS.items()}
        path = record("convergence", {**given, "variants": variants}, results, known=known)
        console.print(f"stored in {path.parent.name}/{path.name}")


if __name__ == "__main__":
    typer.run(main)
