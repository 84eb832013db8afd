"""Whole networks, exported by both of PyTorch's exporters, against autograd."""

from __future__ import annotations

import copy
import logging
import warnings

import numpy as np
import onnx
import pytest
import torch

import blackbox_explain as bx
from benchmarks.models import networks
from tests.adapters.onnx.architectures import NETWORKS
from tests.kinds import kept

IMAGES = 8


def made(name: str) -> torch.nn.Module:
    """Make a network with normalisation layers that are not the identity."""
    torch.manual_seed(0)
    network = NETWORKS[name].make().eval()
    for module in network.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.5, 1.5)
    return network


def exported(network: torch.nn.Module, shape: tuple[int, ...], exporter: str, opset: int) -> onnx.ModelProto:
    if exporter == "torchscript":
        return networks.exported(network, shape, opset)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        program = torch.onnx.export(
            network,
            (torch.zeros(2, *shape),),
            dynamo=True,
            opset_version=opset,
            verbose=False,
            dynamic_shapes=({0: torch.export.Dim("N")},),
        )
    return program.model_proto


def gradients(network: torch.nn.Module, images: np.ndarray, weights: np.ndarray, dtype: torch.dtype) -> np.ndarray:
    """Return what autograd gives in one precision."""
    leaf = torch.tensor(images, dtype=dtype, requires_grad=True)
    scores = copy.deepcopy(network).to(dtype)(leaf).softmax(dim=1)
    return torch.autograd.grad((scores * torch.tensor(weights, dtype=dtype)).sum(), leaf)[0].double().numpy()


def error(found: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """Return the relative error of each image."""
    axes = tuple(range(1, found.ndim))
    return np.sqrt(np.sum((found - exact) ** 2, axis=axes) / np.sum(exact**2, axis=axes))


OPSETS = {"torchscript": (13, 16, 18), "dynamo": (18, 21, 23)}


ONE_OF_EACH = [("residual", "dynamo", 23), ("swin", "dynamo", 21), ("plain", "torchscript", 13)]
"""What is tested at every run; the rest of them all by `make test-all`."""


@pytest.mark.parametrize(
    ("name", "exporter", "opset"),
    kept(
        [(name, exporter, opset) for name in NETWORKS for exporter, opsets in OPSETS.items() for opset in opsets],
        *ONE_OF_EACH,
    ),
)
def test_gradients_of_networks_are_those_of_autograd(name: str, exporter: str, opset: int) -> None:
    about, network = NETWORKS[name], made(name)
    model = exported(network, about.shape, exporter, opset)
    box = bx.wrap(model, shape=about.shape, activation="softmax", cache=False)
    assert isinstance(box, bx.Differentiable), getattr(box, "no_gradient", "")
    rng = np.random.default_rng(1)
    images = rng.random((IMAGES, *about.shape), dtype=np.float32)
    weights = rng.standard_normal((IMAGES, 10)).astype(np.float32)
    exact = gradients(network, images, weights, torch.float64)
    found = np.concatenate(
        [box.scores_and_gradient(images[rows], weights[rows])[1] for rows in (slice(0, 1), slice(1, 6), slice(6, 8))]
    )
    expected = (
        copy.deepcopy(network).double()(torch.tensor(images, dtype=torch.float64)).softmax(dim=1).detach().numpy()
    )
    np.testing.assert_allclose(box.scores(images), expected, atol=2e-6)
    errors = error(found, exact)
    if about.smooth:
        assert errors.max() <= 1e-5
    else:
        own = error(gradients(network, images, weights, torch.float32), exact)
        # One unit that flips in single precision is one wrong image, in torch as here: judged over all of them.
        assert np.median(errors) <= max(np.median(own), 1e-5) * 1.5
        assert errors.max() <= max(own.max(), 1e-4) * 1.5
