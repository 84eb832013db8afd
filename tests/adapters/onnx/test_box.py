"""The ONNX adapter: every form of a model, what it reads off the graph, and what the gradient graph can be asked for."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper, parser

import blackbox_explain as bx
from blackbox_explain.errors import BackendMissingError, InputError, UnsupportedModelError
from blackbox_explain_adapters._onnx.backward.differentiation import WEIGHTS, differentiate, gradient_of
from blackbox_explain_adapters._onnx.backward.operators import RULES

SHAPE = (3, 12, 12)
PREPROCESSING = bx.Preprocessing(mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3), channels="BGR")


def small(
    source: str = "float[N,3,12,12] x", before: str = "a = Identity(x)", head: str = "y = Identity(l)"
) -> onnx.ModelProto:
    """Make a small classifier of five classes."""
    rng = np.random.default_rng(0)
    text = f"{before}\nc = Conv<strides=[2,2]>(a, w)\nr = Relu(c)\np = GlobalAveragePool(r)\nf = Flatten(p)\nl = Gemm(f, v, b)\n{head}"
    graph = parser.parse_graph(f"small ({source}) => (float[N,5] y) {{ {text} }}")
    weights = {"w": (8, 3, 3, 3), "v": (8, 5), "b": (5,)}
    graph.initializer.extend(
        numpy_helper.from_array(rng.standard_normal(shape).astype(np.float32), name) for name, shape in weights.items()
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def guided(tape: Any, node: Any, gradients: Any) -> Any:
    return [tape.op("Relu", RULES["Relu"](tape, node, gradients)[0])]


def saved(folder: Path) -> Path:
    onnx.save(small(), folder / "small.onnx")
    return folder / "small.onnx"


@pytest.mark.parametrize(
    "form",
    [
        saved,
        lambda folder: str(saved(folder)),
        lambda _: small(),
        lambda _: small().SerializeToString(),
        lambda folder: onnxruntime.InferenceSession(str(saved(folder))),
        lambda _: onnxruntime.InferenceSession(small().SerializeToString()),
    ],
)
def test_every_form_of_a_model(form: Any, tmp_path: Path, images: np.ndarray, weights: np.ndarray) -> None:
    box = bx.wrap(form(tmp_path), preprocessing=PREPROCESSING)
    assert box.spec.shape == SHAPE
    assert box.activation == "softmax"
    session = onnxruntime.InferenceSession(small().SerializeToString())
    logits = session.run(None, {"x": PREPROCESSING.forward(images)})[0]
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(box.scores(images), expected, atol=1e-6)
    scores, gradient = box.scores_and_gradient(images, weights)
    np.testing.assert_allclose(scores, expected, atol=1e-6)
    np.testing.assert_allclose(gradient, by_autograd(images, weights), atol=2e-6)


def by_autograd(images: np.ndarray, weights: np.ndarray) -> np.ndarray:
    stored = {one.name: torch.tensor(numpy_helper.to_array(one).copy()).double() for one in small().graph.initializer}
    leaf = torch.tensor(images, dtype=torch.float64, requires_grad=True)
    inputs = (
        (leaf - torch.tensor(PREPROCESSING.mean)[:, None, None]) / torch.tensor(PREPROCESSING.std)[:, None, None]
    ).flip(1)
    pooled = torch.relu(torch.nn.functional.conv2d(inputs, stored["w"], stride=2)).mean((2, 3))
    scores = (pooled @ stored["v"] + stored["b"]).softmax(1)
    return torch.autograd.grad((scores * torch.tensor(weights)).sum(), leaf)[0].numpy()


def test_channels_last(images: np.ndarray, weights: np.ndarray) -> None:
    plain = bx.wrap(small())
    last = bx.wrap(small("float[N,12,12,3] x", "a = Transpose<perm=[0,3,1,2]>(x)"))
    assert last.spec.shape == SHAPE
    assert last.spec.preprocessing.layout == "channels_last"
    for one, other in zip(
        last.scores_and_gradient(images, weights), plain.scores_and_gradient(images, weights), strict=True
    ):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_bytes_are_rounded_and_the_gradient_is_that_of_floats(images: np.ndarray, weights: np.ndarray) -> None:
    before = "t = Transpose<perm=[0,3,1,2]>(x)\nf0 = Cast<to=1>(t)\na = Mul(f0, k)"
    model = small("uint8[N,12,12,3] x", before)
    model.graph.initializer.append(numpy_helper.from_array(np.float32(1 / 255), "k"))
    box, plain = bx.wrap(model), bx.wrap(small())
    assert any("bytes" in sentence for sentence in box.assumptions)
    rounded = np.round(images * 255).astype(np.float32) / 255
    scores, gradient = box.scores_and_gradient(images, weights)
    expected, slope = plain.scores_and_gradient(rounded, weights)
    np.testing.assert_allclose(scores, expected, atol=1e-5)
    np.testing.assert_allclose(box.scores(images), expected, atol=1e-5)
    np.testing.assert_allclose(gradient, slope, atol=1e-5)


def test_bytes_are_scaled_beside_other_preprocessing(images: np.ndarray) -> None:
    before = "t = Transpose<perm=[0,3,1,2]>(x)\nf0 = Cast<to=1>(t)\na = Mul(f0, k)"
    model = small("uint8[N,12,12,3] x", before)
    model.graph.initializer.append(numpy_helper.from_array(np.float32(1 / 255), "k"))
    expected = bx.wrap(model).scores(images[:, ::-1])
    np.testing.assert_allclose(
        bx.wrap(model, preprocessing=bx.Preprocessing(channels="BGR")).scores(images), expected, atol=1e-6
    )


def test_names_of_the_model_do_not_clash(images: np.ndarray, weights: np.ndarray) -> None:
    model = small("float[4,3,12,12] x", head="s = Add(l, weights)\ngradient = Identity(s)\ny = Identity(gradient)")
    model.graph.initializer.append(numpy_helper.from_array(np.full((4, 5), 0.5, np.float32), "weights"))
    for node in model.graph.node:
        node.name = ""
    box, plain = bx.wrap(model), bx.wrap(small())
    for one, other in zip(
        box.scores_and_gradient(images, weights), plain.scores_and_gradient(images, weights), strict=True
    ):
        np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("body", ["e = Equal(n, one)\nk = Cast<to=1>(e)", "h = Div(n, two)\nk = Cast<to=1>(h)"])
def test_what_follows_from_the_batch_size_is_computed_for_each(
    body: str, images: np.ndarray, weights: np.ndarray
) -> None:
    model = small(head=f"n = Shape<start=0, end=1>(x)\n{body}\nq = Add(k, z)\ny = Mul(l, q)")
    for name, value in {"one": np.array([1]), "two": np.array([2]), "z": np.float32(0.5)}.items():
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    forward, backward = (
        onnxruntime.InferenceSession(one.SerializeToString(), providers=["CPUExecutionProvider"])
        for one in (model, differentiate(model))
    )
    for count in (1, 2, 4):
        expected = forward.run(None, {"x": images[:count]})[0]
        found = backward.run(None, {"x": images[:count], WEIGHTS: weights[:count]})[0]
        np.testing.assert_allclose(found, expected, atol=1e-6)
    # An image gets the scores that it gets alone.
    box = bx.wrap(model)
    logits = np.concatenate([forward.run(None, {"x": images[k : k + 1]})[0] for k in range(4)])
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(box.scores(images), expected, atol=1e-6)
    np.testing.assert_allclose(box.scores_and_gradient(images, weights)[0], expected, atol=1e-6)


def test_logits_with_more_axes_than_the_output(images: np.ndarray) -> None:
    text = "u = Unsqueeze(l, q)\ns = Softmax<axis=1>(u)\ny = Flatten(s)"
    model = small(head=text)
    model.graph.initializer.append(numpy_helper.from_array(np.array([2, 3]), "q"))
    found = bx.wrap(model, activation="sigmoid").scores(images)
    np.testing.assert_allclose(found, bx.wrap(small(), activation="sigmoid").scores(images), atol=1e-6)


def test_a_fixed_batch_is_padded_and_cropped(images: np.ndarray, weights: np.ndarray) -> None:
    fixed, free = bx.wrap(small("float[3,3,12,12] x")), bx.wrap(small())
    for count in (1, 3, 4):
        found = fixed.scores_and_gradient(images[:count], weights[:count])
        expected = free.scores_and_gradient(images[:count], weights[:count])
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-6)


def test_a_graph_that_only_claims_a_free_batch_is_taken_one_by_one(images: np.ndarray, weights: np.ndarray) -> None:
    model = small(head="h = Reshape(l, q)\ny = Identity(h)")
    model.graph.initializer.append(numpy_helper.from_array(np.array([1, 5]), "q"))
    box = bx.wrap(model)
    assert any("one image at a time" in sentence for sentence in box.assumptions)
    expected = bx.wrap(small()).scores_and_gradient(images, weights)
    for one, other in zip(box.scores_and_gradient(images, weights), expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("head", ["softmax", "log_softmax", "sigmoid"])
def test_an_activation_in_the_graph_is_recognised_and_not_applied_twice(head: Any, images: np.ndarray) -> None:
    operator = {"softmax": "Softmax<axis=1>", "log_softmax": "LogSoftmax<axis=1>", "sigmoid": "Sigmoid"}[head]
    model = small(head=f"s = {operator}(l)\nz = Reshape(s, q)\ny = Flatten(z)")
    model.graph.initializer.append(numpy_helper.from_array(np.array([-1, 5, 1, 1]), "q"))
    plain = bx.wrap(small(), activation=head).scores(images)
    for asked in ("auto", head, "none"):
        box = bx.wrap(model, activation=asked)
        assert box.activation == "none"
        np.testing.assert_allclose(box.scores(images), plain, atol=1e-6)
    other = "sigmoid" if head != "sigmoid" else "softmax"
    found = bx.wrap(model, activation=other)
    np.testing.assert_allclose(found.scores(images), bx.wrap(small(), activation=other).scores(images), atol=1e-6)


def test_metadata_tells_range_order_and_names(images: np.ndarray) -> None:
    model = small()
    told = {
        "Image.NominalPixelRange": "NominalRange_0_255",
        "Image.BitmapPixelFormat": "Bgr8",
        "names": "{0: 'a', 1: 'b', 2: 'c', 3: 'd', 4: 'e'}",
    }
    for key, value in told.items():
        model.metadata_props.add(key=key, value=value)
    box = bx.wrap(model)
    assert box.spec.class_names == ("a", "b", "c", "d", "e")
    expected = bx.wrap(small(), preprocessing=bx.Preprocessing(std=1 / 255, channels="BGR"))
    np.testing.assert_allclose(box.scores(images), expected.scores(images), atol=1e-6)


@pytest.mark.parametrize("text", ['{"0": "a", "1": "b", "2": "c", "3": "d", "4": "e"}', "a,b,c,d,e", "a\nb\nc\nd\ne"])
def test_names_in_metadata_are_written_in_many_ways(text: str) -> None:
    model = small()
    model.metadata_props.add(key="id2label" if text[0] == "{" else "names", value=text)
    assert bx.wrap(model, cache=False).spec.class_names == ("a", "b", "c", "d", "e")


def test_blank_names_of_the_model_are_left_out() -> None:
    model = small()
    model.metadata_props.add(key="names", value="['', 'b', 'c', 'd', 'e']")
    box = bx.wrap(model, cache=False)
    assert box.spec.class_names is None
    assert any("class names in the file" in sentence for sentence in box.assumptions)


def test_class_names_that_do_not_fit_are_left_out() -> None:
    model = small()
    model.metadata_props.add(key="names", value="{0: 'a', 1: 'b'}")
    box = bx.wrap(model, cache=False)
    assert box.spec.class_names is None
    assert any("class names in the file" in sentence for sentence in box.assumptions)


def test_names_that_are_given_are_held_against_those_of_the_model() -> None:
    model = small()
    model.metadata_props.add(key="names", value="{0: 'cat', 1: 'dog', 2: 'emu', 3: 'fox', 4: 'gnu'}")
    own = ["cat", "dog", "emu", "fox", "gnu"]
    with pytest.raises(InputError, match=r"another order than the model's own.*'dog' for class 0.*'cat'"):
        bx.wrap(model, class_names=["dog", "cat", "emu", "fox", "gnu"], cache=False)
    with pytest.raises(InputError, match="3 names"):
        bx.wrap(model, class_names=own[:3], cache=False)
    box = bx.wrap(model, class_names=["Katze", *own[1:]], cache=False)
    assert box.spec.class_names == ("Katze", *own[1:])
    assert any("'cat' there and 'Katze' here" in one for one in box.assumptions)
    assert not any("there and" in one for one in bx.wrap(model, class_names=own, cache=False).assumptions)


def test_an_inner_tensor_can_be_the_scores(images: np.ndarray) -> None:
    box = bx.wrap(small(), output="p", activation="none")
    assert box.scores(images).shape == (4, 8)
    assert box.scores_and_gradient(images, np.ones((4, 8), np.float32))[1].shape == images.shape
    with pytest.raises(InputError, match="no such tensor"):
        bx.wrap(small(), output="nothing")


def test_scores_are_found_beside_outputs_of_no_stated_shape(images: np.ndarray) -> None:
    model = small()
    features = onnx.ValueInfoProto(name="c_output")
    features.type.tensor_type.elem_type = TensorProto.FLOAT
    model.graph.node[1].output[0] = model.graph.node[2].input[0] = "c_output"
    model.graph.output.insert(0, features)
    np.testing.assert_array_equal(bx.wrap(model).scores(images), bx.wrap(small()).scores(images))


def test_inner_values_and_gradients(images: np.ndarray, weights: np.ndarray) -> None:
    box = bx.wrap(small(), activation="none")
    found = box.inner(images, weights, ["r", "f"])
    stored = {one.name: numpy_helper.to_array(one) for one in small().graph.initializer}
    value, gradient = found["f"]
    np.testing.assert_allclose(gradient, weights @ stored["v"].T, atol=1e-5)
    np.testing.assert_allclose(value @ stored["v"] + stored["b"], box.scores(images), atol=1e-5)
    assert found["r"][0].shape == found["r"][1].shape == (4, 8, 5, 5)
    np.testing.assert_allclose(found["r"][1][:, :, 0, 0], gradient / 25, atol=1e-6)
    with pytest.raises(UnsupportedModelError, match="has no gradient"):
        box.inner(images, weights, ["w"])


def test_what_an_inner_gradient_does_not_need_is_not_computed() -> None:
    model = bx.wrap(small(), activation="none")._parts.model
    whole, inner = differentiate(model), differentiate(model, tensors=["f"])
    assert [one.name for one in inner.graph.output][1:] == ["f", gradient_of("f")]
    kinds = [node.op_type for node in whole.graph.node]
    assert "ConvTranspose" in kinds or kinds.count("Conv") > 1
    assert [node.op_type for node in inner.graph.node if node.op_type.startswith("Conv")] == ["Conv"]


def test_a_rule_for_no_operator_is_a_mistake() -> None:
    with pytest.raises(InputError, match=r"no such operator.*'relu'.*Relu"):
        bx.wrap(small(), rules={"relu": guided})
    for wrong in (["Relu"], {5: guided}, {"Relu": None}):
        with pytest.raises(InputError, match="functions by the names of operators"):
            bx.wrap(small(), rules=wrong)
    with pytest.raises(UnsupportedModelError, match="returns 3 gradients for 1 inputs"):
        bx.wrap(small(), rules={"Relu": lambda *_: ["a", "b", "c"]})


@pytest.mark.parametrize("name", ["Nope", "CoreMLExecutionProvider"])
def test_a_provider_that_is_not_there_is_a_mistake(name: str) -> None:
    with pytest.raises(BackendMissingError, match=f"no such execution provider.*{name}.*CPUExecutionProvider"):
        bx.wrap(small(), providers=[name, "CPUExecutionProvider"])
    assert bx.wrap(small(), providers="CPUExecutionProvider").spec.shape == SHAPE


def test_few_sessions_for_inner_tensors_are_kept(images: np.ndarray, weights: np.ndarray) -> None:
    box: Any = bx.wrap(small())
    asked = list(itertools.permutations("crpfl", 2))[:11]
    for names in asked:
        box.inner(images, weights, names)
    assert list(box._inner) == asked[3:]


def test_a_rule_can_be_replaced(images: np.ndarray, weights: np.ndarray) -> None:
    usual, other = bx.wrap(small(), activation="none"), bx.wrap(small(), activation="none", rules={"Relu": guided})
    by_relu = other.inner(images, weights, ["c"])["c"][1]
    np.testing.assert_allclose(by_relu, np.maximum(usual.inner(images, weights, ["c"])["c"][1], 0), atol=1e-6)
    assert by_relu.max() > 0
    assert usual.inner(images, weights, ["c"])["c"][1].min() < 0


def test_torch_tensors_come_back_as_torch_tensors(images: np.ndarray, weights: np.ndarray) -> None:
    box = bx.wrap(small())
    scores, gradient = box.scores_and_gradient(torch.tensor(images), torch.tensor(weights))
    assert isinstance(scores, torch.Tensor)
    np.testing.assert_allclose(gradient.numpy(), box.scores_and_gradient(images, weights)[1], atol=1e-7)


def test_any_memory_order_and_double_precision(images: np.ndarray, weights: np.ndarray) -> None:
    box = bx.wrap(small())
    expected = box.scores_and_gradient(images, weights)[1]
    found = box.scores_and_gradient(np.asfortranarray(images).astype(np.float64), weights.astype(np.float64))[1]
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected, atol=1e-7)


def test_one_session_serves_all_calls(images: np.ndarray, weights: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    box = bx.wrap(small())
    box.scores(images)
    box.scores_and_gradient(images, weights)
    monkeypatch.setattr(onnxruntime, "InferenceSession", None)
    box.scores(images[:2])
    box.scores_and_gradient(images[:3], weights[:3])


def test_devices() -> None:
    assert isinstance(bx.wrap(small(), device="cpu", threads=1), bx.Differentiable)
    assert isinstance(bx.wrap(small(), providers=["CPUExecutionProvider"]), bx.Differentiable)
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        with pytest.raises(BackendMissingError, match="does not compute on 'cuda'"):
            bx.wrap(small(), device="cuda")


def quantised() -> onnx.ModelProto:
    model = small(before="q = QuantizeLinear(x, k, o)\na = DequantizeLinear(q, k, o)")
    model.graph.initializer.extend(
        [numpy_helper.from_array(np.float32(1 / 255), "k"), numpy_helper.from_array(np.uint8(0), "o")]
    )
    return model


def test_quantised_models_give_a_surrogate_only_when_asked(images: np.ndarray, weights: np.ndarray) -> None:
    plain = bx.wrap(quantised())
    assert not isinstance(plain, bx.Differentiable)
    assert plain.scores(images).shape == (4, 5)
    assert re.search(r"QuantizeLinear.*straight_through=True", str(plain.no_gradient))
    box = bx.wrap(quantised(), straight_through=True)
    rounded = np.round(images * 255).astype(np.float32) / 255
    np.testing.assert_allclose(
        box.scores_and_gradient(images, weights)[1],
        bx.wrap(small()).scores_and_gradient(rounded, weights)[1],
        atol=1e-5,
    )
    result = bx.explain(box, images, progress=False, steps=2)
    assert any("surrogate" in sentence for sentence in result.provenance.assumptions)
    assert result.provenance.gradients == "surrogate"
    assert bx.explain(bx.wrap(small()), images, progress=False, steps=2).provenance.gradients == "exact"
    # What is made of the box is of the same kind.
    for made in (box.randomized(["c"], 0), box.with_backward("guided")):
        assert made.surrogate
        assert any("surrogate" in sentence for sentence in made.assumptions)


def test_the_same_image_has_the_same_gradient_in_any_company(images: np.ndarray, weights: np.ndarray) -> None:
    box = bx.wrap(small())
    together = box.scores_and_gradient(images, weights)[1]
    alone = np.concatenate([box.scores_and_gradient(images[k : k + 1], weights[k : k + 1])[1] for k in range(4)])
    np.testing.assert_allclose(alone, together, atol=1e-6)
