"""The methods that the paper compares, and the masks of its three learners."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from benchmarks.paper.kept import Arrays
from benchmarks.paper.learned import applied, gone_by
from benchmarks.paper.plan import Labelled, Plan
from blackbox_explain import BlackBox, Explanation, MaskExplanation, Top, explain
from blackbox_explain.box.info import BoxInfo
from blackbox_explain.box.oracle import Oracle
from blackbox_explain.box.targets import resolve
from blackbox_explain.methods.by_name import method_of
from blackbox_explain.methods.method import Attribution, Budget
from blackbox_explain.metrics.explained_again import maps_by

__all__ = [
    "MASKS",
    "METHODS",
    "QUERIES",
    "Entry",
    "explained",
    "label_of",
    "make_maps",
    "map_name",
    "map_of",
    "name_of",
    "settled",
]


@dataclass(frozen=True)
class Entry:
    """A method with its settings.

    Attributes
    ----------
    label
        In figures.
    method
        As `explain` takes it.
    settings
        Its fields.
    target
        What is explained, by the class of the image.
    positive
        Whether what is negative counts as 0, as Zhang et al. (2016, section 3.3) have it for their contrastive maps.
    shown_of
        A ranking that this is the importance of, as it is shown: thresholds of values mean little for ranks, which are
        spread evenly over all pixels.
    """

    label: str
    method: str
    settings: dict[str, Any] = dataclasses.field(default_factory=dict[str, Any])
    target: Callable[[int], Any] = int
    positive: bool = False
    shown_of: str | None = None

    def called(self, plan: Plan) -> dict[str, Any]:
        """Return the settings of a run: those of eq. 4 may be tried out with fewer steps."""
        preset = self.settings.get("preset")
        short = {"steps": plan.steps} if plan.steps is not None and preset in ("paper", "authors") else {}
        return {**self.settings, **short}


def _top_five(_label: int) -> Top:
    return Top(5)


METHODS: dict[str, Entry] = {
    "paper": Entry("mask (paper)", "mask", {"preset": "paper"}),
    "authors": Entry("mask (authors' code)", "mask", {"preset": "authors"}),
    "fast": Entry("mask (ours, fast)", "mask", {"preset": "fast"}),
    "shown": Entry("mask (ours, fast, as shown)", "mask", {"preset": "fast"}, shown_of="fast"),
    "top5": Entry(
        "mask (paper, top 5)", "mask", {"preset": "paper", "area_weight": 1e-3, "tv_beta": 2.0}, target=_top_five
    ),
    "heavy": Entry("mask (paper, heavier area)", "mask", {"preset": "paper", "area_weight": 1e-3, "tv_beta": 2.0}),
    "cexc": Entry("contrast exc", "contrastive-excitation-backprop", positive=True),
    "exc": Entry("excitation", "excitation-backprop"),
    "grad": Entry("gradient", "gradient", {"of": "logits"}),
    "guid": Entry("guided", "guided-backprop"),
    "gcam": Entry("Grad-CAM", "grad-cam"),
    "cam": Entry("CAM", "cam"),
    "lrpe": Entry("LRP (ε)", "lrp", {"rule": "epsilon"}),
    "lrp": Entry("LRP (composite)", "lrp"),
    "occ": Entry("occlusion", "occlusion", {"stride": 16}),
    "circ": Entry("blurred circles", "circle-occlusion", {"spacing": 16.0}),
    "vocc": Entry("variable circles", "variable-occlusion", {"radii": (10.0, 17.5, 35.0)}),
    "center": Entry("center", "center"),
}
"""Occlusion moves by half of its square, and circles by 16 pixels; the paper tells neither.

Gradients and relevance are those of the logits, as in the papers of these methods; occlusion and masks take the scores,
as this one has it.  LRP has the rules of Bach et al. (2015), which the paper cites, and those of later work.  In this
network CAM is Grad-CAM without its rectifier."""

QUERIES = "measured/queries"
"""Kind of what tells how often the model was run for a map: it stays where the map does not."""

LEARNED = "measured/masks"
"""Kind of the cells of masks of eq. 4, from which maps are made again."""

MASKS = ("paper", "authors", "fast")
"""Learners of masks, side by side."""


def label_of(key: str) -> str:
    """Return what a method is called in figures; what is none of `METHODS` as it is."""
    return METHODS[key].label if key in METHODS else key


def map_of(plan: Plan, one: Labelled, name: str) -> dict[str, np.ndarray[Any, Any]]:
    """Return what a method finds in an image, from what is kept or made now.

    Parameters
    ----------
    plan
        The run.
    one
        The image.
    name
        Of `METHODS`.

    Returns
    -------
    dict
        ``saliency`` (H, W), ``queries`` (2,), and of masks ``masked`` (3,), the scores of the image, of the masked
        image and of the fully perturbed one, ``masked_image``, ``importance`` (H, W) for pictures, of those of eq. 4
        ``mask``, their cells, and of rankings ``gone`` (H, W), the region as it is applied.
    """
    make_maps(plan, [one], name)
    shown_of = METHODS[name].shown_of
    found = plan.kept.read(map_name(plan, one, shown_of or name))
    return found if shown_of is None else found | {"saliency": found["importance"].astype(np.float32)}


def make_maps(plan: Plan, images: Sequence[Labelled], name: str) -> None:
    """Keep what a method finds in images, those that are not kept yet together."""
    shown_of = METHODS[name].shown_of
    if shown_of is not None:
        make_maps(plan, images, shown_of)
        return
    places = {map_name(plan, one, name): one for one in images}
    entry = METHODS[name]
    missing: dict[str, Labelled] = {}
    for place, one in places.items():
        if not plan.kept.has(place) and not _applied_again(plan, entry, one, place, name_of(plan, one, name, LEARNED)):
            missing[place] = one
    if not missing:
        return
    pixels = np.concatenate([one.image for one in missing.values()])
    targets = [entry.target(one.label) for one in missing.values()]
    started = time.process_time()
    rows = _masks(plan, entry, pixels, targets) if entry.method == "mask" else _maps(plan, entry, pixels, targets)
    spent = time.process_time() - started
    for (place, one), row in zip(missing.items(), rows, strict=True):
        if "mask" in row:
            learned = {key: row[key] for key in ("mask", "masked", "queries")}
            plan.kept.put(name_of(plan, one, name, LEARNED), learned, spent / len(missing))
        plan.kept.put(name_of(plan, one, name, QUERIES), {"queries": row["queries"]}, spent / len(missing))
        # Last, because it is what is looked for.
        plan.kept.put(place, row, spent / len(missing))


def _masks(plan: Plan, entry: Entry, images: Any, targets: list[Any]) -> list[Arrays]:
    found = explain(plan.box, images, targets, method="mask", progress=False, **entry.called(plan))
    assert isinstance(found, MaskExplanation)
    return [
        _row_of_mask(
            {
                "saliency": found.saliency[row],
                "importance": found.importance(row),
                "masked_image": found.masked_images[row],
                "masked": found.scores[row],
                "queries": found.queries[row],
            }
            # A ranking has a cell for each pixel: it is not much smaller than its map.
            | _cells_or_region(entry.called(plan), found, row)
        )
        for row in range(len(images))
    ]


def _cells_or_region(settings: dict[str, Any], found: MaskExplanation, row: int) -> dict[str, Any]:
    mask = found.mask[row]
    return {"mask": mask} if found.learns == "mask" else {"gone": gone_by(settings, mask)}


def _row_of_mask(row: Arrays) -> Arrays:
    # Half precision is far finer than the bytes of a picture.
    return {**row, **{key: row[key].astype(np.float16) for key in ("importance", "masked_image")}}


def _applied_again(plan: Plan, entry: Entry, one: Labelled, place: str, learned: str) -> bool:
    """Keep the map of a mask that was learned before; tell whether there is one."""
    if not plan.kept.has(learned):
        return False
    found, started = plan.kept.read(learned), time.process_time()
    row = applied(plan.box, entry.called(plan), np.asarray(one.image), found["mask"])
    row = _row_of_mask({**found, **row, "importance": row["saliency"]})
    plan.kept.put(place, row, time.process_time() - started, plan.kept.told(learned))
    return True


def _maps(plan: Plan, entry: Entry, images: Any, targets: list[Any]) -> list[Arrays]:
    """Return the maps alone: `explain` looks for their regions too, which takes most methods far longer."""
    oracle, host = Oracle.of(plan.box, len(images)), np.asarray(images)
    # The method asks for the scores itself, and is to be counted alone.
    weights, _ = resolve(targets, np.asarray(plan.box.scores(host)), plan.box.spec.class_names)
    found = maps_by(method_of(entry.method, entry.called(plan)), oracle, weights, 0, host).astype(host.dtype)
    maps = np.maximum(found, 0) if entry.positive else found
    return [{"saliency": one, "queries": asked} for one, asked in zip(maps, oracle.queries, strict=True)]


def explained(box: BlackBox, one: Labelled, saliency: np.ndarray[Any, Any]) -> Explanation:
    """Return a map as the explanation of an image, for the metrics."""
    return explain(box, one.image, one.label, method=_Given(saliency), progress=False)


def map_name(plan: Plan, one: Labelled, name: str) -> str:
    """Return the name in the cache of a method's map."""
    return name_of(plan, one, name, "maps")


def name_of(plan: Plan, one: Labelled, name: str, kind: str) -> str:
    """Return the name in the cache of something about a method: it tells model, method, settings and image apart."""
    return f"{plan.model}/{kind}/{settled(plan, name)}/{_of(one)}"


def settled(plan: Plan, name: str) -> str:
    """Return the name of a method with its settings, and of the model's file."""
    entry = METHODS[name]
    key = json.dumps(
        [entry.method, entry.called(plan), entry.positive, str(entry.target(0)), BoxInfo.of(plan.box).fingerprint]
    )
    return f"{name}-{hashlib.sha256(key.encode()).hexdigest()[:10]}"


def _of(one: Labelled) -> str:
    """Return the name of an image's file in the cache: attacked images have the name of the photo and other pixels."""
    return f"{one.name}-{one.label}-{hashlib.sha256(np.ascontiguousarray(one.image).tobytes()).hexdigest()[:8]}"


@dataclass(frozen=True, eq=False)
class _Given:
    """A map that is there already, as a method."""

    saliency: np.ndarray[Any, Any]

    name: ClassVar[str] = "given"
    needs: ClassVar[type[Any]] = BlackBox

    def budget(self, info: BoxInfo) -> Budget:
        """Return that nothing is asked."""
        del info
        return Budget(1)

    def explain(self, oracle: Any, images: Any, weights: Any, seed: int) -> Attribution:
        """Return the map."""
        del oracle, images, weights, seed
        return Attribution(saliency=self.saliency[None], settings={})
