"""5.4, Fig. 9: parts of animals: noses and eyes against paws and ears, in the few annotated photos there are."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from benchmarks.common.photos import data_folder
from benchmarks.paper.each_image import console
from benchmarks.paper.methods import MASKS, METHODS, explained, make_maps, map_of
from benchmarks.paper.pictures import class_name, pixels, shown_map
from benchmarks.paper.plan import Labelled, Plan
from benchmarks.paper.silent import Silent
from benchmarks.paper.statistics import Compared, compared, mean_of, verdict
from benchmarks.paper.written import Claim, Table, costs, write
from blackbox_explain import load_images
from blackbox_explain.box.oracle import Oracle
from blackbox_explain.metrics.marked.part_saliency import Parts, PartSaliency

LISTED = (*MASKS, "grad", "gcam")
ASKED = (("dogs", "nose", "paws"), ("cats", "eyes", "ears"), ("cats", "mouth", "ears"))
"""Animal, the part that is to be more salient, and the other."""
SHOWN = 2
CLASSES = {"dogs": range(151, 269), "cats": range(281, 286)}
"""Of ImageNet."""
OF_CAT = ("eyes", "eyes", "mouth", *["ears"] * 6)
"""Its nine points, in the order of the files."""


def run(plan: Plan) -> None:
    """Measure the maps around the points of each part, for the class of the animal that the network sees."""
    animals = {"dogs": dogs(), "cats": cats()}
    found: dict[str, dict[str, dict[str, list[float]]]] = {}
    items: list[Labelled] = []
    for animal, points in animals.items():
        names = list(points)[: plan.size(len(points))]
        rows = found[animal] = {m: {part: [] for _, *two in ASKED for part in two} for m in LISTED}
        for some in plan.batches(names):
            images = [_labelled(plan, name, animal) for name in some]
            items += images
            for method in LISTED:
                make_maps(plan, images, method)
                for name, one in zip(some, images, strict=True):
                    for part, values in rows[method].items():
                        values.append(_salient(plan, one, method, points[name], part))
        console.print(f"  {animal}: {len(names)}")
    if plan.is_part:
        return
    values = {
        a: {m: {p: np.asarray(v) for p, v in row.items()} for m, row in rows.items()} for a, rows in found.items()
    }
    tests = {
        f"{animal}, {first} - {second}": {
            method: compared(values[animal][method][first], values[animal][method][second]) for method in LISTED
        }
        for animal, first, second in ASKED
    }
    count = {animal: len(points) for animal, points in animals.items()}
    write(
        plan.folder("parts", len(items), sum(count.values())),
        title="5.4 and Fig. 9: parts of animals",
        figure=draw(plan, items, animals, values),
        table=_table(values, tests),
        claims=[_claim(values, tests, mask, *asked) for mask in MASKS for asked in ASKED],
        settings={
            "images": f"{count['dogs']} dogs of ImageNet breeds and {count['cats']} cats",
            "target": "the class with the highest score among those of the animal (151 to 268, 281 to 285)",
            "window": "5 × 5 pixels of the map, scaled to 0 to 1; the mean over the points of a part",
        },
        numbers={
            "costs": costs(plan, items, LISTED),
            "paired": {what: {m: one.to_dict() for m, one in row.items()} for what, row in tests.items()},
        },
        notes=["There are no photos with both eyes and feet marked, as the paper's 3,558 have."],
    )


def dogs() -> dict[str, Parts]:
    """Return the points of the dogs, by the path of the file."""
    folder = data_folder() / "parts" / "dogs"
    with (folder / "keypoint_definitions.csv").open(encoding="utf-8") as file:
        kinds = {int(row["Index"]): row["Name"] for row in csv.DictReader(file)}
    found: dict[str, Parts] = {}
    for dog in json.loads((folder / "StanfordExtra_sample.json").read_text(encoding="utf-8")):
        seen = {index: (x, y) for index, (x, y, there) in enumerate(dog["joints"]) if there}
        paws = [place for index, place in seen.items() if kinds[index].endswith("paw")]
        nose = [place for index, place in seen.items() if kinds[index] == "Nose"]
        found[str(folder / "sample_imgs" / dog["img_path"])] = {"nose": nose, "paws": paws}
    return found


def cats() -> dict[str, Parts]:
    """Return the points of the cats, by the path of the file."""
    found: dict[str, Parts] = {}
    for path in sorted((data_folder() / "parts" / "cats").rglob("*.jpg")):
        numbers = [float(one) for one in path.with_name(f"{path.name}.cat").read_text(encoding="utf-8").split()[1:]]
        parts: dict[str, list[tuple[float, float]]] = {}
        for part, x, y in zip(OF_CAT, numbers[0::2], numbers[1::2], strict=True):
            parts.setdefault(part, []).append((x, y))
        found[str(path)] = parts
    return found


def _labelled(plan: Plan, path: str, animal: str) -> Labelled:
    image, classes = load_images([path], plan.box.spec, fit="stretch"), CLASSES[animal]
    top = classes[int(np.asarray(plan.box.scores(np.asarray(image)))[0, list(classes)].argmax())]
    assert image.photos is not None
    assert image.photos[0] is not None
    return Labelled(image.photos[0].name, image, top)


def _salient(plan: Plan, one: Labelled, method: str, points: Parts, part: str) -> float:
    saliency = map_of(plan, one, method)["saliency"]
    if not points.get(part):
        return float("nan")
    box = Silent(plan.box, one.label + 1)
    metric = PartSaliency({one.name: points}, part)
    return float(metric.measure(Oracle.of(box, 1), explained(box, one, saliency))[0])


def _claim(
    values: Any, tests: dict[str, dict[str, Compared]], mask: str, animal: str, first: str, second: str
) -> Claim:
    test, row = tests[f"{animal}, {first} - {second}"][mask], values[animal][mask]
    told = f"{mean_of(row[first])} against {mean_of(row[second])} in {test.images} {animal}, p = {test.p:.2g}"
    words = f"{METHODS[mask].label}: {first} of {animal} more salient than {second}"
    paper = "eyes more salient than feet in all 76 classes" if second == "paws" else "not asked"
    return Claim(words, paper, told, verdict([test], "higher"))


def _table(values: Any, tests: dict[str, dict[str, Compared]]) -> Table:
    columns = ("animal", "method", "part", "mean", "standard error", "other part", "mean of other")
    columns += ("standard error of other", "difference", "standard error of the difference", "p", "animals")
    rows: list[list[Any]] = []
    for animal, first, second in ASKED:
        for method in LISTED:
            row, test = values[animal][method], tests[f"{animal}, {first} - {second}"][method]
            one, other = mean_of(row[first]), mean_of(row[second])
            label = METHODS[method].label
            row = [animal, label, first, one.mean, one.error, second, other.mean, other.error]
            rows.append([*row, test.difference, test.error, test.p, test.images])
    return Table(columns, rows)


def draw(plan: Plan, items: Sequence[Labelled], animals: dict[str, dict[str, Parts]], values: Any) -> Figure:
    """Draw the maps of some animals with their points, and the means of each part."""
    figure = plt.figure(figsize=(11, 7), layout="constrained")
    above, below = np.ravel(figure.subfigures(2, 1, squeeze=False))
    every = {path.rpartition("/")[2]: points for rows in animals.values() for path, points in rows.items()}
    first = sum(one.name in {path.rpartition("/")[2] for path in animals["dogs"]} for one in items)
    shown = [*items[:SHOWN], *items[first : first + SHOWN]]
    for axis, one in zip(above.subplots(1, len(shown), squeeze=False)[0], shown, strict=True):
        axis.imshow(pixels(one.image))
        axis.imshow(shown_map(map_of(plan, one, MASKS[0])), cmap="jet", alpha=0.45)
        assert one.image.photos is not None
        assert one.image.photos[0] is not None
        size, spatial = one.image.photos[0].size, plan.box.spec.spatial
        for place, (part, points) in enumerate(every[one.name].items()):
            xy = np.asarray(points, dtype=float).reshape(-1, 2) * (spatial[1] / size[0], spatial[0] / size[1])
            axis.plot(*xy.T, "os^"[place % 3], ms=4, mec="white", label=part)
        # Some ears are beyond the edge of their photo.
        axis.set(xlim=(-0.5, spatial[1] - 0.5), ylim=(spatial[0] - 0.5, -0.5))
        axis.set_title(class_name(plan, one.label), fontsize=8)
        axis.legend(fontsize=6, loc="upper center", bbox_to_anchor=(0.5, 0), ncols=3, frameon=False)
        axis.set_axis_off()
    for axis, (animal, first, second) in zip(below.subplots(1, len(ASKED)), ASKED, strict=True):
        for shift, part in ((-0.2, first), (0.2, second)):
            means = [mean_of(values[animal][method][part]) for method in LISTED]
            where = np.arange(len(LISTED)) + shift
            axis.bar(where, [m.mean for m in means], 0.4, yerr=[m.error for m in means], label=part)
        axis.set_xticks(range(len(LISTED)), [METHODS[one].label for one in LISTED], rotation=30, ha="right", fontsize=7)
        axis.set(title=animal, ylabel="mean of the map", ylim=(0, 1.2), yticks=np.linspace(0, 1, 6))
        axis.legend(frameon=False, fontsize=8, ncols=2, loc="upper center")
        axis.spines[["top", "right"]].set_visible(False)
    return figure
