"""Two photos to try things on, both in the public domain (see NOTICE)."""

from pathlib import Path

__all__ = ["CAT", "COFFEE"]

CAT = Path(__file__).parent / "cat.jpg"
COFFEE = Path(__file__).parent / "coffee.jpg"
