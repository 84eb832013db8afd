"""SmoothGrad: the mean gradient of noisy copies of the image (Smilkov et al. 2017)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from blackbox_explain.arrays import Array, to_numpy
from blackbox_explain.box.info import BoxInfo
from blackbox_explain.box.oracle import Oracle
from blackbox_explain.box.protocols import Differentiable
from blackbox_explain.methods.method import Attribution, Budget
from blackbox_explain.setting_ranges import check_number, check_whole

__all__ = ["SmoothGrad"]

NOISE = 0x736D6F
"""Tells the noise of this method from that of others of the same seed."""


@dataclass(frozen=True)
class SmoothGrad:
    """Average the gradient over noisy copies of the image.

    (1 / n) Σ ∇f(x0 + η), η Gaussian.

    Smilkov et al., *SmoothGrad: removing noise by adding noise* (2017).  The saliency is the largest magnitude of the
    channels, as that of `Gradient`.

    Attributes
    ----------
    samples
        n; 50 in the paper.
    noise
        Standard deviation of η, as a share of the range of the image's values; the paper takes 10 to 20 %.
    """

    samples: int = 50
    noise: float = 0.15

    name: ClassVar[str] = "smoothgrad"
    needs: ClassVar[type[Any]] = Differentiable

    def __post_init__(self) -> None:
        check_whole(self, "samples")
        check_number(self, "noise", least=0, most=10)

    def budget(self, info: BoxInfo) -> Budget:
        """Return one run for the score, and a gradient for each sample."""
        del info
        return Budget(1 + self.samples)

    def explain(self, oracle: Oracle, images: Array, weights: Array, seed: int) -> Attribution:
        """Return the mean gradient, of the same noise for every image, in proportion to its own range."""
        host = to_numpy(images)
        axes = tuple(range(1, host.ndim))
        spread = np.float32(self.noise) * (host.max(axis=axes, keepdims=True) - host.min(axis=axes, keepdims=True))
        rng = np.random.default_rng([seed, NOISE])
        total, noisy = np.zeros(host.shape, np.float64), np.empty_like(host)
        # In single precision, which is drawn twice as fast and is more than noise needs.
        noise = np.empty(host.shape[1:], np.float32)
        for _ in range(self.samples):
            rng.standard_normal(out=noise, dtype=np.float32)
            np.multiply(spread, noise, out=noisy)
            noisy += host
            total += to_numpy(oracle.gradient(oracle.native(noisy), weights)[1])
        slope = (total / self.samples).astype(host.dtype)
        return Attribution.of_slope(slope)
