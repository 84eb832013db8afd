"""What a command prints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import typer

__all__ = ["Printed"]


@dataclass(frozen=True)
class Printed:
    """What a command prints, as typed."""

    panel: ClassVar[str] = "Printing"

    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")] = False

    @property
    def progress(self) -> bool:
        """Whether a terminal may show how far a run is."""
        return not (self.as_json or self.quiet)
