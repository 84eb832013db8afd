"""Results as plain pixels, for figures of one's own: the overlay, and the saliency alone."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from blackbox_explain.errors import InputError, ResultError
from blackbox_explain.explanation.explanation import Explanation
from blackbox_explain.report.figure import check_row
from blackbox_explain.report.overlay import canvas_of, coloured, flat_saliency

__all__ = ["overlay_of", "saliency_png"]

Bytes = np.ndarray[Any, np.dtype[np.uint8]]


def overlay_of(result: Explanation, row: int, cmap: str, alpha: float) -> Bytes:
    """Return (H, W, 3): the importance of a row over its photo; see `Explanation.overlay`."""
    _check_picture(result, row)
    return _bytes(coloured(canvas_of(result, row), flat_saliency(result, row), cmap, alpha))


def saliency_png(result: Explanation, row: int, path: str | Path | None) -> bytes:
    """Return the saliency of a row as a PNG file; see `Explanation.saliency_png`."""
    from PIL import Image

    _check_picture(result, row)
    stream = io.BytesIO()
    Image.fromarray(_bytes(canvas_of(result, row).placed(flat_saliency(result, row)))).save(stream, "PNG")
    if path is not None:
        try:
            Path(path).write_bytes(stream.getvalue())
        except OSError as error:
            raise ResultError("The picture cannot be written", got=f"{path}: {error.strerror}") from error
    return stream.getvalue()


def _check_picture(result: Explanation, row: int) -> None:
    check_row(result, row)
    if result.saliency.ndim == 2:
        raise InputError("A signal is no picture", got=f"saliency {result.saliency.shape}", hint="result.plot()")


def _bytes(picture: np.ndarray[Any, Any]) -> Bytes:
    return np.clip(np.round(picture * 255), 0, 255).astype(np.uint8)
