"""What a perturbation takes away of scores: of the whole image, and of the image without a region."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from blackbox_explain.box.oracle import Oracle
from blackbox_explain.box.targets import target_scores
from blackbox_explain.errors import ModelError
from blackbox_explain.explanation.explanation import Explanation
from blackbox_explain.explanation.suppression import effect, has_reach
from blackbox_explain.perturbations.levels import levels_of, taken
from blackbox_explain.perturbations.perturbation import Game, Perturbation

__all__ = ["Suppressing"]

Booleans = np.ndarray[Any, np.dtype[np.bool_]]
Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]
Rows = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True, eq=False)
class Suppressing:
    """Images, fully perturbed images, and the scores of both, against which regions are measured.

    Attributes
    ----------
    oracle
        Asks the model, on behalf of these n images.
    images, gone
        (n, *shape) in pixel space, and fully perturbed.
    weights
        (n, K) the targets as weights over the scores.
    original, perturbed
        (n,) target scores of both.
    """

    oracle: Oracle
    images: Floats
    gone: Floats
    weights: Floats
    original: Floats
    perturbed: Floats

    @classmethod
    def of(
        cls, oracle: Oracle, explanation: Explanation, perturbation: Perturbation, original: Floats | None = None
    ) -> Suppressing:
        """Perturb the images of an explanation, and ask for the scores of those that are not known.

        Parameters
        ----------
        oracle, explanation, perturbation
            What to ask, of what, and what stands in for deleted pixels.
        original
            (n,) the target scores of the images, where this model has just told them; None asks for them.

        Raises
        ------
        ModelError
            If a score is not finite, or the model fails.
        """
        images, weights = explanation.images, explanation.weights
        own = taken(perturbation, oracle.rows, len(oracle.counts), oracle.box.spec)
        levels = levels_of(own, images, oracle.box.spec, explanation.provenance.seed)
        gone = np.asarray(levels[0])
        known = _finite(oracle.target_scores(images, weights) if original is None else original)
        return cls(oracle, images, gone, weights, known, _finite(oracle.target_scores(gone, weights)))

    @property
    def there(self) -> Booleans:
        """(n,) whether perturbing the whole image lowers the score, as `has_reach` tells."""
        return has_reach(self.original, self.perturbed)

    def done(self, regions: Booleans, rows: Rows, game: Game = "deletion") -> Floats:
        """Return how much of what perturbing takes away is gone without regions, or kept by them alone.

        Parameters
        ----------
        regions
            (m, *spatial).
        rows
            (m,) which image each is of.
        game
            ``"deletion"``: the regions are perturbed; ``"preservation"``: all but them.

        Returns
        -------
        ndarray
            (m,), 1 where it is as if all were deleted (kept); it means nothing where `there` is not.

        Raises
        ------
        ModelError
            If a score is not finite, or the model fails.
        """
        deleted = regions ^ (game == "preservation")
        scores = self.oracle.scores_of(partial(self._made, deleted, rows), len(rows), rows)
        left = _finite(target_scores(scores, self.weights[rows]))
        return effect(self.original[rows], left, self.perturbed[rows], game)

    def _made(self, deleted: Booleans, rows: Rows, part: slice) -> Floats:
        images, gone = self.images[rows[part]], self.gone[rows[part]]
        return np.where(deleted[part, None], gone, images).astype(images.dtype, copy=False)


def _finite(scores: Any) -> Floats:
    found = np.asarray(scores)
    if not np.isfinite(found).all():
        raise ModelError("Scores are not finite", got="NaN or infinity for an image, or for one with pixels perturbed")
    return found
