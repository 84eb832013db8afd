"""Signs that a model is shown the wrong pixels: it still answers, and explanations of such answers mean nothing."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from blackbox_explain.arrays import to_numpy
from blackbox_explain.blackbox import NOTHING_SAID, BlackBox
from blackbox_explain.explanation import Explanation
from blackbox_explain.gradients import ask
from blackbox_explain.perturbations import Perturbation
from blackbox_explain.status import status_of

__all__ = ["MANY_CLASSES", "doubts_about", "look_at", "nothing_said", "with_doubts"]

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]

MANY_CLASSES = 10
"""With fewer classes than this, any answer is likely by chance: a blurred photo has to be one of two classes, say."""

SEVERAL = 3
"""Images that tell more than one."""

KEPT = 0.2
"""Share of the top score that photos which are blurred as a whole keep, in the median, only where something is wrong:
networks that are shown the right pixels keep 0.00 in the median, and 0.02 on one photo of twenty; those shown the wrong
ones 0.24 to 0.85."""

KEPT_OF_FEW = 0.5
"""The same for one or two photos, of which one may be blurred already."""

UNSURE = 0.4
"""Top scores that stay below this on each of several photos are rare for a network that sees them right (one photo of
seven), and the rule for one that does not."""

ALIKE = 0.02
"""Mean difference of pixels, as a share of their range, below which two images are the same photo."""

CHECK = (
    "check how pixels are given to the model: preprocessing=Preprocessing(mean, std, channels) and bounds "
    "(--mean, --std, --range 255, --bgr), activation (--activation), output (--output)"
)
READS_AS_THEY_ARE = "; if it does read pixels as they are, say so: preprocessing=Preprocessing() (--mean 0 --std 1)"


def doubts_about(
    before: Floats, fully: Floats, images: Floats, *, assumed: bool, extent: float = 1.0
) -> tuple[str, ...]:
    """Say why a model may be shown the wrong pixels.

    Parameters
    ----------
    before
        (N, K) scores of the images; rows that are not finite are left out.
    fully
        (N, K) scores of the same images, fully perturbed.
    images
        (N, *shape), to tell one photo from several.
    assumed
        Whether nobody told the preprocessing, neither the caller nor the model.
    extent
        Of the pixel space, white minus black.

    Returns
    -------
    tuple of str
        Sentences that name what to check; none where nothing is suspicious, where scores are no probabilities, or
        where there are fewer than `MANY_CLASSES` classes.
    """
    good = np.isfinite(before).all(axis=1) & np.isfinite(fully).all(axis=1)
    before, fully, images = before[good], fully[good], images[good]
    if not len(before) or before.shape[1] < MANY_CLASSES or before.min() < -1e-6 or before.max() > 1 + 1e-6:
        return ()
    rows, top = np.arange(len(before)), before.argmax(axis=1)
    best = before[rows, top]
    kept = fully[rows, top] / np.maximum(best, 1e-12)
    different = _different(images, extent)
    enough = different >= SEVERAL
    found: list[str] = []
    if assumed and enough and (top == top[0]).all():
        found.append(f"{different} different images all get one class")
    if np.median(kept) > (KEPT if enough else KEPT_OF_FEW):
        share = f"{np.median(kept):.0%} of the top score" + (" (median)" if len(kept) > 1 else "")
        found.append(f"deleting the whole image keeps {share}")
    if enough and best.max() < UNSURE:
        found.append(f"the model is sure of nothing: no top score is above {best.max():.2f}")
    remedy = CHECK + READS_AS_THEY_ARE if assumed else CHECK
    return tuple(f"the model may be shown the wrong pixels: {one}; {remedy}" for one in found)


def look_at(box: BlackBox, images: Floats, perturbation: Perturbation, seed: int = 0) -> tuple[str, ...]:
    """Ask a model about images and about the same images fully perturbed, and say what is suspicious.

    A run over many photos, which explains few at a time, looks at more of them first.

    Parameters
    ----------
    box
        The model.
    images
        (N, *shape) in pixel space, on the host.
    perturbation, seed
        What stands in for deleted pixels.

    Returns
    -------
    tuple of str
        As of `doubts_about`.

    Raises
    ------
    ModelError
        If the model fails.
    """
    native = getattr(box, "native", np.asarray)
    given = native(images)
    before = to_numpy(ask(box, given))
    fully = to_numpy(ask(box, perturbation.levels(given, box.spec, seed)[0, ...]))
    low, high = box.spec.bounds
    return doubts_about(before, fully, images, assumed=nothing_said(box), extent=high - low)


def nothing_said(box: BlackBox) -> bool:
    """Whether neither the caller of `wrap` nor the model told how pixels are prepared."""
    return NOTHING_SAID in getattr(box, "assumptions", ())


def with_doubts(result: Explanation, doubts: tuple[str, ...]) -> Explanation:
    """Return a result that has further doubts beside its own: no row of it is ok."""
    held = tuple(result.settings.get("doubts", ()))
    added = tuple(one for one in doubts if one not in held)
    if not added:
        return result
    known, game = [*held, *added], result.settings["game"]
    status = tuple(
        said if said.startswith("failed") else status_of(_numbers(result, row), game, known)
        for row, said in enumerate(result.status)
    )
    return dataclasses.replace(result, status=status, settings={**result.settings, "doubts": known})


def _numbers(result: Explanation, row: int) -> dict[str, float]:
    names = ("score_original", "score_masked", "score_region", "score_perturbed")
    return {name: float(getattr(result, name)[row]) for name in names}


def _different(images: Floats, extent: float) -> int:
    """Return how many images differ from each other, `SEVERAL` at most."""
    seen: list[Floats] = []
    for image in images:
        if all(np.abs(image - other).mean() > ALIKE * extent for other in seen):
            seen.append(image)
        if len(seen) == SEVERAL:
            break
    return len(seen)
