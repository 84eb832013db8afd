"""Whether an attribution predicts what noise does to the score."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np

from blackbox_explain.box.oracle import Oracle
from blackbox_explain.box.protocols import BlackBox
from blackbox_explain.box.targets import target_scores
from blackbox_explain.errors import ModelError, NotMeasurableError
from blackbox_explain.explanation.explanation import Explanation
from blackbox_explain.metrics.metric import Better
from blackbox_explain.setting_ranges import check_number, check_whole

__all__ = ["Infidelity"]

NO_SLOPES = frozenset(
    [
        *("gradient-times-input", "integrated-gradients", "blur-integrated-gradients", "lrp"),
        *("excitation-backprop", "contrastive-excitation-backprop"),
        *("occlusion", "circle-occlusion", "variable-occlusion", "segment-graying", "lime", "shapley", "rise"),
    ]
)
"""Methods whose attribution is of a change to the image, and not of a unit of it."""

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]


@dataclass(frozen=True)
class Infidelity:
    """Measure how far an attribution is from predicting what noise does to the score.

    INFD = E_I [(⟨I, Φ⟩ − (f(x) − f(x − I)))²] of Yeh et al., *On the (in)fidelity and sensitivity of explanations*,
    NeurIPS 2019 (definition 2.1), where Φ is the signed attribution, x the image in pixel space and I Gaussian noise,
    independent for each value.  x − I is not cut at the bounds of pixel space, as ⟨I, Φ⟩ predicts what all of I does.
    For noise that is small, Φ = ∇f(x) is best.  Needs explanations with slopes, as the gradient is one: a map without
    signs predicts no change, and shares of the score, as of integrated gradients, are multiplied by the image already.

    Attributions that are right but for a factor, such as those of a normalised gradient, are compared fairly with
    ``scale=True``: Φ is multiplied by the factor that makes the value least, for each image.

    Attributes
    ----------
    sigma
        Standard deviation of the noise as a share of the range of pixel space; 0.2 in the authors' experiments.
    draws
        Noises that the mean is taken over; the same for all images and methods.
    scale
        Whether Φ is multiplied by E[⟨I, Φ⟩ (f(x) − f(x − I))] / E[⟨I, Φ⟩²].
    """

    sigma: float = 0.2
    draws: int = 100
    scale: bool = False

    name: ClassVar[str] = "infidelity"
    needs: ClassVar[type[Any]] = BlackBox
    also_needs: ClassVar[str] = "signed maps"
    better: ClassVar[Better] = "lower"
    range: ClassVar[tuple[float, float]] = (0, np.inf)

    def __post_init__(self) -> None:
        check_number(self, "sigma", above=0, most=10)
        check_whole(self, "draws")

    def measure(self, oracle: Oracle, explanation: Explanation) -> Floats:
        """Return the infidelities (n,).

        Raises
        ------
        NotMeasurableError
            If the explanations have no signed attribution, or one of shares of the score.
        ModelError
            If the model fails, or a score is not finite.
        """
        if explanation.attribution is None:
            raise NotMeasurableError(
                f"Infidelity is measured of attributions, and {explanation.method!r} tells no signs",
                expected="a method with one, such as 'gradient'",
            )
        if explanation.method in NO_SLOPES:
            raise NotMeasurableError(
                f"Infidelity is measured of slopes, and {explanation.method!r} tells shares of the score",
                expected="what a unit of each value changes, such as 'gradient'",
            )
        count, images, weights = len(explanation), explanation.images, explanation.weights
        rng = np.random.default_rng([explanation.provenance.seed, 0x696E6664])
        low, high = oracle.box.spec.bounds
        scale = self.sigma * (high - low)
        original = np.asarray(oracle.target_scores(images, weights), np.float64)
        flat = explanation.attribution.reshape(count, -1).astype(np.float64)
        predicted, found = np.empty((2, self.draws, count))
        for draw in range(self.draws):
            noise = scale * rng.standard_normal(images.shape[1:])
            predicted[draw] = flat @ noise.ravel()
            made = partial(_less, images, noise)
            found[draw] = original - target_scores(oracle.scores_of(made, count, np.arange(count)), weights)
        if not np.isfinite(found).all():
            raise ModelError("Scores are not finite", got="NaN or infinity for an image with noise")
        factor = np.ones(count)
        if self.scale:
            power = (predicted**2).mean(axis=0)
            factor = (predicted * found).mean(axis=0) / np.where(power > 0, power, 1)
        return ((factor * predicted - found) ** 2).mean(axis=0)


def _less(images: Floats, noise: Floats, part: slice) -> Floats:
    return (images[part] - noise).astype(images.dtype, copy=False)
