"""What blackbox_explain needs to know of centroids."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

from blackbox_explain.box.activations import Activation, activate, activation_adjoint
from blackbox_explain.box.adapter_tools.checks import check_batch
from blackbox_explain.box.adapter_tools.description import Described
from blackbox_explain.box.input_spec import InputSpec
from blackbox_explain.errors import UnsupportedModelError
from tiny_centroids.model import Array, Centroids, load

__all__ = ["CentroidBox", "read", "wrap_centroids"]


def read(path: Path) -> Centroids:
    """Read a ``.centroids`` file for `wrap`; what goes wrong is an error that the command line shows as a message."""
    try:
        return load(path)
    except ValueError as error:
        raise UnsupportedModelError("This file holds no centroids", got=str(path)) from error


def wrap_centroids(model: Centroids, described: Described, *, sharpness: float | None = None) -> CentroidBox:
    """Wrap centroids.

    Parameters
    ----------
    model
        The model.
    described
        What the caller of `wrap` said of it; the shape and the names it tells itself.
    sharpness
        Another than the model's own.
    """
    if sharpness is not None:
        model = Centroids(model.images, model.names, sharpness)
    known = dataclasses.replace(described, class_names=described.class_names or tuple(model.names))
    spec, assumptions = known.spec(model.images.shape[1:])
    # Distances are never probabilities, so there is nothing to find out by running the model.
    activation: Activation = "softmax" if described.activation == "auto" else described.activation
    return CentroidBox(model, spec, activation, assumptions)


class CentroidBox:
    """Centroids as a differentiable black box."""

    def __init__(
        self, model: Centroids, spec: InputSpec, activation: Activation, assumptions: tuple[str, ...] = ()
    ) -> None:
        self.spec = spec
        self.activation: Activation = activation
        self.assumptions = assumptions
        self._model = model

    def scores(self, images: Array) -> Array:
        """Map images ``(N, *shape)`` in pixel space to scores (N, K)."""
        check_batch(images, self.spec)
        return activate(self._model(self.spec.preprocessing.forward(images)), self.activation)

    def scores_and_gradient(self, images: Array, weights: Array) -> tuple[Array, Array]:
        """Return scores (N, K) and d Σ(weights · scores) / d images ``(N, *shape)``."""
        scores = self.scores(images)
        by_outputs = activation_adjoint(scores, weights, self.activation)
        by_inputs = self._model.gradient(self.spec.preprocessing.forward(images), by_outputs)
        return scores, self.spec.preprocessing.adjoint(by_inputs).astype(images.dtype)

    def fingerprint(self) -> str:
        """Return a digest of the model."""
        return hashlib.sha256(self._model.images.tobytes() + str(self._model.sharpness).encode()).hexdigest()
