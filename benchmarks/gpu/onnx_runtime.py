"""ONNX Runtime's CUDA provider: arrays that are bound on the device; where its GPU package is absent, the CPU's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.gpu.device import Device, quartiles_of
from benchmarks.gpu.sizes import Budget, Sizes, or_error

__all__ = ["onnx_runtime_rates"]

CUDA = "CUDAExecutionProvider"


def onnx_runtime_rates(device: Device, sizes: Sizes, budget: Budget) -> Iterator[tuple[str, Any]]:
    """Time scores of the shipped file by bound arrays, and the gradients that this package makes of it."""
    import onnxruntime

    available = onnxruntime.get_available_providers()
    provider = CUDA if device.cuda and CUDA in available else "CPUExecutionProvider"
    yield "provider", {"used": provider, "available": available}
    if device.cuda and provider != CUDA:
        yield "skipped", "this ONNX Runtime is that for CPUs: its CUDA provider needs the package onnxruntime-gpu"
        return
    where = "cuda" if provider == CUDA else "cpu"
    for batch in sizes.batches:
        yield str(batch), or_error(lambda b=batch: _row(device, provider, where, b, sizes, budget))


def _row(device: Device, provider: str, where: str, batch: int, sizes: Sizes, budget: Budget) -> dict[str, Any]:
    import onnxruntime

    from blackbox_explain.samples import MODEL

    budget.need(8.0)
    session = onnxruntime.InferenceSession(str(MODEL), providers=[provider])
    images = np.random.default_rng(0).random((batch, 3, 224, 224), dtype=np.float32)
    binding = session.io_binding()
    held = onnxruntime.OrtValue.ortvalue_from_numpy(images, where, 0)
    binding.bind_ortvalue_input(session.get_inputs()[0].name, held)
    binding.bind_output(session.get_outputs()[0].name, where, 0)

    def scores() -> None:
        session.run_with_iobinding(binding)
        binding.synchronize_outputs()

    # Its stream is its own: events of PyTorch's would not see it.
    timed = quartiles_of(device.waited(scores, sizes.repeats, warmup=2))
    return {
        "scores": {"images_per_s": batch / timed["median_ms"] * 1e3, **timed},
        "gradient": or_error(lambda: _gradient(device, where, images, sizes)),
    }


def _gradient(device: Device, where: str, images: Any, sizes: Sizes) -> dict[str, Any]:
    try:
        from blackbox_explain_adapters._efficientnet_lite0 import load
    except ImportError as error:
        return {"skipped": str(error)}
    box: Any = load(device=where, cache=False)
    given = box.native(images)
    weights = box.native(np.eye(1000, dtype=np.float32)[np.arange(len(images)) % 1000])
    timed = quartiles_of(device.waited(lambda: box.scores_and_gradient(given, weights), sizes.repeats, warmup=2))
    return {"images_per_s": len(images) / timed["median_ms"] * 1e3, **timed}
