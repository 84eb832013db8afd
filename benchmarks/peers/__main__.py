"""Peers and presets beside one another: seconds, queries and quality of each, by one model on the same photos.

Run with ``python -m benchmarks.peers``; packages that are absent, or fail, are named.  `pip install
'blackbox-explain[bench]'` brings them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.common.hardware import RESULTS, record
from benchmarks.common.photos import confident_photos
from benchmarks.models.efficientnet_lite0_folded import folded_network
from benchmarks.peers.methods import PEERS, Asked, absent, peer_maps
from blackbox_explain import Explanation, evaluate, explain, wrap
from blackbox_explain.metrics.deletion_insertion import Deletion, Insertion
from blackbox_explain.metrics.minimal_box import MinimalBox
from blackbox_explain.metrics.smallest_region import SmallestRegion

METRICS = {
    "deletion, blur": Deletion(),
    "deletion, grey": Deletion(perturbation="constant"),
    "insertion, blur": Insertion(),
    "insertion, grey": Insertion(perturbation="constant"),
    "smallest region at 95 %": SmallestRegion(0.95),
    "minimal box at 95 %": MinimalBox(0.95),
}
Device = Literal["cpu", "cuda"]

OURS = ("quick", "fast", "thorough")

console = Console(width=140, highlight=False)


def judged(box: Any, template: Explanation, maps: Any) -> dict[str, Any]:
    """Return each metric of maps (N, H, W): mean, interval and all values."""
    explanation = replace(template, saliency=np.asarray(maps, np.float32))
    found = evaluate(box, {"it": explanation}, METRICS, progress=False)
    return {
        one.metric: {"mean": one.mean, "interval": [one.low, one.high], "values": one.values.tolist()}
        for one in found.measurements
    }


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    """Return what a call gives, and its seconds."""
    started = time.perf_counter()
    found = call()
    return found, time.perf_counter() - started


def of_peer(name: str, box: Any, template: Explanation, device: Device) -> dict[str, Any]:
    """Explain the photos one after the other by a peer, and judge its maps; or say why it does not run."""
    if why := absent(name):
        return {"skipped": why}
    rules = box.spec.preprocessing
    maps, seconds, queries = list[Any](), list[float](), list[int]()
    for row, image in enumerate(template.images):
        network: Any = folded_network().to(device)  # anew: some packages leave hooks behind
        given = torch.tensor(image, device=device)[None]
        grey = rules.forward(torch.full_like(given, 0.5))
        target = int(np.argmax(template.weights[row]))
        asked = Asked(network, given, rules.forward(given), grey, target, network.head, rules.forward)
        try:
            (found, count), spent = timed(lambda asked=asked: peer_maps(name, asked))
        except Exception as error:  # one package that fails must not take the others with it
            return {"failed": f"{type(error).__name__}: {error}"[:300]}
        maps.append(found)
        seconds.append(spent)
        queries.append(count)
    return {
        "seconds_per_image": float(np.median(seconds)),
        "all_s": seconds,
        "queries": float(np.mean(queries)),
        "quality": judged(box, template, maps),
    }


def of_ours(preset: str, box: Any, template: Explanation, batch: int, **settings: Any) -> dict[str, Any]:
    """Explain the photos by a preset, so many together, and judge its maps."""
    parts, seconds = list[Any](), list[float]()
    targets = np.argmax(template.weights, axis=1).tolist()
    for first in range(0, len(template), batch):
        rows = slice(first, first + batch)
        images = template.images[rows]

        def call(images: Any = images, rows: slice = rows) -> Any:
            return explain(box, images, targets[rows], preset=preset, batch_size=batch, progress=False, **settings)

        found, spent = timed(call)
        parts.append(found)
        seconds += [spent / len(images)] * len(images)
    return {
        "seconds_per_image": float(np.median(seconds)),
        "all_s": seconds,
        "queries": float(np.concatenate([one.queries.sum(axis=1) for one in parts]).mean()),
        "quality": judged(box, template, np.concatenate([one.saliency for one in parts])),
    }


def main(
    photos: Annotated[int, typer.Option(help="How many; none that settings were chosen by.")] = 40,
    device: Annotated[Device, typer.Option(help="Where the model runs.")] = "cpu",
    quick: Annotated[bool, typer.Option("--quick", help="One photo, and few steps: shows that it works.")] = False,
    only: Annotated[list[str] | None, typer.Option(help="This row alone; repeatable.")] = None,
    results: Annotated[Path, typer.Option(help="Folder of the folders of machines.")] = RESULTS,
) -> None:
    """Measure every peer and preset on photos that the classifier is sure of."""
    spec = wrap("efficientnet-lite0").spec
    box: Any = wrap(folded_network(), spec=spec, activation="softmax", channels_last=True, device=device)
    # Settings were chosen by every second photo from the first on.
    chosen = confident_photos(box, "stretch")
    count = 1 if quick else photos
    images, labels = (one[1::2][:count] for one in (chosen.images, chosen.labels))
    template = explain(box, images, labels.tolist(), method="center", progress=False)
    settings = {"photos": len(images), "quick": quick, "device": device, "first_run": "counted"}
    settings["model"] = "efficientnet-lite0, PyTorch"
    few: dict[str, Any] = {"steps": 1} if quick else {}
    rows: dict[str, Callable[[], dict[str, Any]]] = {}
    for preset in OURS:
        rows[f"ours, {preset}"] = lambda preset=preset: of_ours(preset, box, template, 1, **few)
        rows[f"ours, {preset}, 16 together"] = lambda preset=preset: of_ours(preset, box, template, 16, **few)
    rows |= {name: (lambda name=name: of_peer(name, box, template, device)) for name in PEERS}
    measured: dict[str, Any] = {}
    table = Table("by", "s / image", "queries", *METRICS)
    path = None
    for name, measure in rows.items():
        if only and name not in only:
            continue
        row = measured[name] = measure()
        path = record("peers", settings, measured, results)
        if "quality" not in row:
            table.add_row(name, row.get("skipped") or row.get("failed") or "")
            continue
        cells = [f"{row['quality'][one]['mean']:.3f}" for one in METRICS]
        table.add_row(name, f"{row['seconds_per_image']:.2f}", f"{row['queries']:.0f}", *cells)
        console.print(f"  {name}: {row['seconds_per_image']:.2f} s")
    console.print(table)
    if path is not None:
        console.print(f"stored in {path.parent.name}/{path.name}")


if __name__ == "__main__":
    typer.run(main)
