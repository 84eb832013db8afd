"""How a result was made: everything needed to make it again, and what happened on the way."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["Provenance", "versions"]

LIBRARIES = ("blackbox_explain", "numpy", "torch", "onnxruntime", "tensorflow", "keras")


@dataclass(frozen=True)
class Provenance:
    """How a result was made.

    Attributes
    ----------
    method
        Name of the method.
    settings
        What the method was set to, as JSON knows it.
    seed, batch_size
        As in `explain`.
    gradients
        ``"exact"``: the model told them.  ``"surrogate"``: it told those of another function, as if it rounded nothing.
        ``"estimated"``: from its scores.  ``"none"``: the method needs none.
    why_estimated
        Why they had to be; "" if they were not.
    reading
        How images are given to the model: bounds, mean, std and order of channels.
    activation
        What was applied to the model's raw outputs.
    assumptions
        What had to be assumed when the model was wrapped.
    doubts
        Signs that the model is shown the wrong pixels, as sentences.
    notes
        What happened on the way, such as a batch that was halved.
    versions
        Of this package and of those that ran the model.
    model_fingerprint
        Changes with the model; "" if the black box has none.
    model
        How the command line was told to find the model; None if it was not asked.
    """

    method: str
    settings: Mapping[str, Any]
    seed: int
    batch_size: int
    gradients: Literal["exact", "surrogate", "estimated", "none"]
    reading: Mapping[str, Any]
    activation: str = "none"
    why_estimated: str = ""
    assumptions: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict[str, str])
    model_fingerprint: str = ""
    model: Mapping[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the same for JSON."""
        return {one.name: _plain(getattr(self, one.name)) for one in dataclasses.fields(self)}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Provenance:
        """Read what `to_dict` returned.

        Raises
        ------
        TypeError, KeyError
            If it is something else.
        """
        known: dict[str, Any] = {one.name: saved[one.name] for one in dataclasses.fields(cls) if one.name in saved}
        known |= {name: tuple(known[name]) for name in ("assumptions", "doubts", "notes") if name in known}
        return cls(**known)


def versions() -> dict[str, str]:
    """Return the versions of this package and of the libraries that are loaded."""
    return {name: str(getattr(sys.modules[name], "__version__", "")) for name in LIBRARIES if name in sys.modules}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, tuple) else value
