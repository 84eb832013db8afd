"""The score as a function of the mask: its value, and its gradient where the black box has one."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from blackbox_explain.arrays import Array, namespace
from blackbox_explain.blackbox import BlackBox, DifferentiableBlackBox, check_scores
from blackbox_explain.errors import BlackBoxExplainError, ModelError, NoGradientError, OutOfMemoryError
from blackbox_explain.interpolation import LevelStack
from blackbox_explain.masks import Upsampling

__all__ = ["MaskedScore", "ask", "require_gradient"]


def ask(box: BlackBox, images: Array) -> Array:
    """Return the scores (N, K) of a black box, whatever it raises turned into `ModelError`."""
    return _guarded(box.scores, images)


def require_gradient(box: BlackBox) -> DifferentiableBlackBox:
    """Return `box` if it has gradients.

    Raises
    ------
    NoGradientError
        If it gives scores only.
    """
    if not isinstance(box, DifferentiableBlackBox):
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
        Images the model was run on so far, for each remaining row: with the gradient or without.
    """

    box: BlackBox
    upsampling: Upsampling
    moving: LevelStack
    resting: LevelStack
    weights: Array
    evaluations: dict[str, int] = field(default_factory=lambda: {"scores": 0, "gradients": 0})

    def take(self, rows: Array) -> MaskedScore:
        """Return the same for some of the rows; the counts of evaluations stay shared."""
        return replace(
            self, moving=self.moving.take(rows), resting=self.resting.take(rows), weights=self.weights[rows, ...]
        )

    def images(self, mask: Array) -> Array:
        """Return the perturbed images (N, *shape) without jitter."""
        return self.resting.mixed(self.upsampling.up(mask))[0]

    def value(self, mask: Array) -> Array:
        """Return the targets' scores (N,) at masks (N, *cells), without jitter."""
        return self.of_images(self.images(mask))

    def of_images(self, images: Array) -> Array:
        """Return the targets' scores (N,) of images (N, *shape)."""
        self.evaluations["scores"] += 1
        return self.targets(ask(self.box, images))

    def value_and_gradient(self, mask: Array, offset: tuple[int, ...] | None = None) -> tuple[Array, Array]:
        """Return the targets' scores (N,) and their gradient by the mask (N, *cells).

        Parameters
        ----------
        mask
            (N, *cells) in [0, 1].
        offset
            Place of the window on the jitter's canvas; None is no jitter.
        """
        box = require_gradient(self.box)
        stack = self.resting if offset is None else self.moving
        images, slope = stack.mixed(self.upsampling.up(mask), offset)
        self.evaluations["gradients"] += 1
        scores, by_images = _guarded(box.scores_and_gradient, images, self.weights)
        by_mask = namespace(mask).sum(by_images * slope, axis=1)
        return self.targets(scores), self.upsampling.down(by_mask)

    def targets(self, scores: Array) -> Array:
        """Return the targets' scores (N,) among scores (N, K); what a target does not name may be NaN or infinite."""
        xp = namespace(scores)
        return xp.sum(xp.where(self.weights != 0, scores, xp.zeros_like(scores)) * self.weights, axis=1)


def _guarded(call: Any, images: Array, *rest: Array) -> Any:
    try:
        answer = call(images, *rest)
    except BlackBoxExplainError:
        raise
    except MemoryError as error:
        raise OutOfMemoryError("The model ran out of memory", got=f"a batch of {images.shape[0]}") from error
    except Exception as error:
        raise ModelError(
            "The model raised an error",
            got=f"{type(error).__name__}: {error}",
            hint=f"run it yourself on an array of shape {tuple(images.shape)}",
        ) from error
    check_scores(answer[0] if rest else answer, images.shape[0], "The model")
    return answer
