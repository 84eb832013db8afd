"""The score as a function of the mask: its value, and its gradient where the black box has one."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from blackbox_explain.arrays import Array, channel_products, namespace, to_numpy
from blackbox_explain.box.adapter_tools.description import check_scores
from blackbox_explain.box.protocols import BlackBox, DifferentiableBlackBox
from blackbox_explain.errors import BlackBoxExplainError, ModelError, NoGradientError, OutOfMemoryError
from blackbox_explain.methods.mask.upsampling import Upsampling
from blackbox_explain.perturbations.level_stack import LevelStack

__all__ = ["Counts", "MaskedScore", "ask", "ask_gradient", "counted", "is_out_of_memory", "require_gradient"]


Counts = np.ndarray[Any, np.dtype[np.int64]]
"""(N, 2): how often the model was run on each row, for scores alone and for scores with gradient."""


@contextmanager
def counted(evaluations: Counts, rows: np.ndarray[Any, np.dtype[np.int64]], kind: int) -> Generator[None]:
    """Count the images that the model is run on inside the block, whatever comes of it.

    Parameters
    ----------
    evaluations
        (N, 2), changed in place.
    rows
        (n,) the row of each image; a row may have several.
    kind
        0 for scores alone, 1 for scores with gradient.

    Notes
    -----
    Where memory runs out, the model gave nothing and the images count for nothing: no result depends on memory.
    """
    asked = np.bincount(rows, minlength=len(evaluations))
    evaluations[:, kind] += asked
    try:
        yield
    except Exception as error:
        if is_out_of_memory(error):
            evaluations[:, kind] -= asked
        raise


def ask(box: BlackBox, images: Array) -> Array:
    """Return the scores (N, K) of a black box, whatever it raises turned into `ModelError`."""
    return _guarded(box.scores, images)


def ask_gradient(box: DifferentiableBlackBox, images: Array, weights: Array) -> tuple[Array, Array]:
    """Return scores (N, K) and d Σ(weights · scores) / d images, whatever the black box raises as `ModelError`."""
    return _guarded(box.scores_and_gradient, images, weights)


def require_gradient(box: BlackBox) -> DifferentiableBlackBox:
    """Return `box` if it has gradients.

    Raises
    ------
    NoGradientError
        If it gives scores only.
    """
    if not isinstance(box, DifferentiableBlackBox):
        if reason := getattr(box, "no_gradient", None):
            raise NoGradientError(str(reason).removesuffix(".")) from reason
        raise NoGradientError(
            "This black box gives scores but no gradients, and the mask is learned from gradients",
            got=f"a {type(box).__name__} without scores_and_gradient",
            hint="wrap the model in its own framework (a torch.nn.Module), or give the callable a gradient: "
            "wrap(scores, gradient=function)",
        )
    return box


@dataclass
class MaskedScore:
    """f_c(Φ(x0(· − τ); M(m))) of eq. 4 for N rows of masks, each with its own image and target.

    Attributes
    ----------
    box
        The black box.
    upsampling
        From masks to the size of the images.
    moving
        Levels on the jitter's canvas.
    resting
        The same levels without jitter.
    weights
        (N, K): the target of each row as weights over the scores.
    evaluations
        Of the rows of the whole batch, changed in place.
    rows
        Which rows of the whole batch these are.
    """

    box: BlackBox
    upsampling: Upsampling
    moving: LevelStack
    resting: LevelStack
    weights: Array
    evaluations: Counts
    rows: np.ndarray[Any, np.dtype[np.int64]]

    @classmethod
    def of_batch(
        cls,
        box: BlackBox,
        upsampling: Upsampling,
        moving: LevelStack,
        resting: LevelStack,
        weights: Array,
        evaluations: Counts | None = None,
    ) -> Self:
        """Begin with a whole batch, and with what its rows were asked before, if anything."""
        counts = np.zeros((weights.shape[0], 2), np.int64) if evaluations is None else evaluations
        return cls(box, upsampling, moving, resting, weights, counts, np.arange(len(counts)))

    def take(self, rows: Array) -> Self:
        """Return the same for some of the rows; the counts of evaluations stay shared."""
        return replace(
            self,
            moving=self.moving.take(rows),
            resting=self.resting.take(rows),
            weights=self.weights[rows, ...],
            rows=self.rows[to_numpy(rows)],
        )

    def images(self, mask: Array) -> Array:
        """Return the perturbed images (N, *shape) without jitter."""
        return self.resting.mixed(self.upsampling.up(mask))[0]

    def value(self, mask: Array) -> Array:
        """Return the targets' scores (N,) at masks (N, *cells), without jitter."""
        return self.of_images(self.images(mask))

    def of_images(self, images: Array) -> Array:
        """Return the targets' scores (N,) of images (N, *shape)."""
        return self.targets(self.all_scores(images))

    def all_scores(self, images: Array) -> Array:
        """Return the scores (N, K) of images (N, *shape)."""
        with counted(self.evaluations, self.rows, 0):
            return ask(self.box, images)

    def value_and_gradient(self, mask: Array, offset: tuple[int, ...] | None = None) -> tuple[Array, Array]:
        """Return the targets' scores (N,) and their gradient by the mask (N, *cells).

        Parameters
        ----------
        mask
            (N, *cells) in [0, 1].
        offset
            Place of the window on the jitter's canvas; None is no jitter.

        Notes
        -----
        Where a gradient is not finite, it is returned as zero and the score as NaN: mask values index the levels.
        """
        box = require_gradient(self.box)
        stack = self.resting if offset is None else self.moving
        images, slope = stack.mixed(self.upsampling.up(mask), offset, reuse=True)
        with counted(self.evaluations, self.rows, 1):
            scores, by_images = ask_gradient(box, images, self.weights)
        xp = namespace(mask)
        by_mask = self.upsampling.down(channel_products(by_images, slope))
        finite = xp.isfinite(by_mask)
        value = self.targets(scores)
        sound = xp.all(xp.reshape(finite, (value.shape[0], -1)), axis=1)
        return xp.where(sound, value, xp.nan * value), xp.where(finite, by_mask, xp.zeros_like(by_mask))

    def targets(self, scores: Array, weights: Array | None = None) -> Array:
        """Return the targets' scores (N,) among scores (N, K); what a target does not name may be NaN or infinite.

        Parameters
        ----------
        scores
            (N, K).
        weights
            (N, K), if these are not the scores of one image for each row.
        """
        xp = namespace(scores)
        chosen = self.weights if weights is None else weights
        return xp.sum(xp.where(chosen != 0, scores, xp.zeros_like(scores)) * chosen, axis=1)


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error of any array library means that memory ran out."""
    return isinstance(error, (MemoryError, OutOfMemoryError)) or type(error).__name__ == "OutOfMemoryError"


def _guarded(call: Any, images: Array, *rest: Array) -> Any:
    try:
        answer = call(images, *rest)
    except BlackBoxExplainError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise ModelError(
            "The model raised an error",
            got=f"{type(error).__name__}: {error}",
            hint=f"run it yourself on an array of shape {tuple(images.shape)}",
        ) from error
    check_scores(answer[0] if rest else answer, images.shape[0], "The model")
    return answer
