"""Methods of other packages at their defaults, each a map (H, W) of one image: high where it matters."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
import torch

__all__ = ["PEERS", "Asked", "absent", "peer_maps"]

Map = np.ndarray[Any, Any]


@dataclass
class Asked:
    """One image and the module that is asked about it, which counts how many images it was run on.

    Attributes
    ----------
    module
        What the network reads to logits.
    image
        (1, 3, H, W) in pixel space.
    inputs
        The same as the network reads it.
    grey
        A grey image as the network reads it.
    target
        Class.
    last
        The last layer with a spatial extent.
    pixels
        Pixel space to what the network reads.
    """

    module: torch.nn.Module
    image: torch.Tensor
    inputs: torch.Tensor
    grey: torch.Tensor
    target: int
    last: torch.nn.Module
    pixels: Callable[[torch.Tensor], torch.Tensor]
    queries: int = field(default=0)

    def probabilities(self, inputs: torch.Tensor) -> torch.Tensor:
        """Map what the network reads (n, 3, H, W) to probabilities (n, K)."""
        return torch.softmax(self.module(inputs), dim=1)

    def by_lines(self, images: Any) -> Map:
        """Map images (n, H, W, 3) in pixel space, as LIME and SHAP hand them, to probabilities (n, K)."""
        given = torch.tensor(np.asarray(images, np.float32), device=self.image.device).permute(0, 3, 1, 2)
        with torch.no_grad():
            return self.probabilities(self.pixels(given)).cpu().numpy()

    def by_places(self) -> Map:
        """Return the image as those packages take it: (H, W, 3), in pixel space."""
        return self.image[0].permute(1, 2, 0).cpu().numpy()


def captum(name: str, **call: Any) -> Callable[[Asked], Map]:
    """Return a method of Captum's; `call` are its arguments that have no default."""

    def explain(asked: Asked) -> Map:
        package: Any = import_module("captum.attr")
        takes_module = name == "GuidedBackprop"
        explainer = getattr(package, name)(asked.module if takes_module else asked.probabilities)
        given = asked.inputs.clone().requires_grad_()
        with torch.set_grad_enabled(name in ("IntegratedGradients", "GuidedBackprop")):
            made = {key: value(asked) if callable(value) else value for key, value in call.items()}
            found = explainer.attribute(given, target=asked.target, **made)
        return found.detach().cpu().numpy()[0].sum(axis=0)

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


def shap_gradient(asked: Asked) -> Map:
    """SHAP's expected gradients against grey and black."""
    package: Any = import_module("shap")
    background = torch.cat([asked.grey, asked.pixels(torch.zeros_like(asked.image))])
    values = package.GradientExplainer(asked.module, background).shap_values(asked.inputs)
    return np.asarray(values)[0, ..., asked.target].sum(axis=0)


def dianna_rise(asked: Asked) -> Map:
    """DIANNA's RISE at its defaults."""
    package: Any = import_module("dianna")
    found = package.explain_image(
        asked.by_lines, asked.by_places(), "RISE", labels=[asked.target], axis_labels={2: "channels"}
    )
    return np.asarray(found)[0]


def baseline(asked: Asked) -> Map:
    """Learn a mask by the loop that a user would write: 300 steps of eq. 4."""
    from benchmarks.peers.baseline import baseline_mask

    mask = baseline_mask(lambda given: asked.probabilities(asked.pixels(given)), asked.image, asked.target)
    return 1 - mask.cpu().numpy()


def window(asked: Asked) -> tuple[int, ...]:
    """Return Captum's window: a seventh of the side."""
    return (3, *(side // 7 for side in asked.image.shape[2:]))


def half_window(asked: Asked) -> tuple[int, ...]:
    """Return the step of that window."""
    return (3, *(side // 14 for side in asked.image.shape[2:]))


PEERS: dict[str, tuple[str, Callable[[Asked], Map]]] = {
    "plain loop, 300 steps": ("torch", baseline),
    "Captum, occlusion": (
        "captum.attr",
        captum("Occlusion", sliding_window_shapes=window, strides=half_window, baselines=lambda asked: asked.grey),
    ),
    "Captum, integrated gradients": ("captum.attr", captum("IntegratedGradients", internal_batch_size=10)),
    "Captum, guided backprop": ("captum.attr", captum("GuidedBackprop")),
    "Captum, LIME": ("captum.attr", captum("Lime", feature_mask=segments, n_samples=200)),
    "Grad-CAM": ("pytorch_grad_cam", grad_cam("GradCAM")),
    "Grad-CAM++": ("pytorch_grad_cam", grad_cam("GradCAMPlusPlus")),
    "LayerCAM": ("pytorch_grad_cam", grad_cam("LayerCAM")),
    "Score-CAM": ("pytorch_grad_cam", grad_cam("ScoreCAM")),
    "Ablation-CAM": ("pytorch_grad_cam", grad_cam("AblationCAM")),
    "LIME": ("lime.lime_image", lime_image),
    "SHAP, partition": ("shap", shap_partition),
    "SHAP, gradient": ("shap", shap_gradient),
    "DIANNA, RISE": ("dianna", dianna_rise),
}
"""By name: the module that must be importable, and the method.  Xplique needs a TensorFlow model: it is not here."""


STAND_INS = {
    "torchvision": (),
    "torchvision.transforms": ("Compose", "Normalize", "ToTensor"),
    "torchvision.transforms.functional": ("resize",),
}
"""What pytorch-grad-cam takes from torchvision."""


def absent(name: str) -> str | None:
    """Return why a peer cannot run here, None where it can."""
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
