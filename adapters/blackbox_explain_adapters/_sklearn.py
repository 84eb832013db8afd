"""scikit-learn: any fitted classifier or pipeline of flattened images, which gives scores and never a gradient."""

from __future__ import annotations

import dataclasses
import math
import pickle
from typing import Any

import joblib
import numpy as np
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from blackbox_explain.arrays import Array, constant_like, to_numpy
from blackbox_explain.box.activations import Activation
from blackbox_explain.box.adapter_tools.description import Described
from blackbox_explain.box.class_names import check_own_names
from blackbox_explain.box.input_spec import InputSpec
from blackbox_explain.errors import InputError, ModelError, UnsupportedModelError
from blackbox_explain_adapters._callable.box import CallableBlackBox
from blackbox_explain_adapters._fingerprint import digest_of_answers

__all__ = ["EstimatorBlackBox", "wrap_sklearn"]


def wrap_sklearn(model: Any, described: Described) -> EstimatorBlackBox:
    """Wrap a fitted classifier, or a pipeline that ends in one.

    Parameters
    ----------
    model
        With ``predict_proba``, or else ``decision_function``.
    described
        What the caller said.  Images are flattened in the order of the layout of the preprocessing; without a shape
        they are taken to be grey and square, if the number of features allows.  Scores of a decision function get a
        softmax, or a sigmoid where there is one, unless an activation was said.

    Raises
    ------
    UnsupportedModelError
        If the model is no classifier, not fitted, or predicts several outputs at once.
    InputError
        If the shape does not fit the number of features.
    """
    method = _method(model)
    classes = _classes(model)
    features = getattr(model, "n_features_in_", None)
    known, notes = _with_shape(described, features)
    spec, assumptions = known.spec()
    size = math.prod(spec.shape)
    if features not in (None, size):
        raise InputError(
            "The classifier was fitted to images of another size",
            got=f"shape={spec.shape}, {size} values",
            expected=f"{features} values",
            hint="shape=(channels, height, width) of one image",
        )
    activation = described.activation
    certain = method == "predict_proba"
    # A decision function of two classes is one number, that of the second.
    names = classes if certain or len(classes) > 2 else classes[1:]
    if activation == "auto":
        activation = "none" if certain else "sigmoid" if len(names) == 1 else "softmax"
        if not certain:
            notes.append(f"the classifier has no probabilities: a {activation} is applied to its decision function")
    if spec.class_names is None:
        spec = dataclasses.replace(spec, class_names=names)
    elif (other := check_own_names(spec.class_names, names)) is not None:
        notes.append(other)
    if hasattr(model, "feature_names_in_"):
        notes.append("the classifier was fitted to named columns: pixels are taken to come in their order")
    function = Estimator(model, method, len(names))
    return EstimatorBlackBox(function, spec, activation, (*assumptions, *notes))


class Estimator:
    """What a classifier says of images.

    Parameters
    ----------
    model
        Fitted.
    method
        Name of the method that gives the scores.
    classes
        K, how many it gives.
    """

    def __init__(self, model: Any, method: str, classes: int) -> None:
        self.model = model
        self._method = method
        self._classes = classes

    def __call__(self, inputs: Array) -> Array:
        """Map preprocessed images to raw outputs (N, K)."""
        values = to_numpy(inputs)
        if not np.isfinite(values).all():
            raise InputError("The images hold numbers that are not finite", got="NaN or infinity", expected="pixels")
        try:
            found = np.asarray(getattr(self.model, self._method)(values.reshape(len(values), -1)))
        except (ValueError, TypeError, IndexError, np.linalg.LinAlgError) as error:
            raise ModelError("The classifier failed", got=f"{type(error).__name__}: {error}") from error
        if found.shape == (len(values),):
            found = found[:, None]
        if found.shape != (len(values), self._classes):
            raise ModelError(
                "The classifier does not give one score for each of its classes",
                got=f"{self._method} of shape {found.shape} for {len(values)} images",
                expected=str((len(values), self._classes)),
                hint="for SVC, decision_function_shape='ovr'",
            )
        return constant_like(found, inputs)


class EstimatorBlackBox(CallableBlackBox):
    """A scikit-learn classifier, which gives scores."""

    def __init__(
        self, function: Estimator, spec: InputSpec, activation: Activation, assumptions: tuple[str, ...]
    ) -> None:
        super().__init__(function, spec, activation, assumptions)
        self._model = function.model

    def fingerprint(self) -> str:
        """Return a digest of the estimator, parameters and fitted attributes; of its answers if it holds functions."""
        try:
            # As it comes out of a pickle, for what joblib sees of some arrays changes on the way.
            again = pickle.loads(pickle.dumps(self._model))  # noqa: S301 - what was written just now
        except (pickle.PicklingError, AttributeError, TypeError):
            return digest_of_answers(self)
        return f"joblib:{joblib.hash(again)}"


def _method(model: Any) -> str:
    for name in ("predict_proba", "decision_function"):
        # A pipeline has what its last step has.
        if hasattr(model, name):
            break
    else:
        raise UnsupportedModelError(
            "The estimator gives no class scores",
            got=f"a {type(model).__name__}",
            expected="a classifier with predict_proba or decision_function",
        )
    try:
        check_is_fitted(model)
    except NotFittedError as error:
        raise UnsupportedModelError(
            "The classifier is not fitted", got=f"a new {type(model).__name__}", hint="model.fit(images, labels) first"
        ) from error
    except TypeError as error:
        raise UnsupportedModelError("This is no scikit-learn estimator", got=str(error)) from error
    return name


def _classes(model: Any) -> tuple[str, ...]:
    found = getattr(model, "classes_", None)
    if found is None or isinstance(found, list) or np.ndim(found) != 1 or len(found) < 2:
        raise UnsupportedModelError(
            "The estimator does not choose one of several classes",
            got=f"a {type(model).__name__} with classes_={found}",
            expected="a classifier with one output and classes_",
        )
    return tuple(str(one) for one in found)


def _with_shape(described: Described, features: int | None) -> tuple[Described, list[str]]:
    """Take images for grey and square where nobody told their shape, if their number of values is a square."""
    if described.shape is not None or features is None:
        return described, []
    side = math.isqrt(features)
    if side * side != features:
        raise InputError(
            "The classifier does not tell the shape of its images",
            got=f"{features} features",
            expected="channels first, without the batch",
            hint="wrap(model, shape=(channels, height, width))",
        )
    shape = (1, side, side)
    note = f"no shape was given: {features} features are taken for the rows of grey images of {side} × {side}"
    return dataclasses.replace(described, shape=shape), [note]
