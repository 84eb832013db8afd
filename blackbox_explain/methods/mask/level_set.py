"""Soft level sets of maps: what a ranking deletes of a share, and how the score's gradient gets back to the map."""

from __future__ import annotations

from dataclasses import dataclass

from blackbox_explain.arrays import Array, namespace
from blackbox_explain.perturbations.perturbation import Game, real_axes

__all__ = ["LevelSet"]

SEEN = 56**2
"""Pixels, to twice as many along an axis, that the values of a map are counted over: more hardly change a quantile."""

LEAST_SPREAD = 1e-6
"""Of a map, so that one of equal values does no harm."""


@dataclass(frozen=True)
class LevelSet:
    """A soft level set of maps S (N, *grid), of one share.

    Attributes
    ----------
    inside
        M_a, (N, *grid) in [0, 1]: 1 where S is far above t_a.
    width
        (N, 1, ...) τ std S: how far S rises over the edge.
    """

    inside: Array
    width: Array

    def kept(self, game: Game) -> Array:
        """Return the mask that deletes the level set, or that keeps nothing else."""
        return 1 - self.inside if game == "deletion" else self.inside

    @classmethod
    def of(cls, maps: Array, share: float, softness: float) -> LevelSet:
        """Draw the level set of a share of each map.

        Parameters
        ----------
        maps
            S, (N, *grid).
        share
            a, of the grid.
        softness
            τ.
        """
        xp = namespace(maps)
        # Along an axis of a volume as many as along one of an image.
        each = round(SEEN ** (1 / min(2, real_axes(maps.shape[1:]))))
        seen = maps[(slice(None), *(slice(None, None, max(1, size // each)) for size in maps.shape[1:]))]
        flat = xp.sort(xp.reshape(seen, (maps.shape[0], -1)), axis=1)
        count = flat.shape[1]
        threshold = _beside(flat[:, min(count - 1, int(count * (1 - share)))], maps)
        width = _beside(softness * xp.std(flat, axis=1) + LEAST_SPREAD, maps)
        return cls(1 / (1 + xp.exp(xp.clip((threshold - maps) / width, -30.0, 30.0))), width)

    def by_map(self, by_inside: Array) -> Array:
        """Take a gradient by M_a back to one by S, the area held."""
        xp = namespace(by_inside)
        axes = tuple(range(1, by_inside.ndim))
        edge = self.inside * (1 - self.inside)
        held = xp.sum(by_inside * edge, axis=axes, keepdims=True) / (
            xp.sum(edge, axis=axes, keepdims=True) + LEAST_SPREAD
        )
        return (by_inside - held) * edge / self.width


def _beside(values: Array, maps: Array) -> Array:
    return namespace(values).reshape(values, (-1,) + (1,) * (maps.ndim - 1))
