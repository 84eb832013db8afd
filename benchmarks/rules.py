"""The whole catalogue of rules on the 650 ILSVRC images: how much each model can take, and what it costs to find out.

python -m benchmarks.rules
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Annotated, Any
from unittest import mock

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.common.hardware import machine, record
from benchmarks.common.photos import data_folder
from blackbox_explain import BlackBox, Preprocessing, wrap
from blackbox_explain.box import parts
from blackbox_explain.box.info import BoxInfo
from blackbox_explain.data.annotations import labels_of, regions_of
from blackbox_explain.data.images import load_image
from blackbox_explain.data.samples import Samples
from blackbox_explain.report.rule_plots import counterexamples_figure, curve_figure, region_figure
from blackbox_explain.rules.measuring.faithfulness import percent
from blackbox_explain.rules.measuring.joint_region import search_region
from blackbox_explain.rules.measuring.search import search_relation
from blackbox_explain.rules.questions import Questions
from blackbox_explain.rules.relations import Brightness, Jpeg, Rotation, Scale, relations_for
from blackbox_explain.rules.statements.invariance import Invariance
from blackbox_explain.rules.studies.classification import classes_of
from blackbox_explain.rules.studies.shortcuts import shortcuts_of

MAX_ERROR = 0.1

CONFIDENCE = 0.95

MODELS = ("efficientnet-lite0", "googlenet")

BATCHES = (8, 16, 32, 64)

AS_QUICK = 0.97

LEAST_THROUGHPUT = 0.9

MOST_QUERIES = 0.5

console = Console(highlight=False)


def black_box(name: str, threads: int | None = None) -> BlackBox:
    """Return one of the models."""
    if name == "efficientnet-lite0":
        return wrap(name, threads=threads)
    folder = data_folder() / "googlenet"
    names = [line.split(" ", 1)[1] for line in (folder / "synset_words.txt").read_text().splitlines()]
    return wrap(
        folder / "googlenet_bvlc.onnx",
        preprocessing=Preprocessing(mean=(123 / 255, 117 / 255, 104 / 255), std=1 / 255, channels="BGR"),
        class_names=names,
        threads=threads,
    )


def samples_for(box: BlackBox, limit: int | None) -> Samples:
    """Return the images with labels and boxes, stretched as they are stored."""
    folder = data_folder() / "ilsvrc_val"
    paths = sorted((folder / "images").glob("*.JPEG"))[:limit]
    if not paths:
        raise SystemExit(f"no images in {folder / 'images'}; set BLACKBOX_EXPLAIN_DATA")
    names = [path.name for path in paths]
    low, high = box.spec.bounds
    images = [np.rint((load_image(path, box.spec, fit="stretch") - low) * 255 / (high - low)) for path in paths]
    table = folder / "boxes.csv"
    return Samples.of(
        np.stack(images).astype(np.uint8),
        box.spec,
        labels=labels_of(table, names, box.spec.class_names),
        regions=regions_of(table, names, paths, box.spec, "stretch"),
        names=names,
    )


def bare_throughput(box: BlackBox, samples: Samples, size: int, repeats: int = 8) -> float:
    """Return images per second of the model alone, the median over repeats."""
    images = BoxInfo.of(box).native(samples.batch(np.arange(size) % len(samples)))
    box.scores(images)
    seconds: list[float] = []
    for _ in range(repeats):
        started = time.perf_counter()
        box.scores(images)
        seconds.append(time.perf_counter() - started)
    return size / float(np.median(seconds))


def measure(name: str, limit: int | None, out: Path) -> dict[str, Any]:
    """Examine one model and draw what was found."""
    box = black_box(name)
    samples = samples_for(box, limit)
    by_size = {size: bare_throughput(box, samples, size) for size in BATCHES}
    quickest = max(by_size, key=lambda size: by_size[size])
    # Of those about as quick the smallest: images are made of images while they are still in the cache.  What is made
    # of it is nevertheless compared with the quickest.
    best = min(size for size in BATCHES if by_size[size] >= AS_QUICK * by_size[quickest])
    questions = Questions(box, samples, batch_size=best)
    questions.original(np.arange(len(samples)))
    out.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    for relation in relations_for(box.spec):
        before = bare_throughput(box, samples, quickest)
        started = time.perf_counter()
        found = search_relation(relation, questions, max_error=MAX_ERROR, whole_curve=False, confidence=CONFIDENCE)
        seconds = time.perf_counter() - started
        bare = (before + bare_throughput(box, samples, quickest)) / 2
        rows.append(
            {
                **found.to_dict(),
                "relation": relation.name,
                "seconds": seconds,
                "images_per_second": found.queries / seconds,
                "of_bare": found.queries / seconds / bare,
                # The untouched images were asked before, for all searches.
                "of_dense": (found.queries + len(samples)) / found.dense_queries,
            }
        )
        console.print(f"  {found.sentence} ({found.queries / seconds / bare:.2f} of bare)", soft_wrap=True)
        curve_figure(found).savefig(out / f"{name}-{relation.name}.png", dpi=110)
        if found.nearest:
            counterexamples_figure(found, questions).savefig(out / f"{name}-{relation.name}-nearest.png", dpi=110)
    region = search_region(Rotation(), Scale(), questions, max_error=MAX_ERROR, confidence=CONFIDENCE)
    region_figure(region).savefig(out / f"{name}-rotation-and-scale.png", dpi=110)
    classes = classes_of(questions, k=1, confidence=CONFIDENCE, together=True)
    shortcuts = shortcuts_of(questions, confidence=CONFIDENCE)
    console.print(f"  the top class is the true class: {classes.correct.text}")
    console.print(shortcuts.summary(), soft_wrap=True)
    return {
        "images": len(samples),
        "batch_size": best,
        "quickest_batch_size": quickest,
        "bare_images_per_second": by_size,
        "relations": rows,
        "rotation_and_scale": region.to_dict(),
        "classes": classes.to_dict(),
        "shortcuts": shortcuts.to_dict(),
    }


def ways(name: str) -> dict[str, dict[str, float]]:
    """Return the throughput over that of the bare model for three ways to make the transformed images.

    ``"ahead"``, the next batch while the model runs, is the one that is used.  On a CPU all three take time from the
    model's own threads.
    """
    pool = ThreadPoolExecutor(2)
    made: dict[str, Callable[[Callable[..., Any], Iterable[Any]], Iterator[Any]]] = {
        "ahead": parts.ahead,
        "one after the other": lambda make, parts: ((part, partial(make, part)) for part in parts),
        "two halves at once": lambda make, parts: (
            (part, lambda part=part: np.concatenate(list(pool.map(make, halves_of(part))))) for part in parts
        ),
    }
    box = black_box(name)
    samples = samples_for(box, 192)
    rows, found = np.arange(len(samples)), dict[str, dict[str, float]]()
    for relation in (Rotation(), Jpeg(), Brightness()):
        of_bare: dict[str, list[float]] = {way: [] for way in made}
        for _ in range(3):
            for way, generator in made.items():
                with mock.patch("blackbox_explain.box.oracle.ahead", generator):
                    questions = Questions(box, samples)
                    questions.original(rows)
                    bare = bare_throughput(box, samples, questions.batch_size)
                    started = time.perf_counter()
                    Invariance(relation, float(relation.levels[len(relation.levels) // 3])).check(questions, rows)
                    of_bare[way].append(len(rows) / (time.perf_counter() - started) / bare)
        found[relation.name] = {way: float(np.median(one)) for way, one in of_bare.items()}
        console.print(
            f"  {relation.name}: " + ", ".join(f"{way} {one:.2f}" for way, one in found[relation.name].items())
        )
    return found


def halves_of(part: slice) -> tuple[slice, slice]:
    """Split a slice in two."""
    middle = (part.start + part.stop) // 2
    return slice(part.start, middle), slice(middle, part.stop)


def main(
    limit: Annotated[int | None, typer.Option(help="So many images; results are stored for all.")] = None,
    models: Annotated[list[str], typer.Option(help="Which.")] = list(MODELS),  # noqa: B006 typer copies it
    out: Annotated[Path, typer.Option(help="Folder for the pictures.")] = Path("rules"),
    tried: Annotated[bool, typer.Option("--ways/--no-ways", help="Compare ways to make transformed images.")] = True,
) -> None:
    """Ask the models everything; each has a file of results."""
    results: dict[str, Any] = {}
    for name in models:
        console.print(name)
        results[name] = measure(name, limit, out)
    table = Table("relation", "model", title=machine()["processor"])
    for head in ("θ", "wrong", "interval", "of a grid", "of bare"):
        table.add_column(head, justify="right")
    for row in range(len(results[models[0]]["relations"])):
        for name in models:
            one = results[name]["relations"][row]
            rule = one["chosen"]
            table.add_row(
                one["relation"],
                name,
                f"{one['theta']:g}{one['unit']}",
                f"{percent(rule['error'])} %",
                f"{percent(rule['low'])}–{percent(rule['high'])} %",
                f"{one['of_dense']:.2f}",
                f"{one['of_bare']:.2f}",
            )
    console.print(table)
    for name, result in results.items():
        verdicts = judge(result["relations"])
        for what, reached in verdicts.items():
            console.print(f"{'met   ' if reached else 'MISSED'}  {name}: {what}")
        if limit is None:
            measured = {**result, "verdicts": verdicts} | ({"ways": ways(name)} if tried else {})
            path = record(f"rules-{name}", {"max_error": MAX_ERROR}, measured)
            console.print(f"stored in {path.parent.name}/{path.name}")


def judge(rows: list[dict[str, Any]]) -> dict[str, bool]:
    """Say which of the wanted figures were reached."""
    searched = [one["of_dense"] for one in rows if len(one["curve"]) > 1]
    of_bare = [one["of_bare"] for one in rows]
    return {
        f"each search of more than one level takes at most {MOST_QUERIES} of a grid": max(searched) <= MOST_QUERIES,
        f"the median throughput at least {LEAST_THROUGHPUT} of the bare model": bool(
            np.median(of_bare) >= LEAST_THROUGHPUT
        ),
        f"every relation's throughput at least {LEAST_THROUGHPUT} of the bare model": min(of_bare) >= LEAST_THROUGHPUT,
    }


if __name__ == "__main__":
    typer.run(main)
