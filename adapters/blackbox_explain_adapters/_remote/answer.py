"""What an endpoint or a command answers: JSON in, checked scores out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, NoReturn, cast

import numpy as np

from blackbox_explain.errors import ModelError

__all__ = ["EXPECTED", "LONGEST", "Answer", "read_answer", "shortened"]

LONGEST = 16 << 20
"""Bytes of an answer at most: 16 images of 40,000 classes, every digit written out."""

EXPECTED = '{"scores": [[...], ...]} with a row of numbers for each image'


@dataclass(frozen=True)
class Answer:
    """Scores of some images.

    Attributes
    ----------
    scores
        (N, K), finite.
    class_names
        K names, or None.
    """

    scores: np.ndarray[Any, np.dtype[np.float64]]
    class_names: tuple[str, ...] | None


def read_answer(text: bytes, count: int, origin: str) -> Answer:
    """Read the answer for `count` images.

    Parameters
    ----------
    text
        ``{"scores": [[...], ...], "classes": [...]}``, classes if it has names for them, or the bare list of rows.
    count
        N.
    origin
        Who answered, for messages.

    Raises
    ------
    ModelError
        If it is anything but N rows of equally many finite numbers, each fault in its own words.
    """
    payload = _json(text, origin)
    names = None
    if isinstance(payload, dict):
        if "scores" not in payload:
            raise _wrong(origin, "without scores", f"an object with {', '.join(map(repr, payload)) or 'nothing'}")
        names = payload.get("classes")
        payload = payload["scores"]
    if not isinstance(payload, list):
        raise _wrong(origin, "without a list of scores", f"a {_kind(payload)}")
    rows = cast("list[Any]", payload)
    if len(rows) != count:
        raise _wrong(origin, "with another number of rows", f"{len(rows)} rows for {count} images")
    for index, row in enumerate(rows):
        if not isinstance(row, list) or not row:
            raise _wrong(origin, "with something that is no row of scores", f"{_kind(row)} as row {index}")
        if len(row) != len(rows[0]):
            raise _wrong(
                origin, "with rows of different lengths", f"{len(rows[0])} scores in row 0, {len(row)} in row {index}"
            )
        for value in row:
            # True is an int to Python.
            if type(value) not in (int, float):
                raise _wrong(origin, "with something that is no number", f"{_kind(value)} in row {index}")
    try:
        scores = np.asarray(rows, dtype=np.float64)
    except OverflowError:
        scores = np.full((1, 1), np.inf)
    if not np.isfinite(scores).all():
        raise _wrong(origin, "with scores that are not finite", "a number beyond the largest float")
    return Answer(scores, _class_names(names, scores.shape[1], origin))


def shortened(text: bytes, limit: int = 200) -> str:
    """Return the beginning of a text, on one line and printable, for a message."""
    line = " ".join(text[: 4 * limit].decode("utf-8", "replace").split())[:limit]
    return repr(line) if line else "nothing"


def _json(text: bytes, origin: str) -> Any:
    def refuse(name: str) -> NoReturn:
        raise _wrong(origin, "with scores that are not finite", name)

    if text.lstrip()[:1] == b"<":
        raise _wrong(origin, "with a page instead of JSON", shortened(text))
    try:
        return json.loads(text, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        # Text that is no UTF-8 is a ValueError too.
        raise _wrong(origin, "with something that is not JSON", f"{shortened(text)}: {error}") from error


def _class_names(names: Any, classes: int, origin: str) -> tuple[str, ...] | None:
    if names is None:
        return None
    if not isinstance(names, list) or not all(isinstance(one, str) for one in names):
        raise _wrong(origin, "with class names that are none", f"{_kind(names)} as classes")
    if len(names) != classes:
        raise _wrong(origin, "with another number of class names", f"{len(names)} names for {classes} scores")
    return tuple(names)


def _kind(value: object) -> str:
    kinds: dict[type, str] = {
        dict: "an object",
        list: "a list",
        str: "a string",
        bool: "a truth value",
        type(None): "null",
    }
    return kinds.get(type(value), "a number")


def _wrong(origin: str, what: str, got: str) -> ModelError:
    return ModelError(f"{origin} answers {what}", got=got, expected=EXPECTED)
