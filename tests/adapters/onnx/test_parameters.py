"""Random parameters in ONNX models: in which tensors, and a model that stays as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper, parser

import blackbox_explain as bx
from blackbox_explain.box.adapter_tools.random_parameters import drawn_like
from blackbox_explain.errors import InputError, UnsupportedModelError
from tests.adapters.onnx.test_box import small


def stored(model: onnx.ModelProto, **arrays: np.ndarray) -> onnx.ModelProto:
    """Return a model with further initializers."""
    made = onnx.ModelProto()
    made.CopyFrom(model)
    made.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in arrays.items())
    return made


def with_drawn(model: onnx.ModelProto, *names: str) -> onnx.ModelProto:
    """Return a model some of whose initializers are what is drawn for them with seed 0."""
    made = onnx.ModelProto()
    made.CopyFrom(model)
    for tensor in made.graph.initializer:
        if tensor.name in names:
            tensor.CopyFrom(
                numpy_helper.from_array(drawn_like(numpy_helper.to_array(tensor), 0, tensor.name), tensor.name)
            )
    return made


def wrapped(model: Any, **options: Any) -> Any:
    return bx.wrap(model, activation="softmax", cache=False, **options)


def test_layers_from_the_output_on_and_the_parameters_of_each(images: np.ndarray, weights: np.ndarray) -> None:
    model = small()
    box = wrapped(model)
    assert isinstance(box, bx.Randomizable)
    assert box.parameter_layers() == ("l", "c")
    for layers, drawn in ((["l"], ("v", "b")), (["l", "c"], ("v", "b", "w")), (["c"], ("w",))):
        made, expected = box.randomized(layers, 0), wrapped(with_drawn(model, *drawn))
        for one, other in zip(
            made.scores_and_gradient(images, weights), expected.scores_and_gradient(images, weights), strict=True
        ):
            np.testing.assert_allclose(one, other, atol=1e-6)
        assert made.fingerprint() != box.fingerprint()
        assert f"are random ({', '.join(layers)}; seed 0)" in made.assumptions[-1]


def test_the_model_stays_as_it_was_also_after_an_error(images: np.ndarray) -> None:
    model = small()
    box = wrapped(model)
    content, before, fingerprint = model.SerializeToString(), box.scores(images), box.fingerprint()
    box.randomized(["l", "c"], 0)
    with pytest.raises(InputError, match=r"No layer with parameters has this name. Got 'r'"):
        box.randomized(["l", "r"], 0)
    np.testing.assert_array_equal(box.scores(images), before)
    assert (model.SerializeToString(), box.fingerprint()) == (content, fingerprint)


def test_inner_layers_other_rules_and_logits_are_those_of_the_random_model(
    images: np.ndarray, weights: np.ndarray
) -> None:
    made = wrapped(small()).randomized(["l", "c"], 0)
    expected = wrapped(with_drawn(small(), "v", "b", "w"))
    np.testing.assert_allclose(
        made.inner(images, weights, ["r"])["r"][1], expected.inner(images, weights, ["r"])["r"][1], atol=1e-6
    )
    for box in (made, expected):
        box.logits = box.with_backward("guided", of="logits").scores_and_gradient(images, weights)
    for one, other in zip(made.logits, expected.logits, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_rules_that_were_chosen_stay(images: np.ndarray, weights: np.ndarray) -> None:
    guided = wrapped(small()).with_backward("guided").randomized(["c"], 0)
    expected = wrapped(small()).randomized(["c"], 0).with_backward("guided")
    np.testing.assert_allclose(
        guided.scores_and_gradient(images, weights)[1], expected.scores_and_gradient(images, weights)[1], atol=1e-6
    )


def test_large_weights_beside_the_file(tmp_path: Path, images: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    text = "f = Flatten(x)\nh = MatMul(f, big)\nr = Relu(h)\ny = Gemm(r, v, b)"
    model = helper.make_model(
        parser.parse_graph(f"wide (float[N,3,12,12] x) => (float[N,5] y) {{ {text} }}"),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=9,
    )
    arrays = {"big": (432, 64), "v": (64, 5), "b": (5,)}
    model = stored(model, **{name: rng.standard_normal(size).astype(np.float32) for name, size in arrays.items()})
    beside = with_drawn(model)  # saving changes what it is given
    onnx.save(beside, tmp_path / "wide.onnx", save_as_external_data=True, size_threshold=1024, location="wide.bin")
    content = (tmp_path / "wide.bin").read_bytes()
    box = wrapped(tmp_path / "wide.onnx")
    before = box.scores(images)
    assert box.parameter_layers() == ("y", "h")
    for layers, drawn in ((["y"], ("v", "b")), (["y", "h"], ("v", "b", "big"))):
        found = box.randomized(layers, 0).scores(images)
        np.testing.assert_allclose(found, wrapped(with_drawn(model, *drawn)).scores(images), atol=1e-6)
    assert (tmp_path / "wide.bin").read_bytes() == content
    np.testing.assert_array_equal(box.scores(images), before)


def test_weights_that_a_node_makes_are_drawn_as_what_it_makes(images: np.ndarray) -> None:
    """Weights are kept in half precision and cast, or as whole numbers and scaled: what is read is a float."""
    floats = small()
    (kernel,) = (numpy_helper.to_array(one) for one in floats.graph.initializer if one.name == "w")
    halves = stored(small(before="w = Cast<to=1>(half)\na = Identity(x)"), half=kernel.astype(np.float16))
    scaled = stored(
        small(before="w = DequantizeLinear(whole, scale)\na = Identity(x)"),
        whole=np.clip(kernel / 0.02, -127, 127).astype(np.int8),
        scale=np.float32(0.02),
    )
    for model, value in (
        (halves, kernel.astype(np.float16).astype(np.float32)),
        (scaled, 0.02 * np.clip(kernel / 0.02, -127, 127).astype(np.int8).astype(np.float32)),
    ):
        del model.graph.initializer[[one.name for one in model.graph.initializer].index("w")]
        box = wrapped(model)
        assert box.parameter_layers() == ("l", "c")
        expected = stored(floats, w=drawn_like(value, 0, "w"))
        del expected.graph.initializer[[one.name for one in expected.graph.initializer].index("w")]
        found = box.randomized(["c"], 0)
        np.testing.assert_allclose(found.scores(images), wrapped(expected).scores(images), atol=1e-5)


def test_statistics_of_a_normalisation_stay(images: np.ndarray) -> None:
    rng = np.random.default_rng(1)
    normal = stored(
        small(before="a = BatchNormalization(x, scale, shift, mean, variance)"),
        **{name: rng.uniform(0.5, 1.5, 3).astype(np.float32) for name in ("scale", "shift", "mean", "variance")},
    )
    box = wrapped(normal)
    assert box.parameter_layers() == ("l", "c", "a")
    expected = wrapped(with_drawn(normal, "scale", "shift")).scores(images)
    np.testing.assert_allclose(box.randomized(["a"], 0).scores(images), expected, atol=1e-6)


def test_a_model_of_scores_alone(images: np.ndarray) -> None:
    model = small(before="q = Round(x)\na = Identity(q)")
    box = wrapped(model)
    assert not isinstance(box, bx.Differentiable)
    made = box.randomized(["l", "c"], 0)
    assert not isinstance(made, bx.Differentiable)
    expected = wrapped(with_drawn(model, "w", "v", "b")).scores(images)
    np.testing.assert_allclose(made.scores(images), expected, atol=1e-6)


def test_quantised_models_are_refused() -> None:
    before = "q, s, z = DynamicQuantizeLinear(x)\ni = ConvInteger(q, k)\na = Cast<to=1>(i)"
    box = wrapped(stored(small(before=before), k=np.ones((3, 3, 1, 1), np.uint8)))
    with pytest.raises(UnsupportedModelError, match=r"a quantised model: ConvInteger.*multiplies whole numbers"):
        box.parameter_layers()


def test_a_model_without_parameters_is_refused() -> None:
    graph = parser.parse_graph("none (float[N,5,4,4] x) => (float[N,5] y) { p = GlobalAveragePool(x)\ny = Flatten(p) }")
    box = wrapped(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9))
    with pytest.raises(UnsupportedModelError, match="no operator reads weights of floats"):
        box.randomized([], 0)
