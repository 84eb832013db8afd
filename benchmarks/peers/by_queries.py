"""Peers that ask for scores alone, at their defaults but for what is named."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any
from unittest import mock

import numpy as np
import torch

from benchmarks.peers.asked import Asked, Map

__all__ = ["dianna_kernel_shap", "dianna_rise", "lime_image", "shap_partition", "xplique"]

CHUNK = 64
"""Images that a file is run on at once."""


def lime_image(**call: Any) -> Callable[[Asked], Map]:
    """Return LIME's own package; `call` are arguments of ``explain_instance``."""

    def explain(asked: Asked) -> Map:
        package: Any = import_module("lime.lime_image")
        image = asked.by_places().astype(np.float64)
        explainer = package.LimeImageExplainer(random_state=asked.seed)
        with mock.patch.object(package, "tqdm", iter):
            found = explainer.explain_instance(image, asked.by_lines, labels=[asked.target], top_labels=None, **call)
        weights = dict(found.local_exp[asked.target])
        return np.vectorize(lambda place: weights.get(place, 0.0))(found.segments)

    return explain


def shap_partition(**call: Any) -> Callable[[Asked], Map]:
    """Return SHAP's partition explainer with a blurred background; `call` are arguments of its call."""

    def explain(asked: Asked) -> Map:
        image = asked.by_places()
        explainer, now = _partition_explainer(image.shape)
        now[:] = [asked]
        explainer.masker.last_xid = None  # by which it takes an image at a place in memory for the one before
        found = explainer(image[None], silent=True, **call)
        return np.asarray(found.values).reshape(*image.shape, -1)[..., 0].sum(axis=2)

    return explain


@cache
def _partition_explainer(shape: tuple[int, ...]) -> tuple[Any, list[Asked]]:
    """Return the explainer of images of a shape, which is made once, and the place of what it asks."""
    package: Any = import_module("shap")
    now: list[Asked] = []

    def scores(given: Any) -> Map:
        return now[0].by_lines(given)[:, [now[0].target]]

    return package.Explainer(scores, package.maskers.Image("blur(64,64)", shape)), now


def dianna_rise(asked: Asked) -> Map:
    """DIANNA's RISE at its defaults."""
    package: Any = import_module("dianna")
    found = package.explain_image(
        asked.by_lines, asked.by_places(), "RISE", labels=[asked.target], axis_labels={2: "channels"}
    )
    return np.asarray(found)[0]


def dianna_kernel_shap(asked: Asked) -> Map:
    """DIANNA's KernelSHAP, which reads ONNX files alone, of one class.

    It would ask the file about all of its 2,248 images at once, and paint a map of each of 1,000 classes, pixel by
    pixel: memory and hours that no user has.  It counts superpixels from 0, where they are labelled from 1.
    """
    package: Any = import_module("dianna")
    module: Any = import_module("dianna.methods.kernelshap_image")
    session: Any = import_module("onnxruntime").InferenceSession
    usual = session.run

    def of_target(self: Any, names: Any, feed: Any, *rest: Any) -> Any:
        ((name, images),) = feed.items()
        asked.queries += len(images)
        parts = [images[first : first + CHUNK] for first in range(0, len(images), CHUNK)]
        return [np.concatenate([usual(self, names, {name: one}, *rest)[0][:, [asked.target]] for one in parts])]

    # What the network reads, because the file is run without what comes before it.
    image = asked.inputs[0].cpu().numpy()
    segments = module.KERNELSHAPImage._segment_image

    def from_zero(*given: Any, **how: Any) -> Map:
        places = np.asarray(segments(*given, **how))
        return places - places.min()

    labelled = mock.patch.object(module.KERNELSHAPImage, "_segment_image", staticmethod(from_zero))
    painted = mock.patch.object(module, "_create_heatemaps", lambda found, places: np.asarray(found)[0].T[:, places])
    with mock.patch.object(session, "run", of_target), labelled, painted:
        found = package.explain_image(str(asked.onnx), image, "KernelSHAP", labels=[0], axis_labels={0: "channels"})
    return np.asarray(found)[0]


def xplique(name: str, **settings: Any) -> Callable[[Asked], Map]:
    """Return a method of Xplique's, by its wrapper of PyTorch modules; `settings` are the method's own."""

    def explain(asked: Asked) -> Map:
        package: Any = import_module("xplique.attributions")
        wrapper: Any = import_module("xplique.wrappers").TorchWrapper
        tensorflow: Any = import_module("tensorflow")
        tensorflow.random.set_seed(asked.seed)
        box = wrapper(_Probabilities(asked).eval(), str(asked.image.device), is_channel_first=True, requires_grad=False)
        inputs = np.moveaxis(asked.inputs.cpu().numpy(), 1, -1)
        wanted = np.eye(asked.classes, dtype=np.float32)[[asked.target]]
        found = getattr(package, name)(box, **settings)(inputs, wanted)
        return np.asarray(found)[0].reshape(inputs.shape[1:3])

    return explain


class _Probabilities(torch.nn.Module):
    """The network to probabilities, as a module of its own."""

    def __init__(self, asked: Asked) -> None:
        super().__init__()
        self._ask = asked.probabilities

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Map (n, 3, H, W) to (n, K)."""
        return self._ask(inputs)
