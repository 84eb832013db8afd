"""Same model, same explanation?  Two exports of what should be one model, compared by scores and by masks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from blackbox_explain.arrays import Array
from blackbox_explain.box.input_spec import InputSpec, check_images
from blackbox_explain.box.oracle import BATCH, Oracle, check_call
from blackbox_explain.box.protocols import BlackBox
from blackbox_explain.box.targets import target_scores
from blackbox_explain.comparing.comparison import NAMES, Comparison, Tolerances, reached
from blackbox_explain.errors import BlackBoxExplainError, InputError, ModelError, OutOfMemoryError
from blackbox_explain.explaining import explain
from blackbox_explain.explanation.explanation import Floats
from blackbox_explain.explanation.map_similarity import likeness
from blackbox_explain.explanation.mask_explanation import MaskExplanation
from blackbox_explain.explanation.outcome import Outcome
from blackbox_explain.explanation.suppression import effect as effect_of
from blackbox_explain.progress import Advance

__all__ = ["PRESET", "Comparison", "Tolerances", "compare"]

PRESET, LEARNING_RATE = "quick", 0.2
"""Of the masks, where none is given: with these smaller steps rounding changes masks least, so that what is left
between two models is theirs (docs/ranking.md, "two runs")."""

Failures = list[dict[int, BlackBoxExplainError]]
"""For either model the rows it failed on, and why."""


def compare(
    first: BlackBox,
    second: BlackBox,
    images: Array,
    *,
    batch_size: int = BATCH,
    seed: int = 0,
    progress: Callable[[str], Advance] | None = None,
    **options: Any,
) -> Comparison:
    """Compare two black boxes on the same images.

    Parameters
    ----------
    first, second
        Black boxes with inputs of the same shape and bounds and the same classes in the same order.
    images
        (N, *shape) in pixel space.
    batch_size
        Images learned together.
    seed
        Of jitter and noise, the same for both.
    progress
        Called with "first" and "second"; returns what counts the steps of either.
    **options
        As in `explain`, but for the preset, which is ``"quick"`` where none is given, and learns by smaller steps here
        (``learning_rate=0.2``), so that two runs of one model find the same.  Where a model has no gradients,
        its explanation takes at most `queries` images a row; 2 more a row are asked here of either model, whether or
        not it has gradients: the image itself, for the scores of all classes, and the image without the region of the
        other model.  A batch that fails is asked again in halves.

    Returns
    -------
    Comparison
        One row per image; rows that failed in either model say so in `outcome`, the others are complete.

    Raises
    ------
    InputError
        If an argument does not fit, or the models read other shapes or bounds.
    ModelError
        If the models have other numbers of classes, or the same classes in another order.
    ModelError, OutOfMemoryError
        If each image failed in one of the models.
    """
    if "target" in options:
        what = "Each image is explained for the top class of the first model"
        raise InputError(what, got=f"target={options['target']!r}"[:80], hint="explain(box, images, target)")
    if progress and not callable(progress):
        expected = "a function of 'first' or 'second' that returns what counts the steps, or None"
        raise InputError("This shows no progress", got=f"progress={progress!r}", expected=expected)
    boxes = (first, second)
    if options.get("method", "mask") == "mask":
        options = {"preset": PRESET, **options}
        if options["preset"] == PRESET:
            options = {"learning_rate": LEARNING_RATE, **options}
    for box in boxes:
        check_call(box, batch_size, seed)
    _check_inputs(first.spec, second.spec)
    host = check_images(images, first.spec)
    notes = _name_notes(first.spec.class_names, second.spec.class_names)
    oracles = [Oracle.of(box, batch_size=batch_size) for box in boxes]
    answers = [oracle.answers(host.__getitem__, len(host)) for oracle in oracles]
    failed: Failures = [dict(one.failures) for one in answers]
    _rows_left(failed, len(host))
    scores = [one.scores for one in answers]
    if scores[0].shape != scores[1].shape:
        raise ModelError(
            "The two models have different classes",
            got=f"{scores[1].shape[1]} scores",
            expected=f"{scores[0].shape[1]}",
            hint="wrap a function that picks the classes that both have",
        )
    top = np.stack([np.where(np.isnan(one), -np.inf, one).argmax(axis=1) for one in scores], axis=1)
    results: list[MaskExplanation] = []
    for model, name in enumerate(NAMES):
        advance = progress(name) if progress else False
        try:
            result = explain(
                boxes[model], images, top[:, 0].tolist(), batch_size=batch_size, seed=seed, progress=advance, **options
            )
        except (ModelError, OutOfMemoryError) as error:
            raise _none_left(name, error) from error
        if not isinstance(result, MaskExplanation):
            raise InputError("Models are compared by their masks", got=f"method={result.method!r}", expected="'mask'")
        results.append(result)
        failed[model] |= {
            row: ModelError(one.message.removesuffix(".")) for row, one in enumerate(result.outcome) if one.failed
        }
    effect = np.full((len(host), 2, 2), np.nan)
    for mask, model in ((0, 1), (1, 0)):
        rows = _rows_left(failed, len(host))
        without = results[mask].region_images[rows]
        found = oracles[model].answers(without.__getitem__, len(without))
        failed[model] |= {rows[place]: error for place, error in found.failures.items()}
        places = [place for place, row in enumerate(rows) if row in _rows_left(failed, len(host))]
        good, own = [rows[place] for place in places], results[model]
        left = target_scores(found.scores[places], own.weights[good])
        done = effect_of(own.score[good], left, own.lowest[good], own.game)
        effect[good, mask, model] = np.where(reached(own)[good], done, np.nan)
        made = results[mask]
        done = effect_of(made.score[good], made.score_region[good], made.lowest[good], made.game)
        effect[good, mask, mask] = np.where(reached(made)[good], done, np.nan)
    rows = _rows_left(failed, len(host))
    lost = np.setdiff1d(np.arange(len(host)), rows)
    top[lost], effect[lost] = -1, np.nan
    difference, correlation, iou = np.full((3, len(host)), np.nan)
    for row in rows:
        difference[row] = _largest_difference(scores[0][row], scores[1][row])
        correlation[row], iou[row] = likeness(results[0], row, results[1], row)
    outcomes = [
        [Outcome("failed", str(reasons[row])) if row in reasons else one for row, one in enumerate(result.outcome)]
        for result, reasons in zip(results, failed, strict=True)
    ]
    pairs = tuple(zip(*outcomes, strict=True))
    explained = reached(results[0]) | reached(results[1])
    if nothing := int((~explained[rows]).sum()):
        many = "1 image is" if nothing == 1 else f"{nothing} images are"
        notes += (f"{many} in no mean of masks: neither score depends on what is perturbed",)
    return Comparison(results[0], results[1], pairs, difference, top, correlation, iou, effect, notes)


def _check_inputs(first: InputSpec, second: InputSpec) -> None:
    if (first.shape, first.bounds) != (second.shape, second.bounds):
        got, expected = (f"{spec.shape} in {spec.bounds}" for spec in (second, first))
        raise InputError("The two models read different images", got=got, expected=expected)


def _name_notes(first: Sequence[str] | None, second: Sequence[str] | None) -> tuple[str, ...]:
    """Say that names of classes differ, or raise `ModelError` if some stand in another order."""
    if first is None or second is None:
        return ()
    places = _places(second)
    for name, here in _places(first).items():
        there = places.get(name, here)
        # As many, for models may give a name to several classes.
        if len(here) == len(there) and here != there:
            raise ModelError(
                "The two models have their classes in different order",
                got=f"{name!r} as class {there[0]} of the second",
                expected=f"class {here[0]}, as in the first",
                hint="wrap a function that puts the scores of one in the order of the other",
            )
    differ = [index for index, pair in enumerate(zip(first, second, strict=False)) if pair[0] != pair[1]]
    if not differ:
        return ()
    example = f"class {differ[0]}: {first[differ[0]]!r} and {second[differ[0]]!r}"
    return (f"{len(differ)} of {len(first)} class names differ, such as {example}; classes are compared by index",)


def _places(names: Sequence[str]) -> dict[str, list[int]]:
    places: dict[str, list[int]] = {}
    for index, name in enumerate(names):
        places.setdefault(name, []).append(index)
    return places


def _rows_left(failed: Failures, count: int) -> list[int]:
    """Return the rows that failed in neither model; where there are none, raise why the first did."""
    left = [row for row in range(count) if not any(row in reasons for reasons in failed)]
    if not left:
        name, error = next((name, reasons[0]) for name, reasons in zip(NAMES, failed, strict=True) if 0 in reasons)
        raise _none_left(name, error)
    return left


def _none_left(name: str, error: BlackBoxExplainError) -> BlackBoxExplainError:
    return type(error)(f"No image is left to compare; the {name} model: {str(error).removesuffix('.')}")


def _largest_difference(first: Floats, second: Floats) -> float:
    # Equal infinities differ by nothing.
    with np.errstate(invalid="ignore"):
        return float(np.where(first == second, 0.0, np.abs(first - second)).max())
