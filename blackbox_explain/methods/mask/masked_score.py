"""The score as a function of the mask: its value, and its gradient where the black box has one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

from blackbox_explain.arrays import Array, channel_products, namespace, to_numpy
from blackbox_explain.box.oracle import Oracle
from blackbox_explain.box.targets import target_scores
from blackbox_explain.methods.mask.level_set import LevelSet
from blackbox_explain.methods.upsampling import Upsampling
from blackbox_explain.perturbations.level_stack import LevelStack
from blackbox_explain.perturbations.perturbation import Game

__all__ = ["MaskedScore"]


@dataclass
class MaskedScore:
    """f_c(Φ(x0(· − τ); M(m))) of eq. 4 for N rows of masks, each with its own image and target.

    Attributes
    ----------
    oracle
        Asks the model, on behalf of these rows.
    upsampling
        From masks to the size of the images.
    moving
        Levels on the jitter's canvas.
    resting
        The same levels without jitter.
    weights
        (N, K): the target of each row as weights over the scores.
    """

    oracle: Oracle
    upsampling: Upsampling
    moving: LevelStack
    resting: LevelStack
    weights: Array

    def take(self, rows: Array) -> Self:
        """Return the same for some of the rows."""
        return replace(
            self,
            oracle=self.oracle.take(to_numpy(rows)),
            moving=self.moving.take(rows),
            resting=self.resting.take(rows),
            weights=self.weights[rows, ...],
        )

    def images(self, mask: Array) -> Array:
        """Return the perturbed images (N, *shape) without jitter."""
        return self.resting.mixed(self.upsampling.up(mask))[0]

    def value(self, mask: Array) -> Array:
        """Return the targets' scores (N,) at masks (N, *cells), without jitter."""
        return self.of_images(self.images(mask))

    def of_images(self, images: Array) -> Array:
        """Return the targets' scores (N,) of images (N, *shape)."""
        return target_scores(self.oracle.scores(images), self.weights)

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
        value, by_pixels = self._at_pixels(self.upsampling.up(mask), offset)
        return _finite(value, self.upsampling.down(by_pixels))

    def of_level_set(
        self, maps: Array, share: float, softness: float, game: Game, offset: tuple[int, ...] | None = None
    ) -> tuple[Array, Array]:
        """Return the targets' scores (N,) of a level set, and how what is minimised changes with the map (N, *cells).

        Minimised is the score without the level set, or −1 times that of the level set alone, its area held.

        Parameters
        ----------
        maps
            (N, *cells); the level set is drawn at the pixels.
        share, softness
            As in `LevelSet.of`.
        game
            ``"deletion"`` or ``"preservation"``.
        offset
            As in `value_and_gradient`.
        """
        level = LevelSet.of(self.upsampling.up(maps), share, softness)
        value, by_keep = _finite(*self._at_pixels(level.kept(game), offset))
        # Of what is minimised the gradient by the level set is the same in both games.
        return value, self.upsampling.down(level.by_map(-by_keep))

    def _at_pixels(self, keep: Array, offset: tuple[int, ...] | None) -> tuple[Array, Array]:
        stack = self.resting if offset is None else self.moving
        images, slope = stack.mixed(keep, offset, reuse=True)
        scores, by_images = self.oracle.gradient(images, self.weights)
        return target_scores(scores, self.weights), channel_products(by_images, slope)


def _finite(value: Array, gradient: Array) -> tuple[Array, Array]:
    """Return a gradient with zeros where it is not finite, and NaN as the score of such rows."""
    xp = namespace(gradient)
    finite = xp.isfinite(gradient)
    sound = xp.all(xp.reshape(finite, (value.shape[0], -1)), axis=1)
    return xp.where(sound, value, xp.nan * value), xp.where(finite, gradient, xp.zeros_like(gradient))
