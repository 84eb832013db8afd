"""5.5, Fig. 10: telling the masks of attacked images from those of clean ones, and bringing the label back."""

from __future__ import annotations

import dataclasses
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from benchmarks.paper.each_image import measured
from benchmarks.paper.experiments.learners.attacked_images import (
    BLURRED,
    BOTH,
    CONTROLS,
    REACH,
    RECOVERED,
    STEPS,
    attacked,
)
from benchmarks.paper.experiments.learners.telling_apart import (
    FOLDS,
    SPLITS,
    TREE_SPLITS,
    TREES,
    WAYS,
    Way,
    features,
    told_apart,
)
from benchmarks.paper.measured import Asked
from benchmarks.paper.methods import MASKS, METHODS, label_of, make_maps, map_of
from benchmarks.paper.pictures import class_name, framed, pixels, shown_mask
from benchmarks.paper.plan import Labelled, Plan
from benchmarks.paper.statistics import Compared, compared, mean_of, share_of, verdict
from benchmarks.paper.written import Claim, Table, costs, gap_of, write

IMAGES = 200
LISTED = (*MASKS, "cexc", "exc", "grad", "guid", "gcam", "cam", "occ", "lrp", "lrpe")
SHOWN = 3
OF_PAPER = {"discriminating": "93.6 %, far above other maps", "original": "40.64 %", "truth": "37.32 %"}
LEADS = 0.4064
"""Share of the images whose original label leads again, in the paper."""
SCORE = "score"
"""In the place of a map: nothing but how high the score is that was explained."""
SHAPE = "by their shape alone"


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
    fooled = found[LISTED[0]]["label"] != np.asarray([one.label for one in images])
    first, *others = WAYS
    right = {method: _told_apart(found[method], fooled, WAYS[first]) for method in LISTED}
    afterwards = {one: {method: _told_apart(found[method], fooled, WAYS[one]) for method in LISTED} for one in others}
    before, after = found[MASKS[0]]["scores"][fooled].T[..., None]
    right[SCORE] = told_apart([before], [after])
    tests = _tests(right)
    back = {mask: found[mask]["recovered"][fooled].astype(float) for mask in MASKS}
    by_chance = {
        mask: {one: compared(rows[:, 0, 0], rows[:, k, 0], hits=True) for k, one in enumerate(CONTROLS) if k}
        for mask, rows in back.items()
    }
    write(
        plan.folder("adversarial", len(names), IMAGES),
        title="5.5 and Fig. 10: adversarial images",
        figure=draw(plan, [one for one, there in zip(images, fooled, strict=True) if there][:SHOWN], right),
        table=_table(right, afterwards, back, by_chance),
        claims=[
            *(_discriminating(right, tests, mask) for mask in MASKS),
            *(one for mask in MASKS for one in _recovery(back[mask], by_chance[mask], mask)),
        ],
        settings={
            "images": f"{len(names)} of the claims half, classified right; {fooled.sum()} of them fooled by the attack",
            "attack": f"basic iterative method, ε = {REACH}/255, {STEPS} steps of 1/255, away from the class",
            "classifier": f"regularised logistic regression, {FOLDS} folds by image in each of {SPLITS} splits, for "
            "all methods the same, on 28 × 28 means and spreads of the maps, scaled to 0 to 1, their quantiles, the "
            "spectrum of the whole map, and its range and mean before; each group of these weighs the same",
            "tried afterwards": f"the same on fewer of these groups; {TREES} extremely randomised trees on them, in "
            f"{TREE_SPLITS} splits",
            "score alone": "the same classifier, told nothing but the score of what was explained",
            "controls": f"{'; '.join(CONTROLS[1:])} (σ {BLURRED:g} pixels)",
        },
        numbers={
            "costs": costs(plan, images, LISTED),
            "attack_gradients_per_image": STEPS,
            "files": names,
            "paired": {
                what: {m: {o: one.to_dict() for o, one in row.items()} for m, row in rows.items()}
                for what, rows in (("told apart", tests), ("brought back", by_chance))
            },
            "recovered": {
                mask: {one: _shares(rows, k) for k, one in enumerate(CONTROLS)} for mask, rows in back.items()
            },
        },
        notes=[
            "The paper trains an AlexNet on the maps of 4,000 images; on a few hundred that is not to be had, and "
            "the same small classifier is trained on the maps of every method.",
            "An image counts by the share of the splits in which it is told right. Classifiers share most of what they "
            "are trained on: p holds for these, and does not count the luck of the images that they are trained on.",
            "Costs are those of the clean images; the attacked ones take the same.",
            "All images are classified right, so that the original label is the true one. The paper's shares are of "
            "all its images, right or wrong.",
            "Further ways to tell maps apart were tried once these figures were known, so that no claim is made of "
            "them, and their p are adjusted for nothing.",
            _without_strength(right, afterwards[SHAPE]),
            *(_in_words(way, one) for way, one in afterwards.items()),
            "A share is at least the paper's where its whole interval is, and undecided where the paper's lies in it.",
            "A mask that is moved, and a disc in the middle, delete as much as the mask. What a ranking deletes is its "
            "region.",
        ],
    )


def _told_apart(found: dict[str, Any], fooled: Any, way: Way) -> np.ndarray[Any, Any]:
    clean, after = (
        features({key: found[f"{which} {key}"][fooled] for key in ("cells", "rings", "strength")})
        for which in ("clean", "attacked")
    )
    return told_apart(clean, after, way)


def _tests(right: dict[str, Any]) -> dict[str, dict[str, Compared]]:
    """Compare what is told right by each mask with what is by each other method."""
    others = [one for one in right if one not in MASKS]
    return {mask: {other: compared(right[mask], right[other]) for other in others} for mask in MASKS}


def _in_words(way: str, right: dict[str, Any]) -> str:
    """Say how the maps of masks do when they are told apart in another way."""
    means = {method: mean_of(values) for method, values in right.items()}
    told = ", ".join(f"{METHODS[mask].label} {means[mask]}" for mask in MASKS)
    best = max((one for one in right if one not in MASKS), key=lambda one: means[one].mean)
    own = max(MASKS, key=lambda one: means[one].mean)
    against = f"p = {compared(right[own], right[best]).p:.2g} against {METHODS[own].label}"
    return f"Told apart {way}: {told}; best other {METHODS[best].label} {means[best]}, {against}."


def _without_strength(right: dict[str, Any], by_shape: dict[str, Any]) -> str:
    """Say of which methods the maps are told apart less well where nothing but their shape is seen."""
    told = [
        f"{label_of(one)} {right[one].mean():.3f} to {by_shape[one].mean():.3f}"
        for one in LISTED
        if compared(by_shape[one], right[one]).lower
    ]
    return f"Scaled to 0 to 1, as pictures are, maps do not tell how strong they are. It matters to: {', '.join(told)}."


def _shares(back: Any, control: int) -> dict[str, tuple[float, float, float]]:
    """Return the shares of images whose label is brought back, with their intervals."""
    return {what: share_of(int(back[:, control, k].sum()), len(back)) for k, what in enumerate(RECOVERED)}


def _table(right: dict[str, Any], afterwards: dict[str, Any], back: dict[str, Any], by_chance: dict[str, Any]) -> Table:
    columns = ("what", "method", "share", "standard error, or interval", "images")
    columns += tuple(f"{what} {METHODS[mask].label}" for mask in MASKS for what in ("difference of", "p against"))
    rows: list[list[Any]] = []
    for way, values_of in {"": right, **afterwards}.items():
        tests = _tests(values_of)
        for method, values in values_of.items():
            one = mean_of(values)
            gaps = [cell for mask in MASKS for cell in gap_of(tests[mask].get(method))]
            what = f"discriminating accuracy, {way}".removesuffix(", ")
            rows.append([what, _label(method), one.mean, one.error, one.images, *gaps])
    for mask, values in back.items():
        for k, control in enumerate(CONTROLS):
            for what, (share, low, high) in _shares(values, k).items():
                test = by_chance[mask].get(control) if what == RECOVERED[0] else None
                row = [f"{what}, by {control}", METHODS[mask].label, share, f"{low:.3f} to {high:.3f}", len(values)]
                for other in MASKS:
                    row += gap_of(test if other == mask else None)
                rows.append(row)
    return Table(columns, rows)


def _label(method: str) -> str:
    return "score alone" if method == SCORE else label_of(method)


def _discriminating(right: dict[str, Any], tests: dict[str, dict[str, Compared]], mask: str) -> Claim:
    others = [one for one in tests[mask] if one != SCORE]
    best = max(others, key=lambda one: float(right[one].mean()))
    told = f"{mean_of(right[mask])}; best other {METHODS[best].label} {mean_of(right[best])}"
    told += f", p = {tests[mask][best].p:.2g}; the score alone {mean_of(right[SCORE])}, p = {tests[mask][SCORE].p:.2g}"
    words = f"{METHODS[mask].label}: its maps tell attacked images from clean ones better than those of the "
    words += f"{len(others)} other methods, and than the score alone, p < 0.05"
    return Claim(words, OF_PAPER["discriminating"], told, verdict(tests[mask].values(), "higher"))


def _recovery(back: Any, by_chance: dict[str, Compared], mask: str) -> list[Claim]:
    words = f"{METHODS[mask].label}: applied to attacked images, it brings the label back"
    leads, among = _shares(back, 0).values()
    paper = f"{OF_PAPER['original']}, true label {OF_PAPER['truth']}"
    as_often = True if leads[1] >= LEADS else False if leads[2] < LEADS else None
    others = ", ".join(
        f"{one} {_shares(back, k)[RECOVERED[0]][0]:.1%} (p = {by_chance[one].p:.2g})"
        for k, one in enumerate(CONTROLS)
        if k
    )
    return [
        Claim(f"{words} to the lead at least as often as in the paper", paper, _interval(leads), as_often),
        Claim(
            f"{words} to the lead more often than a mask elsewhere, a disc or a blurred image does",
            "not asked",
            f"{leads[0]:.1%}; {others}",
            verdict(by_chance.values(), "higher"),
        ),
        Claim(
            f"{words} among the top five in all images",
            "100 %",
            _interval(among),
            None if np.isnan(among[0]) else among[0] == 1,
        ),
    ]


def _interval(share: tuple[float, float, float]) -> str:
    return f"{share[0]:.1%} ({share[1]:.1%} to {share[2]:.1%})"


def draw(plan: Plan, shown: list[Labelled], right: dict[str, np.ndarray[Any, Any]]) -> Figure:
    """Draw images before and after the attack with their masks, what the mask brings back, and the accuracies."""
    figure = plt.figure(figsize=(13, 5.4), layout="constrained")
    left, other = np.ravel(figure.subfigures(1, 2, squeeze=False, width_ratios=(1.9, 1)))
    axes = left.subplots(SHOWN, 6, squeeze=False)
    for axis in axes.flat[6 * len(shown) :]:
        axis.set_axis_off()
    for line, clean in zip(axes, shown, strict=False):
        after = attacked(plan, clean)
        before, then = (map_of(plan, one, MASKS[0]) for one in (clean, after))
        masks = [shown_mask(one) for one in (before, then)]
        kept = then["masked_image"].astype(np.float32)
        again = int(np.asarray(plan.box.scores(kept[None]))[0].argmax())
        pictures = [
            (pixels(clean.image), class_name(plan, clean.label)),
            (masks[0], "its mask"),
            (pixels(after.image), class_name(plan, after.label)),
            (masks[1], "its mask"),
            ((1 + masks[1] - masks[0]) / 2, "difference"),
            (pixels(kept), f"masked: {class_name(plan, again)}"),
        ]
        for axis, (picture, title) in zip(line, pictures, strict=True):
            axis.imshow(picture, cmap="gray", vmin=0, vmax=1)
            axis.set_title(title, fontsize=7)
            framed(axis)
    axis = other.subplots()
    means = [mean_of(one) for one in right.values()]
    colours = ["C3" if one in MASKS else "0.6" if one == SCORE else "C0" for one in right]
    axis.barh(range(len(right)), [m.mean for m in means], xerr=[m.error for m in means], color=colours)
    axis.set_yticks(range(len(right)), [_label(one) for one in right])
    axis.axvline(0.5, color="0.5", lw=0.8)
    axis.set(xlim=(0, 1), xlabel="accuracy, clean against attacked")
    axis.invert_yaxis()
    axis.spines[["top", "right"]].set_visible(False)
    return figure
