"""The result: what was learned, what it does to the score, and how it was made; saved without pickle."""

from __future__ import annotations

import dataclasses
import operator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from blackbox_explain.arrays import to_numpy
from blackbox_explain.box.protocols import BlackBox
from blackbox_explain.data.photos import Photos
from blackbox_explain.errors import InputError, ModelError, ResultError
from blackbox_explain.explanation.archive import UNREADABLE, packed_photos, read_archive, unpacked_photos, write_archive
from blackbox_explain.explanation.predictions import Predictions
from blackbox_explain.explanation.summary import summary_of
from blackbox_explain.methods.mask.masked_score import ask

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]

__all__ = ["Explanation", "Floats", "finite", "target_scores", "verify"]

ESTIMATED = "the gradient is estimated from scores"
"""Beginning of the note that says why."""

BATCH = 16
"""Images in one call of the model."""

PICTURES = (".png", ".jpg", ".jpeg", ".pdf", ".svg", ".webp", ".gif", ".tif", ".tiff", ".bmp")
"""Suffixes that ask for a picture."""


@dataclass(frozen=True, eq=False, repr=False)
class Explanation:
    """Masks learned for a batch of images and targets, in NumPy arrays on the host.

    Attributes
    ----------
    mask
        (N, *cells) low-resolution masks in [0, 1]; 1 keeps, 0 deletes.  NaN where a row failed.
    saliency
        (N, *spatial) in [0, 1], high = important: 1 − M for deletion, M for preservation.
    target
        N descriptions of what was explained.
    target_weights
        (N, K) the target as weights over the scores.
    score_original, score_masked, score_perturbed
        (N,) target scores of the image, of the image perturbed by the mask, of the fully perturbed image.
    score_region
        (N,) target scores once the mask is made hard at 0.5: the region where M < 0.5 fully perturbed, the rest
        untouched.  Masks learned with many levels of blur may stop where a little blur is enough; this tells.
    suppression
        (N,) 1 − p', where p' = (masked − perturbed) / (original − perturbed) is the normalised score that is left
        (section 5.2).  1: as if all were deleted.  A preservation mask is good where it is near 0.
    area
        (N,) share of the image that is deleted (deletion) or kept (preservation).
    objective
        (N,) eq. 4 at the final mask, without jitter.
    history
        (N, steps) what was minimised, before each step; NaN after a row's end.
    evaluations
        (N, 2) images the model was run on for each row: scores alone, scores with gradient.
    status
        N strings: "ok" where the region alone does what was asked, as `status.status_of` says in numbers; "weak: ..."
        where the mask does not, or there are doubts (``settings["doubts"]``); "soft: ..." where only the mask does,
        through values between 0 and 1, and its region made hard at 0.5 does not; both with what to try next;
        "failed: ..." with the reason.
    settings
        Everything needed to run it again, what was assumed, what happened on the way (`notes`), and signs that the
        model is shown the wrong pixels (`doubts`).
    model_fingerprint
        Changes with the model; "" if the black box has none.
    images, masked_images
        (N, *shape) the images and what the mask makes of them, in pixel space.
    reference
        (N, *shape) what stood in for deleted pixels, where it was given as images; None where the settings tell it.
    photos
        N photos that the images were made from, None for those that are not known; None if none is.
    predictions
        N times the leading classes, before and after the region is deleted (or kept alone).
    region_images
        (N, *shape) the images with the region fully perturbed (preservation: all but the region).
    """

    mask: Floats
    saliency: Floats
    target: tuple[str, ...]
    target_weights: Floats
    score_original: Floats
    score_masked: Floats
    score_perturbed: Floats
    score_region: Floats
    suppression: Floats
    area: Floats
    objective: Floats
    history: Floats
    evaluations: np.ndarray[Any, np.dtype[np.int64]]
    status: tuple[str, ...]
    settings: dict[str, Any]
    model_fingerprint: str
    images: Floats
    masked_images: Floats
    reference: Floats | None = None
    photos: Photos | None = None
    predictions: tuple[Predictions, ...] = ()
    region_images: Floats | None = None

    def __repr__(self) -> str:
        """Return the summary: the arrays would fill pages."""
        return f"<Explanation of {len(self)} images, masks {self.mask.shape}>\n{self.summary()}"

    def __len__(self) -> int:
        """Return the number of rows, N."""
        return self.mask.shape[0]

    def __getitem__(self, index: int | slice) -> Explanation:
        """Return some of the rows as an `Explanation`."""
        if isinstance(index, slice):
            rows = index
        else:
            place = operator.index(index)
            if not -len(self) <= place < len(self):
                raise IndexError(f"row {place} of {len(self)}")
            rows = slice(place, place + 1 or None)
        parts: dict[str, Any] = {name: getattr(self, name) for name in self._fields()}
        own = {name: part for name, part in parts.items() if name not in ("settings", "model_fingerprint")}
        parts |= {name: part[rows] for name, part in own.items() if part is not None}
        return Explanation(**parts)

    @property
    def scores(self) -> Floats:
        """(N, 3): the target's score in the image, after the mask, and in the fully perturbed image."""
        return np.stack([self.score_original, self.score_masked, self.score_perturbed], axis=1)

    @property
    def region_share(self) -> Floats:
        """(N,): share of the image inside the outline, where the saliency is above 0.5; NaN where a row failed."""
        flat = self.saliency.reshape(len(self), -1)
        return np.where(np.isfinite(flat).all(axis=1), (flat > 0.5).mean(axis=1), np.nan)

    def summary(self) -> str:
        """Return the numbers with their meaning, the leading classes and the status, within 80 columns."""
        return summary_of(self)

    def to_dict(self) -> dict[str, Any]:
        """Return what fits in JSON: everything but the images and maps; numbers that are not finite become None."""
        rows = [
            {
                "target": name,
                "status": status,
                "score_original": float(before),
                "score_masked": float(after),
                "score_perturbed": float(fully),
                "score_region": float(region),
                "suppression": float(gone),
                "area": float(area),
                "region_share": float(share),
                "objective": float(objective),
                "evaluations": {"scores": int(count[0]), "gradients": int(count[1])},
                "predictions": predictions.to_dict(),
            }
            for name, status, (before, after, fully), region, gone, area, share, objective, count, predictions in zip(
                self.target,
                self.status,
                self.scores,
                self.score_region,
                self.suppression,
                self.area,
                self.region_share,
                self.objective,
                self.evaluations,
                self.predictions or (Predictions(),) * len(self),
                strict=True,
            )
        ]
        return finite({"rows": rows, "settings": self.settings, "model_fingerprint": self.model_fingerprint})

    def plot(
        self, row: int = 0, ax: Axes | None = None, *, cmap: str = "inferno", alpha: float = 0.75
    ) -> Figure | SubFigure:
        """Draw photo, importance, and the photo without the region (Fig. 1); needs matplotlib.

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

    def overlay(self, row: int = 0, *, cmap: str = "inferno", alpha: float = 0.75) -> np.ndarray[Any, Any]:
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
        path = Path(path)
        if path.suffix.lower() in PICTURES:
            hint = f"result.plot().savefig({path.name!r})"
            raise ResultError("A result is saved as .npz; this is a picture", got=str(path), hint=hint)
        path = path if path.suffix.lower() == ".npz" else path.with_name(path.name + ".npz")
        parts: dict[str, Any] = {name: getattr(self, name) for name in self._fields()}
        arrays = {name: part for name, part in parts.items() if part is not None}
        arrays.pop("photos", None)
        meta = {name: arrays.pop(name) for name in ("target", "status", "settings", "model_fingerprint")}
        meta["predictions"] = [one.to_dict() for one in arrays.pop("predictions")]
        photos, meta["photos"] = packed_photos(self.photos)
        write_archive(path, {**arrays, **photos}, meta)
        return path

    @classmethod
    def load(cls, path: str | Path) -> Explanation:
        """Read a file written by `save`.

        Raises
        ------
        ResultError
            If the file is missing, damaged or something else.
        """
        try:
            parts, meta = read_archive(Path(path))
            photos = unpacked_photos(parts, meta.pop("photos", None))
            predictions = tuple(map(Predictions.from_dict, meta.pop("predictions", ())))
            parts.update(meta, target=tuple(meta["target"]), status=tuple(meta["status"]))
            return cls(**parts, photos=photos, predictions=predictions)
        except FileNotFoundError as error:
            raise ResultError("There is no such file", got=str(path)) from error
        except UNREADABLE as error:
            expected = "an .npz file written by Explanation.save"
            raise ResultError("This is not a saved explanation", got=f"{path}: {error}", expected=expected) from error

    @classmethod
    def _fields(cls) -> list[str]:
        return [one.name for one in dataclasses.fields(cls)]


def verify(result: Explanation, box: BlackBox, images: Any = None) -> Floats:
    """Recompute the scores of a result with a black box: the same model, or another.

    Parameters
    ----------
    result
        What is checked.
    box
        The black box to ask.
    images
        (N, *shape) the original images; None takes those kept in the result.

    Returns
    -------
    ndarray
        (N, 2): how far the target's scores of the image and of the masked image are from those in the result.

    Raises
    ------
    InputError, ModelError
        If images or scores do not fit.
    """
    given = result.images if images is None else to_numpy(images)
    if given.shape != result.images.shape:
        raise InputError(
            "These are not the images of the result", got=str(given.shape), expected=str(result.images.shape)
        )
    pairs = np.stack([given, result.masked_images], axis=1).astype(result.images.dtype)
    found = target_scores(box, pairs.reshape(-1, *given.shape[1:]), np.repeat(result.target_weights, 2, axis=0))
    return np.abs(found.reshape(-1, 2) - result.scores[:, :2])


def target_scores(box: BlackBox, images: Floats, weights: Floats, batch_size: int = BATCH) -> Floats:
    """Return the targets' scores (N,) of images.

    Parameters
    ----------
    box
        The black box to ask.
    images
        (N, *shape) in pixel space.
    weights
        (N, K) targets as weights over the scores; scores that a target does not name may be NaN or infinite.
    batch_size
        Images in one call.

    Raises
    ------
    ModelError
        If the model fails or has another number of classes.
    """
    native = getattr(box, "native", np.asarray)
    found: list[Floats] = []
    for first in range(0, len(images), batch_size):
        scores = to_numpy(ask(box, native(images[first : first + batch_size])))
        chosen = weights[first : first + batch_size]
        if scores.shape[1] != chosen.shape[1]:
            raise ModelError("The model has other classes", got=f"{scores.shape[1]}", expected=f"{chosen.shape[1]}")
        found.append((np.where(chosen != 0, scores, 0) * chosen).sum(axis=1))
    return np.concatenate(found) if found else np.zeros(0)


def finite(tree: Any) -> Any:
    """Return lists and dictionaries with None for every number that is not finite: JSON has no word for those."""
    if isinstance(tree, dict):
        return {name: finite(value) for name, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [finite(value) for value in tree]
    if isinstance(tree, (float, np.floating)):
        return float(tree) if np.isfinite(tree) else None
    return tree
