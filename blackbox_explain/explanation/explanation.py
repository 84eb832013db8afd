"""The result of every method: what matters, for which score, how it was found; saved without pickle."""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from blackbox_explain.data.photos import Photos
from blackbox_explain.errors import ResultError
from blackbox_explain.explanation import archive
from blackbox_explain.explanation.judging import RowScores, judge
from blackbox_explain.explanation.outcome import FLAT, Outcome
from blackbox_explain.explanation.predictions import Predictions
from blackbox_explain.explanation.provenance import Provenance
from blackbox_explain.explanation.region import lowest_score
from blackbox_explain.explanation.summary import summary_of
from blackbox_explain.perturbations.perturbation import Game

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]

__all__ = ["COLOURS", "COVER", "Explanation", "Floats"]

RENAMED = {
    "status": "outcome",
    "settings": "provenance",
    "model_fingerprint": "provenance.model_fingerprint",
    "score_original": "score",
    "target_weights": "weights",
    "evaluations": "queries",
    "region_share": "share",
}
"""Fields of version 0.1, and what they are called now."""

BRIGHTEST = 99.5
"""Percentile of a saliency map that is shown as full importance: single pixels do not dim the rest."""

COLOURS, COVER = "inferno", 0.75
"""Of pictures, where nothing else is asked for: the colour map, and how far it covers the photo where importance is 1.
They are here and not in `report`, which draws, because the signatures below show them."""


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Explanation:
    """What matters in a batch of images for a batch of targets, in NumPy arrays on the host.

    Attributes
    ----------
    saliency
        (N, *spatial), high = important.  NaN where a row failed, here and below.
    attribution
        (N, *shape), signed: what each value of the image adds to the score; None from methods that tell no signs.
    images
        (N, *shape) in pixel space.
    target
        N descriptions of what was explained.
    weights
        (N, K) the target as weights over the scores.
    score
        (N,) target scores of the images.
    outcome
        N outcomes: whether the explanation does what was asked, or why there is none.
    region
        (N, *spatial) booleans: the smallest part of the most salient pixels that does what was asked, or the best.
    share
        (N,) of the image that the region is.
    score_region
        (N,) target scores of the images without the region (preservation: with nothing but it).
    score_perturbed
        (N,) target scores of the fully perturbed images.
    region_images
        (N, *shape) the images without the region (preservation: with nothing but it), in pixel space.
    curve
        (N, S) target scores of the images without (preservation: with nothing but) the most salient share of their
        pixels, at `curve_shares`.
    curve_shares
        S shares of the pixels.
    game
        ``"deletion"``: the region is the smallest without which the score falls.  ``"preservation"``: the smallest that
        is enough for it.
    perturbation
        Name of what stood in for deleted pixels.
    suppress
        What was asked of the region: the share of what perturbing takes away, at most: of the whole image, or along the
        curve.
    queries
        (N, 2) images the model was run on for each row: scores alone, scores with gradient.
    method
        Name of the method.
    provenance
        How the result was made.
    photos
        N photos that the images were made from, None for those that are not known; None if none is.
    predictions
        N times the leading classes of the image, and of the image without the region (preservation: with nothing but
        it).
    """

    saliency: Floats
    attribution: Floats | None
    images: Floats
    target: tuple[str, ...]
    weights: Floats
    score: Floats
    outcome: tuple[Outcome, ...]
    region: np.ndarray[Any, np.dtype[np.bool_]]
    share: Floats
    score_region: Floats
    score_perturbed: Floats
    region_images: Floats
    curve: Floats
    curve_shares: tuple[float, ...]
    game: Game
    perturbation: str
    suppress: float
    queries: np.ndarray[Any, np.dtype[np.int64]]
    method: str
    provenance: Provenance
    photos: Photos | None = None
    predictions: tuple[Predictions, ...] = ()

    whole: ClassVar[tuple[str, ...]] = ("method", "provenance", "curve_shares", "game", "perturbation", "suppress")
    """Fields that are of the whole result, not of its rows."""

    types: ClassVar[dict[str, type[Explanation]]] = {}
    """Kinds of results by name: what a file may hold."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        Explanation.types[cls.__name__] = cls

    def __repr__(self) -> str:
        """Return the summary: the arrays would fill pages."""
        return f"<{type(self).__name__} of {len(self)} image{'s'[: len(self) > 1]} by {self.method}>\n{self.summary()}"

    if not TYPE_CHECKING:  # a type checker is to go on finding names that do not exist

        def __getattr__(self, name: str) -> Any:
            """Say what a field of earlier versions is called now."""
            now = f"; it is called {RENAMED[name]} now" if name in RENAMED else ""
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}{now}")

    def __len__(self) -> int:
        """Return the number of rows, N."""
        return self.images.shape[0]

    def __getitem__(self, index: int | slice | Sequence[int] | np.ndarray[Any, np.dtype[np.integer[Any]]]) -> Self:
        """Return some of the rows as a result of their own.

        Parameters
        ----------
        index
            A row, a slice, or the numbers of some rows.

        Raises
        ------
        IndexError
            If there is no such row.
        TypeError
            If these are no whole numbers; of a mask take ``np.flatnonzero(mask)``.
        """
        if isinstance(index, slice):
            rows = list(range(len(self)))[index]
        else:
            given = list(index) if isinstance(index, (Sequence, np.ndarray)) else [index]
            if any(isinstance(one, (bool, np.bool_)) for one in given):
                raise TypeError("rows are whole numbers; of a mask take np.flatnonzero(mask)")
            rows = [operator.index(one) for one in given]
            for row in rows:
                if not -len(self) <= row < len(self):
                    raise IndexError(f"row {row} of {len(self)}")
        parts = self._parts()
        for name, part in parts.items():
            if name not in self.whole and part is not None and len(part):
                parts[name] = part[rows] if isinstance(part, np.ndarray) else tuple(part[row] for row in rows)
        return type(self)(**parts)

    @property
    def good(self) -> list[int]:
        """The rows that did not fail."""
        return [row for row, outcome in enumerate(self.outcome) if not outcome.failed]

    def importance(self, row: int) -> Floats:
        """Return the saliency of a row for pictures: (*spatial) in [0, 1], 1 at the brightest half percent."""
        positive = np.maximum(self.saliency[row], 0)
        top = float(np.percentile(positive, BRIGHTEST))
        return np.clip(positive / (top or float(positive.max()) or 1.0), 0, 1)

    def judged(self, doubts: Sequence[str]) -> Self:
        """Return the same with other doubts about how the model is shown its images, and outcomes that follow."""
        outcome = tuple(one if one.failed else self.outcome_of(row, doubts) for row, one in enumerate(self.outcome))
        provenance = dataclasses.replace(self.provenance, doubts=tuple(doubts))
        return dataclasses.replace(self, outcome=outcome, provenance=provenance)

    @property
    def remedy(self) -> str:
        """What to try where no region does what was asked."""
        return "try a lower suppress= (--suppress), or another target= (--target)"

    def outcome_of(self, row: int, doubts: Sequence[str]) -> Outcome:
        """Return the outcome that the numbers of a row earn, given some doubts."""
        asked = self.game, self.suppress, float(self.share[row]), self.remedy
        found = judge(self._row_scores(row), *asked, doubts, self.perturbation)
        return FLAT if found.kind == "ok" and np.ptp(self.saliency[row]) == 0 else found

    @property
    def lowest(self) -> Floats:
        """(N,) the least that perturbing was seen to leave: of the whole image, or in the deletion game of a part."""
        return lowest_score(self.score_perturbed, self.curve, self.game)

    def depends(self, row: int) -> bool:
        """Return whether perturbing can lower the score of a row so far that anything can be told by it."""
        return self._row_scores(row).depends(self.game)

    def _row_scores(self, row: int) -> RowScores:
        score, region, lowest = (float(one[row]) for one in (self.score, self.score_region, self.lowest))
        return RowScores.of(score, region, lowest, self.weights[row])

    def summary(self) -> str:
        """Return the numbers with their meaning, the leading classes and the outcome, within 80 columns."""
        return summary_of(self)

    def row_to_dict(self, row: int) -> dict[str, Any]:
        """Return the numbers of one row, for JSON."""
        queries = self.queries[row]
        return {
            "target": self.target[row],
            "outcome": self.outcome[row].kind,
            "message": self.outcome[row].message,
            "game": self.game,
            "score": float(self.score[row]),
            "score_region": float(self.score_region[row]),
            "score_perturbed": float(self.score_perturbed[row]),
            "share": float(self.share[row]),
            "curve": [[share, float(one)] for share, one in zip(self.curve_shares, self.curve[row], strict=False)],
            "queries": {"scores": int(queries[0]), "gradients": int(queries[1])},
            "predictions": (self.predictions[row] if self.predictions else Predictions()).to_dict(),
        }

    def to_dict(self) -> dict[str, Any]:
        """Return what fits in JSON: everything but the images and maps; numbers that are not finite become None."""
        rows = [self.row_to_dict(row) for row in range(len(self))]
        return archive.finite({"method": self.method, "rows": rows, "provenance": self.provenance.to_dict()})

    def plot(
        self, row: int = 0, ax: Axes | None = None, *, cmap: str = COLOURS, alpha: float = COVER
    ) -> Figure | SubFigure:
        """Draw photo and importance, and where it was asked the photo without the region (Fig. 1); needs matplotlib.

        Parameters
        ----------
        row
            Which image.
        ax
            Axes to draw the importance over the photo into; None draws the whole figure.
        cmap
            A colour map of matplotlib.
        alpha
            How far the colours cover the photo where importance is 1.

        Returns
        -------
        matplotlib.figure.Figure
            Whose ``savefig`` writes PNG, PDF or SVG.
        """
        from blackbox_explain.report.figure import draw_importance, figure

        return figure(self, row, cmap=cmap, alpha=alpha) if ax is None else draw_importance(self, row, ax, cmap, alpha)

    def overlay(self, row: int = 0, *, cmap: str = COLOURS, alpha: float = COVER) -> np.ndarray[Any, Any]:
        """Return what matters, laid over the photo: (H, W, 3) uint8, of the photo's size, at most 1,400 pixels.

        Parameters
        ----------
        row, cmap, alpha
            As in `plot`.

        Raises
        ------
        InputError
            If there is no such row, it failed, or the result is of signals.
        """
        from blackbox_explain.report.pixels import overlay_of

        return overlay_of(self, row, cmap, alpha)

    def saliency_png(self, path: str | Path | None = None, row: int = 0) -> bytes:
        """Return the saliency as a grey PNG file of the photo's size, white where it matters.

        Parameters
        ----------
        path
            Where to write it too; None does not.
        row
            Which image.

        Raises
        ------
        InputError
            As `overlay`.
        ResultError
            If the file cannot be written.
        """
        from blackbox_explain.report.pixels import saliency_png

        return saliency_png(self, row, path)

    def to_frame(self) -> Any:
        """Return the numbers as a pandas DataFrame, one line for each row; needs pandas.

        Raises
        ------
        BackendMissingError
            If pandas is not installed.
        """
        from blackbox_explain.report.notebook import frame_of

        return frame_of(self)

    def _repr_png_(self) -> bytes | None:
        from blackbox_explain.report.notebook import notebook_png

        return notebook_png(self)

    def _repr_html_(self) -> str:
        from blackbox_explain.report.notebook import notebook_html

        return notebook_html(self)

    def save(self, path: str | Path) -> Path:
        """Write everything to one .npz file, atomically and without pickle.

        Parameters
        ----------
        path
            Of the file; ".npz" is added to a name that ends otherwise.

        Raises
        ------
        ResultError
            If the file cannot be written, or the suffix is that of a picture.
        """
        path = archive.archive_path(Path(path))
        parts = self._parts()
        photos, packed = archive.packed_photos(parts.pop("photos"))
        meta: dict[str, Any] = {"type": type(self).__name__, "photos": packed}
        meta["outcome"] = [[one.kind, one.message] for one in parts.pop("outcome")]
        meta["predictions"] = [one.to_dict() for one in parts.pop("predictions")]
        meta["provenance"] = parts.pop("provenance").to_dict()
        arrays = {name: part for name, part in parts.items() if isinstance(part, np.ndarray)}
        meta |= {name: part for name, part in parts.items() if name not in arrays and part is not None}
        archive.write_archive(path, {**arrays, **photos}, meta)
        return path

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a file written by `save`.

        Returns
        -------
        Explanation
            Of the kind that was saved, such as `MaskExplanation`; ``MaskExplanation.load`` takes no other.

        Raises
        ------
        ResultError
            If the file is missing, damaged or something else.
        """
        try:
            parts, meta = archive.read_archive(Path(path))
            kind = cls.types[meta.pop("type")]
            if not issubclass(kind, cls):
                raise ResultError("This is another kind of result", got=kind.__name__, expected=cls.__name__)
            photos = archive.unpacked_photos(parts, meta.pop("photos", None))
            predictions = tuple(map(Predictions.from_dict, meta.pop("predictions", ())))
            provenance = Provenance.from_dict(meta.pop("provenance"))
            outcome = tuple(Outcome(*one) for one in meta.pop("outcome"))
            parts |= {"attribution": parts.get("attribution")}
            meta |= {"target": tuple(meta["target"]), "curve_shares": tuple(meta["curve_shares"])}
            parts.update(meta, outcome=outcome, provenance=provenance)
            return kind(**parts, photos=photos, predictions=predictions)
        except archive.UNREADABLE as error:
            raise archive.not_saved(path, error) from error

    def _parts(self) -> dict[str, Any]:
        return {one.name: getattr(self, one.name) for one in dataclasses.fields(self)}


Explanation.types[Explanation.__name__] = Explanation
