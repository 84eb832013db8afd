"""No part of a gradient falls to the CPU: every operator that the rules write has a CUDA kernel.

``make placement`` runs this without a GPU, ``pytest -m gpu`` where there is one.
"""

from __future__ import annotations

import dataclasses
import os
from typing import Any

import onnx
import onnxruntime
import pytest

import blackbox_explain as bx
from blackbox_explain_adapters._onnx.backward.differentiation import differentiate
from blackbox_explain_adapters._onnx.backward.operators import CASES, Case
from blackbox_explain_adapters._onnx.graph.weights import NO_WEIGHTS, Weights
from blackbox_explain_adapters._onnx.session import Session, providers_for
from tests.adapters.onnx.architectures import NETWORKS
from tests.adapters.onnx.backward.test_networks import exported, made
from tests.adapters.onnx.oracle import build

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        "CUDAExecutionProvider" not in onnxruntime.get_available_providers() and os.environ.get("REQUIRE_CUDA") != "1",
        reason="this ONNX Runtime is for CPUs alone",
    ),
]


def on_host(model: onnx.ModelProto, weights: Weights = NO_WEIGHTS) -> set[str]:
    session = Session(model, providers_for("cuda"), weights=weights)
    assert session.providers[0] == "CUDAExecutionProvider"
    return set(session.on_host)


def gradient_graph_for_cuda(model: Any, **how: Any) -> tuple[onnx.ModelProto, Weights]:
    box: Any = bx.wrap(model, device="cpu", cache=False, **how)
    return dataclasses.replace(box._build, device="cuda")(), box._parts.weights


@pytest.mark.parametrize(("exporter", "opset"), [("torchscript", 18), ("dynamo", 21)])
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_are_on_the_gpu_with_their_gradients(name: str, exporter: str, opset: int) -> None:
    model = exported(made(name), NETWORKS[name].shape, exporter, opset)
    assert not on_host(*gradient_graph_for_cuda(model, shape=NETWORKS[name].shape))


def test_the_default_classifier_is_on_the_gpu() -> None:
    assert not on_host(*gradient_graph_for_cuda("efficientnet-lite0"))


@pytest.mark.parametrize("operator", CASES)
def test_a_rule_adds_nothing_that_the_cpu_must_run(operator: str) -> None:
    for case in CASES[operator]:
        before, after = on_host(build(case)), on_host(written(case))
        assert after <= before | PAIRS.get(operator, set()), case


PAIRS = {"Cosh": {"Sinh"}, "Sinh": {"Cosh"}}
"""Derivatives that ONNX Runtime has as little as the functions."""


def written(case: Case) -> onnx.ModelProto:
    return differentiate(build(case), device="cuda")


def test_what_has_no_kernel_is_named() -> None:
    assert on_host(build(Case("y = LpPool<kernel_shape=[2,2]>(x)", (2, 3, 8, 9)))) == {"LpPool"}
