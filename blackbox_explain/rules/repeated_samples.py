"""The same images many times over: rules about one image are checked on many changes of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from blackbox_explain.data.samples import Floats, Samples
from blackbox_explain.errors import InputError
from blackbox_explain.rules.questions import Rows
from blackbox_explain.setting_ranges import is_whole

__all__ = ["RepeatedSamples", "distinct"]


@dataclass(frozen=True, eq=False)
class RepeatedSamples(Samples):
    """Each image of some samples several times; what a rule draws for a row, it draws for each time anew.

    An error found on the trials of one image is one of random changes of that image.  Over several images it is that
    of these images, since trials of one image have the image in common.

    Attributes
    ----------
    images
        (M, *shape), each once.
    labels, regions, names
        As in `Samples`, for all N = M · times rows.
    times
        How often each image comes; row r is a trial of image r // times.
    """

    times: int = 1
    unit: ClassVar[str] = "trial"

    @classmethod
    def repeat(cls, samples: Samples, times: int) -> RepeatedSamples:
        """Repeat samples.

        Raises
        ------
        InputError
            If there is to be less than one trial of each.
        """
        if not is_whole(times) or times < 1:
            raise InputError("There is at least one trial of each image", got=f"times={times!r}")
        return cls(
            samples.images,
            samples.spec,
            None if samples.labels is None else np.repeat(samples.labels, times),
            None if samples.regions is None else np.repeat(samples.regions, times, axis=0),
            tuple(f"{name}, trial {one}" for name in samples.names for one in range(times)),
            times,
        )

    def __len__(self) -> int:
        return len(self.images) * self.times

    def batch(self, rows: np.ndarray[Any, Any]) -> Floats:
        """Return some of the images as floats in the bounds: (n, *shape) float32."""
        return super().batch(rows // self.times)

    def take(self, rows: np.ndarray[Any, Any]) -> Samples:
        """Return some of the samples."""
        return Samples(
            self.images[rows // self.times],
            self.spec,
            None if self.labels is None else self.labels[rows],
            None if self.regions is None else self.regions[rows],
            tuple(self.names[row] for row in rows),
        )

    def rows_of(self, images: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return the rows that are trials of some of the images, which are counted from 0."""
        return (images[:, None] * self.times + np.arange(self.times)).reshape(-1)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the images, labels and number of trials, 16 digits."""
        once = Samples(self.images, self.spec, self.labels, self.regions, self.names).fingerprint
        return hashlib.sha256(f"{once} {self.times}".encode()).hexdigest()[:16]


def distinct(samples: Samples, images: Floats, rows: Rows) -> tuple[Rows, Rows]:
    """Find equal images of one class among some, so that each is asked about once.

    Parameters
    ----------
    samples
        Whose labels tell rows of one image apart.
    images
        (n, *shape).
    rows
        (n,) of the samples.

    Returns
    -------
    first, which
        Rows of the samples (m,) with different images or labels, and (n,) which of these each image is.
    """
    labels = [-1] * len(rows) if samples.labels is None else samples.labels[rows].tolist()
    seen: dict[tuple[bytes, int], int] = {}
    keys = [(image.tobytes(), label) for image, label in zip(images, labels, strict=True)]
    which = np.asarray([seen.setdefault(key, len(seen)) for key in keys], dtype=np.int64)
    _, first = np.unique(which, return_index=True)
    return rows[first], which
