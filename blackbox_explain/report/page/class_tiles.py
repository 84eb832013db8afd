"""What the page shows of a class: where its regions lie on average, how large they are, how sure the model is."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from blackbox_explain.report.page.content import Floats, Page

__all__ = ["ClassTile", "class_tiles"]

INK = (194, 65, 12)
"""Red, green and blue of what matters; how much, its opacity tells, so that it is seen on light and on dark."""

BINS = 10


@dataclass(frozen=True)
class ClassTile:
    """A class of the page.

    Attributes
    ----------
    name, count
        Of the class, and how many images it has.
    mean
        A PNG file in base64: the mean of what matters, opaque where it is largest.
    shares, scores
        Heights of the `BINS` bars, at most 1: of regions' shares from 0 to 0.5, and of scores over the range of the
        page's; empty where the page has no images of the class.
    share, score
        Medians of them, in words.
    """

    name: str
    count: int
    mean: str
    shares: tuple[float, ...]
    scores: tuple[float, ...]
    share: str
    score: str


def class_tiles(page: Page) -> list[ClassTile]:
    """Return the classes of a page, those with the most images first."""
    ends = score_range([card.score for card in page.cards])
    numbers: dict[str, list[tuple[float, float]]] = {}
    for card in page.cards:
        numbers.setdefault(card.target, []).append((card.share, card.score))
    tiles: list[ClassTile] = []
    for name, count, mean in sorted(page.classes, key=lambda one: -one[1]):
        both = np.array(numbers.get(name, []), dtype=float).reshape(-1, 2)
        shares, scores = (column[np.isfinite(column)] for column in both.T)
        tiles.append(
            ClassTile(
                name,
                count,
                _picture(mean),
                _bars(shares, (0.0, 0.5)),
                _bars(scores, ends),
                f"{100 * np.median(shares):.1f}\N{NO-BREAK SPACE}%" if len(shares) else "–",
                f"{np.median(scores):.3g}" if len(scores) else "–",
            )
        )
    return tiles


def score_range(scores: Sequence[float]) -> tuple[float, float]:
    """Return the ends of an axis for scores: 0 to 1 where all are probabilities."""
    known = [one for one in scores if np.isfinite(one)]
    low, high = min(known, default=0.0), max(known, default=1.0)
    if low >= 0 and high <= 1:
        return 0.0, 1.0
    return low, high if high > low else low + 1


def _bars(values: np.ndarray[Any, Any], ends: tuple[float, float]) -> tuple[float, ...]:
    if not len(values):
        return ()
    counts, _ = np.histogram(np.clip(values, *ends), BINS, ends)
    return tuple(float(one) for one in counts / counts.max())


def _picture(mean: Floats) -> str:
    from PIL import Image

    known = np.nan_to_num(np.asarray(mean, dtype=float)).clip(0, 1)
    pixels = np.empty((*known.shape, 4), np.uint8)
    pixels[..., :3] = INK
    pixels[..., 3] = np.rint(255 * known / (known.max() or 1))
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode()
