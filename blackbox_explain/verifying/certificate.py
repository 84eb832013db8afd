"""What a learned mask claims, recomputed: the certificate, and in words whether the claim still holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from blackbox_explain.explanation.archive import finite
from blackbox_explain.explanation.outcome import Outcome

__all__ = ["Certificate", "Check", "RowCertificate"]


@dataclass(frozen=True)
class Check:
    """One claim of a result, and whether it holds.

    Attributes
    ----------
    claim
        In words.
    held
        None where it cannot be checked.
    reason
        Why it does not hold, or why it cannot be checked.
    """

    claim: str
    held: bool | None
    reason: str = ""


@dataclass(frozen=True)
class RowCertificate:
    """One image and its mask.

    Attributes
    ----------
    target, outcome
        As in the result.
    stated, found
        Name to number: what the result says, and what is found now.  The names are ``score``,
        ``score_perturbed``, ``score_masked``, ``score_region``, ``suppression``, ``area`` and ``objective``, as in
        `MaskExplanation`; NaN where the number cannot be recomputed.
    elsewhere
        What deleting the region (preservation: all but it) suppresses under perturbations that it was not found with,
        by name.
    jitter
        Smallest, mean and largest score of the masked image over the shifts of eq. 4; None if it cannot be recomputed.
    shifts
        How many shifts that were.
    seeds
        For each further seed, the correlation of its saliency with this one and the intersection over union of the most
        salient pixels, at equal area.
    checks
        The claims.
    """

    target: str
    outcome: Outcome
    stated: dict[str, float]
    found: dict[str, float]
    elsewhere: dict[str, float]
    jitter: tuple[float, float, float] | None
    shifts: int
    seeds: tuple[tuple[float, float], ...]
    checks: tuple[Check, ...]

    @property
    def holds(self) -> bool:
        """Whether no claim is broken."""
        return all(one.held is not False for one in self.checks)


@dataclass(frozen=True)
class Certificate:
    """A result, checked against a model.

    Attributes
    ----------
    rows
        One for each image whose mask was learned.
    failed
        Rows of the result that say that they failed; they claim nothing.
    model
        Whether the model is the one that the result was made with.
    tolerance
        How far scores may be from those stated.
    game, perturbation
        What the masks were learned by.
    """

    rows: tuple[RowCertificate, ...]
    failed: int
    model: Check
    tolerance: float
    game: str
    perturbation: str

    @property
    def holds(self) -> bool:
        """Whether no claim is broken, of the model or of a row."""
        return self.model.held is not False and all(row.holds for row in self.rows)

    @property
    def sentence(self) -> str:
        """The verdict in one English sentence, with its full stop."""
        broken, count = sum(not row.holds for row in self.rows), len(self.rows)
        if not self.holds:
            causes = ["the model or its input"] if self.model.held is False else []
            causes += ["the mask" if count == 1 else f"{broken} of {count} masks"] if broken else []
            return f"The result does not hold, because of {' and '.join(causes)}."
        unknown = any(one.held is None for row in self.rows for one in row.checks)
        limit = ", as far as can be checked" if unknown else ""
        masks = "the mask does" if count == 1 else f"all {count} masks do"
        same = "the model is the same" if self.model.held else "the model may be another"
        weak = sum(row.outcome.kind != "ok" for row in self.rows)
        still = (
            "" if not weak else f" What it says is weak all the same{f', of {weak} of {count}' if count > 1 else ''}."
        )
        return f"The result holds: {same}, and {masks} as the result says{limit}.{still}"

    def to_dict(self) -> dict[str, Any]:
        """Return everything, for JSON; numbers that are not finite become None."""
        rows = [
            {
                **vars(row),
                "outcome": str(row.outcome),
                "holds": row.holds,
                "seeds": [{"correlation": correlation, "iou": iou} for correlation, iou in row.seeds],
                "checks": [vars(one) for one in row.checks],
            }
            for row in self.rows
        ]
        shared = {name: getattr(self, name) for name in ("failed", "tolerance", "game", "perturbation")}
        return finite(
            {"holds": self.holds, "sentence": self.sentence, "model": vars(self.model), "rows": rows, **shared}
        )
