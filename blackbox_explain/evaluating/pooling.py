"""What speaks against taking explanations together: what a table of means would not show."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from blackbox_explain.explanation.explanation import Explanation
from blackbox_explain.explanation.outcome import Outcome

__all__ = ["Pooled", "photos_of", "pooled_rows", "pooling_warnings", "repeated_rows"]

Measured = Mapping[str, np.ndarray[Any, np.dtype[np.bool_]]]
"""By the name of each method, (N,) which of its rows have a value."""

NAMED = 3
"""Photos that a warning names, at most."""

TOLD = 4
"""Methods that a warning about their photos tells apart, at most."""


@dataclass(frozen=True)
class Pooled:
    """What one explanation is of.

    Attributes
    ----------
    image, reading
        Digest of the image, and how its pixels are given to the model.
    photo
        Digest of the photo that the image is from; "" where it is not known.
    name
        What to call the photo.
    target, weights
        What was explained: as a text, and as a digest.
    outcome
        What came of it.
    """

    image: str
    reading: str
    photo: str
    name: str
    target: str
    weights: str
    outcome: Outcome

    @property
    def subject(self) -> tuple[str, str, str]:
        """What two explanations by one method must not share."""
        return self.image, self.reading, self.weights


def pooled_rows(explanation: Explanation) -> tuple[Pooled, ...]:
    """Return what each row of a result is of."""
    reading = json.dumps(explanation.provenance.to_dict()["reading"], sort_keys=True, default=str)
    photos = explanation.photos or [None] * len(explanation)
    return tuple(
        Pooled(
            _digest(explanation.images[row]),
            reading,
            "" if photo is None else _digest(photo.pixels),
            f"image {row}" if photo is None or not photo.name else repr(photo.name),
            explanation.target[row],
            _digest(explanation.weights[row]),
            explanation.outcome[row],
        )
        for row, photo in enumerate(photos)
    )


def photos_of(rows: Sequence[Pooled]) -> tuple[str, ...]:
    """Return what tells the photo of each row from others."""
    return tuple(map(_Photos(rows), rows))


def repeated_rows(rows: Sequence[Pooled]) -> tuple[int, ...]:
    """Return the rows of one method that explain what a row before them does, and are to count in no mean."""
    seen: set[tuple[str, str, str]] = set()
    found: list[int] = []
    for place, row in enumerate(rows):
        if row.outcome.failed:
            continue
        if row.subject in seen:
            found.append(place)
        seen.add(row.subject)
    return tuple(found)


def pooling_warnings(
    groups: Mapping[str, Sequence[Pooled]], measured: Mapping[str, Measured] | None = None
) -> tuple[str, ...]:
    """Say what speaks against comparing methods, or against the mean of one of them, as sentences without a full stop.

    Parameters
    ----------
    groups
        By the name of each method, what its explanations are of; rows that failed do not matter.
    measured
        By the name of each metric, which rows have a value; a method that has none, as its errors say, is left out.
    """
    good = {name: [row for row in rows if not row.outcome.failed] for name, rows in groups.items()}
    known = _Photos(row for rows in good.values() for row in rows)
    uneven = _uneven({name: frozenset(map(known, rows)) for name, rows in good.items()})
    for metric, of_methods in ({} if uneven else measured or {}).items():
        rows_of = {
            name: [row for row, there in zip(groups[name], has, strict=True) if there]
            for name, has in of_methods.items()
        }
        uneven += _uneven({name: frozenset(map(known, rows)) for name, rows in rows_of.items()}, metric)
    found = [
        *uneven,
        *_other_classes(good, known),
        *_other_preprocessing(good, known),
    ]
    for name, rows in good.items():
        again = repeated_rows(rows)
        once = [row for place, row in enumerate(rows) if place not in again]
        if again:
            many = "1 explanation is" if len(again) == 1 else f"{len(again)} explanations are"
            which = _some(rows[place].name for place in again)
            found.append(f"{name}: {many} of an image and a class explained before, and in no mean: {which}")
        if weak := [row for row in once if row.outcome.kind == "weak"]:
            many = f"{len(weak)} of {len(once)} explanations by {name} {'is' if len(weak) == 1 else 'are'} weak"
            alike = len({row.outcome.message for row in weak}) == 1
            which = (
                f", that of {weak[0].name}" if len(weak) == 1 else "" if alike else f", such as that of {weak[0].name}"
            )
            found.append(f"{many}{which}: {weak[0].outcome.message}")
    return tuple(found)


def _uneven(given: Mapping[str, frozenset[str]], metric: str = "") -> list[str]:
    """Say which methods were measured on other photos than the one that was on most; by a metric, or by all."""
    photos = {name: seen for name, seen in given.items() if seen}
    largest = max(photos, key=lambda name: len(photos[name]), default="")
    others = [name for name, seen in photos.items() if seen != photos[largest]]
    if not others:
        return []
    told = [f"{name} on {_among(photos[name], photos[largest])}" for name in others[:TOLD]]
    if len(others) > TOLD:
        told.append(f"{len(others) - TOLD} more methods on others too")
    first = f"{largest} was measured on {_photos(len(photos[largest]))}"
    by = f"{metric}: " if metric else ""
    return [f"{by}{first}, {', '.join(told)}: means of different photos are no comparison"]


class _Photos:
    """Tells photos apart: by their own pixels, and where a photo is not known by those of the image."""

    def __init__(self, rows: Iterable[Pooled]) -> None:
        self._of_image = {row.image: row.photo for row in rows if row.photo}

    def __call__(self, row: Pooled) -> str:
        return row.photo or self._of_image.get(row.image, row.image)


def _other_classes(groups: Mapping[str, Sequence[Pooled]], known: _Photos) -> list[str]:
    """Say which photos were explained for different classes by different methods."""
    found: dict[str, dict[str, dict[str, Pooled]]] = {}
    for method, rows in groups.items():
        for row in rows:
            found.setdefault(known(row), {}).setdefault(method, {})[row.weights] = row
    differ = [by_method for by_method in found.values() if len({frozenset(one) for one in by_method.values()}) > 1]
    if not differ:
        return []
    first = differ[0]
    one = next(iter(first))
    other = next(method for method, own in first.items() if own.keys() != first[one].keys())
    told = [f"{_some((row.target for row in first[method].values()), repr)} by {method}" for method in (one, other)]
    name = next(iter(first[one].values())).name
    many = "1 photo was" if len(differ) == 1 else f"{len(differ)} photos were"
    example = f"{name} for {told[0]}, for {told[1]}"
    return [f"{many} explained for different classes by different methods, which are no comparison: {example}"]


def _other_preprocessing(groups: Mapping[str, Sequence[Pooled]], known: _Photos) -> list[str]:
    """Say which photos reached the model in several ways: by one method, or by different ones."""
    sentences: list[str] = []
    told: set[str] = set()
    for method, rows in groups.items():
        names, ways = _ways(rows, known)
        several = [photo for photo, seen in ways.items() if len(seen) > 1]
        told |= set(several)
        if several:
            sentences.append(
                f"{method}: photos under different preprocessing are in one mean: {_some_of(names, several)}"
            )
    names, ways = _ways([row for rows in groups.values() for row in rows], known)
    between = [photo for photo, seen in ways.items() if len(seen) > 1 and photo not in told]
    if between:
        sentences.append(f"methods saw photos under different preprocessing: {_some_of(names, between)}")
    return sentences


def _ways(rows: Iterable[Pooled], known: _Photos) -> tuple[dict[str, str], dict[str, set[tuple[str, str]]]]:
    """Return the names of photos, and the images and readings that there are of each."""
    names: dict[str, str] = {}
    ways: dict[str, set[tuple[str, str]]] = {}
    for row in rows:
        names.setdefault(known(row), row.name)
        ways.setdefault(known(row), set()).add((row.image, row.reading))
    return names, ways


def _some_of(names: Mapping[str, str], photos: Iterable[str]) -> str:
    return _some(names[photo] for photo in photos)


def _some(names: Iterable[str], written: Any = str) -> str:
    several = list(dict.fromkeys(names))
    return ", ".join(map(written, several[:NAMED])) + ", ..." * (len(several) > NAMED)


def _photos(count: int) -> str:
    return "1 photo" if count == 1 else f"{count} photos"


def _among(own: frozenset[str], largest: frozenset[str]) -> str:
    """Say how many photos these are, and how many of them are among others."""
    shared = len(own & largest)
    if shared == len(own):
        return f"{shared} of them"
    return (
        f"{len(own)} other{'s' * (len(own) > 1)}"
        if not shared
        else f"{len(own)}, of which {shared} {'is' if shared == 1 else 'are'} shared"
    )


def _digest(values: np.ndarray[Any, Any]) -> str:
    told = hashlib.blake2b(repr((values.shape, values.dtype.str)).encode(), digest_size=16)
    told.update(np.ascontiguousarray(values).data)
    return told.hexdigest()
