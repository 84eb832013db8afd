"""Every closed-form derivative against float64 finite differences and the inner-product identity."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter1d
from threadpoolctl import ThreadpoolController

import blackbox_explain as bx
from blackbox_explain.arrays import along_axes, gaussian_factors, gaussian_matrix, one_thread
from blackbox_explain.box.activations import ACTIVATIONS, activate, activation_adjoint
from blackbox_explain.box.input_spec import InputSpec, Preprocessing
from blackbox_explain.methods.mask.jitter import canvas, offset_at
from blackbox_explain.methods.mask.regularizers import Regularizer, area, total_variation
from blackbox_explain.methods.upsampling import important_of, make_upsampling
from blackbox_explain.perturbations.level_stack import LevelStack
from blackbox_explain.perturbations.perturbation import Blur, Constant, Noise, Perturbation, Reference, blur

quick = settings(deadline=None, max_examples=40)
spatial = st.lists(st.integers(2, 13), min_size=1, max_size=3).map(tuple)
seeds = st.integers(0, 2**16)

PERTURBATIONS: dict[str, Perturbation] = {
    "constant": Constant(),
    "constant colour": Constant((0.1, 0.5)),
    "gaussian noise": Noise(),
    "uniform noise": Noise("uniform"),
    "two-level blur": Blur(sigma=2.0),
    "many-level blur": Blur(sigma=2.0, levels_count=5),
}


@quick
@given(spatial, seeds, st.data())
def test_upsampling_and_its_adjoint(size: tuple[int, ...], seed: int, data: st.DataObject) -> None:
    cells = tuple(data.draw(st.integers(1, n)) for n in size)
    rng = np.random.default_rng(seed)
    up = make_upsampling("gaussian", cells, size, np.zeros(1))
    mask, image = rng.random((2, *cells)), rng.normal(size=(2, *size))
    np.testing.assert_allclose(np.sum(up.up(mask) * image), np.sum(mask * up.down(image)), rtol=1e-10, atol=1e-10)
    assert up.up(mask).min() >= mask.min() - 1e-12
    assert up.up(mask).max() <= mask.max() + 1e-12


def test_a_mask_that_deletes_nothing_ranks_no_pixels() -> None:
    upsampling = make_upsampling("gaussian", (28, 28), (224, 224), np.zeros(1, np.float32))
    kept = upsampling.up(np.ones((1, 28, 28), np.float32))
    assert np.ptp(1 - kept) > 0  # by rounding
    assert np.ptp(important_of(kept, "deletion")) == 0
    assert important_of(kept, "preservation") is not kept
    np.testing.assert_array_equal(important_of(kept, "preservation"), kept)


@quick
@given(spatial, seeds)
def test_authors_upsampling_goes_back_without_its_blur(size: tuple[int, ...], seed: int) -> None:
    cells = tuple(max(1, n // 2) for n in size)
    up = make_upsampling("nearest_blur", cells, size, np.zeros(1))
    image = np.random.default_rng(seed).normal(size=(1, *size))
    sums = functools.reduce(
        lambda array, axis: np.add.reduceat(
            array, np.searchsorted(*_cell_starts(size[axis], cells[axis])), axis=axis + 1
        ),
        range(len(size)),
        image,
    )
    np.testing.assert_allclose(up.down(image), sums, atol=1e-12)


@pytest.mark.parametrize("name", [*PERTURBATIONS, "reference"])
@quick
@given(spatial, seeds, st.sampled_from(["float64", "float32"]), st.sampled_from(["numpy", "torch"]))
def test_interpolation_slope_is_the_derivative(
    name: str, size: tuple[int, ...], seed: int, dtype: str, library: str
) -> None:
    rng = np.random.default_rng(seed)
    images = rng.random((3, 2, *size)).astype(dtype)
    perturbation = PERTURBATIONS.get(name) or Reference(1 - images)
    native = torch.from_numpy if library == "torch" else np.asarray
    levels = perturbation.levels(native(images), InputSpec((2, *size)), seed)
    stack = LevelStack(levels, size)
    steps = len(levels) - 1
    # Stay inside one step of the stack, at whose ends the slope jumps.
    mask = ((rng.integers(0, steps, size=(3, *size)) + rng.uniform(0.2, 0.8, size=(3, *size))) / steps).astype(dtype)
    change = 0.1 / steps
    here, slope = (np.asarray(one) for one in stack.mixed(native(mask)))
    above = np.asarray(stack.mixed(native((mask + change).astype(dtype)))[0])
    tolerance = 1e-9 if dtype == "float64" else 2e-4
    assert here.dtype == slope.dtype == np.dtype(dtype)
    np.testing.assert_allclose((above - here) / change, slope, atol=tolerance)
    np.testing.assert_allclose(np.asarray(stack.mixed(native(np.ones_like(mask)))[0]), images, atol=1e-6)
    np.testing.assert_allclose(
        np.asarray(stack.mixed(native(np.zeros_like(mask)))[0]), np.asarray(levels[0]), atol=1e-6
    )


@quick
@given(
    spatial,
    seeds,
    st.sampled_from(["anisotropic", "isotropic"]),
    st.sampled_from([0.5, 1.0, 1.5, 2.0, 3.0]),
    st.sampled_from(["deletion", "preservation"]),
)
def test_regularizer_derivative(size: tuple[int, ...], seed: int, kind: str, beta: float, game: str) -> None:
    rng = np.random.default_rng(seed)
    mask, direction = rng.random((2, *size)), rng.normal(size=(2, *size))
    penalty = Regularizer(1e-2, 1e-2, beta, kind, game)
    step = 1e-7
    numeric = (penalty(mask + step * direction)[0] - penalty(mask - step * direction)[0]) / (2 * step)
    exact = np.sum(penalty(mask)[1] * direction, axis=tuple(range(1, mask.ndim)))
    np.testing.assert_allclose(numeric, exact, rtol=1e-4, atol=1e-5)


def test_regularizers_by_hand() -> None:
    mask = np.array([[[1.0, 0.5], [1.0, 0.0]]])
    assert area(mask, "deletion")[0] == 1.5
    assert area(mask, "preservation")[0] == 2.5
    np.testing.assert_allclose(total_variation(mask, 3.0, "anisotropic")[0], 0.5**3 + 1.0**3 + 0.0 + 0.5**3)
    np.testing.assert_allclose(total_variation(mask, 3.0, "isotropic")[0], 0.5**3 + 1.0**3 + 0.5**3)
    for kind in ("anisotropic", "isotropic"):
        value, gradient = total_variation(np.full((1, 3, 3), 0.4), 0.5, kind)
        assert value == 0
        assert not gradient.any()


def test_weights_mean_the_same_on_a_finer_mask() -> None:
    penalty = Regularizer(1e-4, 0.0, 3.0, "anisotropic", "deletion")
    coarse, fine = (penalty(np.zeros((1, n, n)))[0][0] for n in (28, 56))
    assert coarse == pytest.approx(784e-4)
    assert fine == pytest.approx(coarse)
    edge = Regularizer(0.0, 1e-2, 3.0, "anisotropic", "deletion")
    steps = [np.repeat((np.arange(n) >= n // 2).astype(float)[None, None], n, axis=1) for n in (28, 56)]
    assert edge(steps[0])[0][0] == pytest.approx(0.28)
    assert edge(steps[1])[0][0] == pytest.approx(0.28)


@quick
@given(seeds, st.sampled_from([name for name in ACTIVATIONS if name != "auto"]))
def test_activation_adjoint(seed: int, activation: str) -> None:
    rng = np.random.default_rng(seed)
    outputs, weights, direction = (rng.normal(size=(2, 4)) for _ in range(3))
    step = 1e-6
    numeric = np.sum(
        weights * (activate(outputs + step * direction, activation) - activate(outputs - step * direction, activation))
    )
    exact = np.sum(activation_adjoint(activate(outputs, activation), weights, activation) * direction)
    np.testing.assert_allclose(numeric / (2 * step), exact, rtol=1e-5, atol=1e-8)


@quick
@given(seeds, st.sampled_from(["RGB", "BGR"]), st.sampled_from(["channels_first", "channels_last"]))
def test_preprocessing_adjoint(seed: int, channels: str, layout: str) -> None:
    rng = np.random.default_rng(seed)
    preprocessing = Preprocessing((0.4, 0.5, 0.6), (0.2, 0.3, 0.4), channels, layout)
    images, direction = rng.random((2, 3, 4, 5)), rng.normal(size=(2, 3, 4, 5))
    output = preprocessing.forward(images)
    weights = rng.normal(size=output.shape)
    change = preprocessing.forward(images + direction) - output
    np.testing.assert_allclose(np.sum(weights * change), np.sum(preprocessing.adjoint(weights) * direction), rtol=1e-9)


def test_jitter_is_a_shift_with_a_repeated_border() -> None:
    levels = np.arange(2 * 6.0).reshape(2, 1, 1, 6)
    stack = LevelStack(canvas(levels, "shift", 4), (6,))
    untouched = np.ones((1, 6))
    np.testing.assert_array_equal(stack.mixed(untouched, (3,))[0][0, 0], levels[1, 0, 0])
    np.testing.assert_array_equal(stack.mixed(untouched, (1,))[0][0, 0], [6, 6, 6, 7, 8, 9])
    drawn = {offset_at(0, step, 4, 2) for step in range(200)}
    assert drawn == {(a, b) for a in range(4) for b in range(4)}
    assert offset_at(3, 7, 4, 2) == offset_at(3, 7, 4, 2)


def test_crop_jitter_resizes_a_ramp_to_a_ramp() -> None:
    levels = np.broadcast_to(np.linspace(0, 1, 224), (2, 1, 1, 224))
    wide = canvas(levels, "crop", 4)
    assert wide.shape[-1] == 228
    np.testing.assert_allclose(np.diff(wide[0, 0, 0, 2:-2]), (224 / 228) / 223, rtol=1e-6)


def test_blur_is_a_gaussian_away_from_the_border() -> None:
    row = np.random.default_rng(0).random(200)
    ours = gaussian_matrix(200, 200, 3.0) @ row
    np.testing.assert_allclose(ours[40:-40], gaussian_filter1d(row, 3.0, truncate=10)[40:-40], atol=1e-10)


@pytest.mark.parametrize(("size", "sigma"), [(60, 17.5), (60, 200.0), (224, 10.0), (224, 50.0), (301, 12.3)])
def test_a_wide_gaussian_is_the_product_of_two_narrow_matrices(size: int, sigma: float) -> None:
    factors = gaussian_factors(size, sigma)
    assert factors is not None
    wide, narrow = factors
    assert wide.shape[1] == narrow.shape[0] <= 0.4 * size
    np.testing.assert_allclose(wide @ narrow, gaussian_matrix(size, size, sigma), atol=1e-10)


@pytest.mark.parametrize(("size", "sigma"), [(224, 0.0), (224, 5.0), (12, 10.0), (1, 10.0)])
def test_where_narrow_matrices_save_nothing_there_are_none(size: int, sigma: float) -> None:
    assert gaussian_factors(size, sigma) is None


@pytest.mark.parametrize("spatial", [(80,), (80, 100), (80, 12), (40, 48, 56)])
def test_blur_by_narrow_matrices_is_that_by_whole_ones(spatial: tuple[int, ...]) -> None:
    images = np.random.default_rng(0).random((2, 3, *spatial))
    expected = along_axes(tuple(gaussian_matrix(n, n, 25.0) for n in spatial), images)
    np.testing.assert_allclose(blur(images, 25.0), expected, atol=1e-9)


def exact_per_pixel_blur(image: np.ndarray, mask: np.ndarray, sigma: float) -> np.ndarray:
    """Blur every pixel with its own Gaussian, normalised at the borders: the oracle."""
    result = np.empty_like(image)
    axes = [np.arange(n) for n in mask.shape]
    for place in np.ndindex(mask.shape):
        width = sigma * (1 - mask[place])
        if width < 1e-9:
            result[(slice(None), *place)] = image[(slice(None), *place)]
            continue
        kernels = [np.exp(-0.5 * ((axis - at) / width) ** 2) for axis, at in zip(axes, place, strict=True)]
        kernel = functools.reduce(np.multiply.outer, [one / one.sum() for one in kernels])
        result[(slice(None), *place)] = np.sum(image * kernel, axis=tuple(range(1, image.ndim)))
    return result


@pytest.mark.parametrize("row", [0, 1])
@pytest.mark.parametrize("shape", ["random", "ramp"])
def test_blur_stack_is_as_near_the_per_pixel_blur_as_its_docstring_says(
    sample_images: np.ndarray, row: int, shape: str
) -> None:
    image = sample_images[row, :, 60:124, 60:124].astype(np.float64)
    ramp = np.broadcast_to(np.linspace(0, 1, 8), (1, 8, 8))
    cells = ramp if shape == "ramp" else np.random.default_rng(0).random((1, 8, 8))
    mask = make_upsampling("gaussian", (8, 8), (64, 64), image).up(cells)
    exact = exact_per_pixel_blur(image, mask[0], 10.0)
    errors = []
    for count in (2, 11):
        levels = Blur(sigma=10.0, levels_count=count).levels(image[None], InputSpec(image.shape), 0)
        errors.append(np.abs(LevelStack(levels, (64, 64)).mixed(mask)[0][0] - exact).mean())
    assert errors[0] < 0.0305
    assert errors[1] < 0.001


def test_full_stack_of_a_constant_mask_is_exact_at_its_levels(sample_images: np.ndarray) -> None:
    image = sample_images[1, :, :48, :40].astype(np.float64)
    stack = LevelStack(bx.Blur(sigma=6.0, levels_count=4).levels(image[None], InputSpec(image.shape), 0), (48, 40))
    for level in range(4):
        mask = np.full((1, 48, 40), level / 3)
        np.testing.assert_allclose(stack.mixed(mask)[0][0], exact_per_pixel_blur(image, mask[0], 6.0), atol=1e-10)


def _cell_starts(size: int, cells: int) -> tuple[np.ndarray, np.ndarray]:
    return np.arange(size) * cells // size, np.arange(cells)


def test_products_have_their_threads_back_however_their_users_overlap() -> None:
    def threads() -> list[int]:
        return [one["num_threads"] for one in ThreadpoolController().select(internal_api="openblas").info()]

    before = threads()
    first, second = one_thread(), one_thread()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert set(threads()) == {1}
    second.__exit__(None, None, None)
    assert threads() == before
