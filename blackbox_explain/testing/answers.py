"""What a black box must answer: scores of the right shape, type and range, whatever was asked beside or before."""

from __future__ import annotations

import numpy as np

from blackbox_explain.arrays import namespace, to_numpy
from blackbox_explain.box.activations import ACTIVATIONS
from blackbox_explain.box.info import BoxInfo
from blackbox_explain.box.input_spec import InputSpec
from blackbox_explain.box.protocols import BlackBox
from blackbox_explain.testing.case import (
    MANY,
    Case,
    answers,
    draw_images,
    draw_weights,
    promise,
    require,
    require_floats,
    require_same,
)

__all__ = [
    "check_activation",
    "check_company",
    "check_determinism",
    "check_empty_batch",
    "check_preprocessing",
    "check_protocol",
    "check_scores",
    "check_types",
    "check_value_range",
]


@promise
def check_protocol(case: Case) -> None:
    """Check that the box has scores and an `InputSpec`, and that each is a fresh one."""
    box = case.make()
    require(isinstance(box, BlackBox), f"a {type(box).__name__} is no BlackBox: it needs spec and scores(images)")
    require(isinstance(box.spec, InputSpec), f"spec is a {type(box.spec).__name__}, not an InputSpec")
    require(case.make() is not box, "make() returned the same box twice; it must return a fresh one each time")


@promise
def check_scores(case: Case) -> None:
    """Check that scores are finite floats (N, K), K the same for one image, for many, and next time."""
    box = case.make()
    shapes: list[tuple[int, ...]] = []
    for count in (1, MANY, 1):
        scores = box.scores(draw_images(case, box, count))
        require_floats(scores, "the scores")
        shapes.append(tuple(scores.shape))
        require(len(shapes[-1]) == 2 and shapes[-1][0] == count, f"{count} images gave scores of shape {shapes[-1]}")
    require(shapes[0][1] >= 1 and len({shape[1] for shape in shapes}) == 1, f"the number of scores varies: {shapes}")


@promise
def check_types(case: Case) -> None:
    """Check that single and double precision, NumPy and the box's own arrays come back as floats of that library."""
    box = case.make()
    images = draw_images(case, box)
    expected = answers(case, box, images)
    for kind in (np.float32, np.float64):
        for move in (np.asarray, BoxInfo.of(box).native):
            given = move(images.astype(kind))
            for name, found in answers(case, box, given).items():
                what = f"{name} of {given.dtype} {type(given).__name__}s"
                require(namespace(found) is namespace(given), f"{what} came back as {type(found).__name__}")
                require_floats(found, what)
                require_same(found, expected[name], case.tolerance, what)


@promise
def check_company(case: Case) -> None:
    """Check that what a row gets does not depend on the rows beside it."""
    box = case.make()
    images, order = draw_images(case, box, 5), [3, 0, 4, 0]
    together = answers(case, box, images)
    weights = draw_weights(case, to_numpy(together["scores"]).shape)
    for name, found in answers(case, box, images[order], weights[order]).items():
        require_same(found, to_numpy(together[name])[order], case.tolerance, f"{name} in another order")
    for row in range(2):
        alone = answers(case, box, images[row : row + 1], weights[row : row + 1])
        for name, found in alone.items():
            require_same(found, to_numpy(together[name])[row : row + 1], case.tolerance, f"{name} of an image alone")


@promise
def check_empty_batch(case: Case) -> None:
    """Check that no images give no rows, of the usual length."""
    box = case.make()
    images = draw_images(case, box)
    full, empty = answers(case, box, images), answers(case, box, images[:0])
    for name, found in empty.items():
        expected = (0, *full[name].shape[1:])
        require(tuple(found.shape) == expected, f"{name} of no images: shape {tuple(found.shape)}, not {expected}")


@promise
def check_determinism(case: Case) -> None:
    """Check that the same call gives the same answer, bit for bit unless the case says otherwise."""
    box = case.make()
    images = draw_images(case, box)
    first = {name: to_numpy(found).copy() for name, found in answers(case, box, images).items()}
    answers(case, box, draw_images(case, box, 1))
    for name, found in answers(case, box, images).items():
        require_same(found, first[name], case.repeat_tolerance, f"{name} the second time")


@promise
def check_value_range(case: Case) -> None:
    """Check that black, white and noise of both give finite scores, and that names are as many as scores, if any."""
    box = case.make()
    low, high = box.spec.bounds
    noise = np.random.default_rng(case.seed).integers(0, 2, box.spec.shape)
    plain = np.stack([np.zeros(box.spec.shape), np.ones(box.spec.shape), noise])
    scores = box.scores((low + (high - low) * plain).astype(np.float32))
    require_floats(scores, "the scores of black, white and noise")
    names = box.spec.class_names
    require(names is None or len(names) == scores.shape[1], f"{len(names or ())} names for {scores.shape[1]} scores")


@promise
def check_activation(case: Case) -> None:
    """Check that scores are what `activation` says: a softmax sums to one, a sigmoid lies in (0, 1)."""
    box = case.make()
    scores = to_numpy(box.scores(draw_images(case, box))).astype(np.float64)
    activation = BoxInfo.of(box).activation
    require(activation in ACTIVATIONS and activation != "auto", f"after a run, activation is {activation!r}")
    shares = np.exp(scores) if activation == "log_softmax" else scores
    if activation != "none":
        inside = bool(np.all(shares >= -1e-6) and np.all(shares <= 1 + 1e-6))
        require(inside, f"{activation} gives values from {shares.min():g} to {shares.max():g}")
    if "softmax" in activation:
        require(np.allclose(shares.sum(axis=1), 1, atol=1e-3), f"{activation} sums to {shares.sum(axis=1)}, not to 1")


@promise
def check_preprocessing(case: Case) -> None:
    """Check that `spec.preprocessing` gives the layout it names, and has an adjoint: ⟨P x − P 0, g⟩ = ⟨x, P* g⟩."""
    spec = case.make().spec
    rng = np.random.default_rng(case.seed)
    images = rng.standard_normal((2, *spec.shape))
    inputs = spec.preprocessing.forward(images)
    last = spec.preprocessing.layout == "channels_last"
    expected = (2, *spec.spatial, spec.shape[0]) if last else images.shape
    require(inputs.shape == expected, f"preprocessing gives {inputs.shape}, not {expected}")
    by_inputs = rng.standard_normal(inputs.shape)
    by_images = spec.preprocessing.adjoint(by_inputs)
    require(by_images.shape == images.shape, f"the adjoint gives {by_images.shape}, not {images.shape}")
    one = float(np.sum((inputs - spec.preprocessing.forward(np.zeros_like(images))) * by_inputs))
    other = float(np.sum(images * by_images))
    scale = float(np.linalg.norm(images) * np.linalg.norm(by_images))
    require(abs(one - other) <= 1e-9 * scale, f"the adjoint is none: <P x - P 0, g> = {one:g}, <x, P* g> = {other:g}")
