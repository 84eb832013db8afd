"""What a gradient must be: there if and only if promised, of the right form, linear in the weights, and right."""

from __future__ import annotations

from typing import Any

import numpy as np

from blackbox_explain.arrays import to_numpy
from blackbox_explain.box.info import BoxInfo
from blackbox_explain.box.protocols import Differentiable
from blackbox_explain.testing.case import (
    Case,
    Host,
    draw_fields,
    draw_images,
    draw_weights,
    promise,
    require,
    require_floats,
    require_same,
)

__all__ = [
    "check_gradient_differences",
    "check_gradient_form",
    "check_gradient_linear",
    "check_gradient_promised",
]

ROWS, DIRECTIONS = 2, 5
"""Images, and random directions along which the gradient of each is held against differences."""

STEPS = tuple(4.0**-power / 2 for power in range(1, 7))
"""Half the differences, as shares of the width of the bounds: one is neither too long nor lost in single precision."""

NODES, SHARES = np.polynomial.legendre.leggauss(8)
"""Where on a difference the gradient is asked for, and what each place counts."""


@promise
def check_gradient_promised(case: Case) -> None:
    """Check that the box has ``scores_and_gradient`` if the case says so, and no such attribute if not."""
    box = case.make()
    has = isinstance(box, Differentiable)
    why = f" ({reason})" if (reason := BoxInfo.of(box).no_gradient) else ""
    require(has or not case.gradient, f"a gradient is expected, and there is no scores_and_gradient{why}")
    require(case.gradient or not has, "no gradient is expected: the attribute scores_and_gradient must not exist")


@promise
def check_gradient_form(case: Case) -> None:
    """Check that a gradient is finite, has the shape and type of the images, and comes with the scores of `scores`."""
    if not case.gradient:
        return
    box: Any = case.make()
    images = draw_images(case, box)
    expected = box.scores(images)
    scores, gradient = box.scores_and_gradient(images, draw_weights(case, expected.shape))
    require(gradient.shape == images.shape, f"the gradient has shape {gradient.shape}, images {images.shape}")
    require(gradient.dtype == images.dtype, f"the gradient is {gradient.dtype}, images are {images.dtype}")
    require_floats(gradient, "the gradient")
    require_same(scores, expected, case.tolerance, "scores beside the gradient")


@promise
def check_gradient_linear(case: Case) -> None:
    """Check that the gradient is linear in the weights, and zero where they are."""
    if not case.gradient:
        return
    box: Any = case.make()
    images = draw_images(case, box)
    one = draw_weights(case, box.scores(images).shape)
    other = one[:, ::-1] + np.float32(0.5)
    by_one, by_other, by_both, by_none = (
        to_numpy(box.scores_and_gradient(images, weights)[1]).astype(np.float64)
        for weights in (one, other, 2 * one - other / 2, np.zeros_like(one))
    )
    require(not by_none.any(), f"weights of zero give a gradient of up to {np.abs(by_none).max():g}")
    scale = np.abs(by_one).max() + np.abs(by_other).max()
    error = np.abs(by_both - (2 * by_one - by_other / 2)).max()
    # Sums of single precision cancel, so that a little more than `tolerance` is lost.
    limit = 10 * case.tolerance * scale
    require(error <= limit, f"the gradient is not linear in the weights: off by {error:g}, at most {limit:g} is right")


@promise
def check_gradient_differences(case: Case) -> None:
    """Check that the gradient is that of the scores, by central differences along random smooth directions.

    Notes
    -----
    A difference of scores is the integral of the gradient between its ends, by Gauss's rule, across whatever kinks a
    rectifier has there.  Its length is the one at which a quarter of it tells most nearly the same, found without
    looking at the gradient.  Each row must hold, by the median over directions.
    """
    if not case.gradient:
        return
    box: Any = case.make()
    images = draw_images(case, box, ROWS)
    weights = draw_weights(case, box.scores(images).shape)
    width = box.spec.bounds[1] - box.spec.bounds[0]
    # Every row along every direction, in one batch.
    slopes = np.concatenate([draw_fields(case, box.spec, ROWS, seed=1 + k, cells=2 + k) for k in range(DIRECTIONS)])
    starts, chosen = np.concatenate([images] * DIRECTIONS), np.concatenate([weights] * DIRECTIONS)
    axes = tuple(range(1, images.ndim))

    def moved(steps: Host) -> Host:
        return (starts + np.expand_dims(width * steps, axes) * slopes).astype(np.float32)

    def difference(step: float) -> Host:
        ahead, behind = (to_numpy(box.scores(moved(np.array([end])))).astype(np.float64) for end in (step, -step))
        return np.sum(chosen * (ahead - behind), axis=1) / (2 * step)

    def derivative(steps: Host) -> Host:
        gradient = to_numpy(box.scores_and_gradient(moved(steps), chosen)[1]).astype(np.float64)
        return width * np.sum(gradient * slopes, axis=axes)

    table = np.stack([np.reshape(difference(step), (DIRECTIONS, ROWS)) for step in STEPS])
    change = np.median(np.abs(np.diff(table, axis=0)), axis=1)
    # Where most differences are nothing, steps are lost in rounding.
    lost = np.median(np.abs(table[:-1]), axis=1) == 0
    best = np.where(lost, np.inf, change).argmin(axis=0)
    steps = np.tile(np.array(STEPS)[best], DIRECTIONS)
    means = sum(share / 2 * derivative(node * steps) for node, share in zip(NODES, SHARES, strict=True))
    found = np.reshape(means, (DIRECTIONS, ROWS))
    for row, which in enumerate(best):
        expected, got = table[which, :, row], found[:, row]
        size = np.median(np.abs(expected))
        require(size > 0, f"the scores of row {row} do not depend on the image, so nothing can be compared")
        error = np.median(np.abs(got - expected)) / size
        require(
            error <= case.gradient_tolerance,
            f"the gradient of row {row} is off by {error:.1%}, at most {case.gradient_tolerance:.1%} is right; along "
            f"{DIRECTIONS} directions it gives\n{got}\nand differences over {2 * STEPS[which]:g} of the width\n"
            f"{expected}\n(a quarter as long, they change by {change[which, row] / size:.1%})",
        )
