"""`interrogate`: the scores of an image with regions of it deleted, and with all but them deleted (Fig. 6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from blackbox_explain.arrays import Array, to_numpy
from blackbox_explain.box.input_spec import InputSpec, check_images
from blackbox_explain.box.oracle import BATCH, Oracle, check_call
from blackbox_explain.box.protocols import BlackBox
from blackbox_explain.box.targets import Target, one_per_image, resolve, target_scores
from blackbox_explain.data.annotations import Box, regions_from_boxes
from blackbox_explain.data.photos import LoadedImages, Photo, photos_of
from blackbox_explain.errors import InputError
from blackbox_explain.explanation.archive import finite
from blackbox_explain.explanation.predictions import Predictions, predictions_of
from blackbox_explain.metrics.marked.scenes import Frame
from blackbox_explain.perturbations.deletion import deleted
from blackbox_explain.perturbations.levels import taken
from blackbox_explain.perturbations.named import called, perturbation_of
from blackbox_explain.perturbations.perturbation import Perturbation

__all__ = ["Interrogation", "interrogate"]

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]
Booleans = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True, eq=False, repr=False)
class Interrogation:
    """What a model says of an image without each of some regions, and with nothing but it.

    Attributes
    ----------
    regions
        (R, *spatial) booleans.
    target
        What the scores are of.
    score, score_perturbed
        Of the image, and of the fully perturbed image.
    without
        (R,) scores with the region deleted.
    alone
        (R,) scores with all but the region deleted.
    share
        (R,) of the image that each region is.
    predictions
        For each region the leading classes with the region deleted, and with all but it deleted.
    perturbation
        Name of what stands in for deleted pixels.
    """

    regions: Booleans
    target: str
    score: float
    score_perturbed: float
    without: Floats
    alone: Floats
    share: Floats
    predictions: tuple[Predictions, ...]
    perturbation: str

    def __len__(self) -> int:
        """Return the number of regions."""
        return len(self.regions)

    def __repr__(self) -> str:
        """Return the table."""
        return self.summary()

    def summary(self) -> str:
        """Return a table: a line for each region."""
        lines = [
            f"{self.target}: {self.score:.4f}; of the whole image perturbed by {self.perturbation} "
            f"{self.score_perturbed:.4f}",
            f"{'region':>6}  {'share':>6}  {'without':>8}  {'alone':>8}",
        ]
        for index in range(len(self)):
            numbers = f"{self.share[index]:6.1%}  {self.without[index]:8.4f}  {self.alone[index]:8.4f}"
            lines.append(f"{index:>6}  {numbers}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers, for JSON."""
        rows = [
            {
                "share": float(self.share[index]),
                "without": float(self.without[index]),
                "alone": float(self.alone[index]),
                "leading_without": [list(one) for one in self.predictions[index].before],
                "leading_alone": [list(one) for one in self.predictions[index].after],
            }
            for index in range(len(self))
        ]
        whole = {"target": self.target, "score": self.score, "score_perturbed": self.score_perturbed}
        return finite({**whole, "perturbation": self.perturbation, "regions": rows})


def interrogate(
    box: BlackBox,
    image: Array,
    regions: Sequence[Box] | Array,
    target: Target | None = None,
    *,
    perturbation: str | Perturbation = "blur",
    seed: int = 0,
    batch_size: int = BATCH,
) -> Interrogation:
    """Ask a model what each of some regions of an image does for a score, as Fig. 6 of the paper does by boxes.

    Parameters
    ----------
    box
        From `wrap`.
    image
        (*box.spec.shape), or one image (1, *shape), in pixel space.
    regions
        Boxes (left, top, right, bottom): of what `load_images` read in pixels of the upright photo, of others in
        pixels of the image.  Or (R, *spatial) arrays, true or above 0.5 where the region is.
    target
        As in `explain`; None is the top class of the image.
    perturbation
        What stands in for deleted pixels: a name such as ``"blur"``, ``"constant"`` or ``"noise"``, or a
        `Perturbation`.
    seed
        Of noise.
    batch_size
        Images in one call of the model; halved when memory runs out.

    Returns
    -------
    Interrogation
        Scores of the image without each region, and with nothing but it.

    Raises
    ------
    InputError
        If these are not one image and regions of it, or a box is empty or outside of the photo.
    TargetError
        If there is no such class.
    ModelError, OutOfMemoryError
        If the model fails, or memory runs out.

    Examples
    --------
    >>> found = interrogate(box, images[0:1], [(150, 30, 480, 330)], "espresso")  # doctest: +SKIP
    >>> found.without, found.alone  # doctest: +SKIP
    """
    check_call(box, batch_size, seed)
    spec = box.spec
    photos = photos_of(image)
    if not hasattr(image, "shape"):
        raise InputError("This is no image", got=f"a {type(image).__name__}", expected=f"an array {spec.shape}")
    given, are_boxes = _parsed(regions, spec)
    if isinstance(image, LoadedImages) and image.ndim == len(spec.shape) and are_boxes:
        raise InputError(
            "An image by itself does not know its photo, in whose pixels boxes are",
            got=f"shape {image.shape}",
            hint="images[0:1] instead of images[0]",
        )
    one = image if getattr(image, "ndim", 0) == len(spec.shape) + 1 else image[None]
    host = check_images(one, spec)
    if len(host) != 1:
        raise InputError("One image is interrogated at a time", got=f"{len(host)} images", expected="(1, *shape)")
    photo = photos[0] if photos is not None and len(photos) else None
    where = _from_boxes(given, spec, photo) if are_boxes else _from_masks(given, spec)
    made = taken(perturbation_of(perturbation), np.arange(1), 1, spec)
    oracle = Oracle.of(box, 1, batch_size=batch_size)
    scores = oracle.scores(host)
    weights, names = resolve(one_per_image(target, 1), np.asarray(scores), spec.class_names)
    every = np.concatenate([where, ~where, np.ones_like(where[:1])])
    images = deleted(host.repeat(len(every), axis=0), every, made, spec, seed)
    asked = np.asarray(oracle.scores_of(images.__getitem__, len(images), np.zeros(len(images), dtype=np.int64)))
    found = target_scores(asked, weights.repeat(len(asked), axis=0))
    count = len(where)
    return Interrogation(
        regions=where,
        target=names[0],
        score=float(target_scores(np.asarray(scores), weights)[0]),
        score_perturbed=float(found[-1]),
        without=found[:count],
        alone=found[count : 2 * count],
        share=where.reshape(count, -1).mean(axis=1),
        predictions=tuple(
            predictions_of(asked[index], asked[count + index], spec.class_names) for index in range(count)
        ),
        perturbation=called(perturbation),
    )


def _parsed(regions: Any, spec: InputSpec) -> tuple[np.ndarray[Any, Any], bool]:
    """Return regions as an array of numbers, and whether they are boxes.

    An array of an image's size is a mask, though the image is 4 pixels wide.
    """
    try:
        array = to_numpy(regions) if hasattr(regions, "shape") else np.asarray(regions)
    except ValueError as error:
        raise _no_regions("rows of different lengths", spec) from error
    if array.dtype.kind not in "biuf":
        raise _no_regions(f"{regions!r}"[:80], spec)
    of_four = len(spec.spatial) == 2 and array.ndim == 2 and array.shape[1] == 4
    return array, of_four and (isinstance(regions, (list, tuple)) or array.shape != tuple(spec.spatial))


def _from_masks(array: np.ndarray[Any, Any], spec: InputSpec) -> Booleans:
    """Return regions as booleans (R, *spatial)."""
    if array.dtype.kind == "f" and np.isnan(array).any():
        raise _no_regions("masks that hold NaN", spec)
    if array.ndim == len(spec.spatial):
        array = array[None]
    if not array.size or array.shape[1:] != tuple(spec.spatial):
        raise _no_regions(f"shape {array.shape}", spec)
    return array.copy() if array.dtype == bool else array > 0.5


def _no_regions(got: str, spec: InputSpec) -> InputError:
    expected = f"boxes (R, 4), or masks (R, {', '.join(map(str, spec.spatial))})"
    return InputError("These are no regions of this image", got=got, expected=expected)


def _from_boxes(boxes: Floats, spec: InputSpec, photo: Photo | None) -> Booleans:
    frame = Frame.of(photo, spec)
    found: list[Booleans] = []
    if not len(boxes):
        raise InputError("Nothing is deleted", got="no boxes", expected="at least one")
    for box in boxes.tolist():
        left, top, right, bottom = box
        if not (np.isfinite(box).all() and left < right and top < bottom):
            raise InputError("This is no box", got=str(tuple(box)), expected="left < right and top < bottom")
        (left, top), (right, bottom) = frame.in_image(left, top), frame.in_image(right, bottom)
        region = regions_from_boxes([[(left, top, right, bottom)]], [frame.pixels], spec, "stretch")[0]
        if not region.any():
            raise InputError("This box is outside of what the model reads", got=str(tuple(box)))
        found.append(region)
    return np.stack(found)
