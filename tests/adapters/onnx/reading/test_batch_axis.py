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


def squeezing(image: str, body: str, opset: int = 17) -> onnx.ModelProto:
    made = model(f"m (float[{image}] x) => (float[N,5] y) {{ {body} }}", k=KERNEL)
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


def test_what_a_squeeze_does_not_explain_is_refused_as_before() -> None:
    with pytest.raises(UnsupportedModelError, match="class scores"):
        bx.wrap(squeezing("N,3,8,8", "c = Conv(x, k)\np = GlobalAveragePool(c)\ny = ReduceMax<keepdims=0>(p)"))
