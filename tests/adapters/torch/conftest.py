"""A small network and images for it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.methods.test_invariance import Small

SHAPE = (3, 24, 24)


@pytest.fixture
def model() -> torch.nn.Module:
    torch.manual_seed(0)
    return Small().eval()


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).random((3, *SHAPE), dtype=np.float32)
