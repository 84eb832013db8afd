"""Tables of the pages that are drawn from stored results."""

from __future__ import annotations

__all__ = ["NOT_YET", "Rows", "table"]

NOT_YET = "Not measured yet."

Rows = list[list[str]]
"""Of cells."""


def table(head: list[str], rows: Rows) -> str:
    """Return a Markdown table."""
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *(f"| {' | '.join(one)} |" for one in rows)]
    return "\n".join(lines)
