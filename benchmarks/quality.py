"""Quality of the masks on real photos: objective, suppression, transfer to other perturbations, hard deletion.

Run with ``python -m benchmarks.quality``; masks already learned by the same code, settings and model are taken from
the cache, so an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.common import RESULTS, LabelledPhotos, confident_photos, machine, store
from benchmarks.masked import OwnScore, hard_deletion, left_of_region, random_map
from blackbox_explain import BlackBox, Blur, Constant, MaskExplanation, Noise, Reference, explain, load_images, wrap
from blackbox_explain.box.info import BoxInfo
from blackbox_explain.box.oracle import Oracle
from blackbox_explain.data.images import Fit
from blackbox_explain.explanation.region import smallest_region
from blackbox_explain.methods.mask.settings import PRESETS, PresetName, Settings
from blackbox_explain.perturbations.perturbation import PAPER_SIGMA, Perturbation

SHARES = (0.03, 0.06, 0.10, 0.15, 0.20, 0.30, 0.40)
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
BATCH = 16

console = Console(width=120, highlight=False)


def learn(box: BlackBox, photos: LabelledPhotos, variant: str, cache: Path) -> tuple[list[MaskExplanation], float]:
    """Learn, or fetch, the masks of all photos batch by batch; return them with the seconds per photo."""
    sources = sorted((Path(__file__).parents[1] / "blackbox_explain").rglob("*.py"))
    code = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()
    preset = preset_of(variant)
    batches, seconds = [], 0.0
    for first in range(0, len(photos.paths), BATCH):
        rows = slice(first, first + BATCH)
        key = [code, variant, repr(PRESETS[preset]), photos.fit, BoxInfo.of(box).fingerprint]
        key += [path.name for path in photos.paths[rows]]
        stem = cache / f"{preset}-{hashlib.sha256(json.dumps(key).encode()).hexdigest()[:16]}"
        timing = stem.with_suffix(".json")
        if not timing.exists():
            started = time.perf_counter()
            result = explain(
                box, photos.images[rows], preset=preset, perturbation=perturbation_of(box, photos, variant, rows)
            )
            spent = time.perf_counter() - started
            result.save(stem)
            timing.write_text(json.dumps({"seconds": spent}), encoding="utf-8")
        batches.append(MaskExplanation.load(stem.with_suffix(".npz")))
        seconds += json.loads(timing.read_text(encoding="utf-8"))["seconds"]
        console.print(f"  {variant}: {min(first + BATCH, len(photos.paths))} of {len(photos.paths)}")
    return batches, seconds / len(photos.paths)


def preset_of(variant: str) -> PresetName:
    """Return the preset of a variant."""
    return next(name for name in PRESETS if variant.startswith(name))


def perturbation_of(box: BlackBox, photos: LabelledPhotos, variant: str, rows: slice) -> str | Perturbation:
    """Return the blur of a variant."""
    if variant != FILE_BLUR:
        return "blur"
    return Reference(load_images(photos.paths[rows], box.spec, fit=photos.fit, blur=PAPER_SIGMA))


def measure(box: BlackBox, photos: LabelledPhotos, variant: str, batches: list[MaskExplanation]) -> dict[str, Any]:
    """Measure suppression, region and transfer; of masks also the objective of eq. 4 over 16 fixed jitters."""
    preset = preset_of(variant)
    objectives: list[float] = []
    transfers: dict[str, list[float]] = {name: [] for name in TRANSFERS}
    for first, result in zip(range(0, len(photos.paths), BATCH), batches, strict=True):
        rows = slice(first, first + BATCH)
        if PRESETS[preset].learns == "mask":
            objectives += (
                OwnScore(box, result, Settings(preset, perturbation=perturbation_of(box, photos, variant, rows)))
                .objective()
                .tolist()
            )
        for name, perturbation in TRANSFERS.items():
            transfers[name] += left_of_region(box, result, perturbation).tolist()
    suppression = np.concatenate([result.suppression for result in batches])
    queries = np.concatenate([result.queries for result in batches])
    found: dict[str, Any] = {
        "suppression": float(suppression.mean()),
        "suppression_least": float(suppression.min()),
        "region": float(np.mean(np.concatenate([result.share for result in batches]))),
        "weak": int(sum(one.kind != "ok" for result in batches for one in result.outcome)),
        "score_left_under": {name: float(np.mean(values)) for name, values in transfers.items()},
        "scores": float(queries[:, 0].mean()),
        "gradients": float(queries[:, 1].mean()),
    }
    if objectives:
        found["objective"] = float(np.mean(objectives))
        found["per_photo"] = {path.name: round(value, 5) for path, value in zip(photos.paths, objectives, strict=True)}
    return found


def smallest_regions(
    box: BlackBox, images: np.ndarray[Any, Any], results: list[MaskExplanation], ranking: np.ndarray[Any, Any]
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
            oracle, images, ranking, weights, gone, original, perturbed, suppress=suppress, floor="perturbed"
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
    gradients = [OwnScore(box, result, start).gradient_map() for result in learned["paper"]]
    maps["gradient in mask space"] = np.concatenate(gradients)
    axes = [np.arange(n) - (n - 1) / 2 for n in size]
    centre = -np.hypot(*np.meshgrid(*axes, indexing="ij"))
    maps["centre"] = np.broadcast_to(centre, (len(photos.paths), *size))
    maps["random"] = np.stack([random_map(size, seed) for seed in range(len(photos.paths))])
    return maps


def main(
    limit: Annotated[int | None, typer.Option(help="Take only the first photos; the result is not stored.")] = None,
    file_blur: Annotated[bool, typer.Option(help=f"Measure {FILE_BLUR!r} too.")] = False,
    fit: Annotated[
        Fit, typer.Option(help="How photos are brought to 224 × 224; the authors' code stretches them.")
    ] = "stretch",
    cache: Annotated[Path, typer.Option(help="Folder of masks already learned.")] = RESULTS / "cache",
) -> None:
    """Measure the masks of each preset on the shared photos that the default classifier gets right with p > 0.5."""
    cache.mkdir(parents=True, exist_ok=True)
    box = wrap("efficientnet-lite0")
    photos = confident_photos(box, fit, limit=limit)
    console.print(f"{len(photos.paths)} photos classified right with p > 0.5, {machine()['processor']}")
    variants = ["fast", "quick", "thorough", "paper", "authors", *([FILE_BLUR] if file_blur else [])]
    learned: dict[str, list[MaskExplanation]] = {}
    results: dict[str, Any] = {"photos": len(photos.paths), "fit": fit, "presets": {}}
    for variant in variants:
        learned[variant], seconds = learn(box, photos, variant, cache)
        results["presets"][variant] = {"seconds_per_photo": seconds, **measure(box, photos, variant, learned[variant])}
    show_presets(results["presets"])
    reference = next(iter(learned.values()))
    maps = maps_of(box, photos, learned)
    results["hard_deletion"] = {
        name: hard_deletion(box, photos.images, reference, ranking, SHARES) for name, ranking in maps.items()
    }
    show_deletions(results["hard_deletion"])
    results["smallest_region"] = {
        name: smallest_regions(box, np.asarray(photos.images), reference, ranking)
        for name, ranking in maps.items()
        if name != "random"
    }
    show_regions(results["smallest_region"])
    if limit is None:
        console.print(f"stored in {store(f'quality-{fit}', results).relative_to(RESULTS.parent.parent)}")


def show_presets(presets: dict[str, Any]) -> None:
    """Print one line for each preset."""
    table = Table("preset", "objective", "wanted", "suppression", "region", "weak", "s / photo", *TRANSFERS)
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
        )
    console.print(table)


def show_regions(regions: dict[str, dict[str, dict[str, float]]]) -> None:
    """Print the mean smallest region at each suppression, with how often one up to half of the image is enough."""
    table = Table("ranked by", *(f"{one:.0%}" for one in SUPPRESSIONS), title="smallest region that takes away so much")
    for name, row in regions.items():
        table.add_row(name, *(f"{one['share']:.1%} ({one['enough']:.0%})" for one in row.values()))
    console.print(table)


def show_deletions(deletions: dict[str, dict[str, float]]) -> None:
    """Print the normalised score left after deleting the most salient share of each photo at full blur."""
    table = Table("ranked by", *(f"{share:.0%}" for share in SHARES), title="score left, most salient share deleted")
    for name, row in deletions.items():
        table.add_row(name, *(f"{value:.3f}" for value in row.values()))
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
