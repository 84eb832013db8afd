"""A black box that keeps the contract, and one for each promise that breaks it and nothing else."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

from blackbox_explain import InputSpec, Preprocessing
from blackbox_explain.box.activations import Activation, activate, activation_adjoint
from blackbox_explain.box.adapter_tools.checks import check_batch
from blackbox_explain.errors import InputError, UnsupportedModelError
from blackbox_explain.testing import Case

Array = np.ndarray[Any, Any]

SPEC = InputSpec(
    (3, 6, 5),
    preprocessing=Preprocessing((0.4, 0.5, 0.6), (0.2, 0.3, 0.5), "BGR", "channels_last"),
    class_names=("a", "b", "c", "d"),
)


class Good:
    """softmax(tanh(x A) B), in double precision whatever comes in."""

    activation: Activation = "softmax"
    applied: Activation = "softmax"

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.spec: Any = SPEC
        self.first, self.second = rng.normal(size=(90, 8)) / 20, rng.normal(size=(8, 4))

    def scores(self, images: Array) -> Array:
        check_batch(images, self.spec)
        return self._run(images)[0].astype(images.dtype)

    def scores_and_gradient(self, images: Array, weights: Array) -> tuple[Array, Array]:
        check_batch(images, self.spec)
        scores, hidden = self._run(images)
        by_hidden = activation_adjoint(scores, weights.astype(np.float64), self.applied) @ self.second.T
        by_inputs = (by_hidden * (1 - hidden**2)) @ self.first.T
        gradient = self._adjoint(by_inputs.reshape(len(images), 6, 5, 3))
        return scores.astype(images.dtype), gradient.astype(images.dtype)

    def fingerprint(self) -> str:
        return str(float(self.first.sum()))

    def _run(self, images: Array) -> tuple[Array, Array]:
        inputs = SPEC.preprocessing.forward(images.astype(np.float64))
        hidden = np.tanh(inputs.reshape(len(images), 90) @ self.first)
        return activate(hidden @ self.second, self.applied), hidden

    def _adjoint(self, by_inputs: Array) -> Array:
        return SPEC.preprocessing.adjoint(by_inputs)


class OtherSpec(Good):
    def __init__(self) -> None:
        super().__init__()
        names = ("shape", "spatial", "bounds", "preprocessing", "class_names")
        self.spec = SimpleNamespace(**{name: getattr(SPEC, name) for name in names})


class GrowsAfterOneImage(Good):
    """Gives another number of scores once its very first batch was a single image."""

    begun_with = 0

    def scores(self, images: Array) -> Array:
        scores = super().scores(images)
        grown = self.begun_with == 1
        self.begun_with = self.begun_with or len(images)
        return np.concatenate([scores, scores], axis=1) if grown else scores


class SinglePrecisionOnly(Good):
    def _run(self, images: Array) -> tuple[Array, Array]:
        if images.dtype != np.float32:
            raise TypeError("float32 only")
        return super()._run(images)


class OtherKernelForOne(Good):
    def _run(self, images: Array) -> tuple[Array, Array]:
        scores, hidden = super()._run(images)
        return scores * (1.001 if len(images) == 1 else 1), hidden


class FirstRowIsSpecial(Good):
    def _run(self, images: Array) -> tuple[Array, Array]:
        scores, hidden = super()._run(images)
        return scores * np.where(np.arange(len(images)) == 0, 1.0005, 1)[:, None], hidden


class NeedsAnImage(Good):
    def _run(self, images: Array) -> tuple[Array, Array]:
        return super()._run(images[: len(images) or np.argmax(images)])


class ReadsMemoryAsItLies(Good):
    def _run(self, images: Array) -> tuple[Array, Array]:
        return super()._run(images.ravel(order="K").reshape(images.shape))


class NeedsWritableImages(Good):
    def _run(self, images: Array) -> tuple[Array, Array]:
        np.add(images, 0, out=images)
        return super()._run(images)


class ClipsInPlace(Good):
    def _run(self, images: Array) -> tuple[Array, Array]:
        if images.flags.writeable:
            np.clip(images, 0, 0.6, out=images)
        return super()._run(np.clip(images, 0, 0.6))

    def scores_and_gradient(self, images: Array, weights: Array) -> tuple[Array, Array]:
        inside = images < 0.6
        scores, gradient = super().scores_and_gradient(images, weights)
        return scores, gradient * inside


class HandsBackTheImages(Good):
    activation: Activation = "none"

    def scores(self, images: Array) -> Array:
        check_batch(images, self.spec)
        return images[:, 0, 0, :4]

    def scores_and_gradient(self, images: Array, weights: Array) -> tuple[Array, Array]:
        scores, gradient = self.scores(images), np.zeros_like(images)
        gradient[:, 0, 0, :4] = weights
        return scores, gradient


class Noisy(Good):
    def __init__(self) -> None:
        super().__init__()
        self.rng = np.random.default_rng(0)

    def scores(self, images: Array) -> Array:
        scores = super().scores(images)
        return scores * (1 + 1e-6 * self.rng.random(scores.shape)).astype(scores.dtype)


class ForgetsStd(Preprocessing):
    def adjoint(self, gradient: Array) -> Array:
        return Preprocessing(0.0, 1.0, self.channels, self.layout).adjoint(gradient)


class OtherAdjoint(Good):
    def __init__(self) -> None:
        super().__init__()
        told = SPEC.preprocessing
        self.spec = InputSpec(SPEC.shape, preprocessing=ForgetsStd(told.mean, told.std, told.channels, told.layout))


class Flattens(Preprocessing):
    def forward(self, images: Array) -> Array:
        return super().forward(images).reshape(len(images), 90)


class OtherLayout(Good):
    def __init__(self) -> None:
        super().__init__()
        told = SPEC.preprocessing
        self.spec = InputSpec(SPEC.shape, preprocessing=Flattens(told.mean, told.std, told.channels, told.layout))


class BlindedByWhite(Good):
    def _run(self, images: Array) -> tuple[Array, Array]:
        scores, hidden = super()._run(images)
        white = images.reshape(len(images), 90).max(axis=1, initial=0) >= 1
        return np.where(white[:, None], np.nan, scores), hidden


class NamesTooMany(Good):
    def __init__(self) -> None:
        super().__init__()
        self.spec = InputSpec(SPEC.shape, class_names=("a", "b", "c", "d", "e"))


class SaysSoftmax(Good):
    applied: Activation = "none"


class NeverDecides(Good):
    activation: Activation = "auto"


class ScoresOnly:
    """The same without the gradient."""

    def __init__(self) -> None:
        self.spec, self.scores, self.fingerprint = SPEC, Good().scores, Good().fingerprint


class DoubleGradient(Good):
    def scores_and_gradient(self, images: Array, weights: Array) -> tuple[Array, Array]:
        scores, gradient = super().scores_and_gradient(images, weights)
        return scores, gradient.astype(np.float64)


class OtherScoresBeside(Good):
    def scores_and_gradient(self, images: Array, weights: Array) -> tuple[Array, Array]:
        scores, gradient = super().scores_and_gradient(images, weights)
        return scores * np.float32(1.001), gradient


class ClipsWeights(Good):
    def scores_and_gradient(self, images: Array, weights: Array) -> tuple[Array, Array]:
        return super().scores_and_gradient(images, np.clip(weights, -3, 3))


class NeverZero(Good):
    def _adjoint(self, by_inputs: Array) -> Array:
        return super()._adjoint(by_inputs) + 1e-9


class ScaledGradient(Good):
    def _adjoint(self, by_inputs: Array) -> Array:
        return 0.9 * super()._adjoint(by_inputs)


class FlippedGradient(Good):
    def _adjoint(self, by_inputs: Array) -> Array:
        return -super()._adjoint(by_inputs)


class SwappedChannels(Good):
    def _adjoint(self, by_inputs: Array) -> Array:
        return super()._adjoint(by_inputs)[:, ::-1]


class ForgottenStd(Good):
    def _adjoint(self, by_inputs: Array) -> Array:
        return super()._adjoint(by_inputs) * np.reshape(SPEC.preprocessing.std, (3, 1, 1))


class ShiftedGradient(Good):
    def _adjoint(self, by_inputs: Array) -> Array:
        return np.roll(super()._adjoint(by_inputs), 1, axis=3)


class SecondRowWrong(Good):
    def _adjoint(self, by_inputs: Array) -> Array:
        factors = np.where(np.arange(len(by_inputs)) % 2, 0.9, 1.0)
        return super()._adjoint(by_inputs) * factors[:, None, None, None]


class OwnFingerprint(Good):
    def __init__(self) -> None:
        super().__init__()
        self.name = str(uuid.uuid4())

    def fingerprint(self) -> str:
        return self.name


class NoFingerprint(Good):
    def fingerprint(self) -> str:
        return ""


CALIBRATED: list[int] = []


class Calibrates(Good):
    """Learns from batches of three."""

    def _run(self, images: Array) -> tuple[Array, Array]:
        if len(images) == 3:
            CALIBRATED.append(len(images))
        return super()._run(images)


class OtherError(Good):
    def scores(self, images: Array) -> Array:
        try:
            return super().scores(images)
        except InputError as error:
            raise ValueError("cannot reshape") from error


class TakesAnything(Good):
    def _run(self, images: Array) -> tuple[Array, Array]:
        return super()._run(np.resize(images, (len(images), *SPEC.shape)))

    def scores(self, images: Array) -> Array:
        return self._run(images)[0].astype(images.dtype) if images.ndim == 4 else super().scores(images)


class CannotBePickled(Good):
    def __getstate__(self) -> object:
        raise RuntimeError("a session is open")


class RefusesSilently(Good):
    def __getstate__(self) -> object:
        raise TypeError


class ForgetsWhenPickled(Good):
    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, second=state["second"] * 2)


class SharedBuffer(Good):
    def _run(self, images: Array) -> tuple[Array, Array]:
        self.buffer = images
        time.sleep(0.002)
        return super()._run(self.buffer)


class AllClassesOrNone(Good):
    """Has no gradient of one class alone, which is what an explanation asks for."""

    def scores_and_gradient(self, images: Array, weights: Array) -> tuple[Array, Array]:
        if np.any((weights != 0).sum(axis=1) == 1):
            raise ValueError("weights of one class")
        return super().scores_and_gradient(images, weights)


class WithLogits(Good):
    """Can be asked for its logits."""

    def with_backward(self, rules: str, of: str = "scores", **settings: Any) -> Any:
        assert rules == "exact"
        assert not settings
        return self if of == "scores" else self._logits()

    def _logits(self) -> Any:
        return _Logits()


class _Logits(Good):
    activation = applied = "none"


class LogitsAreScores(WithLogits):
    def _logits(self) -> Any:
        return self


class LogitsWithTheirGradientTwice(WithLogits):
    def _logits(self) -> Any:
        class Twice(_Logits):
            def _adjoint(self, by_inputs: Array) -> Array:
                return 2 * super()._adjoint(by_inputs)

        return Twice()


class RefusesLogitsSilently(WithLogits):
    def _logits(self) -> Any:
        error = UnsupportedModelError("")
        error.args = ("",)
        raise error


BROKEN: dict[str, tuple[Callable[[], Any], ...]] = {
    "check_protocol": (OtherSpec,),
    "check_scores": (GrowsAfterOneImage,),
    "check_types": (SinglePrecisionOnly,),
    "check_company": (OtherKernelForOne, FirstRowIsSpecial),
    "check_empty_batch": (NeedsAnImage,),
    "check_memory_layout": (ReadsMemoryAsItLies, NeedsWritableImages),
    "check_inputs_left_alone": (ClipsInPlace, HandsBackTheImages),
    "check_determinism": (Noisy,),
    "check_preprocessing": (OtherAdjoint, OtherLayout),
    "check_value_range": (BlindedByWhite,),
    "check_activation": (SaysSoftmax, NeverDecides),
    "check_gradient_form": (DoubleGradient, OtherScoresBeside),
    "check_gradient_linear": (ClipsWeights, NeverZero),
    "check_gradient_differences": (
        ScaledGradient,
        FlippedGradient,
        SwappedChannels,
        ForgottenStd,
        ShiftedGradient,
    ),
    "check_logits": (LogitsAreScores, LogitsWithTheirGradientTwice, RefusesLogitsSilently),
    "check_model_untouched": (OwnFingerprint, NoFingerprint, Calibrates),
    "check_errors": (OtherError, TakesAnything),
    "check_pickling": (CannotBePickled, RefusesSilently, ForgetsWhenPickled),
    "check_threads": (SharedBuffer,),
    "check_explain": (AllClassesOrNone,),
}
"""For each check, boxes that fail it and no other.  `check_gradient_promised` is a matter of the case."""


def case_of(make: Callable[[], Any], *, gradient: bool = True) -> Case:
    return Case(make, gradient=gradient, state=lambda: len(CALIBRATED))
