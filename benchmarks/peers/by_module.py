"""Peers that look into a PyTorch module, or take gradients of it, at their defaults but for what is named."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
import torch

from benchmarks.peers.asked import Asked, Map
from benchmarks.peers.baseline import baseline_mask

__all__ = ["baseline", "captum", "grad_cam", "part", "segments", "shap_gradient"]


def captum(name: str, **call: Any) -> Callable[[Asked], Map]:
    """Return a method of Captum's; `call` are arguments of ``attribute``.

    Of gradients the largest magnitude over the channels is taken, as the authors of the method do; what attributes
    shares of the score is summed.
    """

    def explain(asked: Asked) -> Map:
        package: Any = import_module("captum.attr")
        takes_module = name == "GuidedBackprop"
        explainer = getattr(package, name)(asked.module if takes_module else asked.probabilities)
        given = asked.inputs.clone().requires_grad_()
        with torch.set_grad_enabled(name in ("IntegratedGradients", "GuidedBackprop")):
            made = {key: value(asked) if callable(value) else value for key, value in call.items()}
            found = explainer.attribute(given, target=asked.target, **made)
        by_channel = found.detach().cpu().numpy()[0]
        return np.abs(by_channel).max(axis=0) if takes_module else by_channel.sum(axis=0)

    return explain


def segments(asked: Asked) -> torch.Tensor:
    """Return superpixels as Captum's LIME wants them: (1, 1, H, W)."""
    segmentation: Any = import_module("skimage.segmentation")
    found = segmentation.slic(asked.by_places(), n_segments=50, start_label=0)
    return torch.tensor(found, device=asked.image.device)[None, None]


def grad_cam(name: str) -> Callable[[Asked], Map]:
    """Return a method of pytorch-grad-cam's, by the last layer with a spatial extent."""

    def explain(asked: Asked) -> Map:
        package: Any = import_module("pytorch_grad_cam")
        target: Any = import_module("pytorch_grad_cam.utils.model_targets").ClassifierOutputTarget(asked.target)
        with getattr(package, name)(model=asked.module, target_layers=[asked.last]) as explainer:
            return explainer(input_tensor=asked.inputs.clone().requires_grad_(), targets=[target])[0]

    return explain


def shap_gradient(asked: Asked) -> Map:
    """SHAP's expected gradients against grey and black."""
    package: Any = import_module("shap")
    background = torch.cat([asked.grey, asked.pixels(torch.zeros_like(asked.image))])
    # Of the leading class alone: it explains all 1,000 otherwise.
    values, ranks = package.GradientExplainer(asked.module, background).shap_values(
        asked.inputs, ranked_outputs=1, rseed=asked.seed
    )
    if int(ranks[0, 0]) != asked.target:
        raise ValueError(f"the leading class is {int(ranks[0, 0])}, not {asked.target}")
    return np.asarray(values)[0, ..., 0].sum(axis=0)


def baseline(asked: Asked) -> Map:
    """Learn a mask by the loop that a user would write: 300 steps of eq. 4."""
    mask = baseline_mask(
        lambda given: asked.probabilities(asked.pixels(given)), asked.image, asked.target, seed=asked.seed
    )
    return 1 - mask.cpu().numpy()


def part(of_side: int) -> Callable[[Asked], tuple[int, ...]]:
    """Return Captum's windows, or their steps: such a part of the side."""
    return lambda asked: (3, *(side // of_side for side in asked.image.shape[2:]))
