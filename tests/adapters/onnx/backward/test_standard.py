"""The node tests of the ONNX standard: each is differentiated by each of its float inputs, or refused for a known reason.

The gradient is held against differences of ONNX Runtime's own answers, in single precision: coarse, but of every operator.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

from blackbox_explain.errors import BlackBoxExplainError
from blackbox_explain_adapters._onnx.backward.differentiation import WEIGHTS, differentiate
from blackbox_explain_adapters._onnx.graph.observation import session_options
from tests.kinds import kept

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from onnx.backend.test.case.node import collect_testcases

PARTS = 24
"""So that workers share them."""

STEP = 2e-3

REFUSED = (
    r"(Floor|Ceil|Round) .*whole number or a step",
    r"(Det|Unique|TensorScatter|ai\.onnx\.ml\.(Binarizer|TreeEnsemble)) .*no gradient rule",
    r"no path of floats",  # of Sign, Hardmax, and outputs that do not read an input
    r"in training mode",
    r"(ConvTranspose|DeformConv|BatchNormalization|GroupNormalization|InstanceNormalization) .*depends? on the image",
    r"Resize .*(depends? on the image|keeps the proportions)",
    r"STFT .*windows depend on the image",
    r"DFT .*to real numbers",
    r"Scatter(Elements|ND) .*combines by (mul|max|min)",
    r"Scan .*axis of its own for the batch",
)


@cache
def cases() -> list[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [case for case in collect_testcases(None) if case.data_sets]


def of_one_image(model: onnx.ModelProto, values: list[Any]) -> Iterator[tuple[onnx.ModelProto, str, np.ndarray]]:
    """Yield models of one input each, the others held constant, with the input's name and value."""
    if not all(isinstance(one, np.ndarray) for one in values) or not model.graph.output[0].type.HasField("tensor_type"):
        return
    for given, value in zip(model.graph.input, values, strict=False):
        if value.dtype != np.float32 or not value.ndim or not value.size:
            continue
        made = onnx.ModelProto()
        made.CopyFrom(model)
        for other, constant in zip(model.graph.input, values, strict=False):
            if other.name != given.name:
                made.graph.initializer.append(numpy_helper.from_array(np.asarray(constant), other.name))
        del made.graph.input[:], made.graph.output[1:]
        made.graph.input.append(helper.make_tensor_value_info(given.name, onnx.TensorProto.FLOAT, value.shape))
        made.ir_version = min(max(made.ir_version, 8), 11)
        yield made, given.name, value


def session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(
        model.SerializeToString(), session_options(threads=1, optimise=False), providers=["CPUExecutionProvider"]
    )


def agrees(model: onnx.ModelProto, name: str, value: np.ndarray) -> bool | None:
    """Say whether the gradient is that of differences along most of some directions; None where there are none."""
    rng = np.random.default_rng(0)
    images = (value + 0.03 * rng.standard_normal(value.shape)).astype(np.float32)  # off the kinks
    try:
        forward = session(model)
        answer = forward.run(None, {name: images})[0]
    except Exception:  # ONNX Runtime has no kernel for it
        return None
    if answer.dtype != np.float32 or not np.isfinite(answer).all():
        return None
    weights = rng.standard_normal(answer.shape).astype(np.float32)
    gradient = session(differentiate(model)).run(None, {name: images, WEIGHTS: weights})[1].astype(np.float64)
    noise = 2e-2 * np.sqrt(np.abs(weights).sum()) * max(1, np.abs(answer).max(initial=0))
    right = 0
    for _ in range(6):
        way = rng.standard_normal(images.shape) * (rng.random(images.shape) < max(0.3, 3 / images.size))
        ahead, behind = (
            forward.run(None, {name: (images + sign * STEP * way).astype(np.float32)})[0].astype(np.float64)
            for sign in (1, -1)
        )
        difference = np.sum((ahead - behind) * weights) / (2 * STEP)
        right += abs(difference - np.sum(gradient * way)) <= 0.02 * np.abs(gradient * way).sum() + noise
    return bool(right >= 3)


# The last part is the shortest.
@pytest.mark.parametrize("part", kept(range(PARTS), PARTS - 1))
def test_node_tests_of_the_standard(part: int) -> None:
    wrong: list[str] = []
    right = refused = 0
    for case in cases()[part::PARTS]:
        for model, name, value in of_one_image(case.model, case.data_sets[0][0]):
            try:
                found = agrees(model, name, value)
            except BlackBoxExplainError as error:
                refused += 1
                if not any(re.search(reason, str(error), re.DOTALL) for reason in REFUSED):
                    wrong.append(f"{case.name} by {name}: {error}")
                continue
            right += found is True
            if found is False:
                wrong.append(f"{case.name} by {name}: another gradient")
    assert not wrong, "\n".join(wrong)
    assert right > 40
    assert refused < 15
