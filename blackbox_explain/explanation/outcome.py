"""What came of one row: whether the explanation does what was asked, and what to try where it does not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from blackbox_explain.errors import ResultError

__all__ = ["DOUBTED", "FLAT", "Kind", "Outcome"]

Kind = Literal["ok", "weak", "failed"]


@dataclass(frozen=True)
class Outcome:
    """What came of one row.

    Attributes
    ----------
    kind
        ``"ok"``: the region does what was asked.  ``"weak"``: it does not, the score does not depend on what is
        perturbed, or there are doubts about the model.  ``"failed"``: there is no explanation.
    message
        Why, and what to try next; of a row that failed, the reason.  "" if all is well.
    """

    kind: Kind
    message: str = ""

    def __str__(self) -> str:
        """Return kind and message in one line."""
        return f"{self.kind}: {self.message}" if self.message else self.kind

    @property
    def failed(self) -> bool:
        """Whether there is no explanation."""
        return self.kind == "failed"

    @classmethod
    def read(cls, text: str) -> Outcome:
        """Read what ``str`` wrote.

        Raises
        ------
        ResultError
            If it is something else.
        """
        kind, _, message = text.partition(": ")
        for known in get_args(Kind):
            if kind == known:
                return cls(known, message)
        raise ResultError("This is no outcome", got=repr(text)[:80], expected=" or ".join(get_args(Kind)))


DOUBTED = Outcome(
    "weak",
    "the model may not be shown what it was trained on: check preprocessing= and bounds= (--mean, --std, --range 255, "
    "--bgr)",
)
"""Outcome of every row of a run about which there are doubts; these are in the result's ``provenance.doubts``."""

FLAT = Outcome(
    "weak",
    "the map is the same everywhere, so that it ranks no pixels: where a score is as high as it can be, its gradient "
    "may be 0; try another method= (--method), or the default",
)
"""Outcome of a row whose map tells no pixels apart."""
