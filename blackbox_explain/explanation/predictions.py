"""What a model says of an image before and after its region is deleted: the leading classes, best first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from blackbox_explain.box.class_names import shown_name

__all__ = ["MOST", "Predictions", "predictions_of"]

MOST = 5
"""Classes that are kept of each image."""

Named = tuple[tuple[str, float], ...]
"""Class names with their scores, best first."""

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]


@dataclass(frozen=True)
class Predictions:
    """The leading classes of one image.

    Attributes
    ----------
    before
        Of the image: names and scores, best first, `MOST` at most.
    after
        Of the image without the region (deletion), or with it alone (preservation).
    """

    before: Named = ()
    after: Named = ()

    def to_dict(self) -> dict[str, list[dict[str, Any]]]:
        """Return the same for JSON."""
        return {
            when: [{"class": name, "score": score} for name, score in named]
            for when, named in (("before", self.before), ("after", self.after))
        }

    @classmethod
    def from_dict(cls, told: dict[str, list[dict[str, Any]]]) -> Predictions:
        """Read what `to_dict` returned."""
        before, after = (
            tuple((str(one["class"]), float(one["score"])) for one in told[when]) for when in ("before", "after")
        )
        return cls(before, after)


def predictions_of(before: Floats, after: Floats | None, names: Sequence[str] | None) -> Predictions:
    """Name the leading classes.

    Parameters
    ----------
    before, after
        (K,) scores of the image, and of what is made of it if anything is; the order of equal ones is that of the
        classes.
    names
        K names, or None.
    """
    return Predictions(_leading(before, names), () if after is None else _leading(after, names))


def _leading(scores: Floats, names: Sequence[str] | None) -> Named:
    finite = np.where(np.isfinite(scores), scores, -np.inf)
    best = np.argsort(-finite, kind="stable")[:MOST]
    return tuple((shown_name(int(k), names), float(scores[k])) for k in best if np.isfinite(scores[k]))
