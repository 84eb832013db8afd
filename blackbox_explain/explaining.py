"""`explain`: images in, learned masks out, whatever the black box."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from blackbox_explain.arrays import Array, to_numpy
from blackbox_explain.box.protocols import BlackBox, check_images, reading_of
from blackbox_explain.box.targets import Target, one_per_image
from blackbox_explain.data.photos import Photos, photos_of
from blackbox_explain.errors import BlackBoxExplainError, InputError
from blackbox_explain.explanation.explanation import ESTIMATED, Explanation
from blackbox_explain.explanation.outcome import status_of
from blackbox_explain.explanation.predictions import Predictions, predictions_of
from blackbox_explain.explanation.preprocessing_doubts import about
from blackbox_explain.methods.mask.learner import ALL_SCORES, Job, Learned, Row, learn_all
from blackbox_explain.methods.mask.regularizers import Game
from blackbox_explain.methods.mask.settings import PresetName, make_perturbation, settings_for
from blackbox_explain.perturbations.perturbation import Perturbation, Reference
from blackbox_explain.progress import Advance, progress_bar

__all__ = ["BATCH", "check_call", "explain"]

BATCH = 16

APART = ("target", "answer", *ALL_SCORES)
"""Parts of a row that are no arrays."""


def explain(
    box: BlackBox,
    images: Array,
    target: Target | Sequence[Target | None] | None = None,
    *,
    game: Game = "deletion",
    perturbation: str | Perturbation = "blur",
    preset: PresetName = "fast",
    method: Literal["mask"] = "mask",
    seed: int = 0,
    batch_size: int = BATCH,
    progress: bool | Advance | None = None,
    **overrides: Any,
) -> Explanation:
    """Learn the smallest mask whose deletion destroys, or whose preservation keeps, the score of a target (eq. 4).

    Parameters
    ----------
    box
        From `wrap`.  Where it has no gradients, they are estimated from its scores, with at most `queries` images a row
        (see `Settings`); the result says so.
    images
        (N, *box.spec.shape) floats in ``box.spec.bounds``, of any array library; `load_images` makes them.
    target
        What is explained: a class index or name, `Top`, `Labels` or `Difference`; a list gives one to each image;
        None is the top class of each image.
    game
        ``"deletion"``: the smallest region without which the score falls.  ``"preservation"``: the smallest region
        that is enough for it.
    perturbation
        What stands in for deleted pixels: ``"blur"``, ``"constant"``, ``"noise"`` or a `Perturbation`.
    preset
        ``"fast"`` (48 gradients), ``"paper"`` or ``"authors"`` (300 each): see `Settings`.
    method
        ``"mask"``, the learned mask.
    seed
        Of jitter and noise.  Same seed, same mask, whatever the batch size, order or company of an image; what its
        status says may depend on the other images, which tell whether the model is shown the right pixels.
    batch_size
        Rows learned together; halved, with a note in the result, when memory runs out.
    progress
        True, False, or a function called with the number of steps done, or of queries where the gradient is estimated,
        since its last call; None shows a bar on a terminal.
    **overrides
        Fields of `Settings` to replace, such as ``steps=100`` or ``area_weight=1e-3``.

    Returns
    -------
    Explanation
        One row per image; rows that failed say so in `status`, the others are complete.

    Raises
    ------
    InputError
        If images or settings do not fit.
    TargetError
        If the number of targets does not fit, or no image's target exists; otherwise such rows say so in `status`.
    ModelError, OutOfMemoryError
        If the model fails (`UnreachableError`: cannot be asked at all), or memory runs out, on every image.
    """
    if method != "mask":
        raise InputError("There is no such method", got=repr(method), expected="'mask'")
    check_call(box, batch_size, seed)
    settings = settings_for(preset, overrides, box.spec.spatial)
    host = check_images(images, box.spec)
    made = make_perturbation(perturbation, settings)
    if isinstance(made, Reference) and len(made.images) not in (1, len(host)):
        expected = f"1 or {len(host)}"
        raise InputError("The references do not match the images", got=str(len(made.images)), expected=expected)
    job = Job(box, settings, game, made, int(seed))
    targets = one_per_image(target, len(host))
    if callable(progress):
        learned = learn_all(job, host, targets, batch_size, progress)
    else:
        with progress_bar(
            len(host) * job.units, "learning masks" if job.exact else "asking for scores", progress
        ) as advance:
            learned = learn_all(job, host, targets, batch_size, advance)
    record = {
        "preset": preset,
        "method": method,
        "game": game,
        "perturbation": perturbation if isinstance(perturbation, str) else type(perturbation).__name__.lower(),
        "perturbation_settings": _settings_of(made),
        "seed": int(seed),
        "batch_size": batch_size,
        "gradients": "exact" if job.exact else "estimated",
        **dataclasses.asdict(settings),
        "input": reading_of(box.spec),
        "activation": getattr(box, "activation", "none"),
        "assumptions": list(getattr(box, "assumptions", ())),
        "doubts": _doubts(learned, box),
        "notes": [*([] if job.exact else [_why_estimated(box)]), *learned.notes],
        "versions": _versions(),
    }
    fingerprint = getattr(box, "fingerprint", None)
    reference = np.broadcast_to(to_numpy(made.images), host.shape) if isinstance(made, Reference) else None
    own = Own(box.spec.class_names, str(fingerprint()) if fingerprint else "", reference, photos_of(images))
    return _assemble(learned, host, record, own)


def check_call(box: BlackBox, batch_size: int, seed: int) -> None:
    """Raise `InputError` unless these are a black box, a size of batches and a seed."""
    if not isinstance(box, BlackBox):
        raise InputError(
            "This is not a black box",
            got=f"a {type(box).__name__}",
            expected="scores() and spec",
            hint="box = blackbox_explain.wrap(model, shape=(3, 224, 224))",
        )
    if batch_size < 1:
        raise InputError("A batch holds at least one image", got=f"batch_size={batch_size}")
    if not isinstance(seed, (int, float, np.number)) or not 0 <= seed < np.inf or seed != int(seed):
        raise InputError("This is no seed", got=f"seed={seed!r}", expected="a whole number of at least 0")


@dataclasses.dataclass(frozen=True)
class Own:
    """What a result has beside what was learned and set.

    Attributes
    ----------
    names
        Of the classes, or None.
    fingerprint, reference, photos
        As in `Explanation`.
    """

    names: tuple[str, ...] | None
    fingerprint: str
    reference: np.ndarray[Any, Any] | None
    photos: Photos | None


def _assemble(learned: Learned, host: np.ndarray[Any, Any], record: dict[str, Any], own: Own) -> Explanation:
    rows = learned.rows
    template = next(row for row in rows if not isinstance(row, BlackBoxExplainError))
    kept = [name for name in template if name not in APART]
    blank: Row = {
        name: np.full_like(value, np.nan) if np.asarray(value).dtype.kind == "f" else np.zeros_like(value)
        for name, value in template.items()
        if name in kept
    }
    blank["target"] = "-"
    complete = [blank if isinstance(row, BlackBoxExplainError) else row for row in rows]
    arrays = {name: np.stack([row[name] for row in complete]) for name in kept}
    reach = arrays["score_original"] - arrays["score_perturbed"]
    with np.errstate(divide="ignore", invalid="ignore"):
        left = (arrays["score_masked"] - arrays["score_perturbed"]) / reach
    return Explanation(
        **arrays,
        evaluations=learned.evaluations,
        target=tuple(row["target"] for row in complete),
        suppression=np.where(reach == 0, np.nan, 1 - left),
        status=tuple(
            f"failed: {row}"
            if isinstance(row, BlackBoxExplainError)
            else status_of(row, record["game"], record["doubts"], record["preset"], record["perturbation"])
            for row in rows
        ),
        settings=record,
        model_fingerprint=own.fingerprint,
        images=host,
        reference=own.reference,
        photos=own.photos,
        predictions=tuple(
            Predictions()
            if isinstance(row, BlackBoxExplainError)
            else predictions_of(row["scores_original"], row["scores_region"], own.names)
            for row in rows
        ),
    )


def _doubts(learned: Learned, box: BlackBox) -> list[str]:
    answers = [row["answer"] for row in learned.rows if not isinstance(row, BlackBoxExplainError)]
    return about(answers, box)


def _why_estimated(box: BlackBox) -> str:
    reason = getattr(box, "no_gradient", None)
    return f"{ESTIMATED}: {reason or 'the black box has none'}"


def _settings_of(perturbation: Perturbation) -> dict[str, Any]:
    """Return the fields of a perturbation as JSON knows them, of arrays the shape alone."""
    if not dataclasses.is_dataclass(perturbation):
        return {"repr": repr(perturbation)}
    fields = {one.name: getattr(perturbation, one.name) for one in dataclasses.fields(perturbation)}
    return {name: f"array {value.shape}" if hasattr(value, "shape") else value for name, value in fields.items()}


def _versions() -> dict[str, str]:
    names = ("blackbox_explain", "numpy", "torch", "onnxruntime", "tensorflow", "keras")
    return {name: str(getattr(sys.modules[name], "__version__", "")) for name in names if name in sys.modules}
