"""Squeezes that name no axes: a batch of one image would lose its own."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

import blackbox_explain as bx
from blackbox_explain.errors import UnsupportedModelError
from tests.adapters.onnx.reading.test_bad_models import model

IMAGES = np.random.default_rng(0).random((3, 3, 8, 8)).astype(np.float32)

KERNEL = np.random.default_rng(1).standard_normal((5, 3, 3, 3)).astype(np.float32)


SQUARE = np.random.default_rng(2).standard_normal((5, 5)).astype(np.float32)


def squeezing(image: str, body: str, opset: int = 17) -> onnx.ModelProto:
    made = model(f"m (float[{image}] x) => (float[N,5] y) {{ {body} }}", k=KERNEL, v=SQUARE)
    made.opset_import[0].version = opset
    return made


@pytest.mark.parametrize("opset", [11, 17])
@pytest.mark.parametrize(
    ("image", "turned"),
    [("N,3,8,8", "Identity(x)"), ("N,8,8,3", "Transpose<perm=[0,3,1,2]>(x)")],
    ids=["first", "last"],
)
def test_the_axis_of_the_batch_stays(image: str, turned: str, opset: int) -> None:
    body = f"t = {turned}\nc = Conv(t, k)\np = GlobalAveragePool(c)\n"
    found = bx.wrap(squeezing(image, f"{body}y = Squeeze(p)", opset), cache=False, activation="softmax")
    plain = bx.wrap(squeezing(image, f"{body}y = Flatten(p)", opset), cache=False, activation="softmax")
    assert any("squeeze" in one for one in found.assumptions)
    assert not any("squeeze" in one for one in plain.assumptions)
    for count in (1, 3):
        some, weights = IMAGES[:count], np.eye(5, dtype=np.float32)[:count]
        np.testing.assert_allclose(found.scores(some), plain.scores(some), rtol=1e-6)
        for one, other in zip(
            found.scores_and_gradient(some, weights), plain.scores_and_gradient(some, weights), strict=True
        ):
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize(
    ("squeezed", "plain"),
    [
        ("s = Squeeze(p)\ny = Gemm(s, v)", "s = Flatten(p)\ny = Gemm(s, v)"),
        ("s = Flatten(p)\ny = Squeeze(s)", "y = Flatten(p)"),
        ("s = Squeeze(p)\ny = Squeeze(s)", "y = Flatten(p)"),
    ],
)
def test_what_comes_before_and_behind_it_does_not_matter(squeezed: str, plain: str) -> None:
    body = "c = Conv(x, k)\np = GlobalAveragePool(c)\n"
    found, expected = (
        bx.wrap(squeezing("N,3,8,8", body + one), cache=False, activation="softmax") for one in (squeezed, plain)
    )
    weights = np.eye(5, dtype=np.float32)[:3]
    for one, other in zip(
        found.scores_and_gradient(IMAGES, weights), expected.scores_and_gradient(IMAGES, weights), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(found.scores(IMAGES[:1]), expected.scores(IMAGES[:1]), rtol=1e-6)


def test_a_batch_that_is_fixed_or_named_axes_are_left_as_they_are() -> None:
    body = "c = Conv(x, k)\np = GlobalAveragePool(c)\n"
    named = squeezing("N,3,8,8", f"{body}a = Constant<value_ints=[2, 3]>()\ny = Squeeze(p, a)")
    fixed = squeezing("3,3,8,8", f"{body}y = Squeeze(p)")
    for one in (named, fixed):
        box = bx.wrap(one, cache=False, activation="softmax")
        assert not any("squeeze" in sentence for sentence in box.assumptions)
        assert box.scores(IMAGES).shape == (3, 5)


def test_the_layout_is_that_of_the_preprocessing() -> None:
    text = "m (float[N,h,w,c] x) => (float[N,5] y) { t = Transpose<perm=[0,3,1,2]>(x)\ns = Squeeze(t)\n"
    text += "f = Reshape(s, size)\ny = MatMul(f, v) }"
    made = model(text, size=np.array([-1, 64]), v=np.random.default_rng(3).random((64, 5), dtype=np.float32))
    described = {"shape": (1, 8, 8), "preprocessing": bx.Preprocessing(layout="channels_last"), "activation": "none"}
    box = bx.wrap(made, cache=False, **described)
    images = IMAGES[:, :1]
    np.testing.assert_allclose(box.scores(images)[1:2], box.scores(images[1:2]), rtol=1e-6)
    assert isinstance(box, bx.Differentiable)


def test_a_domain_that_the_file_does_not_name_is_no_error() -> None:
    body = 'c = com.microsoft.FusedConv<activation="Relu">(x, k)\np = GlobalAveragePool(c)\na = Flatten(p)\n'
    body += "s = Shape<start=1, end=2>(x)\nn = Squeeze(s)\nf = Cast<to=1>(n)\ny = Div(a, f)"
    box = bx.wrap(squeezing("N,3,8,8", body), cache=False, activation="softmax")
    assert box.scores(IMAGES[:1]).shape == (1, 5)
    assert isinstance(box, bx.Differentiable)


def test_what_has_no_axis_of_the_batch_is_squeezed_without_a_word() -> None:
    body = "s = Shape<start=1, end=2>(x)\nn = Squeeze(s)\nf = Cast<to=1>(n)\n"
    body += "c = Conv(x, k)\np = GlobalAveragePool(c)\na = Flatten(p)\ny = Div(a, f)"
    box = bx.wrap(squeezing("N,3,8,8", body), cache=False, activation="none")
    plain = bx.wrap(
        squeezing("N,3,8,8", "c = Conv(x, k)\np = GlobalAveragePool(c)\ny = Flatten(p)"), cache=False, activation="none"
    )
    np.testing.assert_allclose(box.scores(IMAGES), plain.scores(IMAGES) / 3, rtol=1e-5)
    assert not any("squeeze" in one for one in box.assumptions)


def test_outputs_without_classes_are_refused_with_a_squeeze_too() -> None:
    with pytest.raises(UnsupportedModelError, match="class scores"):
        bx.wrap(squeezing("N,3,8,8", "c = Conv(x, k)\ns = ReduceMax(c)\ny = Squeeze(s)"))
