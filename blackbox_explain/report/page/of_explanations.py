"""The report of a few explanations: the page of an audit, without what only many images tell."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

import numpy as np

from blackbox_explain.errors import InputError
from blackbox_explain.explanation.explanation import Explanation
from blackbox_explain.report.page.content import Card, Page
from blackbox_explain.report.picture_files import jpeg, levels_of, map_png, picture_of

__all__ = ["page_of"]

QUALITY = 85
"""Of JPEG files."""


def page_of(results: Sequence[Explanation], *, model: str = "", command: str = "") -> Page:
    """Return what a report of some explanations shows.

    Parameters
    ----------
    results
        From `explain`, of photos; all by the same game and perturbation.
    model
        What the model is called.
    command
        A line that does the same again.

    Raises
    ------
    InputError
        If there is none, or the images are no photos.
    """
    if not results or any(len(one.images.shape) != 4 or one.images.shape[1] not in (1, 3) for one in results):
        raise InputError("A report shows photos", got="results of none", expected="results of load_images")
    first = results[0]
    places: dict[str, int] = {}
    cards: list[Card] = []
    for result in results:
        for row in range(len(result)):
            photo = result.photos[row] if result.photos is not None else None
            name = photo.name if photo is not None and photo.name else f"image {len(places)}"
            cards.append(_card(result, row, name, places.setdefault(name, len(places))))
    outcomes = [outcome.kind for one in results for outcome in one.outcome]
    return Page(
        title=f"What {PurePath(model).name or 'the model'} looks at",
        summary={
            "model": PurePath(model).name or "–",
            "images": f"{len(places):,}",
            "region does what was asked": f"{outcomes.count('ok')} of {len(outcomes)}",
            "method": ", ".join(dict.fromkeys(one.method for one in results)),
        },
        cards=cards,
        curve_shares=first.curve_shares,
        warnings=tuple(dict.fromkeys(doubt for one in results for doubt in one.provenance.doubts)),
        game=first.game,
        perturbation=first.perturbation,
        command=command,
        versions=first.provenance.versions,
    )


def _card(result: Explanation, row: int, name: str, position: int) -> Card:
    outcome = result.outcome[row]
    picture, box = _photo(result, row)
    told: dict[str, Any] = {
        "position": position,
        "path": name,
        "photo": picture,
        "box": box,
        "method": result.method,
        "target": result.target[row],
        "outcome": outcome.kind,
        "message": outcome.message,
    }
    if outcome.failed:
        return Card(**told)
    return Card(
        **told,
        score=float(result.score[row]),
        score_region=float(result.score_region[row]),
        score_perturbed=float(result.score_perturbed[row]),
        share=float(result.share[row]),
        curve=np.asarray(result.curve[row], dtype=float),
        ranking=map_png(levels_of(result.saliency[row], result.curve_shares)),
        region=map_png(result.region[row]),
        leading=result.predictions[row].before if result.predictions else (),
    )


def _photo(result: Explanation, row: int) -> tuple[bytes, tuple[float, float, float, float]]:
    """Return a photo as a JPEG file, and where the model reads it; without one, the image that the model read."""
    from PIL import Image

    photo = result.photos[row] if result.photos is not None else None
    if photo is None:
        picture = picture_of(result.images[row], tuple(result.provenance.reading.get("bounds", (0.0, 1.0))))
        return jpeg(picture, QUALITY), (0.0, 0.0, 1.0, 1.0)
    height, width = photo.pixels.shape[:2]
    left, top, right, bottom = photo.box
    return jpeg(Image.fromarray(photo.pixels), QUALITY), (left / width, top / height, right / width, bottom / height)
