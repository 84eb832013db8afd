"""How far one class is told from something other than its object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from blackbox_explain.explanation.archive import finite
from blackbox_explain.perturbations.named import WORDS, PerturbationName
from blackbox_explain.rules.measuring.faithfulness import Violation
from blackbox_explain.rules.measuring.proportion import Share

__all__ = ["OTHERS", "Shortcut", "Told"]

OTHERS = 20
"""Photos without a shortcut of their own that are enough to know what is said of photos without an object."""


@dataclass(frozen=True)
class Told:
    """How often a class is said without an object, in one way to delete it.

    Attributes
    ----------
    way
        What stood in for the object.
    keeps
        Share of the photos of this class that stay of it.
    becomes
        Share of the photos of other classes that are said to be of it; of those that do not keep their own class in all
        ways, if there are at least `OTHERS`.
    """

    way: PerturbationName
    keeps: Share
    becomes: Share

    @property
    def strength(self) -> float:
        """How much more often the class is said where the object was of it; 0 if there are no photos to compare."""
        return self.keeps.value - self.becomes.value if self.keeps.n and self.becomes.n else 0.0

    @property
    def low(self) -> float:
        """Lower end of the interval of the strength."""
        return self.keeps.low - self.becomes.high

    @property
    def high(self) -> float:
        """Upper end of the interval of the strength."""
        return self.keeps.high - self.becomes.low

    def to_dict(self) -> dict[str, Any]:
        """Return everything, for JSON."""
        ends = {name: getattr(self, name) for name in ("way", "strength", "low", "high")}
        return {**ends, "keeps": self.keeps.to_dict(), "becomes": self.becomes.to_dict()}


@dataclass(frozen=True)
class Shortcut:
    """How far one class is told without its object; see `find_shortcuts` for what is flagged, and why.

    Attributes
    ----------
    index, name
        The class.
    told
        One for each way to delete the object.
    object_alone
        Share of the photos of this class that stay of it when everything but the object is deleted, in all ways.
    elsewhere
        Share of the photos of this class that stay of it when an equal area outside of the object is deleted, in all
        ways.
    photos
        Those that stay of this class without their object, in all ways, by how far its score then leads, the farthest
        first.
    """

    index: int
    name: str
    told: tuple[Told, ...]
    object_alone: Share
    elsewhere: Share
    photos: tuple[Violation, ...]

    @property
    def weakest(self) -> Told:
        """The way in which the least is certain."""
        return min(self.told, key=lambda one: one.low)

    @property
    def flagged(self) -> bool:
        """Whether the strength is certainly above 0 in all ways: the class is told by something beside its object."""
        return self.weakest.low > 0

    @property
    def sentence(self) -> str:
        """The finding in English, without a full stop."""
        least = self.weakest
        others = f"other photos become {self.name} without theirs in {least.becomes.text}"
        gone = f"where the object is {WORDS[least.way]}, {self.name} stays {self.name} in {least.keeps.text}"
        return f"{gone}; {others}"

    def to_dict(self) -> dict[str, Any]:
        """Return everything, for JSON; numbers that are not finite become None."""
        return finite(
            {
                "class": self.index,
                **{name: getattr(self, name) for name in ("name", "sentence", "flagged")},
                "ways": [one.to_dict() for one in self.told],
                **{name: getattr(self, name).to_dict() for name in ("object_alone", "elsewhere")},
                "photos": [vars(one) for one in self.photos],
            }
        )
