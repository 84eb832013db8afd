"""What a box can do and what it says of itself: the only place that looks for its optional members."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from blackbox_explain.arrays import Array, on_host
from blackbox_explain.box.input_spec import InputSpec
from blackbox_explain.box.protocols import BlackBox, Differentiable, Layered, Randomizable, Rewritable
from blackbox_explain.errors import BlackBoxExplainError, InputError, NoGradientError, UnsupportedModelError

__all__ = ["BoxInfo", "require"]

Needed = TypeVar("Needed", bound=BlackBox)

MEMBERS: dict[type[Any], str] = {
    Differentiable: "scores_and_gradient",
    Layered: "layers and inner",
    Rewritable: "with_backward",
    Randomizable: "parameter_layers and randomized",
}
"""What a box has to have for each capability."""

ITSELF = "wrap the ONNX file, the torch module or the Keras model itself"


@dataclass(frozen=True, eq=False)
class BoxInfo:
    """What is known of a black box beside its scores.

    Attributes
    ----------
    box
        The black box.
    native
        Moves a NumPy array to the library and device that the box computes on.
    activation
        What was applied to the raw outputs; ``"none"`` if the box does not say.
    assumptions
        Sentences on what had to be assumed when the model was wrapped.
    no_gradient
        Why a model of a framework with gradients has none; None if there is one, or no reason was given.
    surrogate
        Whether its gradient is that of another function, as if the model rounded nothing.
    preprocessing_assumed
        Whether nobody said how pixels are given to the model.
    """

    box: BlackBox
    native: Callable[[np.ndarray[Any, Any]], Array]
    activation: str
    assumptions: tuple[str, ...]
    no_gradient: BlackBoxExplainError | None
    surrogate: bool
    preprocessing_assumed: bool

    @classmethod
    def of(cls, box: BlackBox) -> BoxInfo:
        """Read what a box says of itself; what it does not say is taken to be the usual.

        Raises
        ------
        InputError
            If this is no black box.
        """
        if not isinstance(box, BlackBox):
            raise InputError(
                "This is not a black box",
                got=f"a {type(box).__name__}",
                expected="scores() and spec",
                hint="box = blackbox_explain.wrap(model, shape=(3, 224, 224))",
            )
        return cls(
            box=box,
            native=getattr(box, "native", np.asarray),
            activation=str(getattr(box, "activation", "none")),
            assumptions=tuple(getattr(box, "assumptions", ())),
            no_gradient=getattr(box, "no_gradient", None),
            surrogate=bool(getattr(box, "surrogate", False)),
            # The spec of a box from elsewhere may be of another class, which knows nothing of this.
            preprocessing_assumed=bool(getattr(box.spec, "preprocessing_assumed", False)),
        )

    @property
    def on_cpu(self) -> bool:
        """Whether the box is known to compute on a CPU: it moves arrays to where it computes, and they stay there."""
        return hasattr(self.box, "native") and on_host(self.native(np.zeros(1, np.float32)))

    @property
    def spec(self) -> InputSpec:
        """What the box reads, and how its scores are called."""
        return self.box.spec

    @property
    def exact(self) -> bool:
        """Whether the box gives gradients, so that none has to be estimated."""
        return isinstance(self.box, Differentiable)

    @cached_property
    def fingerprint(self) -> str:
        """A string that changes with the model; "" if the box has none.  It may take a while the first time."""
        fingerprint: Callable[[], str] | None = getattr(self.box, "fingerprint", None)
        return fingerprint() if fingerprint else ""

    @property
    def has_fingerprint(self) -> bool:
        """Whether the box has a fingerprint of its own."""
        return hasattr(self.box, "fingerprint")

    @property
    def why_estimated(self) -> str:
        """Why a gradient has to be estimated from scores, without a full stop."""
        return str(self.no_gradient or "the black box has none").removesuffix(".")


def require(box: BlackBox, needed: type[Needed], purpose: str = "") -> Needed:
    """Return the box if it has a capability.

    Parameters
    ----------
    box
        Any black box.
    needed
        `BlackBox`, `Differentiable`, `Layered`, `Rewritable` or `Randomizable`.
    purpose
        What needs it, such as ``"the gradient"``; it begins the message.

    Raises
    ------
    NoGradientError
        If it does not have it.
    UnsupportedModelError
        If that is `Randomizable`, which takes no gradient.
    """
    if isinstance(box, needed):
        return box
    wanted: type[Any] = needed
    what = f"{purpose} needs {wanted.__name__}, a box with {MEMBERS[wanted]}" if purpose else ""
    if wanted is Randomizable:
        raise UnsupportedModelError(
            "The parameters of this black box cannot be drawn anew" + (f"; {what}" if what else ""),
            got=f"a {type(box).__name__} without {MEMBERS[needed]}",
            hint=ITSELF,
        )
    if reason := BoxInfo.of(box).no_gradient:
        raise NoGradientError(str(reason).removesuffix(".")) from reason
    if not isinstance(box, Differentiable):
        raise NoGradientError(
            "This black box gives scores but no gradients" + (f"; {what}" if what else ""),
            got=f"a {type(box).__name__} without scores_and_gradient",
            hint="wrap the model in its own framework (a torch.nn.Module), or give the callable a gradient: "
            "wrap(scores, gradient=function)",
        )
    raise NoGradientError(
        "This black box does not let anyone look inside" + (f"; {what}" if what else ""),
        got=f"a {type(box).__name__} without {MEMBERS[needed]}",
        hint=ITSELF,
    )
