"""What tests share: the shared data, if there, and the default classifier."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import blackbox_explain as bx
from benchmarks.common.photos import data_folder
from blackbox_explain import samples
from tests.kinds import is_drawn


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--exhaustive-part", metavar="K/N", help="of the exhaustive tests, run part K (from 0) of N alone")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the exhaustive tests of other parts."""
    part = config.getoption("--exhaustive-part")
    if part is None:
        return
    left_out = [one for one in items if one.get_closest_marker("exhaustive") and not is_drawn(one.nodeid, part)]
    config.hook.pytest_deselected(items=left_out)
    gone = set(left_out)
    items[:] = [one for one in items if one not in gone]


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
