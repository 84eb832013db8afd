"""scikit-learn classifiers on its digits, 8 × 8 pixels of 0 to 16."""

from __future__ import annotations

import os
import pickle
from typing import Any

import numpy as np
import pytest

import blackbox_explain as bx
from blackbox_explain.errors import InputError, ModelError, UnsupportedModelError

if os.environ.get("REQUIRE_BACKENDS") != "1":
    pytest.importorskip("sklearn")

from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.ensemble import IsolationForest, RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC, LinearSVC

PIXELS, LABELS = load_digits(return_X_y=True)
IMAGES = (PIXELS / 16).reshape(-1, 1, 8, 8).astype(np.float32)
SIXTEEN = bx.Preprocessing(std=1 / 16)
NAMES = np.asarray([f"digit {k}" for k in range(10)])


def fitted(estimator: Any, labels: np.ndarray = NAMES[LABELS], rows: int = 1000) -> Any:
    return estimator.fit(PIXELS[:rows], labels[:rows])


@pytest.fixture(scope="module")
def pipeline() -> Any:
    return fitted(make_pipeline(StandardScaler(), LogisticRegression(max_iter=300)))


def test_a_pipeline_with_probabilities(pipeline: Any) -> None:
    box = bx.wrap(pipeline, shape=(1, 8, 8), preprocessing=SIXTEEN)
    assert box.spec.class_names == tuple(NAMES)
    scores = box.scores(IMAGES[1000:])
    np.testing.assert_allclose(scores, pipeline.predict_proba(PIXELS[1000:]), atol=1e-5)
    assert np.mean(scores.argmax(axis=1) == LABELS[1000:]) > 0.9
    assert scores.dtype == np.float32
    assert box.activation == "none"
    assert box.scores(IMAGES[:0]).shape == (0, 10)
    assert not isinstance(box, bx.Differentiable)


def test_a_square_is_guessed_and_said_to_be(pipeline: Any) -> None:
    box = bx.wrap(pipeline, preprocessing=SIXTEEN, class_names=[str(k) for k in range(10)])
    assert box.spec.shape == (1, 8, 8)
    assert any("64 features are taken for" in one for one in box.assumptions)
    assert box.spec.class_names == tuple("0123456789")


def test_a_decision_function_of_many_classes() -> None:
    model = fitted(SVC())
    box = bx.wrap(model, shape=(1, 8, 8), preprocessing=SIXTEEN, activation="none")
    np.testing.assert_allclose(box.scores(IMAGES[:50]), model.decision_function(PIXELS[:50]), atol=1e-4)
    box = bx.wrap(model, shape=(1, 8, 8), preprocessing=SIXTEEN)
    np.testing.assert_allclose(box.scores(IMAGES[:50]).sum(axis=1), 1, atol=1e-5)
    assert any("a softmax is applied to its decision function" in one for one in box.assumptions)
    with pytest.raises(ModelError, match=r"\(4, 45\).*decision_function_shape='ovr'"):
        bx.wrap(fitted(SVC(decision_function_shape="ovo")), preprocessing=SIXTEEN)


def test_a_decision_function_of_two_classes_is_one_column() -> None:
    model = fitted(LinearSVC(), np.where(LABELS < 5, "low", "tall"))
    box = bx.wrap(model, preprocessing=SIXTEEN)
    scores = box.scores(IMAGES[:50])
    assert scores.shape == (50, 1)
    assert box.spec.class_names == ("tall",)
    np.testing.assert_allclose(scores[:, 0], 1 / (1 + np.exp(-model.decision_function(PIXELS[:50]))), atol=1e-5)


def test_images_are_flattened_in_the_order_of_the_layout() -> None:
    rng = np.random.default_rng(0)
    images = rng.random((40, 3, 2, 4))
    last = np.moveaxis(images, 1, -1).reshape(40, -1)
    model = LogisticRegression().fit(last, np.arange(40) % 3)
    box = bx.wrap(model, shape=(3, 2, 4), preprocessing=bx.Preprocessing(layout="channels_last"))
    np.testing.assert_allclose(box.scores(images), model.predict_proba(last), atol=1e-12)
    with pytest.raises(InputError, match=r"24 features.*shape="):
        bx.wrap(model)
    with pytest.raises(InputError, match=r"27 values.*24 values"):
        bx.wrap(model, shape=(3, 3, 3))


def test_a_pickled_box_is_the_same(pipeline: Any) -> None:
    box = bx.wrap(pipeline, preprocessing=SIXTEEN)
    again = pickle.loads(pickle.dumps(box))  # noqa: S301
    np.testing.assert_array_equal(again.scores(IMAGES[:9]), box.scores(IMAGES[:9]))
    assert again.fingerprint() == box.fingerprint()
    support = bx.wrap(fitted(SVC()))
    assert pickle.loads(pickle.dumps(support)).fingerprint() == support.fingerprint()  # noqa: S301
    assert support.fingerprint() != box.fingerprint()
    other = bx.wrap(fitted(make_pipeline(StandardScaler(), LogisticRegression(max_iter=9, tol=1.0))))
    assert other.fingerprint() != box.fingerprint()


def test_a_forest_is_left_as_it_was() -> None:
    model = fitted(RandomForestClassifier(5, random_state=0))
    before = pickle.dumps(model)
    box = bx.wrap(model, preprocessing=SIXTEEN)
    np.testing.assert_allclose(box.scores(IMAGES[:5]), model.predict_proba(PIXELS[:5]))
    assert pickle.dumps(model) == before


def test_a_pipeline_that_holds_a_function_has_a_fingerprint_of_its_answers() -> None:
    def doubled(model_of: Any, factor: float) -> Any:
        model = make_pipeline(FunctionTransformer(lambda rows: factor * rows), model_of)
        return bx.wrap(fitted(model), shape=(1, 8, 8))

    one, same, other = (doubled(LogisticRegression(max_iter=5, tol=1.0), factor) for factor in (1.0, 1.0, 0.5))
    assert one.fingerprint() == same.fingerprint() != other.fingerprint()


class Halves(ClassifierMixin, BaseEstimator):
    """Does not keep the number of features, as some estimators of other packages."""

    def fit(self, images: np.ndarray, labels: np.ndarray) -> Halves:
        self.classes_ = np.unique(labels)
        return self

    def predict_proba(self, images: np.ndarray) -> np.ndarray:
        if images.mean() > 0.5:
            raise ValueError("too bright")
        left = images.reshape(len(images), 8, 8)[:, :, :4].mean(axis=(1, 2))
        return np.stack([left, 1 - left], axis=1)


def test_a_classifier_that_does_not_count_its_features() -> None:
    model = Halves().fit(PIXELS, LABELS < 5)
    with pytest.raises(InputError, match="does not tell the shape"):
        bx.wrap(model)
    box = bx.wrap(model, shape=(1, 8, 8))
    np.testing.assert_allclose(box.scores(IMAGES[:5])[:, 0], IMAGES[:5, 0, :, :4].mean(axis=(1, 2)), atol=1e-6)
    with pytest.raises(ModelError, match="ValueError: too bright"):
        box.scores(np.ones((1, 1, 8, 8)))
    model.feature_names_in_ = np.asarray([f"pixel{k}" for k in range(64)])
    assert any("named columns" in one for one in bx.wrap(model, shape=(1, 8, 8)).assumptions)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (LogisticRegression(), "not fitted"),
        (make_pipeline(StandardScaler(), LogisticRegression()), "not fitted"),
        (LinearRegression().fit(PIXELS, LABELS), "gives no class scores.*LinearRegression"),
        (KMeans(3, n_init=1).fit(PIXELS), "gives no class scores.*KMeans"),
        (IsolationForest(n_estimators=5, random_state=0).fit(PIXELS), "does not choose one of several classes"),
        (
            MultiOutputClassifier(RandomForestClassifier(2)).fit(PIXELS, np.stack([LABELS, LABELS], axis=1)),
            "does not choose one of several classes",
        ),
    ],
    ids=["new", "new pipeline", "regressor", "clusters", "outliers", "two outputs"],
)
def test_what_is_no_fitted_classifier_is_refused(model: Any, message: str) -> None:
    with pytest.raises(UnsupportedModelError, match=message):
        bx.wrap(model, shape=(1, 8, 8))


def test_nan_is_named(pipeline: Any) -> None:
    with pytest.raises(InputError, match="not finite"):
        bx.wrap(pipeline).scores(np.full((1, 1, 8, 8), np.nan))


def test_class_names_in_another_order_than_the_classifiers_own_are_refused() -> None:
    pixels, labels = load_digits(return_X_y=True)
    model = LogisticRegression(max_iter=2000).fit(pixels[:200] / 16, np.where(labels[:200] > 4, "high", "low"))
    with pytest.raises(InputError, match=r"another order.*'low' for class 0.*'high'"):
        bx.wrap(model, class_names=["low", "high"])
    box: Any = bx.wrap(model, class_names=["5 to 9", "0 to 4"])
    assert any("class 0 is 'high' there and '5 to 9' here" in one for one in box.assumptions)
