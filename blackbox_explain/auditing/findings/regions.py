"""What regions are like: outside the objects, tiny, at the border, of one perturbation only, or not there at all."""

from __future__ import annotations

import numpy as np

from blackbox_explain.auditing.findings.audited import Audited, counted, most_often
from blackbox_explain.report.page.content import Finding

__all__ = ["artefacts", "at_border", "outside_boxes", "tiny", "unexplained"]

OUTSIDE = 0.25
"""A region of which less than this share lies in the boxes of its class lies outside."""

TINY = 0.005
"""Share of the image below which few pixels decide."""

AT_BORDER = 0.5
"""Share of a region in the outer sixteenth on each side, which is 23 % of the image."""

TRANSFERS = 0.5
"""Of the suppression, so much must stay under each other perturbation."""


def outside_boxes(audited: Audited) -> Finding:
    """Find images whose class hangs on what is outside the boxes of the class."""
    inside = audited.numbers("inside_boxes")
    among, true = ~np.isnan(inside), inside < OUTSIDE
    often = most_often(audited.texts("target"), true, among)
    return counted(
        audited,
        "outside boxes",
        true,
        among,
        "In {count} of {total} images with boxes the region lies outside the objects" + often,
        f"Less than {OUTSIDE:.0%} of the region is in a box of its class: the decision hangs on the surroundings.",
        inside,
        missing="no boxes of the explained classes were given",
    )


def tiny(audited: Audited) -> Finding:
    """Find images whose class hangs on a few pixels."""
    share, fine = audited.numbers("share"), audited.texts("outcome") == "ok"
    return counted(
        audited,
        "tiny region",
        share < TINY,
        fine,
        f"In {{count}} of {{total}} images less than {TINY:.1%} of the pixels decide",
        "Deleting so few pixels takes the class away: small marks, text or noise may decide.",
        share,
    )


def at_border(audited: Audited) -> Finding:
    """Find images whose class hangs on their border."""
    share, fine = audited.numbers("at_border"), audited.texts("outcome") == "ok"
    true = share >= AT_BORDER
    often = most_often(audited.texts("target"), true, fine)
    return counted(
        audited,
        "at the border",
        true,
        fine,
        "In {count} of {total} images the region lies at the border" + often,
        "At least half of the region is in the outer sixteenth of the image: frames, captions and stamps are there.",
        -share,
    )


def artefacts(audited: Audited) -> Finding:
    """Find regions that work under one perturbation alone."""
    columns = [audited.numbers(name) for name in ("transfer_constant", "transfer_noise")]
    best = np.fmax(*columns)
    fine = (audited.texts("outcome") == "ok") & ~np.isnan(best)
    return counted(
        audited,
        "artefact suspect",
        best < TRANSFERS,
        fine,
        "In {count} of {total} images the region works under one perturbation alone",
        "Nothing else in place of the region, mean colour or noise, takes half as much of the score: it may be an "
        "artefact of what it was found with, and says little of the photo.",
        best,
    )


def unexplained(audited: Audited) -> Finding:
    """Find images that no region explains."""
    outcome, share = audited.texts("outcome"), audited.numbers("share")
    return counted(
        audited,
        "no region",
        np.isin(outcome, ("weak", "soft")),
        audited.explained,
        "{count} of {total} images have no region that does what was asked",
        "No part of up to half of the image decides alone: the class is everywhere in it, or nowhere.",
        -share,
    )
