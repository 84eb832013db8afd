"""Resizing by narrow matrices, against Pillow's filter and full products."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from blackbox_explain.rules.relations.sampling import BLOCK, Filter, bicubic_matrix, filtered, resized
from tests.rules.pictures import noise


@pytest.mark.parametrize("size", [(60, 44), (7, 9), (1, 1), (130, 150)])
@pytest.mark.parametrize("window", [None, (0, 0, 20, 30), (11.3, 5.5, 40.1, 58.7), (30, 40, 44, 60)])
def test_resizing_is_pillows(size: tuple[int, int], window: tuple[float, float, float, float] | None) -> None:
    image = noise((2, 60, 44)).astype(np.float32)
    height, width = size
    theirs = [Image.fromarray(plane).resize((width, height), Image.Resampling.BICUBIC, box=window) for plane in image]
    assert np.abs(resized(image, size, window) - np.stack([np.asarray(one) for one in theirs])).max() < 1e-5


@pytest.mark.parametrize("outputs", [1, BLOCK - 1, BLOCK, 2 * BLOCK + 5])
def test_what_is_left_out_is_zero(outputs: int) -> None:
    image = noise((3, 50, 61, 40)).astype(np.float32)
    matrices = [bicubic_matrix(outputs, size, 3, size - 4.5) for size in image.shape[1:]]
    whole = np.einsum("caij,xa,yi,zj->cxyz", image.astype(np.float64), *matrices, optimize=True)
    assert np.abs(filtered(image, [Filter(one) for one in matrices]) - whole).max() < 1e-5
    assert np.allclose(np.sum(matrices[0], axis=1), 1)
