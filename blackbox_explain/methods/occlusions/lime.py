"""LIME: a linear model of the score over the superpixels of one image (Ribeiro, Singh & Guestrin 2016)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from blackbox_explain.arrays import Array
from blackbox_explain.box.info import BoxInfo
from blackbox_explain.box.oracle import Oracle
from blackbox_explain.box.protocols import BlackBox
from blackbox_explain.errors import BackendMissingError, install_hint
from blackbox_explain.methods.deleting import Deleting
from blackbox_explain.methods.method import Attribution, Budget
from blackbox_explain.methods.occlusions.segments import check_packages, check_segments, kept_where, segments_of
from blackbox_explain.setting_ranges import check_number, check_whole

__all__ = ["Lime", "local_weights"]

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]


@dataclass(frozen=True)
class Lime(Deleting):
    """Fit a linear model to the score of images that lack some of their superpixels.

    Ribeiro, Singh & Guestrin, *"Why Should I Trust You?"* (2016): every sample keeps each superpixel with probability
    one half, and counts the more the fewer are missing: exp(−D² / (2 width²)), D the cosine distance to the image.

    Attributes
    ----------
    samples
        Runs of the model; 1,000 in the authors' code.
    segments
        Superpixels, at most.
    width
        Of the kernel; a quarter in the authors' code.
    ridge
        Weight of the squared coefficients; 1 in the authors' code.
    perturbation
        What stands in for a superpixel that is missing; None is grey, the middle of the bounds.
    """

    samples: int = 1000
    segments: int = 50
    width: float = 0.25
    ridge: float = 1.0

    name: ClassVar[str] = "lime"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_segments(self)
        check_whole(self, "samples", least=2)
        check_number(self, "width", least=0.01, most=100)
        check_number(self, "ridge", least=0, most=1e12)

    @classmethod
    def check_box(cls, box: BlackBox) -> None:
        """Raise that a package is missing that images of this box need."""
        check_packages(cls.name, box.spec.spatial, "sklearn")

    def budget(self, info: BoxInfo) -> Budget:
        """Return one run for each sample, the first of which is the image itself."""
        del info
        return Budget(1 + self.samples)

    def explain(self, oracle: Oracle, images: Array, weights: Array, seed: int) -> Attribution:
        """Return for each pixel the weight of its superpixel."""
        scores = self.masked_scores(oracle, images, weights, seed)
        labels = segments_of(scores.images, self.segments, oracle.box.spec.bounds)
        there = [self._samples(int(own.max()) + 1, seed) for own in labels]
        found = scores.of_each(kept_where(labels, there), self.samples)
        saliency = [
            local_weights(sampled, values, self.width, self.ridge)[own]
            for own, sampled, values in zip(labels, there, found, strict=True)
        ]
        return self.found(np.stack(saliency), images)

    def _samples(self, parts: int, seed: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
        drawn = np.random.default_rng([seed, parts]).random((self.samples, parts)) < 0.5
        drawn[0] = True
        return drawn


def local_weights(there: np.ndarray[Any, np.dtype[np.bool_]], values: Floats, width: float, ridge: float) -> Floats:
    """Fit the scores of samples by a weight for each part.

    Parameters
    ----------
    there
        (samples, parts), which parts each sample has.
    values
        (samples,) scores.
    width, ridge
        As in `Lime`.

    Returns
    -------
    ndarray
        (parts,).

    Raises
    ------
    BackendMissingError
        If scikit-learn is not installed.
    """
    try:
        from sklearn.linear_model import Ridge
    except ModuleNotFoundError as error:
        hint = install_hint("segments")
        raise BackendMissingError("LIME needs scikit-learn, which is not installed", hint=hint) from error
    # Of ones and zeros against all ones, the cosine is the root of the share that is there.
    distance = 1 - np.sqrt(there.mean(axis=1))
    near = np.exp(-((distance / width) ** 2) / 2)
    line = Ridge(alpha=ridge).fit(there.astype(np.float64), values.astype(np.float64), sample_weight=near)
    return np.asarray(line.coef_)
