"""Models of scikit-learn by skl2onnx: linear ones and what scales their features, against differences of their own."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

import blackbox_explain as bx
from blackbox_explain_adapters._onnx.backward.differentiation import WEIGHTS, differentiate

if os.environ.get("REQUIRE_BACKENDS") != "1":
    pytest.importorskip("sklearn")
    pytest.importorskip("skl2onnx")

import skl2onnx
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, Normalizer, StandardScaler

pytestmark = pytest.mark.filterwarnings("ignore")

X, Y = load_digits(return_X_y=True)
ROWS = X / 16

MODELS = {
    "logistic": make_pipeline(StandardScaler(), LogisticRegression()),
    "components": make_pipeline(PCA(20), Normalizer(), LogisticRegression()),
    "one against the others": OneVsRestClassifier(LogisticRegression()),
    "modified": SGDClassifier(loss="log_loss", random_state=0),
    "layers": make_pipeline(MinMaxScaler(), MLPClassifier((24,), activation="tanh", max_iter=40, random_state=0)),
}


def exported(model: Any) -> onnx.ModelProto:
    return skl2onnx.to_onnx(model, ROWS[:1].astype(np.float32), options={"zipmap": False}, target_opset=17)


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS.keys())
@pytest.mark.parametrize("classes", [10, 2])
def test_classifiers_of_digits(model: Any, classes: int) -> None:
    model.fit(ROWS, Y % classes)
    box = bx.wrap(exported(model), shape=(1, 8, 8), cache=False)
    assert isinstance(box, bx.Differentiable), box.no_gradient
    rows, rng = ROWS[:6], np.random.default_rng(0)
    weights = rng.standard_normal((6, classes)).astype(np.float32)
    scores, gradient = box.scores_and_gradient(rows.reshape(6, 1, 8, 8).astype(np.float32), weights)
    np.testing.assert_allclose(scores, model.predict_proba(rows), atol=2e-6)
    for _ in range(3):
        way = rng.standard_normal(rows.shape)
        ahead, behind = (np.sum(model.predict_proba(rows + sign * 1e-5 * way) * weights) for sign in (1, -1))
        scale = np.sum(np.abs(gradient.reshape(6, 64) * way))
        assert np.sum(gradient.reshape(6, 64) * way) == pytest.approx((ahead - behind) / 2e-5, abs=1e-4 * scale)


def test_labels_are_class_names() -> None:
    names = np.asarray(["even", "odd"])[Y % 2]
    box = bx.wrap(exported(LogisticRegression().fit(ROWS, names)), shape=(1, 8, 8), cache=False)
    assert box.spec.class_names == ("even", "odd")
    box = bx.wrap(exported(RandomForestClassifier(5).fit(ROWS, Y % 2 + 7)), shape=(1, 8, 8), cache=False)
    assert box.spec.class_names == ("7", "8")
    box = bx.wrap(exported(LogisticRegression().fit(ROWS, Y)), shape=(1, 8, 8), cache=False)
    assert box.spec.class_names is None  # they are their places


def test_trees_are_explained_from_scores() -> None:
    box = bx.wrap(exported(RandomForestClassifier(5).fit(ROWS, Y)), shape=(1, 8, 8), cache=False)
    assert not isinstance(box, bx.Differentiable)
    assert "TreeEnsembleClassifier" in str(box.no_gradient)
    assert "from its scores alone" in str(box.no_gradient)


def single(operator: str, output: int = 0, **attributes: Any) -> onnx.ModelProto:
    names = ["label", "y"] if output else ["y"]
    node = helper.make_node(operator, ["x"], names, domain="ai.onnx.ml", **attributes)
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in (("x", ["N", 4]), ("y", None))
    ]
    graph = helper.make_graph([node], "g", ends[:1], ends[1:])
    # Of the two versions of the standard, the last counts.
    versions = [("ai.onnx.ml", 3), ("", 13), ("", 17)]
    return helper.make_model(graph, opset_imports=[helper.make_opsetid(*one) for one in versions], ir_version=8)


C = np.random.default_rng(3).standard_normal(12).round(3).tolist()
SINGLE = [
    *(
        single("LinearClassifier", 1, coefficients=C[: 4 * rows], intercepts=C[:rows], post_transform=applied, **labels)
        for rows, labels in (
            (1, {"classlabels_ints": [3, 8]}),
            (2, {"classlabels_ints": [3, 8]}),
            (3, {"classlabels_strings": ["a", "b", "c"]}),
        )
        for applied in ("NONE", "LOGISTIC", "SOFTMAX")
    ),
    single("LinearRegressor", coefficients=C, intercepts=C[:3], targets=3),
    single("LinearRegressor", coefficients=C[:4]),
    single("Scaler", offset=C[:4], scale=C[4:8]),
    single("Scaler", offset=C[:1], scale=C[1:2]),
    *(single("Normalizer", norm=norm) for norm in ("MAX", "L1", "L2")),
]


@pytest.mark.parametrize("model", SINGLE, ids=[f"{one.graph.node[0].op_type}-{k}" for k, one in enumerate(SINGLE)])
def test_operators(model: onnx.ModelProto) -> None:
    def session(one: onnx.ModelProto) -> onnxruntime.InferenceSession:
        return onnxruntime.InferenceSession(one.SerializeToString(), providers=["CPUExecutionProvider"])

    rng = np.random.default_rng(0)
    rows = rng.standard_normal((3, 4)).astype(np.float32)
    forward, both = session(model), session(differentiate(model))
    expected = forward.run(None, {"x": rows})[0]
    weights = rng.standard_normal(expected.shape).astype(np.float32)
    scores, gradient = both.run(None, {"x": rows, WEIGHTS: weights})
    np.testing.assert_allclose(scores, expected, atol=1e-6)
    way = rng.standard_normal(rows.shape)
    ahead, behind = (
        np.sum(forward.run(None, {"x": (rows + sign * 1e-3 * way).astype(np.float32)})[0].astype(float) * weights)
        for sign in (1, -1)
    )
    assert np.sum(gradient * way) == pytest.approx((ahead - behind) / 2e-3, rel=2e-3, abs=1e-3)
    zeros = np.zeros((2, 4), np.float32)
    still = both.run(None, {"x": zeros, WEIGHTS: np.zeros((2, expected.shape[1]), np.float32)})[0]
    np.testing.assert_allclose(still, forward.run(None, {"x": zeros})[0], atol=1e-6)


def test_a_table_of_scores_by_label_is_looked_through() -> None:
    # What skl2onnx writes unless it is told otherwise.
    model = LogisticRegression(max_iter=500).fit(ROWS, Y)
    box = bx.wrap(skl2onnx.to_onnx(model, ROWS[:1].astype(np.float32), target_opset=17), shape=(1, 8, 8), cache=False)
    assert isinstance(box, bx.Differentiable), getattr(box, "no_gradient", "")
    rows = ROWS[:4].reshape(4, 1, 8, 8).astype(np.float32)
    np.testing.assert_allclose(box.scores(rows), model.predict_proba(ROWS[:4]), atol=2e-6)
