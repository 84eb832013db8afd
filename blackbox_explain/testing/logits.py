"""What a box of logits must be, for black boxes whose gradient can be rewritten."""

from __future__ import annotations

from typing import Any

import numpy as np

from blackbox_explain.arrays import to_numpy
from blackbox_explain.box.activations import ACTIVATIONS, activate, activation_adjoint
from blackbox_explain.box.info import BoxInfo
from blackbox_explain.box.protocols import Differentiable, Rewritable
from blackbox_explain.errors import UnsupportedModelError
from blackbox_explain.testing.case import Case, draw_images, draw_weights, promise, require, require_same

__all__ = ["check_logits"]


@promise
def check_logits(case: Case) -> None:
    """Check that ``with_backward("exact", of="logits")`` gives what the activation is applied to, and its gradient.

    Notes
    -----
    A box that applies nothing may be of a model that ends in an activation of its own: then the scores must be one of
    those that are known, of the logits.  Gradients are held against each other by the chain rule: d Σ(weights · scores)
    is that of the logits for weights that went back through the activation.  A box may refuse, with a message.
    """
    box: Any = case.make()
    if not case.gradient or not isinstance(box, Rewritable):
        return
    try:
        made: Any = box.with_backward("exact", of="logits")
    except UnsupportedModelError as refusal:
        require(str(refusal) != "", "logits are refused without a message")
        return
    require(isinstance(made, Differentiable), f"the box of logits is a {type(made).__name__}, and no Differentiable")
    require(made.spec == box.spec, "the box of logits has another spec")
    images = draw_images(case, box)
    weights = draw_weights(case, box.scores(images).shape)
    scores, gradient = (to_numpy(one).astype(np.float64) for one in box.scores_and_gradient(images, weights))
    logits = to_numpy(made.scores(images)).astype(np.float64)
    said = BoxInfo.of(box).activation
    known = [one for one in ACTIVATIONS if one != "auto"] if said == "none" else [said]
    activation: Any = min(known, key=lambda one: np.abs(activate(logits, one) - scores).max())  # type: ignore[arg-type]
    require_same(activate(logits, activation), scores, case.tolerance, f"the {activation} of the logits, as scores")
    back = activation_adjoint(scores, weights, activation).astype(np.float32)
    by_logits = made.scores_and_gradient(images, back)[1]
    # Single precision is lost once more, in what the weights are turned into.
    require_same(by_logits, gradient, 10 * case.tolerance, "the gradient by way of the logits")
