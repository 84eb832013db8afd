"""Class activation maps, of one layer's values and gradients: Grad-CAM and its relatives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from blackbox_explain.arrays import Array, to_numpy
from blackbox_explain.box.adapter_tools.checks import check_output
from blackbox_explain.box.info import BoxInfo, require
from blackbox_explain.box.oracle import Oracle
from blackbox_explain.box.protocols import Layered, Of
from blackbox_explain.errors import UnsupportedModelError
from blackbox_explain.methods.forms import form_of
from blackbox_explain.methods.layers.choice import chosen_layer
from blackbox_explain.methods.method import Attribution, Budget
from blackbox_explain.methods.upsampling import at_pixels
from blackbox_explain.perturbations.perturbation import Blur
from blackbox_explain.setting_ranges import check_name

__all__ = ["Cam", "GradCam", "GradCamPlusPlus", "LayerCam"]

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]

UNLIKE = 1e-3
"""How far gradients may be apart that are to be the same, as a share of the largest."""


@dataclass(frozen=True)
class _OfLayer:
    """What class activation maps have in common.

    Attributes
    ----------
    layer
        Name of a layer with spatial axes; None is the last one.
    of
        Whether the gradient is that of the logits, as in the papers, or of the scores.
    """

    layer: str | None = None
    of: Of = "logits"

    needs: ClassVar[type[Any]] = Layered

    def __post_init__(self) -> None:
        check_name(self, "layer")
        check_output(self.of)

    def budget(self, info: BoxInfo) -> Budget:
        """Return one run for the score and one for the layer."""
        del info
        return Budget(2)

    def explain(self, oracle: Oracle, images: Array, weights: Array, seed: int) -> Attribution:
        """Return the map of the layer, upsampled linearly."""
        del seed
        asked = oracle.asking(form_of(oracle.box, of=self.of))
        name = chosen_layer(require(asked.box, Layered), self.layer).name
        values, slopes = map(to_numpy, asked.inner(images, weights, [name])[name])
        self._check(asked, images, weights, name, slopes)
        return Attribution(saliency=at_pixels(self.combined(values, slopes), oracle.box.spec.spatial))

    def combined(self, values: Floats, slopes: Floats) -> Floats:
        """Return maps (n, *cells) of values and gradients (n, channels, *cells)."""
        raise NotImplementedError

    def _check(self, asked: Oracle, images: Array, weights: Array, name: str, slopes: Floats) -> None:
        """Refuse a model that the method is not made for."""


@dataclass(frozen=True)
class GradCam(_OfLayer):
    """Weigh the channels of a layer by their mean gradients.

    ReLU(Σ_k α_k A_k), α_k the mean of ∂f / ∂A_k over the places of the layer.

    Selvaraju et al., *Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization* (2017).
    """

    name: ClassVar[str] = "grad-cam"

    def combined(self, values: Floats, slopes: Floats) -> Floats:
        """Weigh channels by their mean gradients."""
        return np.maximum((_summed(slopes) / _places(slopes) * values).sum(axis=1), 0)


@dataclass(frozen=True)
class GradCamPlusPlus(_OfLayer):
    """Weigh the channels of a layer by those of their places that speak for the class.

    ReLU(Σ_k w_k A_k), w_k = Σ α_k ReLU(g_k), α_k = g_k² / (2 g_k² + g_k³ Σ A_k), g_k = ∂f / ∂A_k.

    Chattopadhay et al., *Grad-CAM++: Generalized Gradient-based Visual Explanations for Deep Convolutional Networks*
    (2018), where the score is the exponential of a logit.
    """

    name: ClassVar[str] = "grad-cam++"

    def combined(self, values: Floats, slopes: Floats) -> Floats:
        """Weigh channels by those of their places that have a positive gradient."""
        # g² / (2 g² + g³ Σ A), without squares of slopes so small that these would be 0.
        below = 2 + slopes * _summed(values)
        with np.errstate(divide="ignore", invalid="ignore"):
            alpha = np.where((slopes != 0) & (below != 0), 1 / below, 0)
        weights = _summed(alpha * np.maximum(slopes, 0))
        return np.maximum((weights * values).sum(axis=1), 0)


@dataclass(frozen=True)
class LayerCam(_OfLayer):
    """Weigh each place of a layer by its own gradient.

    ReLU(Σ_k ReLU(∂f / ∂A_k) ⊙ A_k).

    Jiang et al., *LayerCAM: Exploring Hierarchical Class Activation Maps for Localization* (2021).  It is made for any
    layer, early ones too.
    """

    name: ClassVar[str] = "layer-cam"

    def combined(self, values: Floats, slopes: Floats) -> Floats:
        """Weigh every value by its positive gradient."""
        return np.maximum((np.maximum(slopes, 0) * values).sum(axis=1), 0)


@dataclass(frozen=True)
class Cam(_OfLayer):
    """Weigh the channels of the last layer by the weights of the classifier behind it.

    Σ_k w_k A_k, w_k the weights of the linear layer behind the mean over all places.

    Zhou et al., *Learning Deep Features for Discriminative Localization* (2016).  A model allows it if nothing but a
    mean over all places and a linear layer lies between the layer and the logits, which is found out by its gradient:
    it is the same at every place and in every image.
    """

    name: ClassVar[str] = "cam"

    def budget(self, info: BoxInfo) -> Budget:
        """Return one run for the score, one for the layer, and one for that of another image."""
        del info
        return Budget(3)

    def combined(self, values: Floats, slopes: Floats) -> Floats:
        """Weigh channels by the linear layer's weights."""
        return (_summed(slopes) * values).sum(axis=1)

    def _check(self, asked: Oracle, images: Array, weights: Array, name: str, slopes: Floats) -> None:
        gone = np.asarray(Blur().levels(to_numpy(images), asked.box.spec, 0)[0])
        others = to_numpy(asked.inner(asked.native(gone), weights, [name])[name][1])
        mean = _summed(slopes) / _places(slopes)
        each = tuple(range(1, mean.ndim))
        largest = np.abs(mean).max(axis=each)
        apart = np.maximum(np.abs(slopes - mean).max(axis=each), np.abs(others - mean).max(axis=each))
        if not (apart <= UNLIKE * largest).all():
            raise UnsupportedModelError(
                "Class activation mapping is not defined for this model",
                got=f"gradients by the layer {name!r} that differ from place to place, or from image to image",
                expected="nothing but a mean over all places and a linear layer between it and the logits",
                hint="method='grad-cam', which any model with such a layer allows",
            )


def _summed(values: Floats) -> Floats:
    return values.sum(axis=tuple(range(2, values.ndim)), keepdims=True)


def _places(values: Floats) -> int:
    return int(np.prod(values.shape[2:]))
