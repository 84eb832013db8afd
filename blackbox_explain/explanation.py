"""The result: what was learned, what it does to the score, and how it was made; saved without pickle."""

from __future__ import annotations

import dataclasses
import json
import operator
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile, is_zipfile

import numpy as np

from blackbox_explain.arrays import to_numpy
from blackbox_explain.blackbox import BlackBox
from blackbox_explain.errors import InputError, ModelError, ResultError
from blackbox_explain.gradients import ask

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]

__all__ = ["Explanation", "Floats", "finite", "target_scores", "verify"]

ESTIMATED = "the gradient is estimated from scores"
"""Beginning of the note that says why."""

FORMAT = 1

BATCH = 16
"""Images in one call of the model."""


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
        Everything needed to run it again, what was assumed and what happened on the way (`notes`).
    model_fingerprint
        Changes with the model; "" if the black box has none.
    images, masked_images
        (N, *shape) the images and what the mask makes of them, in pixel space.
    reference
        (N, *shape) what stood in for deleted pixels, where it was given as images; None where the settings tell it.
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

    def summary(self) -> str:
        """Return a table for people, one line per row."""
        head = f"{'target':<28}{'before':>8}{'after':>8}{'region':>8}{'all':>8}{'area':>7}  status"
        lines = [
            f"{name[:27]:<28}{before:8.4f}{after:8.4f}{region:8.4f}{fully:8.4f}{area:7.1%}  {status}"
            for name, (before, after, fully), region, area, status in zip(
                self.target, self.scores, self.score_region, self.area, self.status, strict=True
            )
        ]
        done = f"{self.settings.get('game', '')} by {self.settings.get('perturbation', '')}"
        title = f"{done}, preset {self.settings.get('preset', '')}"
        if self.settings.get("gradients") == "estimated" and np.isfinite(self.objective).any():
            title += (
                f", gradient estimated: mean objective {np.nanmean(self.objective):.4f}"
                f" with {self.evaluations.sum(axis=1).max()} queries an image"
            )
        notes = [note for note in self.settings.get("notes", ()) if note.startswith(ESTIMATED)]
        doubts = [f"doubt: {sentence}" for sentence in self.settings.get("doubts", ())]
        return "\n".join([title, *notes, *doubts, head, *lines])

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
                "objective": float(objective),
                "evaluations": {"scores": int(count[0]), "gradients": int(count[1])},
            }
            for name, status, (before, after, fully), region, gone, area, objective, count in zip(
                self.target,
                self.status,
                self.scores,
                self.score_region,
                self.suppression,
                self.area,
                self.objective,
                self.evaluations,
                strict=True,
            )
        ]
        return finite({"rows": rows, "settings": self.settings, "model_fingerprint": self.model_fingerprint})

    def plot(self, row: int = 0) -> Figure:
        """Draw photo, mask and perturbed photo of one row (Fig. 1); needs matplotlib, images or signals."""
        from blackbox_explain.render import figure

        return figure(self, row)

    def save(self, path: str | Path) -> Path:
        """Write everything to one .npz file, atomically and without pickle.

        Raises
        ------
        ResultError
            If the file cannot be written.
        """
        path = Path(path)
        path = path if path.suffix == ".npz" else path.with_name(path.name + ".npz")
        parts: dict[str, Any] = {name: getattr(self, name) for name in self._fields()}
        arrays = {name: part for name, part in parts.items() if part is not None}
        meta = {name: arrays.pop(name) for name in ("target", "status", "settings", "model_fingerprint")}
        partial = path.with_name(f".{path.name}.partial")
        text = json.dumps({"format": FORMAT, **meta})
        try:
            with partial.open("wb") as file:
                np.savez_compressed(file, allow_pickle=False, meta=text, **arrays)
            partial.replace(path)
        except OSError as error:
            partial.unlink(missing_ok=True) if partial.parent.is_dir() else None
            raise ResultError("The result cannot be written", got=f"{path}: {error.strerror}") from error
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
            with Path(path).open("rb") as stream:
                if not is_zipfile(stream):
                    # NumPy would speak of pickles.
                    raise BadZipFile("it is no archive, or not a whole one")
                stream.seek(0)
                with np.load(stream, allow_pickle=False) as file:
                    parts: dict[str, Any] = {name: file[name] for name in file.files}
            meta = json.loads(str(parts.pop("meta")))
            if meta.pop("format") != FORMAT:
                raise ResultError("This result has another format", got=str(path), expected=f"format {FORMAT}")
            parts.update(meta, target=tuple(meta["target"]), status=tuple(meta["status"]))
            return cls(**parts)
        except FileNotFoundError as error:
            raise ResultError("There is no such file", got=str(path)) from error
        except (OSError, EOFError, KeyError, TypeError, ValueError, AttributeError, BadZipFile, zlib.error) as error:
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
