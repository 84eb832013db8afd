"""Stand-in until the page is written."""

from pathlib import Path
from typing import Any


def write_page(page: Any, path: Path) -> Path:
    raise NotImplementedError
