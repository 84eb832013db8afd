"""What rules ask a black box: every query in batches, counted, and none of the untouched images asked twice."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from blackbox_explain.arrays import to_numpy
from blackbox_explain.box.oracle import Oracle, check_call
from blackbox_explain.box.protocols import BlackBox
from blackbox_explain.data.samples import Samples
from blackbox_explain.errors import InputError, ModelError

__all__ = ["Questions"]

Rows = np.ndarray[Any, np.dtype[np.int64]]
Scores = np.ndarray[Any, np.dtype[np.float64]]

BATCH = 32

DRAWS = 64
"""Whole numbers drawn for an image."""


@dataclass(eq=False)
class Questions:
    """A black box, the samples it is asked about, and what it said.

    Attributes
    ----------
    box
        The black box.
    samples
        The images.
    seed
        Of all random draws; what is drawn for an image depends on seed and row alone.
    batch_size
        Images in one call of the box.
    advance
        Called with the number of images after each call.
    elsewhere
        Images that `explain` asked about on behalf of these questions.
    """

    box: BlackBox
    samples: Samples
    seed: int = 0
    batch_size: int = BATCH
    advance: Callable[[int], None] = lambda _images: None
    elsewhere: int = 0
    _scores: dict[int, Scores] = field(default_factory=dict[int, Scores])
    _drawn: dict[tuple[int, str, int], Rows] = field(default_factory=dict[tuple[int, str, int], Rows])

    def __post_init__(self) -> None:
        check_call(self.box, self.batch_size, self.seed)
        if self.samples.spec.shape != self.box.spec.shape or self.samples.spec.bounds != self.box.spec.bounds:
            raise InputError(
                "The samples were made for another model",
                got=f"{self.samples.spec.shape} in {self.samples.spec.bounds}",
                expected=f"{self.box.spec.shape} in {self.box.spec.bounds}",
            )

    @cached_property
    def oracle(self) -> Oracle:
        """Asks the box, and counts the images that it was asked about."""
        return Oracle.of(self.box, batch_size=self.batch_size, advance=lambda images: self.advance(images))

    @property
    def queries(self) -> int:
        """Images that the box was asked about so far."""
        return int(self.oracle.counts.sum()) + self.elsewhere

    @property
    def model_fingerprint(self) -> str:
        """Of the model; empty if it has none."""
        return self.oracle.info.fingerprint

    def generator(self, row: int, purpose: str) -> np.random.Generator:
        """Return the random numbers of one image for one purpose, the same at every call."""
        # NumPy takes three times as long to mix a list of numbers.
        digest = hashlib.blake2b(f"{self.seed} {int(row)} {purpose}".encode(), digest_size=16).digest()
        return np.random.default_rng(int.from_bytes(digest, "big"))

    def integers(self, row: int, purpose: str, below: int) -> Rows:
        """Return the whole numbers below a bound that are drawn for one image and purpose: (DRAWS,), kept for later."""
        key = (int(row), purpose, below)
        if key not in self._drawn:
            self._drawn[key] = self.generator(row, purpose).integers(0, below, size=DRAWS)
        return self._drawn[key]

    def original(self, rows: Rows) -> Scores:
        """Return the scores (n, K) of untouched images, asked once."""
        if not len(rows):
            return np.zeros((0, len(next(iter(self._scores.values()), ()))))
        missing = np.asarray([row for row in rows if int(row) not in self._scores], dtype=np.int64)
        if len(missing):
            found = self.ask(missing, self.samples.batch)
            self._scores.update(zip(missing.tolist(), found, strict=True))
        return np.stack([self._scores[int(row)] for row in rows])

    def top(self, rows: Rows) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Return the top class (n,) of untouched images."""
        return self.original(rows).argmax(axis=1) if len(rows) else np.zeros(0, dtype=np.int64)

    def ask(self, rows: Rows, images_of: Callable[[Rows], np.ndarray[Any, Any]]) -> Scores:
        """Return the scores (n, K) of the images that a function makes of rows.

        While the box answers about one batch, the next is made.

        Parameters
        ----------
        rows
            (n,) rows of the samples, at least one.
        images_of
            Some of the rows to as many images (n, *shape) in the bounds.

        Raises
        ------
        ModelError
            If a score is not a number.
        """
        found = self.oracle.scores_of(lambda part: images_of(rows[part]), len(rows), prefetch=True)
        scores = to_numpy(found).astype(np.float64)
        unknown = np.isnan(scores).any(axis=1)
        if unknown.any():
            # Which class leads cannot be told: neither that a rule holds, nor that it does not.
            names = [self.samples.names[row] for row in np.unique(rows[unknown])]
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            got = f"NaN for {', '.join(names[:3])}{more}, as given or changed"
            raise ModelError("Scores are not numbers", got=got, hint="leave these images out")
        return scores

    def batches(self, rows: Rows) -> list[Rows]:
        """Split rows into batches."""
        return [rows[first : first + self.batch_size] for first in range(0, len(rows), self.batch_size)]
