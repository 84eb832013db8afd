"""What regions are like: outside the objects, tiny, at the border, of one perturbation only, or not there at all."""

from __future__ import annotations

import numpy as np

from blackbox_explain.auditing.findings.audited import Audited, Booleans, Floats
from blackbox_explain.auditing.findings.counting import Question
from blackbox_explain.auditing.ledger.columns import CERTIFICATES

__all__ = ["ARTEFACT", "AT_BORDER", "BOXES_UNREAD", "NO_REGION", "OUTSIDE_BOXES", "TINY"]

OUTSIDE = 0.25
"""A region of which less than this share of what could lie in the boxes of its class does lies outside."""

SMALL = 0.005
"""Share of the image below which few pixels decide."""

OUTER = 0.5
"""Share of a region in the outer sixteenth on each side, which is 23 % of the image."""

TRANSFERS = 0.5
"""Of the suppression, so much must stay under one of the other perturbations."""

Answer = tuple[Booleans, Booleans, Floats]


def _outside(images: Audited) -> Answer:
    inside, boxes, share = (images.numbers(name) for name in ("inside_boxes", "boxes_share", "share"))
    # Of a region that is larger than the boxes, no more than they are can lie in them.
    possible = np.minimum(1.0, boxes / np.where(share > 0, share, np.nan))
    return inside < OUTSIDE * possible, (images.texts("outcome") == "ok") & ~np.isnan(inside), inside


def _unread(images: Audited) -> Answer:
    boxes = images.numbers("boxes_share")
    return boxes == 0, ~np.isnan(boxes), np.zeros(len(images))


def _tiny(images: Audited) -> Answer:
    share = images.numbers("share")
    return share < SMALL, images.texts("outcome") == "ok", share


def _at_border(images: Audited) -> Answer:
    share = images.numbers("at_border")
    return share >= OUTER, images.texts("outcome") == "ok", -share


def _artefact(images: Audited) -> Answer:
    best = np.fmax.reduce([images.numbers(name) for name in CERTIFICATES])
    return best < TRANSFERS, (images.texts("outcome") == "ok") & ~np.isnan(best), best


def _unexplained(images: Audited) -> Answer:
    return np.isin(images.texts("outcome"), ("weak", "soft")), images.explained, -images.numbers("share")


OUTSIDE_BOXES = Question(
    "outside boxes",
    "In {count} of {total} images with boxes and a region it lies outside the objects",
    f"Less than {OUTSIDE:.0%} of the region lies in the boxes of its class (of a region larger than the boxes, of what "
    "could lie in them): the decision hangs on the surroundings.",
    _outside,
    by_class=True,
    missing="no boxes of the explained classes were given that lie in their photos",
)

BOXES_UNREAD = Question(
    "boxes not seen",
    "In {count} of {total} images with boxes these reach beyond the photo, or lie outside of what the model reads",
    "Boxes are x0, y0, x1, y1 in pixels of the upright photo, which they must lie in; others were cropped away.",
    _unread,
    serious=False,
    missing="no boxes of the explained classes were given",
)

TINY = Question(
    "tiny region",
    f"In {{count}} of {{total}} images less than {SMALL:.1%} of the pixels decide",
    "Deleting so few pixels takes the class away: small marks, text or noise may decide.",
    _tiny,
)

AT_BORDER = Question(
    "at the border",
    "In {count} of {total} images the region lies at the border",
    "At least half of the region is in the outer sixteenth of the image: frames, captions and stamps are there.",
    _at_border,
    by_class=True,
)

ARTEFACT = Question(
    "artefact suspect",
    "In {count} of {total} images the region works under one kind of perturbation alone",
    "Nothing that it was not found with (blur, a plain colour, noise), put in place of the region, takes half as much "
    "of the score: it may be an artefact of what it was found with, and says little of the photo.",
    _artefact,
)

NO_REGION = Question(
    "no region",
    "{count} of {total} images have no region to rely on",
    "None of up to half of the image does what was asked: the class may be everywhere in it, or the search fell short, "
    "as it may more often with the preset quick than with fast or thorough. Or deleting everything hardly "
    "lowers the score. The table says which.",
    _unexplained,
    serious=False,
)
