"""Whether what a picture shows of a result besides its numbers is so: photo, leading classes, what was done."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from blackbox_explain.box.class_names import shown_name
from blackbox_explain.box.input_spec import InputSpec
from blackbox_explain.data.photos import Photo
from blackbox_explain.explanation.predictions import MOST, Named
from blackbox_explain.verifying.certificate import Check

__all__ = ["classes_check", "photo_check", "record_check"]

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]

SAME_PHOTO, SAME_PLACE = 0.03, 0.12
"""Differences of a photo from the image that was made of it, as shares of the bounds' range: the mean of all places,
and the largest.  Photos are kept at no more than 2,000 pixels, so that the image may have been made of a larger one."""

PLACES = 16
"""On either axis."""


def classes_check(stated: Named, scores: Floats, names: Sequence[str] | None, tolerance: float, what: str) -> Check:
    """Check that the leading classes of an image are those stated.

    Parameters
    ----------
    stated
        Names and scores, best first.
    scores
        (K,) what the model says.
    names
        K names, or None.
    tolerance
        How far scores may be from those stated; classes as close to one another may change places.
    what
        Of which image.
    """
    claim = f"the leading classes {what} are as stated"
    if not stated:
        return Check(claim, None, "the result does not name them")
    numbered = {shown_name(place, None): place for place in range(len(scores))}
    named = {} if names is None else {shown_name(place, names): place for place in reversed(range(len(scores)))}
    if names is None and any(name not in numbered for name, _ in stated):
        return Check(claim, None, "the model's classes have no names")
    places = [named.get(name, numbered.get(name, -1)) for name, _ in stated]
    for place, (name, score) in zip(places, stated, strict=True):
        if place < 0:
            return Check(claim, False, f"the model has no class {name!r}")
        if not abs(scores[place] - score) <= tolerance:
            return Check(claim, False, f"{name!r} has {scores[place]:.4f}, and had {score:.4f}")
    others = np.delete(np.where(np.isfinite(scores), scores, -np.inf), places)
    worst = min(score for _, score in stated)
    if len(stated) < min(MOST, int(np.isfinite(scores).sum())) or others.max(initial=-np.inf) > worst + tolerance:
        return Check(claim, False, "others lead")
    return Check(claim, True)


def photo_check(photo: Photo, image: Floats, spec: InputSpec) -> Check:
    """Check that an image (*shape) shows the part of the photo that it is said to be made of."""
    claim = "the photo is the one that the image was made of"
    if photo.blur:
        return Check(claim, None, "the image was made of a blurred copy")
    if not np.isfinite(photo.box).all():
        return Check(claim, False, "its part has no edges")
    from PIL import Image

    height, width = spec.spatial
    left, top, right, bottom = photo.box
    rows, columns = photo.pixels.shape[:2]
    inside = (max(left, 0.0), max(top, 0.0), min(right, float(columns)), min(bottom, float(rows)))
    if inside[0] >= inside[2] or inside[1] >= inside[3]:
        return Check(claim, False, "its part lies outside of it")
    scale = width / (right - left), height / (bottom - top)
    x0, y0 = (round((one - start) * by) for one, start, by in zip(inside[:2], (left, top), scale, strict=True))
    x1, y1 = (round((one - start) * by) for one, start, by in zip(inside[2:], (left, top), scale, strict=True))
    if x1 <= x0 or y1 <= y0:
        return Check(claim, False, "its part is empty")
    picture = Image.fromarray(photo.pixels)
    picture = picture.convert("L") if spec.shape[0] == 1 else picture
    fitted = np.asarray(picture.resize((x1 - x0, y1 - y0), Image.Resampling.BICUBIC, box=inside))
    low, high = spec.bounds
    own = np.moveaxis((image[:, y0:y1, x0:x1] - low) / (high - low), 0, -1)
    pair = np.atleast_3d(fitted).astype(np.float64) / 255, own.astype(np.float64)
    # Photos are kept as JPEG, whose colours are coarse, so that means of places are compared.
    across, down = min(PLACES, x1 - x0), min(PLACES, y1 - y0)
    off = np.abs(np.subtract(*(_means(one, down, across) for one in pair)))
    if off.mean() <= SAME_PHOTO and off.max() <= SAME_PLACE:
        return Check(claim, True)
    return Check(claim, False, f"it differs by {off.mean():.0%} on average, and by {off.max():.0%} somewhere")


def _means(pixels: Floats, down: int, across: int) -> Floats:
    """Return the means of the places (down, across, C) that an image (H, W, C) is divided into."""
    edges = [np.arange(count) * size // count for count, size in zip((down, across), pixels.shape, strict=False)]
    sums = np.add.reduceat(np.add.reduceat(pixels, edges[0], axis=0), edges[1], axis=1)
    sizes = (np.diff([*one, size]) for one, size in zip(edges, pixels.shape, strict=False))
    return sums / np.multiply.outer(*sizes)[..., None]


def record_check(stated: tuple[str, str], settings: tuple[str, str]) -> Check:
    """Check that game and perturbation are those that the settings say."""
    claim = "game and perturbation are those of the settings"
    reason = "" if stated == settings else f"the settings say {' by '.join(settings)}, the result {' by '.join(stated)}"
    return Check(claim, not reason, reason)
