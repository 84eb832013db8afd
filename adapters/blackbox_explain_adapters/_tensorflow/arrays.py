"""Arrays of any library into TensorFlow and its answers back."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import tensorflow as tf
from array_api_compat import is_torch_array

from blackbox_explain.arrays import Array
from blackbox_explain_adapters._cuda_arrays import torch_device

__all__ = ["answer_like", "as_tensor", "device_arrays"]

GROWTH = "TF_FORCE_GPU_ALLOW_GROWTH"
"""Variable of the environment; without it TensorFlow takes all memory of a GPU, and PyTorch gets none."""

ALIGNMENT = 64
"""TensorFlow ends the process where a tensor that it did not allocate begins elsewhere."""


def as_tensor(array: Array, dtype: tf.DType) -> tf.Tensor:
    """Return an array as a tensor: without a copy where TensorFlow can use the memory for as long as a call takes.

    Parameters
    ----------
    array
        NumPy or PyTorch; a tensor of PyTorch stays on its device.
    dtype
        To compute in.
    """
    if is_torch_array(array):
        return _from_torch(array.detach(), dtype)
    host = np.ascontiguousarray(array, dtype=dtype.as_numpy_dtype)
    aligned = host.ctypes.data % ALIGNMENT == 0 and host.flags.writeable
    return tf.experimental.dlpack.from_dlpack(host.__dlpack__()) if aligned else tf.constant(host)


def answer_like(answer: tf.Tensor, given: Array) -> Array:
    """Return an answer in the library, type and device of `given`: a copy, because a model may hand back its input."""
    if is_torch_array(given):
        import torch

        if given.device.type == "cpu" or "GPU" not in answer.device:
            return torch.from_numpy(answer.numpy()).to(device=given.device, dtype=given.dtype)
        tf.test.experimental.sync_devices()
        copy = torch.from_dlpack(tf.experimental.dlpack.to_dlpack(answer)).to(given.device, given.dtype, copy=True)
        # TensorFlow uses the memory of its answer again as soon as nobody holds it.
        torch.cuda.current_stream(given.device).synchronize()
        return copy
    return answer.numpy().astype(given.dtype, copy=False)


def device_arrays(place: str | None) -> tuple[str | None, tuple[str, ...]]:
    """Return the torch device whose arrays a model reads without a way through the host, None for the host.

    Parameters
    ----------
    place
        TensorFlow's name of the device that the model computes on; None is its own choice: the first GPU, if any.

    Returns
    -------
    tuple
        As `torch_device` has it.
    """
    gpus = [one.name for one in tf.config.list_logical_devices("GPU")]
    on = place or (gpus[0] if gpus else "")
    if "GPU" not in on:
        return None, ()
    physical = tf.config.list_physical_devices("GPU")
    if tf.config.get_visible_devices("GPU") != physical or len(gpus) != len(physical):
        return None, (f"images go to the GPU and back at every step: {on} may be another GPU to PyTorch",)
    index = int(on.rpartition(":")[2])
    if not (os.environ.get(GROWTH, "").lower() == "true" or tf.config.experimental.get_memory_growth(physical[index])):
        return None, (
            f"images go to the GPU and back at every step: {GROWTH}=true would leave memory to keep them there",
        )
    return torch_device(index)


def _from_torch(array: Any, dtype: tf.DType) -> tf.Tensor:
    import torch

    array = array.to(getattr(torch, dtype.name)).contiguous()
    if array.data_ptr() % ALIGNMENT:
        array = array.clone()
    if array.device.type != "cpu":
        # The two libraries know nothing of each other's streams.
        torch.cuda.current_stream(array.device).synchronize()
    return tf.experimental.dlpack.from_dlpack(array.__dlpack__())
