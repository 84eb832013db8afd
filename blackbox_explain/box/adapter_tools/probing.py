"""How a model has to be asked: how many images at once, and whether its answers repeat; found when it is wrapped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from blackbox_explain.arrays import Array, constant_like, to_numpy
from blackbox_explain.box.input_spec import InputSpec
from blackbox_explain.errors import ModelError

__all__ = ["COMPANY", "RANDOM", "TOLERANCE", "Habits", "Manner", "company_images", "habits", "manner_of_asking"]

TOLERANCE = 1e-4
"""Differences up to this share of the largest output are rounding: kernels are chosen by the number of rows."""

COMPANY = "the scores of an image depend on the images beside it, so images are given one at a time"

COMPANY_STAYS = (
    "the scores of an image depend on the images beside it, and the batch size is fixed: a mask may change with the "
    "company that its image is in"
)

RANDOM = (
    "the model answers differently when the same image is given again (random numbers, dropout left on, or a state "
    "that is kept between calls): the same seed gives other masks, and a certificate may not hold"
)


@dataclass(frozen=True)
class Habits:
    """What a model does when the same image is given alone, again, and beside another.

    Attributes
    ----------
    repeats
        Whether the same image alone gets the same outputs twice.
    independent
        Whether it gets them in company too; where it does not repeat, this says nothing and is True.
    """

    repeats: bool
    independent: bool


def company_images(spec: InputSpec) -> Array:
    """Return a dim noisy image and one with black and white halves: (2, *shape) in pixel space.

    Whatever looks at a whole batch (its mean, its largest value) is moved by the second, far from what the first has.
    """
    low, high = spec.bounds
    dim = np.random.default_rng(1).uniform(low, low + 0.3 * (high - low), spec.shape)
    halves = np.full(spec.shape, low)
    halves[..., spec.shape[-1] // 2 :] = high
    return np.stack([dim, halves]).astype(np.float32)


def habits(ask: Callable[[Array], Array], images: Array, tolerance: float = TOLERANCE) -> Habits:
    """Ask for the first image in company, alone, and alone again.

    Parameters
    ----------
    ask
        Maps images (n, *shape) to outputs (n, K), all rows in one run of the model.
    images
        Two or more, such as `company_images`, of any array library.
    tolerance
        Share of the largest output that counts as rounding.
    """
    together, alone, again = (to_numpy(ask(rows))[:1] for rows in (images, images[:1], images[:1]))
    repeats = _same(alone, again, tolerance)
    return Habits(repeats, not repeats or _same(together, alone, tolerance))


@dataclass(frozen=True)
class Manner:
    """How a model has to be asked.

    Attributes
    ----------
    batch
        The one number of images that it gets at once; None if any.
    notes
        Sentences for the user.
    """

    batch: int | None
    notes: tuple[str, ...] = ()


def manner_of_asking(
    ask: Callable[[Array, int | None], Array],
    spec: InputSpec,
    batch: int | None = None,
    *,
    like: Array | None = None,
    tolerance: float = TOLERANCE,
) -> Manner:
    """Find out how many images a model takes at once, such that each gets the scores that it gets alone.

    Parameters
    ----------
    ask
        ``ask(images, size)`` maps images (n, *shape) to outputs (n, K), `size` of them in each run, or all if None.
    spec
        Of the black box.
    batch
        The size that the model is known to take; None if it claims to take any.
    like
        An array of the library and device that `ask` takes; None is NumPy.
    tolerance
        As for `habits`.

    Raises
    ------
    BlackBoxExplainError
        What `ask` raised, if the model works with no number of images.
    """
    images = company_images(spec)
    images = images if like is None else constant_like(images, like)
    if batch is not None:
        found = habits(lambda rows: ask(rows, batch), images, tolerance)
        notes = () if found.repeats and found.independent else (COMPANY_STAYS if found.repeats else RANDOM,)
        return Manner(batch, notes if batch > 1 or not found.repeats else ())
    failures: list[Exception] = []
    for size in (None, 1, 2):
        try:
            found = habits(lambda rows, size=size: ask(rows, size), images, tolerance)
        except Exception as error:  # whatever a model raises
            failures.append(error)
        else:
            return _settled(size, found, failures)
    raise failures[0]


def _settled(size: int | None, found: Habits, failures: list[Exception]) -> Manner:
    notes: list[str] = []
    if size is not None:
        why = str(failures[0]).strip().splitlines()[0].removesuffix(".")
        number = "one image at a time" if size == 1 else "two images at a time"
        notes.append(f"the model works with {number} only ({why})")
    if not found.repeats:
        notes.append(RANDOM)
    elif not found.independent and size == 2:
        raise ModelError(
            "The scores of an image depend on the images beside it, and the model fails on one image alone",
            got=str(failures[0]),
            hint="put it into evaluation mode, model.eval(), so that BatchNorm uses what it learned",
        )
    elif not found.independent:
        size = 1
        notes.append(COMPANY)
    return Manner(size, tuple(notes))


def _same(a: np.ndarray, b: np.ndarray, tolerance: float) -> bool:
    """Tell whether outputs are the same but for rounding; NaN is the same as NaN."""
    if a.shape != b.shape:
        return False
    a, b = a.astype(np.float64), b.astype(np.float64)
    largest = max((float(np.abs(one[np.isfinite(one)]).max(initial=0.0)) for one in (a, b)), default=0.0)
    return bool(np.allclose(a, b, rtol=0.0, atol=tolerance * largest, equal_nan=True))
