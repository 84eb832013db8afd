"""Methods of other packages by name, whether they are here, and their maps with what they asked."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
import torch

from benchmarks.peers.asked import Asked, Map
from benchmarks.peers.by_module import baseline, captum, grad_cam, part, segments, shap_gradient
from benchmarks.peers.by_queries import dianna_kernel_shap, dianna_rise, lime_image, shap_partition, xplique

__all__ = ["PEERS", "Peer", "absent", "peer_maps"]


@dataclass(frozen=True)
class Peer:
    """A method of another package.

    Attributes
    ----------
    package
        The module that must be importable.
    explain
        From one image to its map.
    how
        What is not its default, and why.
    costly
        Whether it takes a thousand images or more, by its default or to see what it reaches at any cost: such a row may
        be of fewer photos.
    """

    package: str
    explain: Callable[[Asked], Map]
    how: str = ""
    costly: bool = False


def _occlusion(of_window: int, of_step: int) -> Callable[[Asked], Map]:
    return captum(
        "Occlusion", sliding_window_shapes=part(of_window), strides=part(of_step), baselines=lambda asked: asked.grey
    )


PEERS: dict[str, Peer] = {
    "plain loop, 300 steps": Peer("torch", baseline, "eq. 4 as a user would write it, by autograd and Adam"),
    "Captum, occlusion": Peer(
        "captum.attr",
        _occlusion(7, 14),
        "grey windows of a seventh of the side, half a window apart: it has no default",
    ),
    "Captum, integrated gradients": Peer(
        "captum.attr", captum("IntegratedGradients", internal_batch_size=10), "10 of its 50 images at once"
    ),
    "Captum, guided backprop": Peer(
        "captum.attr", captum("GuidedBackprop"), "the largest magnitude over the channels, of the logit"
    ),
    "Captum, LIME, 200 samples": Peer(
        "captum.attr",
        captum("Lime", feature_mask=segments, n_samples=200),
        "50 superpixels; its default of 25 samples is less than there are superpixels",
    ),
    "Grad-CAM": Peer("pytorch_grad_cam", grad_cam("GradCAM")),
    "Grad-CAM++": Peer("pytorch_grad_cam", grad_cam("GradCAMPlusPlus")),
    "LayerCAM": Peer("pytorch_grad_cam", grad_cam("LayerCAM"), "at the last layer, as the others"),
    "Score-CAM": Peer("pytorch_grad_cam", grad_cam("ScoreCAM"), costly=True),
    "Ablation-CAM": Peer("pytorch_grad_cam", grad_cam("AblationCAM"), costly=True),
    "LIME": Peer("lime.lime_image", lime_image()),
    "SHAP, partition": Peer("shap", shap_partition(), "a blurred background"),
    "SHAP, gradient": Peer("shap", shap_gradient, "against grey and black, of the leading class alone"),
    "DIANNA, RISE": Peer("dianna", dianna_rise, costly=True),
    "DIANNA, KernelSHAP, painted right": Peer(
        "dianna",
        dianna_kernel_shap,
        "64 images at once, and of one class. As it is released, each superpixel is painted with what was found of the "
        "one before, and one is never hidden; here each is its own",
        costly=True,
    ),
    "Xplique, RISE": Peer("xplique", xplique("Rise"), "4,000 masks, its default", costly=True),
    "Xplique, HSIC": Peer("xplique", xplique("HsicAttributionMethod")),
    "Xplique, Sobol": Peer("xplique", xplique("SobolAttributionMethod"), costly=True),
    "Captum, occlusion, fine": Peer(
        "captum.attr", _occlusion(14, 28), "grey windows of a fourteenth, half a window apart", costly=True
    ),
    "LIME, 5,000 samples": Peer("lime.lime_image", lime_image(num_samples=5000), costly=True),
    "SHAP, partition, 5,000 evaluations": Peer("shap", shap_partition(max_evals=5000), costly=True),
    "Xplique, RISE, 8,000 masks": Peer("xplique", xplique("Rise", nb_samples=8000), "as its authors", costly=True),
}
"""By name."""


STAND_INS = {
    "torchvision": (),
    "torchvision.transforms": ("Compose", "Normalize", "ToTensor"),
    "torchvision.transforms.functional": ("resize",),
}
"""What pytorch-grad-cam takes from torchvision."""


def absent(name: str) -> str | None:
    """Return why a peer cannot run here, None where it can."""
    try:
        _imported(PEERS[name].package)
    except Exception as error:  # a package may fail in any way while it is imported
        return f"{PEERS[name].package}: {type(error).__name__}: {error}"[:200]
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
    np.random.seed(asked.seed)  # which several packages draw from without saying so
    torch.manual_seed(asked.seed)
    hook = asked.module.register_forward_pre_hook(count)
    try:
        found = PEERS[name].explain(asked)
    finally:
        hook.remove()
    saliency = np.asarray(found, np.float64)
    if not np.isfinite(saliency).all():  # made a number, it would be a map that is bad by our doing
        raise ValueError("the map is not finite")
    return saliency, asked.queries
