"""What tests share: the shared data, if there, and the default classifier."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import blackbox_explain as bx
from benchmarks.common.photos import data_folder
from blackbox_explain import samples


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    os.environ["BLACKBOX_EXPLAIN_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session", autouse=True)
def _no_terminal() -> None:
    """Print as into a pipe: processes of a test run are told the width of the terminal that it was begun in."""
    os.environ.pop("COLUMNS", None)


@pytest.fixture(scope="session")
def shared_photos() -> list[Path]:
    """Return the shared photos; skip without them, fail without them where REQUIRE_DATA=1."""
    photos = sorted((data_folder() / "photos").glob("*.JPEG"))
    if not photos:
        message = f"no shared photos in {data_folder()}"
        if os.environ.get("REQUIRE_DATA") == "1":
            pytest.fail(message)
        pytest.skip(message)
    return photos


@pytest.fixture(scope="session")
def default_box() -> bx.BlackBox:
    return bx.wrap("efficientnet-lite0")


@pytest.fixture(scope="session")
def sample_images(default_box: bx.BlackBox) -> np.ndarray:
    """Return six pictures made of the two sample photos: (6, 3, 224, 224)."""
    both = bx.load_images([samples.CAT, samples.COFFEE], default_box.spec)
    return np.concatenate([both, both[:, :, :, ::-1], both[:, :, ::-1]])
