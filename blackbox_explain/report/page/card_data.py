"""What the page's scripts know of the images: plain numbers and text, and the files that they draw."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from blackbox_explain.errors import ResultError
from blackbox_explain.explanation.archive import finite
from blackbox_explain.perturbations.named import WORDS
from blackbox_explain.perturbations.perturbation import sigma_for
from blackbox_explain.report.page.content import Card, Page

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["CardData", "card_data"]

DRAWN = {"blur": "blur", "constant": "mean", "noise": "noise", "zero": "black", "low": "black", "middle": "grey"}
"""How a browser paints what stands in for deleted pixels; all others it paints grey."""


@dataclass
class CardData:
    """What is embedded in a page.

    Attributes
    ----------
    facts
        Of the page and of its images, without a number that JSON has no word for.
    photos, maps
        Files that the facts of the images name by their place here.
    """

    facts: dict[str, Any]
    photos: list[bytes] = field(default_factory=list[bytes])
    maps: list[bytes] = field(default_factory=list[bytes])


def card_data(page: Page) -> CardData:
    """Return what the scripts of a page are given.

    Raises
    ------
    ResultError
        If a photo or a map of an image is damaged.
    """
    found = CardData({
        "game": page.game,
        "gone": WORDS.get(page.perturbation, "replaced"),
        "drawn": DRAWN.get(page.perturbation, "grey"),
        "shares": list(page.curve_shares),
        "findings": [{"name": one.name, "positions": list(one.positions)} for one in page.findings],
    })  # fmt: skip
    places: dict[bytes, tuple[int, tuple[int, int]]] = {}
    cards: list[dict[str, Any]] = []
    for card in page.cards:
        facts = _facts(card)
        if card.photo is not None:
            # Several methods or classes of one image share its photo.
            if card.photo not in places:
                places[card.photo] = len(found.photos), _opened(card.photo, card.path).size
                found.photos.append(card.photo)
            facts["photo"], facts["size"] = places[card.photo]
        if card.ranking is not None or card.region is not None:
            drawn, (height, width) = _map(card)
            facts |= {"map": len(found.maps), "grid": [width, height], "sigma": sigma_for((height, width))}
            found.maps.append(drawn)
        cards.append(facts)
    found.facts = finite(found.facts | {"cards": cards})
    return found


def _facts(card: Card) -> dict[str, Any]:
    return {
        "position": card.position,
        "path": card.path,
        "box": [_short(one) for one in card.box],
        "method": card.method,
        "target": card.target,
        "label": card.label,
        "outcome": card.outcome,
        "message": card.message,
        "score": _short(card.score),
        "scoreRegion": _short(card.score_region),
        "scorePerturbed": _short(card.score_perturbed),
        "share": _short(card.share),
        "curve": None if card.curve is None else [_short(one) for one in card.curve],
        "ranked": card.ranking is not None,
        "outlined": card.region is not None,
        "leading": [[name, _short(score)] for name, score in card.leading],
        "certificate": [[what, _short(number)] for what, number in card.certificate],
        "findings": list(card.findings),
        "objects": [[_short(one) for one in box] for box in card.objects],
        "photo": None,
        "size": None,
        "map": None,
    }


def _short(number: float) -> float:
    """Return a number with the digits that a page can show: of float32, JSON would write 17."""
    return float(f"{number:.6g}")


def _map(card: Card) -> tuple[bytes, tuple[int, int]]:
    """Return the ranking and the region of an image as one picture, which is smaller than two, and its (H, W).

    A byte is twice the number of shares at which the pixel is not yet deleted, and one more outside of the region.
    """
    from PIL import Image

    levels = None if card.ranking is None else np.asarray(_opened(card.ranking, card.path).convert("L"))
    region = None if card.region is None else np.asarray(_opened(card.region, card.path).convert("1"))
    if levels is not None and region is not None and levels.shape != region.shape:
        raise ResultError(
            "The ranking and the region of an image are of different sizes",
            got=f"{levels.shape} and {region.shape}: {card.path}",
        )
    shape = next(one.shape for one in (levels, region) if one is not None)
    twice = np.zeros(shape, np.uint8) if levels is None else levels * np.uint8(2)
    outside = np.ones(shape, np.uint8) if region is None else (~region).astype(np.uint8)
    file = io.BytesIO()
    # A quarter smaller than the same picture as a PNG file, and as exact.
    Image.fromarray(twice + outside).save(file, "WEBP", lossless=True, method=4)
    return file.getvalue(), (shape[0], shape[1])


def _opened(content: bytes, path: str) -> Image.Image:
    from PIL import Image

    try:
        picture = Image.open(io.BytesIO(content))
        if picture.format == "PNG":
            picture.load()
    except (OSError, SyntaxError, ValueError) as error:
        raise ResultError("A picture of the report is damaged", got=f"{path}: {error}") from error
    return picture
