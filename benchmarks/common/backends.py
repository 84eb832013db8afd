"""The same network by each backend, and what has to be waited for on a GPU before a clock is read."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal

from blackbox_explain import wrap
from blackbox_explain.errors import BackendMissingError, InputError

__all__ = ["NAMES", "Backend", "Device", "box_of", "finish_of", "present"]

Backend = Literal["torch", "onnx", "tensorflow"]
Device = Literal["cpu", "cuda"]

NAMES: dict[Backend, str] = {"onnx": "ONNX Runtime", "torch": "PyTorch", "tensorflow": "TensorFlow"}
"""As tables say them."""


def box_of(backend: Backend, device: Device, threads: int | None = None) -> Any:
    """Return EfficientNet-Lite0 by a backend.

    Raises
    ------
    BackendMissingError
        If the package is not installed, or not the one that computes on the device.
    InputError
        If the device is not there.
    """
    if backend == "onnx":
        return wrap("efficientnet-lite0", device=device, threads=threads)
    try:  # here, since a process that measures the memory of one backend must not hold another
        return _pytorch(device, threads) if backend == "torch" else _tensorflow(device)
    except ImportError as error:
        raise BackendMissingError(f"{NAMES[backend]} is not installed", hint=f"pip install {backend}") from error


def _pytorch(device: Device, threads: int | None) -> Any:
    import torch

    from benchmarks.models.efficientnet_lite0 import pytorch_box

    if threads:
        torch.set_num_threads(threads)
    return pytorch_box(device)


def _tensorflow(device: Device) -> Any:
    import tensorflow as tf

    from benchmarks.models.efficientnet_lite0_keras import keras_box

    if device == "cuda" and not tf.config.list_physical_devices("GPU"):
        # TensorFlow itself would compute on the CPU without a word.
        raise InputError("TensorFlow sees no GPU", got="device='cuda'")
    return keras_box()


def present(
    backends: Iterable[Backend], device: Device, threads: int | None, say: Callable[[str], Any]
) -> dict[Backend, Any]:
    """Return the boxes of the backends that compute on a device; of each of the others, say why not."""
    found: dict[Backend, Any] = {}
    for backend in backends:
        try:
            found[backend] = box_of(backend, device, threads)
        except (BackendMissingError, InputError) as error:
            say(f"{NAMES[backend]} is left out: {error}")
    return found


def finish_of(device: str) -> Callable[[], Any]:
    """Return what waits until a device has done all that it was asked for: a CPU has when a call returns.

    PyTorch waits for all that the GPU does, whoever asked for it; where it has no CUDA, arrays of other backends come
    back by the host, which waits for them.
    """
    if device != "cuda":
        return lambda: None
    import torch

    return torch.cuda.synchronize if torch.cuda.is_available() else lambda: None
