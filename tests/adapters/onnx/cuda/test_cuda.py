"""The same gradients on CUDA; run with ``pytest -m gpu`` where there is a device."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

import blackbox_explain as bx
from tests.adapters.onnx.architectures import NETWORKS
from tests.adapters.onnx.backward.test_networks import error, exported, gradients, made
from tests.adapters.onnx.test_box import small

pytestmark = [
    pytest.mark.gpu,
    # ONNX Runtime for CPUs alone is what most machines have.
    pytest.mark.skipif("CUDAExecutionProvider" not in onnxruntime.get_available_providers(), reason="no CUDA here"),
]


@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_on_cuda_are_those_of_autograd(name: str) -> None:
    about, network = NETWORKS[name], made(name)
    box: Any = bx.wrap(exported(network, about.shape, "torchscript", 18), shape=about.shape, device="cuda", cache=False)
    rng = np.random.default_rng(1)
    images = rng.random((8, *about.shape), dtype=np.float32)
    weights = rng.standard_normal((8, 10)).astype(np.float32)
    errors = error(box.scores_and_gradient(images, weights)[1], gradients(network, images, weights, torch.float64))
    assert np.median(errors) <= 1e-4


def test_arrays_stay_on_the_device() -> None:
    box: Any = bx.wrap(small(), device="cuda")
    host = bx.wrap(small(), device="cpu")
    images, weights = torch.rand(4, 3, 12, 12), torch.randn(4, 5)
    scores, gradient = box.scores_and_gradient(images.cuda(), weights.cuda())
    assert scores.is_cuda
    assert gradient.is_cuda
    np.testing.assert_allclose(gradient.cpu(), host.scores_and_gradient(images, weights)[1], atol=1e-5)


def test_the_loop_stays_on_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    box: Any = bx.wrap(small(), device="cuda")
    native = box.native(np.zeros((2, 3, 12, 12), np.float32))
    assert native.is_cuda
    assert not any("at every step" in sentence for sentence in box.assumptions)
    given: list[Any] = []
    usual = type(box).scores_and_gradient
    monkeypatch.setattr(type(box), "scores_and_gradient", lambda *a: given.extend(a[1:]) or usual(*a))
    bx.explain(box, np.random.default_rng(0).random((2, 3, 12, 12), dtype=np.float32), steps=2, progress=False)
    assert given
    assert all(one.is_cuda for one in given)


def test_tf32_is_off_unless_asked_for() -> None:
    images = np.random.default_rng(0).random((4, 3, 32, 32), dtype=np.float32)
    network = made("convnext")
    model = exported(network, (3, 32, 32), "torchscript", 18)
    exact = gradients(network, images, np.ones((4, 10), np.float32) * np.arange(10, dtype=np.float32), torch.float64)
    found = [
        bx.wrap(model, device="cuda", tf32=tf32, cache=False).scores_and_gradient(
            images, np.ones((4, 10), np.float32) * np.arange(10, dtype=np.float32)
        )[1]
        for tf32 in (False, True)
    ]
    assert error(found[0], exact).max() <= 1e-4
    assert error(found[1], exact).max() <= 5e-2
