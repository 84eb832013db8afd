"""Peers that ask for scores alone, at their defaults."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any
from unittest import mock

import numpy as np
import torch

from benchmarks.peers.asked import Asked, Map

__all__ = ["dianna_kernel_shap", "dianna_rise", "lime_image", "shap_partition", "xplique"]


def lime_image(asked: Asked) -> Map:
    """LIME's own package, at its 1,000 samples."""
    package: Any = import_module("lime.lime_image")
    image = asked.by_places().astype(np.float64)
    explainer = package.LimeImageExplainer(random_state=0)
    found = explainer.explain_instance(
        image, asked.by_lines, labels=[asked.target], top_labels=None, progress_bar=False
    )
    weights = dict(found.local_exp[asked.target])
    return np.vectorize(lambda place: weights.get(place, 0.0))(found.segments)


def shap_partition(asked: Asked) -> Map:
    """SHAP's partition explainer with a blurred background, at its default number of evaluations."""
    package: Any = import_module("shap")
    image = asked.by_places()
    masker = package.maskers.Image("blur(64,64)", image.shape)
    explainer = package.Explainer(lambda given: asked.by_lines(given)[:, [asked.target]], masker)
    return np.asarray(explainer(image[None], silent=True).values).reshape(*image.shape, -1)[..., 0].sum(axis=2)


def dianna_rise(asked: Asked) -> Map:
    """DIANNA's RISE at its defaults."""
    package: Any = import_module("dianna")
    found = package.explain_image(
        asked.by_lines, asked.by_places(), "RISE", labels=[asked.target], axis_labels={2: "channels"}
    )
    return np.asarray(found)[0]


def dianna_kernel_shap(asked: Asked) -> Map:
    """DIANNA's KernelSHAP, which reads ONNX files alone."""
    package: Any = import_module("dianna")
    session: Any = import_module("onnxruntime").InferenceSession
    usual = session.run

    def counting(self: Any, names: Any, feed: Any, *rest: Any) -> Any:
        asked.queries += len(next(iter(feed.values())))
        return usual(self, names, feed, *rest)

    # What the network reads, because the file is run without what comes before it.
    image = asked.inputs[0].cpu().numpy()
    label = [asked.target]
    with mock.patch.object(session, "run", counting):
        found = package.explain_image(str(asked.onnx), image, "KernelSHAP", labels=label, axis_labels={0: "channels"})
    return np.asarray(found)[0]


def xplique(name: str) -> Callable[[Asked], Map]:
    """Return a method of Xplique's, by its wrapper of PyTorch modules."""

    def explain(asked: Asked) -> Map:
        package: Any = import_module("xplique.attributions")
        wrapper: Any = import_module("xplique.wrappers").TorchWrapper
        box = wrapper(_Probabilities(asked).eval(), str(asked.image.device), is_channel_first=True, requires_grad=False)
        inputs = np.moveaxis(asked.inputs.cpu().numpy(), 1, -1)
        classes = asked.probabilities(asked.inputs).shape[1]
        wanted = np.eye(classes, dtype=np.float32)[[asked.target]]
        return np.asarray(getattr(package, name)(box)(inputs, wanted))[0].reshape(inputs.shape[1:3])

    return explain


class _Probabilities(torch.nn.Module):
    """The network to probabilities, as a module of its own."""

    def __init__(self, asked: Asked) -> None:
        super().__init__()
        self._ask = asked.probabilities

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Map (n, 3, H, W) to (n, K)."""
        return self._ask(inputs)
