"""RNN, GRU and LSTM: the steps give what the operator gives, and their gradient is that of the steps."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

import blackbox_explain as bx
from blackbox_explain.errors import UnsupportedModelError
from blackbox_explain_adapters._onnx.backward.differentiation import WEIGHTS, differentiate
from blackbox_explain_adapters._onnx.backward.operators import Case
from blackbox_explain_adapters._onnx.graph.plain_form import flat
from blackbox_explain_adapters._onnx.lowering import recurrent
from blackbox_explain_adapters._onnx.lowering.opset import converted
from blackbox_explain_adapters._onnx.lowering.pass_runner import Graph
from blackbox_explain_adapters._onnx.lowering.recurrent import unroll_recurrent
from tests.adapters.onnx.oracle import build, slope
from tests.kinds import kept

STEPS, ROWS, INPUTS, HIDDEN = 4, 3, 5, 3
GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}


def case(operator: str, attributes: str = "", inputs: str = "", outputs: str = "y", **constants: Any) -> Case:
    """Make one from images (N, steps, inputs): the operator wants its steps first."""
    ways = 2 if "bidirectional" in attributes else 1
    gates = GATES[operator]
    first = "t = Identity(x)" if "layout=1" in attributes else "t = Transpose<perm=[1,0,2]>(x)"
    shapes = {"w": (ways, gates * HIDDEN, INPUTS), "r": (ways, gates * HIDDEN, HIDDEN), "b": (ways, 2 * gates * HIDDEN)}
    named, _, behind = outputs.partition(" | ")
    text = f"{first}\n{named} = {operator}<hidden_size={HIDDEN}{attributes}>(t, w, r{inputs})\n{behind}"
    return Case(text, (ROWS, STEPS, INPUTS), {**shapes, **constants}, opset=14)


P = {"p": (1, 3 * HIDDEN)}
STATE = {"h": (1, ROWS, HIDDEN)}
CASES = [
    *(case(op, inputs=inputs) for op in GATES for inputs in ("", ", b")),
    *(case(op, f', direction="{way}"', ", b") for op in GATES for way in ("reverse", "bidirectional")),
    case("GRU", ", linear_before_reset=1", ", b"),
    case("GRU", ", linear_before_reset=1"),
    case("GRU", ', linear_before_reset=1, direction="bidirectional"', ", b"),
    case("LSTM", ", input_forget=1", ", b"),
    case("LSTM", "", ", b, , , , p", **P),
    case("RNN", ', activations=["Relu"]', ", b"),
    case("GRU", ', activations=["HardSigmoid", "Softsign"]', ", b"),
    case("RNN", "", ", , n, h", n=np.full(ROWS, STEPS, np.int32), **STATE),
    case("LSTM", "", ", b, , h, h", **STATE),
    case("LSTM", "", ", b", "a, e | y = Squeeze(e, z)", z=np.array([0])),
    case("LSTM", "", ", b", "a, e, c | y = Concat<axis=-1>(e, c)"),
    case("GRU", ', direction="bidirectional"', ", b", "a, y"),
]  # fmt: skip
"""The last ones read the final states."""


def fixed(case: Case) -> onnx.ModelProto:
    """Make the model with the nodes after the recurrent one behind it, of a fixed batch where a state has one."""
    model = build(case)
    if "h" in case.constants:
        model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = ROWS
    return model


def outputs(model: onnx.ModelProto, images: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": images})[0]


@pytest.mark.parametrize("few", kept([0, STEPS], 0), ids=["scanned", "written out"])
@pytest.mark.parametrize("case", CASES, ids=[str(k) for k in range(len(CASES))])
def test_steps_are_the_operator_and_have_its_gradient(case: Case, few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recurrent, "FEW", few)
    model = fixed(case)
    rng = np.random.default_rng(0)
    images = rng.standard_normal((ROWS, STEPS, INPUTS)).astype(np.float32)
    expected = outputs(model, images)
    weights = rng.standard_normal(expected.shape).astype(np.float32)
    graph = differentiate(model)
    assert ("Scan" in {node.op_type for node in graph.graph.node}) == (few == 0)
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    found, gradient = session.run(None, {"x": images, WEIGHTS: weights})
    np.testing.assert_allclose(found, expected, atol=1e-5)
    steps = converted(flat(model))
    assert unroll_recurrent(Graph(steps))
    for _ in range(3):
        way = rng.standard_normal(images.shape)
        scale = float(np.sum(np.abs(gradient * way)))
        assert abs(float(np.sum(gradient * way)) - slope(steps, images, weights, way)) <= 2e-5 * scale


@pytest.mark.parametrize(
    ("case", "message"),
    [
        (case("LSTM", ", clip=0.5", ", b"), "clips"),
        (case("RNN", ', activations=["Affine"], activation_alpha=[0.5]', ", b"), "unusual activations, Affine"),
        (case("GRU", "", ", b, n", n=np.array([1, 4, 2], np.int32)), "lengths of its own"),
    ],
)
def test_what_is_not_followed_is_refused(case: Case, message: str) -> None:
    model = fixed(case)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = ROWS
    with pytest.raises(UnsupportedModelError, match=message):
        differentiate(model)


def test_a_sequence_that_is_constant_and_a_state_that_is_the_image() -> None:
    text = "y, e = GRU<hidden_size=3>(s, w, r, , , h)"
    shapes = {"s": (4, 2, 5), "w": (1, 9, 5), "r": (1, 9, 3)}
    model = build(Case(f"h = Unsqueeze(x, z)\n{text}", (2, 3), {**shapes, "z": np.array([0])}, dynamic=False))
    graph = differentiate(model)
    images, weights = (
        np.random.default_rng(0).standard_normal((2, 3)).astype(np.float32),
        np.ones((4, 1, 2, 3), np.float32),
    )
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    found, gradient = session.run(None, {"x": images, WEIGHTS: weights})
    np.testing.assert_allclose(found, outputs(model, images), atol=1e-6)
    way = np.random.default_rng(1).standard_normal(images.shape)
    ahead, behind = (outputs(model, (images + sign * 1e-2 * way).astype(np.float32)).sum() for sign in (1, -1))
    assert float(np.sum(gradient * way)) == pytest.approx((ahead - behind) / 2e-2, rel=2e-3)


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("operator", GATES)
def test_a_scan_has_the_gradient_of_the_steps_written_out(
    operator: str, direction: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = build(case(operator, f', direction="{direction}"', ", b", "a, y | z = Identity(a)"))
    del model.graph.output[:]
    model.graph.output.append(onnx.ValueInfoProto(name="z"))
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 40
    rng = np.random.default_rng(0)
    images = rng.standard_normal((ROWS, 40, INPUTS)).astype(np.float32)
    weights = rng.standard_normal(outputs(model, images).shape).astype(np.float32)
    found: list[list[np.ndarray]] = []
    for few in (0, 40):
        monkeypatch.setattr(recurrent, "FEW", few)
        graph = differentiate(model).SerializeToString()
        session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
        found.append(session.run(None, {"x": images, WEIGHTS: weights}))
    for scanned, written in zip(*found, strict=True):
        np.testing.assert_allclose(scanned, written, atol=2e-6 * float(np.abs(written).max()))


def long_sequence(steps: int) -> onnx.ModelProto:
    """Make a bidirectional LSTM of many steps."""
    model = build(case("LSTM", ', direction="bidirectional"', ", b"))
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = steps
    return model


def test_a_number_of_steps_costs_no_nodes() -> None:
    sizes = [len(differentiate(long_sequence(steps)).graph.node) for steps in (60, 5_000)]
    assert sizes[0] == sizes[1] < 100


def test_four_times_as_many_steps_take_hardly_longer_to_wrap() -> None:
    taken: list[float] = []
    for steps in (60, 60, 240):  # the first one loads what all need
        text = 't = Transpose<perm=[2,0,1]>(x)\nq, h = LSTM<hidden_size=3, direction="bidirectional">(t, w, r)\n'
        shapes = {"w": (2, 12, INPUTS), "r": (2, 12, HIDDEN), "p": np.array([1, 0, 2]), "s": np.array([0, -1])}
        model = build(Case(f"{text}b = Transpose<perm=[1,0,2]>(h)\ny = Reshape(b, s)", (1, INPUTS, steps), shapes))
        begun = time.process_time()
        box = bx.wrap(model, shape=(INPUTS, steps), activation="softmax", cache=False)
        taken.append(time.process_time() - begun)
        assert isinstance(box, bx.Differentiable)
    assert taken[2] < 2 * taken[1] + 0.2


def test_steps_whose_weights_are_made_from_the_image_are_written_out() -> None:
    text = "w = Reshape(x, s)\ny, e = RNN<hidden_size=3>(t, w, r)"
    constants = {"t": (12, 2, 5), "r": (1, 3, 3), "s": np.array([1, 3, 5])}
    model = build(Case(text, (1, 15), constants, dynamic=False))
    assert "Scan" not in {node.op_type for node in differentiate(model).graph.node}
    model = build(Case(text, (1, 15), {**constants, "t": (2000, 2, 5)}, dynamic=False))
    with pytest.raises(UnsupportedModelError, match="takes 2000 steps"):
        differentiate(model)
