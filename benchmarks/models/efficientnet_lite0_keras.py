"""EfficientNet-Lite0 as a Keras model, with the weights that are published for PyTorch."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from benchmarks.models.efficientnet_lite0 import network
from blackbox_explain import BlackBox, InputSpec, wrap

__all__ = ["keras_box", "keras_network"]


def keras_network() -> Any:
    """Return the published network as a functional Keras model: (N, 224, 224, 3), (RGB - 127) / 128, to logits.

    The network was trained in TensorFlow, and its PyTorch form pads as TensorFlow's "same" does: at stride 2 one more
    row and column behind than before.
    """
    source: Any = network()
    image = keras.Input((224, 224, 3), name="image")
    x = _relu6(_normalise(_convolve(image, source._conv_stem), source._bn0))
    for block in source._blocks:
        x = _block(x, block)
    x = _relu6(_normalise(_convolve(x, source._conv_head), source._bn1))
    x = keras.layers.GlobalAveragePooling2D()(x)
    dense = keras.layers.Dense(source._fc.out_features, name="logits")
    logits = dense(x)
    dense.set_weights([_numbers(source._fc.weight).T, _numbers(source._fc.bias)])
    return keras.Model(image, logits, name="efficientnet_lite0")


def keras_box() -> BlackBox:
    """Return it as a black box, with the description of the shipped file."""
    spec: InputSpec = wrap("efficientnet-lite0").spec
    return wrap(keras_network(), spec=spec, activation="softmax")


def _block(x: Any, block: Any) -> Any:
    """Add an inverted residual: widen, filter each channel, narrow; with a way around where the shapes agree."""
    around = x
    if hasattr(block, "_expand_conv"):
        x = _relu6(_normalise(_convolve(x, block._expand_conv), block._bn0))
    x = _relu6(_normalise(_convolve(x, block._depthwise_conv), block._bn1))
    x = _normalise(_convolve(x, block._project_conv), block._bn2)
    return keras.layers.Add()([x, around]) if x.shape == around.shape else x


def _convolve(x: Any, module: Any) -> Any:
    size, stride = module.kernel_size[0], module.stride[0]
    if module.groups == 1:
        layer = keras.layers.Conv2D(module.out_channels, size, stride, padding="same", use_bias=False)
        axes = (2, 3, 1, 0)  # from (out, in, height, width)
    else:
        layer = keras.layers.DepthwiseConv2D(size, stride, padding="same", use_bias=False)
        axes = (2, 3, 0, 1)
    found = layer(x)
    layer.set_weights([_numbers(module.weight).transpose(axes)])
    return found


def _normalise(x: Any, module: Any) -> Any:
    layer = keras.layers.BatchNormalization(epsilon=module.eps)
    found = layer(x)
    parts = (module.weight, module.bias, module.running_mean, module.running_var)
    layer.set_weights([_numbers(part) for part in parts])
    return found


def _relu6(x: Any) -> Any:
    return keras.layers.ReLU(6.0)(x)


def _numbers(tensor: Any) -> np.ndarray[Any, Any]:
    return np.asarray(tensor.detach())
