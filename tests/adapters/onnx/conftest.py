"""Images and weights for the small classifier of `test_box`."""

from __future__ import annotations

import numpy as np
import pytest

from tests.adapters.onnx.test_box import SHAPE


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(1).random((4, *SHAPE), dtype=np.float32)


@pytest.fixture
def weights() -> np.ndarray:
    return np.random.default_rng(2).standard_normal((4, 5)).astype(np.float32)
