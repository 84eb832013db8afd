"""Quality of the masks on real photos: hard deletion and preservation, smallest regions, transfer, objective.

Run with ``python -m benchmarks.quality``, and with ``--model googlenet --limit 12``; masks already learned by the same
code, settings and model are taken from the cache, so an interrupted run goes on where it stopped.  After a change that
concerns some presets alone, ``--only fast --only quick`` measures these again and keeps what is stored of the others.
"""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path
from typing import Annotated, Any, get_args

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.adapters.exports import BVLC, googlenet
from benchmarks.common.hardware import CACHE, machine, record, recorded
from benchmarks.common.masked import DELETED, KEPT, OwnScore, hard_deletion, left_of_region, random_map
from benchmarks.common.photos import LabelledPhotos, confident_photos, source_hash
from blackbox_explain import BlackBox, Blur, Constant, MaskExplanation, Noise, Reference, explain, load_images, wrap
from blackbox_explain.box.info import BoxInfo
from blackbox_explain.box.oracle import Oracle
from blackbox_explain.data.images import Fit
from blackbox_explain.explanation.region import smallest_region
from blackbox_explain.methods.mask.settings import PRESETS, Settings
from blackbox_explain.perturbations.perturbation import PAPER_SIGMA, Game, Perturbation

TRANSFERS: dict[str, Perturbation] = {
    "per-pixel blur": Blur(levels_count=11),
    "two-level blur": Blur(levels_count=2),
    "constant": Constant(),
    "noise": Noise(),
}
SUPPRESSIONS = (0.80, 0.90, 0.95, 0.99)
TARGETS = {"paper": 0.025, "authors": 0.048}
FILE_BLUR = "authors, blurred in the file"
"""The authors' preset to the letter: its one blurred image is made of the file, before it is resized."""
VARIANTS: dict[str, dict[str, Any]] = {
    "fast": {"preset": "fast"},
    "quick": {"preset": "quick"},
    "thorough": {"preset": "thorough"},
    "paper": {"preset": "paper"},
    "authors": {"preset": "authors"},
    "fast, preservation": {"preset": "fast", "game": "preservation"},
    "fast, both games": {"preset": "fast", "game": "both"},
    FILE_BLUR: {"preset": "authors"},
}
MODELS = ("efficientnet-lite0", "googlenet")
"""The default classifier, and the paper's network."""
BATCH = 16
LEAST_STORED = 12
"""Photos that a stored result is of, at least."""
BY_VARIANT = ("presets", "hard_deletion", "hard_preservation", "smallest_region", "smallest_region_kept")
"""Parts of a stored result that have an entry for each variant."""

console = Console(width=120, highlight=False)


def learn(box: BlackBox, photos: LabelledPhotos, variant: str, cache: Path) -> tuple[list[MaskExplanation], float]:
    """Learn, or fetch, the masks of all photos batch by batch; return them with the seconds per photo."""
    options = VARIANTS[variant]
    batches, seconds = [], 0.0
    for first in range(0, len(photos.paths), BATCH):
        rows = slice(first, first + BATCH)
        key = [source_hash(), variant, repr(Settings(**options)), photos.fit, BoxInfo.of(box).fingerprint]
        key += [path.name for path in photos.paths[rows]]
        stem = cache / f"{options['preset']}-{hashlib.sha256(json.dumps(key).encode()).hexdigest()[:16]}"
        timing = stem.with_suffix(".json")
        if not timing.exists():
            started = time.perf_counter()
            result = explain(box, photos.images[rows], perturbation=stand_in(box, photos, variant, rows), **options)
            spent = time.perf_counter() - started
            result.save(stem)
            timing.write_text(json.dumps({"seconds": spent}), encoding="utf-8")
        batches.append(MaskExplanation.load(stem.with_suffix(".npz")))
        seconds += json.loads(timing.read_text(encoding="utf-8"))["seconds"]
        console.print(f"  {variant}: {min(first + BATCH, len(photos.paths))} of {len(photos.paths)}")
    return batches, seconds / len(photos.paths)


def stand_in(box: BlackBox, photos: LabelledPhotos, variant: str, rows: slice) -> str | Perturbation:
    """Return the blur of a variant."""
    if variant != FILE_BLUR:
        return "blur"
    return Reference(load_images(photos.paths[rows], box.spec, fit=photos.fit, blur=PAPER_SIGMA))


def measure(
    box: BlackBox, other: BlackBox, photos: LabelledPhotos, variant: str, batches: list[MaskExplanation]
) -> dict[str, Any]:
    """Measure region and transfer; of masks also the objective of eq. 4 over 16 fixed jitters.

    Transfer to the other model is measured on the photos that it gets right with p > 0.5 too.
    """
    preset = VARIANTS[variant]["preset"]
    objectives: list[float] = []
    transfers: dict[str, list[float]] = {name: [] for name in TRANSFERS}
    elsewhere: list[float] = []
    for first, result in zip(range(0, len(photos.paths), BATCH), batches, strict=True):
        rows = slice(first, first + BATCH)
        if PRESETS[preset].learns == "mask":
            objectives += (
                OwnScore(box, result, Settings(preset, perturbation=stand_in(box, photos, variant, rows)))
                .objective()
                .tolist()
            )
        for name, perturbation in TRANSFERS.items():
            transfers[name] += left_of_region(box, result, perturbation).tolist()
        scores = np.asarray(other.scores(result.images))
        sure = (scores.argmax(axis=1) == photos.labels[rows]) & (scores.max(axis=1) > 0.5)
        elsewhere += left_of_region(other, result, Blur(levels_count=2))[sure].tolist()
    suppression = np.concatenate([result.suppression for result in batches])
    queries = np.concatenate([result.queries for result in batches])
    found: dict[str, Any] = {
        "suppression": float(suppression.mean()),
        "suppression_least": float(suppression.min()),
        "region": float(np.mean(np.concatenate([result.share for result in batches]))),
        "weak": int(sum(one.kind != "ok" for result in batches for one in result.outcome)),
        "score_left_under": {name: float(np.mean(values)) for name, values in transfers.items()},
        "score_left_of_other_model": {"left": float(np.mean(elsewhere)), "photos": len(elsewhere)},
        "scores": float(queries[:, 0].mean()),
        "gradients": float(queries[:, 1].mean()),
    }
    if objectives:
        found["objective"] = float(np.mean(objectives))
        found["per_photo"] = {path.name: round(value, 5) for path, value in zip(photos.paths, objectives, strict=True)}
    return found


def smallest_regions(
    box: BlackBox,
    images: np.ndarray[Any, Any],
    results: list[MaskExplanation],
    ranking: np.ndarray[Any, Any],
    game: Game = "deletion",
) -> dict[str, dict[str, float]]:
    """Return the mean share of the smallest region at each suppression, and how often one up to half is enough.

    Where none is, the region counts as half of the image.
    """
    weights, original, perturbed = (
        np.concatenate([getattr(result, name) for result in results])
        for name in ("weights", "score", "score_perturbed")
    )
    gone = np.asarray(Blur().levels(images, box.spec, seed=0)[0])
    found: dict[str, dict[str, float]] = {}
    for suppress in SUPPRESSIONS:
        oracle = Oracle.of(box, len(images))
        regions = smallest_region(
            oracle, images, ranking, weights, gone, original, perturbed, game, suppress, floor="perturbed"
        )
        share = np.where(regions.enough, regions.share, 0.5)
        found[f"{suppress:.2f}"] = {"share": float(share.mean()), "enough": float(regions.enough.mean())}
    return found


def maps_of(
    box: BlackBox, photos: LabelledPhotos, learned: dict[str, list[MaskExplanation]]
) -> dict[str, np.ndarray[Any, Any]]:
    """Return what ranks the pixels in the table of hard deletions: (N, H, W) for each method."""
    size = box.spec.spatial
    maps = {name: np.concatenate([result.saliency for result in batches]) for name, batches in learned.items()}
    start = Settings("fast", start_points=8)
    if "paper" in learned:  # whose masks have the grid that this map is on
        gradients = [OwnScore(box, result, start).gradient_map() for result in learned["paper"]]
        maps["gradient in mask space"] = np.concatenate(gradients)
    axes = [np.arange(n) - (n - 1) / 2 for n in size]
    centre = -np.hypot(*np.meshgrid(*axes, indexing="ij"))
    maps["centre"] = np.broadcast_to(centre, (len(photos.paths), *size))
    maps["random"] = np.stack([random_map(size, seed) for seed in range(len(photos.paths))])
    return maps


def main(
    model: Annotated[str, typer.Option(help=f"What is explained: {' or '.join(MODELS)}.")] = MODELS[0],
    limit: Annotated[
        int | None, typer.Option(help=f"Take only the first photos; stored by itself from {LEAST_STORED} on.")
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(help="Measure this variant, and keep what is stored of others, each with its commit; repeatable."),
    ] = None,
    file_blur: Annotated[bool, typer.Option(help=f"Measure {FILE_BLUR!r} too.")] = False,
    fit: Annotated[
        Fit, typer.Option(help="How photos are brought to 224 × 224; the authors' code stretches them.")
    ] = "stretch",
    cache: Annotated[Path, typer.Option(help="Folder of masks already learned.")] = CACHE,
    threads: Annotated[int | None, typer.Option(help="That the models may use; None: as many as they like.")] = None,
) -> None:
    """Measure the masks of each preset on the shared photos that a classifier gets right with p > 0.5."""
    cache.mkdir(parents=True, exist_ok=True)
    boxes = {MODELS[0]: wrap(MODELS[0], threads=threads), MODELS[1]: googlenet(BVLC, threads=threads)}
    if model not in boxes:
        raise typer.BadParameter(f"{model!r} is none of {', '.join(MODELS)}", param_hint="--model")
    box = boxes.pop(model)
    (other,) = boxes.values()
    photos = confident_photos(box, fit, limit=limit)
    console.print(f"{len(photos.paths)} photos classified right with p > 0.5, {machine()['processor']}")
    name = _name_of(model, fit, limit)
    learned: dict[str, list[MaskExplanation]] = {}
    results: dict[str, Any] = {"presets": {}}
    for variant in only or [name for name in VARIANTS if name != FILE_BLUR or file_blur]:
        learned[variant], seconds = learn(box, photos, variant, cache)
        found = measure(box, other, photos, variant, learned[variant])
        results["presets"][variant] = {"commit": machine()["commit"], "seconds_per_photo": seconds, **found}
    show_presets(results["presets"])
    reference, images = next(iter(learned.values())), np.asarray(photos.images)
    maps = maps_of(box, photos, learned)
    results["hard_deletion"], results["hard_preservation"] = (
        {name: hard_deletion(box, images, reference, one, shares, keep=keep) for name, one in maps.items()}
        for shares, keep in ((DELETED, False), (KEPT, True))
    )
    results["smallest_region"], results["smallest_region_kept"] = (
        {name: smallest_regions(box, images, reference, one, game) for name, one in maps.items() if name != "random"}
        for game in get_args(Game)
    )
    if only and (stored := recorded(name)):
        results = _with_stored(results, stored)
    show_shares(results["hard_deletion"], "score left, most salient share deleted")
    show_shares(results["hard_preservation"], "score left, all but the most salient share deleted")
    show_regions(results["smallest_region"], "smallest region that takes away so much")
    show_regions(results["smallest_region_kept"], "smallest region that alone keeps so much")
    if limit is None or limit >= LEAST_STORED:
        path = record(name, {"model": model, "photos": len(photos.paths), "fit": fit}, results)
        console.print(f"stored in {path.parent.name}/{path.name}")


def _name_of(model: str, fit: str, limit: int | None) -> str:
    name = f"quality-{fit}" if model == MODELS[0] else f"quality-{model}-{fit}"
    return name if limit is None else f"{name}-first-{limit}"


def _with_stored(results: dict[str, Any], stored: dict[str, Any]) -> dict[str, Any]:
    """Return results with those of variants that were not measured again, in the stored order."""
    merged = dict(results)
    for part in BY_VARIANT:
        merged[part] = {name: results[part].get(name, row) for name, row in stored["measured"][part].items()}
    for row in merged["presets"].values():
        row.setdefault("commit", stored["machine"]["commit"])
    return merged


def show_presets(presets: dict[str, Any]) -> None:
    """Print one line for each preset."""
    table = Table(
        "preset", "objective", "wanted", "suppression", "region", "weak", "s / photo", *TRANSFERS, "other model"
    )
    for name, row in presets.items():
        target = TARGETS.get(name)
        table.add_row(
            name,
            f"{row['objective']:.4f}" if "objective" in row else "-",
            "-" if target is None else f"{target} {'met' if row['objective'] <= target else 'MISSED'}",
            f"{row['suppression']:.3f}",
            f"{row['region']:.1%}",
            str(row["weak"]),
            f"{row['seconds_per_photo']:.1f}",
            *(f"{value:.2f}" for value in row["score_left_under"].values()),
            f"{row['score_left_of_other_model']['left']:.2f}",
        )
    console.print(table)


def show_regions(regions: dict[str, dict[str, dict[str, float]]], title: str) -> None:
    """Print the mean smallest region at each suppression, with how often one up to half of the image is enough."""
    table = Table("ranked by", *(f"{one:.0%}" for one in SUPPRESSIONS), title=title)
    for name, row in regions.items():
        table.add_row(name, *(f"{one['share']:.1%} ({one['enough']:.0%})" for one in row.values()))
    console.print(table)


def show_shares(deletions: dict[str, dict[str, float]], title: str) -> None:
    """Print the normalised score left at each share."""
    table = Table("ranked by", *(f"{float(share):.0%}" for share in next(iter(deletions.values()))), title=title)
    for name, row in deletions.items():
        table.add_row(name, *(f"{value:.3f}" for value in row.values()))
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
