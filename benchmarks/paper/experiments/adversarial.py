"""5.5, Fig. 10: telling the masks of attacked images from those of clean ones, and bringing the label back."""

from __future__ import annotations

import dataclasses
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from benchmarks.paper.each_image import measured
from benchmarks.paper.experiments.learners.telling_apart import pooled, told_apart
from benchmarks.paper.kept import Arrays
from benchmarks.paper.measured import Asked, Measurement
from benchmarks.paper.methods import METHODS, make_maps, map_of
from benchmarks.paper.pictures import class_name, pixels, shown_mask
from benchmarks.paper.plan import Labelled, Plan
from benchmarks.paper.statistics import Compared, compared, mean_of, share_of, verdict
from benchmarks.paper.written import Claim, Table, costs, write
from blackbox_explain import Explanation, attack, recover
from blackbox_explain.box.oracle import Oracle
from blackbox_explain.data.images import LoadedImages

IMAGES = 200
MASKS = ("paper", "fast")
"""The authors' code differs least from the paper here, and costs as much again."""
LISTED = (*MASKS, "cexc", "exc", "grad", "guid", "gcam", "occ")
SHOWN = 3
OF_PAPER = {"discriminating": "93.6 %, far above other maps", "original": "40.64 %", "truth": "37.32 %"}
TOP = 5
LEADS = 0.4064
"""Share of the images whose original label leads again, in the paper."""
RECOVERED = ("original label leads", "original label in the top five")


def run(plan: Plan) -> None:
    """Attack images, explain both, train classifiers on the maps, and apply the masks to the attacked images."""
    names = plan.halves[1][: plan.size(IMAGES)]
    whole = dataclasses.replace(plan, part=(0, 1))
    for some in plan.batches(names):
        # Together, as clean images are by `measured`.
        clean = [plan.image(name) for name in some]
        for method in LISTED:
            missing = [one for one in clean if not Asked(plan, one).has(BOTH, method)]
            make_maps(plan, [attacked(plan, one) for one in missing], method)
        measured(whole, some, LISTED, BOTH, f"adversarial, from {some[0]}")
    if plan.is_part:
        return
    found = measured(plan, names, LISTED, BOTH, "adversarial")
    images = [plan.image(name) for name in names]
    labels = np.asarray([one.label for one in images])
    fooled = found[LISTED[0]]["label"] != labels
    right = {method: told_apart(found[method]["clean"][fooled], found[method]["attacked"][fooled]) for method in LISTED}
    tests = {
        mask: {other: compared(right[mask], right[other]) for other in LISTED if other not in MASKS} for mask in MASKS
    }
    counts = {
        mask: {
            what: share_of(int(column.sum()), int(fooled.sum()))
            for what, column in zip(RECOVERED, found[mask]["recovered"][fooled].T, strict=True)
        }
        for mask in MASKS
    }
    rows = [
        ["discriminating accuracy", METHODS[m].label, mean_of(v).mean, mean_of(v).error, len(v)]
        for m, v in right.items()
    ]
    rows += [
        [what, METHODS[mask].label, one[0], f"{one[1]:.3f} to {one[2]:.3f}", int(fooled.sum())]
        for mask, row in counts.items()
        for what, one in row.items()
    ]
    write(
        plan.folder("adversarial", len(names), IMAGES),
        title="5.5 and Fig. 10: adversarial images",
        figure=draw(plan, [one for one, there in zip(images, fooled, strict=True) if there][:SHOWN], right),
        table=Table(("what", "method", "share", "standard error, or interval", "images"), rows),
        claims=[
            *(_discriminating(right, tests, mask) for mask in MASKS),
            *(one for m in MASKS for one in _recovery(counts[m], m)),
        ],
        settings={
            "images": f"{len(names)} of the claims half, classified right; {fooled.sum()} of them fooled by the attack",
            "attack": "basic iterative method, ε = 8/255, 10 steps of 1/255, away from the class",
            "classifier": "regularised logistic regression, five folds by image, on 28 × 28 means and spreads of the "
            "maps, and their statistics",
        },
        numbers={
            "costs": costs(plan, images, LISTED),
            "attack_gradients_per_image": 10,
            "files": names,
            "paired": {m: {o: one.to_dict() for o, one in row.items()} for m, row in tests.items()},
            "recovered": counts,
        },
        notes=[
            "The paper trains an AlexNet on the maps of 4,000 images; on a few hundred that is not to be had, and "
            "the same small classifier is trained on the maps of every method.",
            "Costs are those of the clean images; the attacked ones take the same.",
            "All images are classified right, so that the original label is the true one. The paper's shares are of "
            "all its images, right or wrong.",
            "A share is at least the paper's where its whole interval is, and undecided where the paper's lies in it.",
        ],
    )


def attacked(plan: Plan, clean: Labelled) -> Labelled:
    """Return the attacked image, with the class that the network sees in it."""

    def make() -> dict[str, Any]:
        found = attack(plan.box, np.asarray(clean.image), clean.label)
        return {"image": found.images, "top": found.top_attacked, "queries": found.queries}

    found = plan.kept.get(f"{plan.model}/attacked/{clean.name}", make)
    return Labelled(clean.name, LoadedImages(found["image"], clean.image.photos), int(found["top"][0]))


def _both(asked: Asked, method: str, explanation: Explanation, oracle: Oracle) -> Arrays:
    del oracle
    plan, clean = asked.plan, asked.one
    after = attacked(plan, clean)
    learned = map_of(plan, after, method)
    found: Arrays = {
        "label": np.asarray(after.label),
        "clean": pooled(explanation.saliency)[0],
        "attacked": pooled(learned["saliency"][None])[0],
    }
    if method not in MASKS:
        return found
    again = recover(plan.box, learned["masked_image"][None].astype(np.float32), [clean.label])
    return {**found, "recovered": np.asarray([again.leads[0], again.among(TOP)[0]])}


BOTH = Measurement("attacked", _both, silent=True)
"""The ``label`` of the attacked image, `pooled` maps of the ``clean`` and the ``attacked`` image, and of masks what is
``recovered`` (2,) once they are applied to the attacked image: `RECOVERED`."""


def _discriminating(right: dict[str, Any], tests: dict[str, dict[str, Compared]], mask: str) -> Claim:
    best = max((one for one in LISTED if one not in MASKS), key=lambda one: float(right[one].mean()))
    told = f"{mean_of(right[mask])}; best other {METHODS[best].label} {mean_of(right[best])}"
    told += f", p = {tests[mask][best].p:.2g}"
    words = f"{METHODS[mask].label}: its maps tell attacked images from clean ones better than all other maps, p < 0.05"
    return Claim(words, OF_PAPER["discriminating"], told, verdict(tests[mask].values(), "higher"))


def _recovery(counts: dict[str, tuple[float, float, float]], mask: str) -> list[Claim]:
    words = f"{METHODS[mask].label}: applied to attacked images, it brings the label back"
    leads, among = (f"{one[0]:.1%} ({one[1]:.1%} to {one[2]:.1%})" for one in counts.values())
    paper = f"{OF_PAPER['original']}, true label {OF_PAPER['truth']}"
    low, high = counts[RECOVERED[0]][1:]
    as_often = True if low >= LEADS else None if high >= LEADS else False
    return [
        Claim(f"{words} to the lead at least as often as in the paper", paper, leads, as_often),
        Claim(f"{words} among the top five in all images", "100 %", among, counts[RECOVERED[1]][0] == 1),
    ]


def draw(plan: Plan, shown: list[Labelled], right: dict[str, np.ndarray[Any, Any]]) -> Figure:
    """Draw clean and attacked images with their masks, and the accuracy of telling the two apart."""
    figure = plt.figure(figsize=(12, 5.2), layout="constrained")
    left, other = np.ravel(figure.subfigures(1, 2, squeeze=False, width_ratios=(1.5, 1)))
    axes = left.subplots(SHOWN, 2 * (1 + len(MASKS)), squeeze=False)
    for line in axes:
        for axis in line:
            axis.set_axis_off()
    for line, clean in zip(axes, shown, strict=False):
        place = 0
        for one in (clean, attacked(plan, clean)):
            line[place].imshow(pixels(one.image))
            line[place].set_title(class_name(plan, one.label), fontsize=7)
            for shift, mask in enumerate(MASKS, 1):
                line[place + shift].imshow(shown_mask(map_of(plan, one, mask)), cmap="gray", vmin=0, vmax=1)
                line[place + shift].set_title(METHODS[mask].label, fontsize=7)
            place += 1 + len(MASKS)
    axis = other.subplots()
    means = [mean_of(one) for one in right.values()]
    colours = ["C3" if method in MASKS else "C0" for method in right]
    axis.barh(range(len(right)), [m.mean for m in means], xerr=[m.error for m in means], color=colours)
    axis.set_yticks(range(len(right)), [METHODS[one].label for one in right])
    axis.axvline(0.5, color="0.5", lw=0.8)
    axis.set(xlim=(0, 1), xlabel="accuracy, clean against attacked")
    axis.invert_yaxis()
    axis.spines[["top", "right"]].set_visible(False)
    return figure
