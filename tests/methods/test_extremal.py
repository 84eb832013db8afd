"""What extremal perturbation is made of: smooth maxima with their adjoint, and the slope of the area's regulariser."""

from __future__ import annotations

import numpy as np
import pytest

from blackbox_explain.methods.extremal.extremal_perturbation import _area_slope
from blackbox_explain.methods.extremal.smooth_maximum import SmoothMaximum


@pytest.mark.parametrize(("cells", "spatial"), [((9,), (40,)), ((6, 5), (20, 14)), ((3, 4, 3), (6, 8, 7))])
def test_a_gradient_is_taken_back_by_the_adjoint(cells: tuple[int, ...], spatial: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    smooth, grid = SmoothMaximum(cells, spatial, 1.5), rng.random((2, *cells))
    by_masks, step = rng.normal(size=(2, *spatial)), 1e-6 * rng.normal(size=(2, *cells))
    masks, down = smooth.with_adjoint(grid)
    change = ((smooth.up(grid + step) - smooth.up(grid - step)) / 2 * by_masks).sum()
    found = down(by_masks)
    assert (found * step).sum() == pytest.approx(change, rel=1e-5)
    with pytest.raises(IndexError):
        down(by_masks)  # its arrays were given back
    # They are used again, and what was found before stays as it is.
    before, other = found.copy(), rng.random((2, *cells))
    again = smooth.with_adjoint(other)
    fresh = SmoothMaximum(cells, spatial, 1.5).with_adjoint(other)
    np.testing.assert_array_equal(again[0], fresh[0])
    np.testing.assert_array_equal(again[1](by_masks), fresh[1](by_masks))
    np.testing.assert_array_equal(found, before)
    assert masks.shape == (2, *spatial)
    single = smooth.with_adjoint(grid.astype(np.float32))
    assert single[0].dtype == np.float32
    np.testing.assert_allclose(single[1](by_masks), found, rtol=1e-3, atol=1e-3)


def test_a_smooth_maximum_is_its_formula() -> None:
    grid = np.array([[0.2, 0.9, 0.4]])
    at_cells = []
    for cell in range(3):
        kept = np.exp(-((np.arange(3) - cell) ** 2) / 2) * grid[0]
        # Cells beside the grid, and those whose kernel ends there, keep nothing.
        kept = np.concatenate([kept[np.abs(np.arange(3) - cell) <= 2], np.zeros(2)])
        powers = np.exp(20 * kept)
        at_cells.append((kept * powers).sum() / powers.sum())
    np.testing.assert_allclose(SmoothMaximum((3,), (3,), 1.0).up(grid)[0], at_cells)
    # A pixel a quarter of a cell left of the middle of the second cell: between cells, masks are linear.
    masks = SmoothMaximum((3,), (6,), 1.0).up(grid)
    assert masks[0, 2] == pytest.approx(0.75 * at_cells[1] + 0.25 * at_cells[0])


def test_the_area_counts_the_largest_values_and_of_equal_ones_the_last() -> None:
    masks = np.array([[[0.5, 0.9], [0.5, 0.5]], [[1.0, 1.0], [1.0, 0.0]]])
    wanted = np.array([[[0.0, 1.0], [0.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]]])
    np.testing.assert_allclose(_area_slope(masks, 2), 2 * (masks - wanted) / 4)
