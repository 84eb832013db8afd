"""The weight file that does not ship with the sources: where it lies."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["googlenet_file", "has_googlenet"]


def googlenet_file() -> Path:
    """Return the ONNX file of BVLC's GoogLeNet: in $BLACKBOX_EXPLAIN_DATA, or ``shared/data`` here or beside."""
    root = Path(__file__).parents[2]
    folders = [root / "shared" / "data", root.parent / "shared" / "data"]
    if "BLACKBOX_EXPLAIN_DATA" in os.environ:
        folders.insert(0, Path(os.environ["BLACKBOX_EXPLAIN_DATA"]))
    files = [folder / "googlenet" / "googlenet_bvlc.onnx" for folder in folders]
    return next((one for one in files if one.is_file()), files[0])


def has_googlenet() -> bool:
    """Tell whether the file is there."""
    return googlenet_file().is_file()
