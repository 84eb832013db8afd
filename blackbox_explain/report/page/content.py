"""What the report shows: findings first, then images, each with its region, its curve and what the model says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

__all__ = ["Card", "Finding", "Page"]

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]


@dataclass(frozen=True)
class Finding:
    """Something that an audit looked for.

    Attributes
    ----------
    name
        Short, such as ``"outside boxes"``; what the gallery is filtered by.
    title
        A sentence that says what was found.
    about
        What it means and what to do about it, in one or two sentences.
    severity
        ``"problem"``: somebody should look at it before the model is used.  ``"notice"``: worth knowing.  ``"none"``:
        it was looked for and not found.
    count, total
        How many images it is true of, and how many were looked at; (0, 0) where it is not about images.
    low, high
        Interval of the share count / total, with 95 % confidence; NaN where there is none.
    positions
        Of the images, the clearest first.
    """

    name: str
    title: str
    about: str
    severity: Literal["problem", "notice", "none"]
    count: int = 0
    total: int = 0
    low: float = float("nan")
    high: float = float("nan")
    positions: tuple[int, ...] = ()

    @property
    def share(self) -> float:
        """Of the images that it is true of; NaN where none were looked at."""
        return self.count / self.total if self.total else float("nan")


@dataclass(frozen=True, eq=False)
class Card:
    """One image, method and class of the report.

    Attributes
    ----------
    position
        Of the image in the data set; what findings name it by.
    path
        Of its file, as typed.
    photo
        The photo, upright, as an encoded JPEG or PNG file; None where it cannot be read any more.
    box
        Left, top, right and bottom of what the model reads, as shares of the photo's width and height: inside of it
        where it was cropped, beyond it where it was padded.
    method, target
        How, and what was explained.
    label
        Name of the true class; "" where nobody says.
    outcome, message
        ok, soft, weak or failed, and what to say about it.
    score, score_region, score_perturbed
        Of the target in the image, without the region (preservation: with nothing but it), in the perturbed image.
    share
        Of the image that the region is; NaN where there is none.
    curve
        (S,) target scores without these shares of the page (preservation: with nothing but them); None where there is
        none.
    ranking
        PNG file (H, W) of the model's input: the number of the shares at which a pixel is not yet deleted; None where
        there is none.
    region
        PNG file (H, W), white where the region is; None where there is none.
    leading
        Names and scores of the leading classes.
    certificate
        What else was measured of the region, in words, with a number.
    findings
        Names of the findings that are true of it.
    objects
        Left, top, right and bottom of the boxes of its class, as shares of the photo's width and height.
    """

    position: int
    path: str
    photo: bytes | None
    box: tuple[float, float, float, float]
    method: str
    target: str
    label: str = ""
    outcome: str = "ok"
    message: str = ""
    score: float = float("nan")
    score_region: float = float("nan")
    score_perturbed: float = float("nan")
    share: float = float("nan")
    curve: Floats | None = None
    ranking: bytes | None = None
    region: bytes | None = None
    leading: tuple[tuple[str, float], ...] = ()
    certificate: tuple[tuple[str, float], ...] = ()
    findings: tuple[str, ...] = ()
    objects: tuple[tuple[float, float, float, float], ...] = ()


@dataclass(frozen=True, eq=False)
class Page:
    """All that the report shows.

    Attributes
    ----------
    title
        Of the page.
    summary
        Numbers of its head, by what they are, such as ``{"images": "650", "model": "googlenet.onnx"}``.
    warnings
        Sentences that come before all else, such as doubts about how images are given to the model.
    findings
        What was looked for, the worst first.
    cards
        Images.
    left_out
        How many images there is no card of, because the page would get too large.
    curve_shares
        S shares of the pixels.
    game
        ``"deletion"`` or ``"preservation"``.
    perturbation
        Name of what stands in for deleted pixels; see `blackbox_explain.perturbations.named`.
    classes
        For each class that has several images: its name, the number of its images, and the mean (h, w) of how much
        each cell matters, from 0 to 1.
    rules
        Rows of the rules' table, in words: what is varied, up to where the rule holds, in what share of images it is
        wrong, and the 95 % interval of that.
    rules_images
        How many images these were learned on.
    command
        A line that does the same again; "" where there is none.
    versions
        Of this package and of what ran the model.
    """

    title: str
    summary: Mapping[str, str]
    cards: Sequence[Card]
    curve_shares: Sequence[float]
    warnings: Sequence[str] = ()
    findings: Sequence[Finding] = ()
    left_out: int = 0
    game: Literal["deletion", "preservation"] = "deletion"
    perturbation: str = "blur"
    classes: Sequence[tuple[str, int, Floats]] = ()
    rules: Sequence[tuple[str, str, str, str]] = ()
    rules_images: int = 0
    command: str = ""
    versions: Mapping[str, str] = field(default_factory=dict[str, str])
