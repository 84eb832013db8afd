"""Before the first image: whether the model sees sense in these photos, and would see more of it shown otherwise.

A network that is shown its channels in another order, or pixels on another scale, still answers, and an audit of it
explains nonsense at great length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from blackbox_explain.auditing.decoded_image import Decoder
from blackbox_explain.auditing.entries import Entry
from blackbox_explain.box.class_names import shown_name
from blackbox_explain.box.oracle import Oracle
from blackbox_explain.box.protocols import BlackBox
from blackbox_explain.errors import BlackBoxExplainError, ImageError
from blackbox_explain.explanation.preprocessing_doubts import ask_for_doubts

__all__ = ["LOOKED_AT", "FirstLook", "Reading", "look_at"]

LOOKED_AT = 32
"""Images that a model is asked about before an audit."""

LEVEL = 0.005
"""Another reading is suspected where chance would favour it so much in no more than this share of cases."""

BETTER = 0.05
"""And only if it is better by so much: by the mean score, or by accuracy."""

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of the photos that most networks for photos were trained on, R, G and B from 0 to 1."""

CAFFE = (123, 117, 104)
"""The mean of these photos in bytes, R, G and B, which networks from Caffe subtract."""


@dataclass(frozen=True)
class Reading:
    """One way to show images to the model, and what it then says.

    Attributes
    ----------
    name
        In words.
    options
        What makes it so on the command line.
    score
        Mean of the best score of each image, or with labels of the score of the true class.
    accuracy
        With labels, the share of images that are classified right; None without.
    classes
        How many different classes are the best of some image.
    better
        Whether it is better than what was asked for by more than chance allows.
    """

    name: str
    options: str
    score: float
    accuracy: float | None
    classes: int
    better: bool = False


@dataclass(frozen=True)
class FirstLook:
    """What was found before the first image.

    Attributes
    ----------
    images
        How many were looked at.
    readings
        The way that was asked for, first, and others.
    leading
        The most frequent best classes, each with its number of images.
    doubts
        Sentences: signs that the model is shown the wrong pixels.
    labelled
        Of how many the true class is known.
    """

    images: int
    readings: tuple[Reading, ...]
    leading: tuple[tuple[str, int], ...]
    doubts: tuple[str, ...]
    labelled: int = 0

    @property
    def suspicious(self) -> bool:
        """Whether an audit should not go on without somebody having looked at this."""
        return bool(self.doubts)

    def to_dict(self) -> dict[str, Any]:
        """Return the same for JSON."""
        return asdict(self)


def look_at(box: BlackBox, decoder: Decoder, entries: Sequence[Entry], seed: int = 0) -> FirstLook:
    """Ask a model about some images of a data set, shown as they will be and in other ways.

    Parameters
    ----------
    box
        The model.
    decoder
        Reads the images.
    entries
        Of the whole data set, of which `LOOKED_AT` are taken at equal distances.
    seed
        Of the noise that stands in for deleted pixels.

    Raises
    ------
    ImageError
        If none of them can be read.
    ModelError
        If the model fails on all.
    """
    places = np.unique(np.linspace(0, len(entries) - 1, LOOKED_AT).round().astype(int))
    read = [decoder.decode(entries[place]) for place in places.tolist()]
    good = [one for one in read if one.pixels is not None]
    if not good:
        raise ImageError("None of the first images can be read", got=str(read[0].error))
    images = np.stack([one.pixels for one in good if one.pixels is not None])
    labels = [one.entry.label for one in good]
    oracle = Oracle.of(box)
    asked = oracle.scores(images)
    doubts = ask_for_doubts(oracle, images, seed=seed)
    first = _reading("as asked for", "", asked, labels)
    readings = [first]
    for name, options, other in _others(box, images):
        try:
            scores = oracle.scores(other)
        except BlackBoxExplainError:
            continue
        if not np.isfinite(scores).all():
            continue
        reading = _reading(name, options, scores, labels)
        better = _better(asked, scores, labels, first, reading)
        readings.append(replace(reading, better=better))
    best = _simplest([one for one in readings if one.better])
    if best is not None:
        doubts = [_doubt(first, best, len(good)), *doubts]
    top, often = np.unique(asked.argmax(axis=1), return_counts=True)
    order = np.argsort(-often, kind="stable")[:5]
    leading = tuple((shown_name(int(top[k]), box.spec.class_names), int(often[k])) for k in order)
    labelled = sum(label is not None for label in labels)
    return FirstLook(len(good), tuple(readings), leading, tuple(doubts), labelled)


def _reading(name: str, options: str, scores: Floats, labels: Sequence[int | None]) -> Reading:
    known = [row for row, label in enumerate(labels) if label is not None]
    tops = scores.argmax(axis=1)
    accuracy = None if not known else float(np.mean([tops[row] == labels[row] for row in known]))
    return Reading(name, options, float(_told(scores, labels).mean()), accuracy, len(set(tops.tolist())))


def _told(scores: Floats, labels: Sequence[int | None]) -> Floats:
    """Return the score of each image that tells how well it is seen: of its true class, or of the best."""
    true = [row if label is None else label for row, label in zip(scores.argmax(axis=1), labels, strict=True)]
    return scores[np.arange(len(scores)), true]


def _simplest(better: Sequence[Reading]) -> Reading | None:
    """Return the first that is about as good as the best: what changes least comes first."""
    good = [one.score if one.accuracy is None else one.accuracy for one in better]
    return next((one for one, value in zip(better, good, strict=True) if value >= max(good) - BETTER), None)


def _others(box: BlackBox, images: Floats) -> list[tuple[str, str, Floats]]:
    """Return other ways to show images, each with its name and the options that make it so.

    The box goes on to apply its own preprocessing, which is undone here, so that the network sees what the options say.
    """
    given, (low, high) = box.spec.preprocessing, box.spec.bounds
    mean, std = (_per_channel(one, images) for one in (given.mean, given.std))
    unit, seen = (images - low) / (high - low), (images - mean) / std
    reverse = "--bgr" if given.channels == "RGB" else "without --bgr"
    found = [
        ("pixels from 0 to 1", "without --mean, --std and --range", unit),
        ("pixels from 0 to 255", "--std 1 --range 255", unit * 255),
        ("pixels from -1 to 1", "--mean 0.5 --std 0.5", unit * 2 - 1),
    ]
    if images.shape[1] == 3:
        usual = (unit - _per_channel(MEAN, images)) / _per_channel(STD, images)
        found.append(("mean and std of ImageNet", _imagenet(), usual))
        less = unit * 255 - _per_channel(CAFFE, images)
        found.append(
            ("bytes less the mean of Caffe's networks", f"--mean {','.join(map(str, CAFFE))} --range 255", less)
        )
        found += [
            (f"{name}, channels in the other order", f"{options} {reverse}", other[:, ::-1])
            for name, options, other in found
        ]
        found.insert(0, ("channels in the other order", reverse, seen[:, ::-1]))
    shown = [(name, options, (other * std + mean).astype(images.dtype)) for name, options, other in found]
    return [one for one in shown if not np.allclose(one[2], images)]


def _per_channel(value: float | tuple[float, ...], images: Floats) -> Floats:
    return np.reshape(np.asarray(value, dtype=images.dtype), (1, -1, 1, 1))


def _imagenet() -> str:
    return f"--mean {','.join(map(str, MEAN))} --std {','.join(map(str, STD))}"


def _better(asked: Floats, other: Floats, labels: Sequence[int | None], first: Reading, second: Reading) -> bool:
    """Return whether another reading is better by more than chance allows.

    Without labels nothing is better that the model gives fewer different classes to: larger numbers alone make a
    network surer of whatever it says.
    """
    if first.accuracy is None and second.classes < first.classes:
        return False
    gain = _told(other, labels) - _told(asked, labels)
    scale = float(np.ptp(asked))
    ahead = gain.mean() > BETTER * scale
    if first.accuracy is not None and second.accuracy is not None:
        ahead = ahead and second.accuracy > first.accuracy + BETTER
    if not ahead or not np.any(gain):
        return False
    from scipy.stats import wilcoxon  # slow to load, and of what commands do only audits need it

    chance: Any = wilcoxon(gain, alternative="greater")
    return bool(chance.pvalue < LEVEL)


def _doubt(first: Reading, best: Reading, count: int) -> str:
    if first.accuracy is not None and best.accuracy is not None:
        good, now = f"{best.accuracy:.0%} of {count} images are classified right", f"{first.accuracy:.0%}"
    else:
        good, now = f"the mean score of {count} images is {best.score:.2g}", f"{first.score:.2g}"
    said = f"{good} with {best.name}, {now} as asked for"
    return f"{said}; try: {best.options.strip()}"
