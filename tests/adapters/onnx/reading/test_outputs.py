"""Which tensor is taken for the class scores, and what is refused because nothing tells."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
import skl2onnx
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

import blackbox_explain as bx
from blackbox_explain.errors import InputError, UnsupportedModelError
from tests.adapters.onnx.reading.test_bad_models import IMAGE, model

POOLED = "p = GlobalAveragePool(x)\nf = Flatten(p)\n"
"""Three features, the averages of the channels."""

RNG = np.random.default_rng(0)

KNOWN = {
    "k": np.array([2]),
    "w": RNG.standard_normal((3, 4)).astype(np.float32),
    "v": RNG.standard_normal((3, 7)).astype(np.float32),
    "u": RNG.standard_normal((4, 4)).astype(np.float32),
    "table": np.array([10, 20, 30]),
}

IMAGES = RNG.random((3, 3, 8, 8)).astype(np.float32)

AVERAGES = IMAGES.mean((2, 3))


def wrapped(outputs: str, body: str, **options: Any) -> Any:
    return bx.wrap(model(f"m ({IMAGE}) => ({outputs}) {{ {POOLED}{body} }}", **KNOWN), cache=False, **options)


@pytest.mark.parametrize(
    ("outputs", "body"),
    [
        ("float[N,2] values, int64[N,2] indices", "values, indices = TopK<axis=1>(f, k)"),
        ("float[N,2,1] scores, int64[N,2] y", "v0, y = TopK(f, k)\nscores = Unsqueeze(v0, k)"),
        ("int64[N] y", "y = ArgMax<axis=1, keepdims=0>(f)"),
        ("float[N] y", "a = ArgMax<axis=1, keepdims=0>(f)\ny = Cast<to=1>(a)"),
        ("int64[N] label", "a = ArgMax<axis=1, keepdims=0>(f)\nlabel = Gather(table, a)"),
        (
            "float[N,1] best, int64[N,1] y",
            "y = ArgMax<axis=1>(f)\nax = Constant<value_ints=[1]>()\nbest = ReduceMax(f, ax)",
        ),
    ],
)
def test_what_the_best_classes_are_taken_from_is_taken_for_the_scores(outputs: str, body: str) -> None:
    box = wrapped(outputs, body, class_names=["red", "green", "blue"], activation="none")
    np.testing.assert_allclose(box.scores(IMAGES), AVERAGES, atol=1e-6)
    assert any("best classes" in one and "'f'" in one for one in box.assumptions)
    assert isinstance(box, bx.Differentiable)


def test_scores_beside_the_best_classes_are_taken() -> None:
    box = wrapped("int64[N] label, float[N,3] chances", "label = ArgMax<keepdims=0, axis=1>(f)\nchances = Softmax(f)")
    expected = np.exp(AVERAGES) / np.exp(AVERAGES).sum(1, keepdims=True)
    np.testing.assert_allclose(box.scores(IMAGES), expected, atol=1e-6)


def test_an_output_that_holds_the_best_classes_is_refused_with_what_it_is_taken_from() -> None:
    with pytest.raises(InputError, match=r"made by TopK.*output='f' \(--output f\)"):
        wrapped("float[N,2] values, int64[N,2] y", "values, y = TopK(f, k)", output="values")
    with pytest.raises(InputError, match="made by ArgMax"):
        wrapped("int64[N] y", "y = ArgMax<axis=1, keepdims=0>(f)", output="y")


def test_boxes_with_scores_are_no_class_scores() -> None:
    text = f"m ({IMAGE}) => (float[N,8,4] boxes, float[N,8] scores) {{ s = ReduceMax(x, c)\ns0 = ReduceMax(s, h)\n"
    text += "boxes = Concat<axis=2>(q, q, q, q)\nq = Unsqueeze(scores, k)\nscores = Squeeze(s0) }"
    found = model(text, c=np.array([1]), h=np.array([2]), **KNOWN)
    with pytest.raises(UnsupportedModelError, match="does not answer with class scores"):
        bx.wrap(found)


@pytest.mark.parametrize("estimator", [LogisticRegression(max_iter=500), RandomForestClassifier(5, random_state=0)])
def test_one_output_for_each_class_is_joined(estimator: Any) -> None:
    rows = np.random.default_rng(0).random((60, 64)).astype(np.float32)
    labels = np.array(["zebra", "apple", "mango"])[np.arange(60) % 3]
    for row, label in zip(rows, labels, strict=True):
        row[{"zebra": 0, "apple": 20, "mango": 40}[label] :][:10] = 1
    estimator.fit(rows, labels)
    exported = skl2onnx.to_onnx(estimator, rows[:1], options={"zipmap": "columns"}, target_opset=17)
    box = bx.wrap(exported, shape=(1, 8, 8))
    assert box.spec.class_names == ("apple", "mango", "zebra")
    np.testing.assert_allclose(box.scores(rows.reshape(-1, 1, 8, 8)), estimator.predict_proba(rows), atol=1e-5)
    assert any("the 3 outputs are the columns of 'probabilities'" in one for one in box.assumptions)


def test_columns_name_the_classes_in_the_order_of_their_places() -> None:
    body = "y = Softmax(f)\ncat, dog, emu = Split<axis=1, num_outputs=3>(y)"
    box = wrapped("float[N,1] dog, float[N,1] cat, float[N,1] emu", body)
    assert box.spec.class_names == ("cat", "dog", "emu")
    expected = np.exp(AVERAGES) / np.exp(AVERAGES).sum(1, keepdims=True)
    np.testing.assert_allclose(box.scores(IMAGES), expected, atol=1e-6)


TWO = "first = MatMul(f, w)\nsecond = MatMul(f, v)"


def test_several_heads_are_refused_unless_something_tells() -> None:
    heads = "float[N,4] first, float[N,7] second"
    with pytest.raises(UnsupportedModelError, match=r"several outputs.*'first'.*'second'.*--output first"):
        wrapped(heads, TWO)
    np.testing.assert_allclose(
        wrapped(heads, TWO, output="second", activation="none").scores(IMAGES), AVERAGES @ KNOWN["v"], atol=1e-6
    )
    by_count = wrapped(heads, TWO, class_names=[f"c{k}" for k in range(7)], activation="none")
    np.testing.assert_allclose(by_count.scores(IMAGES), AVERAGES @ KNOWN["v"], atol=1e-6)
    named = wrapped("float[N,4] first, float[N,7] logits", TWO.replace("second", "logits"), activation="none")
    np.testing.assert_allclose(named.scores(IMAGES), AVERAGES @ KNOWN["v"], atol=1e-6)


@pytest.mark.parametrize("features", ["features = Identity(h)", "features = MatMul(f, w)"])
def test_what_the_scores_are_made_of_is_not_taken_for_them(features: str) -> None:
    made = "h" if "Identity" in features else "features"
    body = f"h = MatMul(f, w)\n{features}\nfinal = MatMul({made}, u)"
    box = wrapped("float[N,4] features, float[N,4] final", body, activation="none")
    np.testing.assert_allclose(box.scores(IMAGES), AVERAGES @ KNOWN["w"] @ KNOWN["u"], atol=1e-6)
    assert any("of 2 outputs, 'final'" in one for one in box.assumptions)


@pytest.mark.parametrize(
    "how", ["second = ReduceMax<keepdims=0>(first, one)", "sure = ReduceL2<keepdims=1>(first, one)"]
)
def test_how_sure_a_model_is_is_no_score_of_a_class(how: str) -> None:
    size = "N,1" if "keepdims=1" in how else "N"
    text = f"one = Constant<value_ints=[1]>()\nh = MatMul(f, w)\nfirst = Softmax(h)\n{how}"
    with pytest.raises(UnsupportedModelError, match="several outputs that may hold the class scores"):
        wrapped(f"float[N,4] first, float[{size}] second", text)
    assert wrapped(f"float[N,4] first, float[{size}] second", text, output="first").scores(IMAGES).shape[1] == 4


WINDOWS = {"c5": RNG.standard_normal((5, 2, 3)).astype(np.float32), "c1": np.ones((1, 2, 3), np.float32)}


def signals(body: str, output: str) -> onnx.ModelProto:
    return model(f"m (float[N,2,40] x) => (float[{output}] y) {{ {body} }}", **WINDOWS)


CLIPS = RNG.random((3, 2, 40)).astype(np.float32)


def test_numbers_along_steps_are_no_classes() -> None:
    by_step = signals("c = Conv(x, c1)\ns = Sigmoid(c)\ny = Transpose<perm=[0,2,1]>(s)", "N,38,1")
    with pytest.raises(UnsupportedModelError, match=r"each place or step.*\(N, 38, 1\).*reduce=\('max', 1\).*output="):
        bx.wrap(by_step)
    with pytest.raises(UnsupportedModelError, match="each place or step") as refused:
        bx.wrap(by_step, output="y")
    assert "output=" not in str(refused.value)
    box = bx.wrap(by_step, reduce=("max", 1))
    expected = np.array([[one.sum(0)[k : k + 3].sum() for k in range(38)] for one in CLIPS]).max(1, keepdims=True)
    np.testing.assert_allclose(box.scores(CLIPS), 1 / (1 + np.exp(-expected)), atol=1e-5)
    assert isinstance(box, bx.Differentiable)
    # Nor where the graph does not tell what an axis counts.
    unknown = signals("c = Conv(x, c1)\nq = Constant<value_ints=[0,-1,1]>()\ny = Reshape(c, q)", "N,38,1")
    with pytest.raises(UnsupportedModelError, match=r"reduce=\('max', 1\)"):
        bx.wrap(unknown)
    assert bx.wrap(unknown, class_names=[str(k) for k in range(38)]).scores(CLIPS).shape == (3, 38)
    named = bx.wrap(by_step, class_names=[str(k) for k in range(38)])
    assert named.scores(CLIPS).shape == (3, 38)


@pytest.mark.parametrize(("perm", "sizes", "axis"), [("[0,2,1]", "N,38,5", 1), ("[2,0,1]", "38,N,5", 0)])
def test_recognisers_are_refused_with_the_choice_of_a_reduction(perm: str, sizes: str, axis: int) -> None:
    steps = signals(f"c = Conv(x, c5)\ny = Transpose<perm={perm}>(c)", sizes)
    with pytest.raises(UnsupportedModelError, match=r"class scores.*reduce=\('mean', 1\).*output='name'"):
        bx.wrap(steps)
    with pytest.raises(UnsupportedModelError, match=r"class scores.*reduce=") as refused:
        bx.wrap(steps, output="y")
    assert "output=" not in str(refused.value)
    plain = bx.wrap(signals("c = Conv(x, c5)\ny = GlobalAveragePool(c)", "N,5,1"))
    found = bx.wrap(steps, reduce=("mean", axis), activation="softmax")
    assert plain.scores(CLIPS).shape == (3, 5)
    np.testing.assert_allclose(found.scores(CLIPS), plain.scores(CLIPS), atol=1e-6)


def test_a_reduction_is_of_places_that_are_said() -> None:
    steps = signals("c = Conv(x, c5)\ny = Identity(c)", "N,5,38")
    inner = signals("c = Conv(x, c5)\np = GlobalAveragePool(c)\ny = Flatten(p)", "N,5")
    for wrong in ("mean", ("sum", 1), ("mean", "1"), ("mean", []), ("mean", True)):
        with pytest.raises(InputError, match="no reduction"):
            bx.wrap(steps, reduce=wrong)
    with pytest.raises(InputError, match="no such axis"):
        bx.wrap(steps, reduce=("mean", 5))
    with pytest.raises(InputError, match="join the scores of different images"):
        bx.wrap(steps, reduce=("mean", 0))
    for how in (("mean", 2), ("mean", [2]), ["mean", -1]):
        np.testing.assert_allclose(bx.wrap(steps, reduce=how).scores(CLIPS), bx.wrap(inner).scores(CLIPS), atol=1e-6)
    np.testing.assert_allclose(
        bx.wrap(inner, output="c", reduce=("mean", 2)).scores(CLIPS), bx.wrap(inner).scores(CLIPS), atol=1e-6
    )
