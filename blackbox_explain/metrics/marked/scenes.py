"""The objects that people marked in the photos of explanations, where the metric that compares with them finds them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import numpy as np

from blackbox_explain.box.class_lookup import class_index
from blackbox_explain.box.input_spec import InputSpec
from blackbox_explain.box.oracle import Oracle
from blackbox_explain.data.annotations import Box, cut_to_photo
from blackbox_explain.data.objects import Object
from blackbox_explain.data.photos import Photo
from blackbox_explain.errors import InputError, NotMeasurableError, TargetError
from blackbox_explain.explanation.explanation import Explanation

__all__ = ["Frame", "Objects", "Scene", "by_scene", "check_given", "scenes_of", "whose"]

Objects = Mapping[str, Sequence[Object]] | Sequence[Sequence[Object]]
"""By the name of the photo's file, in its pixels: for explanations of photos that `load_images` read.  Or a sequence
for each row of what `evaluate` is given, in pixels of the images."""

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]


@dataclass(frozen=True)
class Frame:
    """A photo, and the part of it that the model reads.

    Attributes
    ----------
    size
        Width and height of the photo.
    part
        Left, top, right and bottom of what the model reads, in pixels of the photo; it may reach beyond the photo.
    pixels
        Width and height of what the model reads, in the model's own pixels.
    """

    size: tuple[int, int]
    part: Box
    pixels: tuple[int, int]

    @classmethod
    def of(cls, photo: Photo | None, spec: InputSpec) -> Frame:
        """Return that of a photo; without one the image is the photo."""
        height, width = spec.spatial
        if photo is None:
            return cls((width, height), (0.0, 0.0, float(width), float(height)), (width, height))
        across, down = photo.size[0] / photo.pixels.shape[1], photo.size[1] / photo.pixels.shape[0]
        left, top, right, bottom = photo.box
        return cls(photo.size, (left * across, top * down, right * across, bottom * down), (width, height))

    def in_photo(self, x: float, y: float) -> tuple[float, float]:
        """Return where a place of the image is in the photo."""
        left, top, right, bottom = self.part
        return left + x * (right - left) / self.pixels[0], top + y * (bottom - top) / self.pixels[1]

    def in_image(self, x: float, y: float) -> tuple[float, float]:
        """Return where a place of the photo is in the image; it may lie outside."""
        left, top, right, bottom = self.part
        return (x - left) * self.pixels[0] / (right - left), (y - top) * self.pixels[1] / (bottom - top)


@dataclass(frozen=True)
class Scene:
    """The objects in one photo.

    Attributes
    ----------
    frame
        The photo.
    own
        Boxes of the class that was explained, those that the model sees something of, in pixels of the photo.
    others
        Boxes of other classes.
    unseen
        Boxes of the class that was explained that the model sees nothing of.
    """

    frame: Frame
    own: tuple[Box, ...]
    others: tuple[Box, ...]
    unseen: tuple[Box, ...] = ()

    def in_image(self) -> list[Box]:
        """Return where the boxes of the class are in the image, cut at its edges."""
        width, height = self.frame.pixels
        found: list[Box] = []
        for left, top, right, bottom in self.own:
            (x0, y0), (x1, y1) = self.frame.in_image(left, top), self.frame.in_image(right, bottom)
            found.append((max(x0, 0.0), max(y0, 0.0), min(x1, float(width)), min(y1, float(height))))
        return found

    @property
    def difficult(self) -> bool:
        """Whether the class covers less than a quarter of the photo and is not the only one (Zhang et al., 2016)."""
        return _area((*self.own, *self.unseen)) < self.frame.size[0] * self.frame.size[1] / 4 and bool(self.others)


def scenes_of(
    objects: Objects, label: str | int | None, oracle: Oracle, explanation: Explanation
) -> list[Scene | None]:
    """Return the objects in the photo of each row.

    Parameters
    ----------
    objects
        Of all photos.
    label
        The objects of this label are what was explained; None are those of a class of the target, and those of which
        no class is told.
    oracle
        On behalf of these rows.
    explanation
        Of n images.

    Returns
    -------
    list
        n scenes, None where the model sees no object of the class.

    Raises
    ------
    NotMeasurableError
        If these are no images, or objects of photos are given and the images come from none.
    InputError
        If there are not as many sequences of objects as rows, or a box lies outside of its photo.
    """
    spec = oracle.box.spec
    scenes: list[Scene | None] = []
    for row, (frame, name, marked) in enumerate(whose(objects, "objects", oracle, explanation)):
        if marked is None:
            scenes.append(None)
            continue
        own: list[Box] = []
        others: list[Box] = []
        unseen: list[Box] = []
        for one in marked:
            box = cut_to_photo(one.box, frame.size, f"An object of {name}")
            explained = _explained(one, explanation.weights[row], spec)
            # What is read from files is text, whatever it means.
            mine = explained if label is None else str(one.label) == str(label)
            if not mine:
                others.append(box)
            else:
                (own if _overlap(box, frame.part) else unseen).append(box)
        scenes.append(Scene(frame, tuple(own), tuple(others), tuple(unseen)) if own else None)
    return scenes


def by_scene(
    objects: Objects,
    label: str | int | None,
    oracle: Oracle,
    explanation: Explanation,
    value: Callable[[int, Scene], float],
) -> Floats:
    """Measure the rows (n,) by their scenes: NaN where there is none; the rest as `scenes_of`."""
    scenes = scenes_of(objects, label, oracle, explanation)
    return np.asarray([np.nan if scene is None else value(row, scene) for row, scene in enumerate(scenes)])


def whose(given: Any, what: str, oracle: Oracle, explanation: Explanation) -> list[tuple[Frame, str, Any]]:
    """Return for each row its photo, what the photo is called, and what is given of it, None if nothing is.

    Raises
    ------
    NotMeasurableError, InputError
        As `scenes_of`.
    """
    spec = oracle.box.spec
    if len(spec.spatial) != 2:
        raise NotMeasurableError("Objects are marked in images", got=f"shape {spec.shape}", expected="(C, H, W)")
    if not isinstance(given, Mapping):
        if len(given) != len(oracle.counts):
            got, expected = f"{what} for {len(given)} images", f"{len(oracle.counts)}, or a mapping by file names"
            raise InputError(f"The {what} do not match the images", got=got, expected=expected)
        frame = Frame.of(None, spec)
        return [(frame, f"row {row}", given[row]) for row in oracle.rows.tolist()]
    if explanation.photos is None:
        hint = f"{what} as a sequence for each row, in pixels of the images; or images that load_images made"
        raise NotMeasurableError(f"The {what} are those of photos, and the images come from none", hint=hint)
    found: list[tuple[Frame, str, Any]] = []
    for photo in explanation.photos:
        name = "" if photo is None else photo.name
        # Some annotations name photos without their suffix.
        of_photo = given.get(name, given.get(PurePath(name).stem)) if name else None
        found.append((Frame.of(photo, spec), name, of_photo))
    return found


def check_given(metric: Any, what: str, given: Any) -> None:
    """Raise `InputError` unless a metric is given what it compares explanations with: its setting `what`."""
    if not isinstance(given, (Mapping, Sequence)) or isinstance(given, str):
        expected = f"{what} by the name of the photo's file, or a sequence for each row"
        raise InputError(f"These are no {what}", got=f"{what}={given!r}"[:80], expected=expected)
    if not given:
        hint = (
            f"{type(metric).__name__}({what}=...)" + f"; on the command line --{'boxes' if what == 'objects' else what}"
        )
        raise InputError(f"The metric {metric.name!r} compares with {what} that people marked", got="none", hint=hint)


def _explained(one: Object, weights: Floats, spec: InputSpec) -> bool:
    """Tell whether an object is of a class that the target adds; one without a label is what was explained."""
    if one.label == "":
        return True
    try:
        return bool(weights[class_index(one.label, len(weights), spec.class_names)] > 0)
    except TargetError:
        return False  # what the model has no class for is none that was explained


def _overlap(box: Box, other: Box) -> bool:
    return box[0] < other[2] and other[0] < box[2] and box[1] < other[3] and other[1] < box[3]


def _area(boxes: Sequence[Box]) -> float:
    """Return the area that boxes cover together; where they overlap it counts once."""
    edges = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
    xs, ys = np.unique(edges[:, 0::2]), np.unique(edges[:, 1::2])
    covered = np.zeros((max(len(ys) - 1, 0), max(len(xs) - 1, 0)), dtype=bool)
    for left, top, right, bottom in edges:
        covered |= ((ys[:-1] >= top) & (ys[1:] <= bottom))[:, None] & ((xs[:-1] >= left) & (xs[1:] <= right))
    return float(np.diff(ys) @ covered @ np.diff(xs))
