"""Methods of other packages by name, whether they are here, and their maps with what they asked."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
import torch

from benchmarks.common.hardware import memory
from benchmarks.peers.asked import Asked, Map
from benchmarks.peers.by_module import baseline, captum, grad_cam, half_window, segments, shap_gradient, window
from benchmarks.peers.by_queries import dianna_kernel_shap, dianna_rise, lime_image, shap_partition, xplique

__all__ = ["PEERS", "absent", "peer_maps"]

PEERS: dict[str, tuple[str, Callable[[Asked], Map]]] = {
    "plain loop, 300 steps": ("torch", baseline),
    "Captum, occlusion": (
        "captum.attr",
        captum("Occlusion", sliding_window_shapes=window, strides=half_window, baselines=lambda asked: asked.grey),
    ),
    "Captum, integrated gradients": ("captum.attr", captum("IntegratedGradients", internal_batch_size=10)),
    "Captum, guided backprop": ("captum.attr", captum("GuidedBackprop")),
    # Its default of 25 samples is less than there are superpixels.
    "Captum, LIME, 200 samples": ("captum.attr", captum("Lime", feature_mask=segments, n_samples=200)),
    "Grad-CAM": ("pytorch_grad_cam", grad_cam("GradCAM")),
    "Grad-CAM++": ("pytorch_grad_cam", grad_cam("GradCAMPlusPlus")),
    "LayerCAM": ("pytorch_grad_cam", grad_cam("LayerCAM")),
    "Score-CAM": ("pytorch_grad_cam", grad_cam("ScoreCAM")),
    "Ablation-CAM": ("pytorch_grad_cam", grad_cam("AblationCAM")),
    "LIME": ("lime.lime_image", lime_image),
    "SHAP, partition": ("shap", shap_partition),
    "SHAP, gradient": ("shap", shap_gradient),
    "DIANNA, RISE": ("dianna", dianna_rise),
    "DIANNA, KernelSHAP": ("dianna", dianna_kernel_shap),
    "Xplique, HSIC": ("xplique", xplique("HsicAttributionMethod")),
    "Xplique, Sobol": ("xplique", xplique("SobolAttributionMethod")),
}
"""By name: the module that must be importable, and the method."""


STAND_INS = {
    "torchvision": (),
    "torchvision.transforms": ("Compose", "Normalize", "ToTensor"),
    "torchvision.transforms.functional": ("resize",),
}
"""What pytorch-grad-cam takes from torchvision."""


MEMORY = {"DIANNA, KernelSHAP": 64}
"""GiB that a machine should have: it asks ONNX Runtime about 2,248 images at once, which 15 free GiB did not hold."""


def absent(name: str) -> str | None:
    """Return why a peer cannot run here, None where it can."""
    if (memory() or np.inf) < MEMORY.get(name, 0):
        return f"asks about all of its images at once: left out below {MEMORY[name]} GiB of memory"
    try:
        _imported(PEERS[name][0])
    except Exception as error:  # a package may fail in any way while it is imported
        return f"{PEERS[name][0]}: {type(error).__name__}: {error}"[:200]
    return None


def _imported(name: str) -> Any:
    """Import a package; pytorch-grad-cam with a stand-in for a torchvision that does not fit this torch.

    It imports torchvision for its pictures alone.
    """
    try:
        return import_module(name)
    except (ModuleNotFoundError, RuntimeError) as error:
        if name != "pytorch_grad_cam" or "torchvision" not in str(error):
            raise
    for module, names in STAND_INS.items():
        stand_in = ModuleType(module)
        for one in names:
            setattr(stand_in, one, object)
        sys.modules[module] = stand_in
    return import_module(name)


def peer_maps(name: str, asked: Asked) -> tuple[Map, int]:
    """Return the map of a peer, and how many images it ran the network on."""

    def count(_module: Any, given: tuple[torch.Tensor, ...]) -> None:
        asked.queries += len(given[0])

    asked.queries = 0
    hook = asked.module.register_forward_pre_hook(count)
    try:
        found = PEERS[name][1](asked)
    finally:
        hook.remove()
    return np.nan_to_num(np.asarray(found, np.float64)), asked.queries
