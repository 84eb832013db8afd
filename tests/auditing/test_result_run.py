"""Which files a run of saved results takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from blackbox_explain.auditing.result_run import result_paths
from blackbox_explain.errors import ResultError


def test_files_and_folders_each_once_in_the_order_given(tmp_path: Path) -> None:
    names = ("b/z.npz", "b/inner/y.npz", "a.npz", "b/picture.png")
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = result_paths([tmp_path / "a.npz", tmp_path / "b", tmp_path, tmp_path / "missing.npz"])
    assert [str(path.relative_to(tmp_path)) for path in found] == ["a.npz", "b/inner/y.npz", "b/z.npz", "missing.npz"]


def test_a_folder_without_results(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match="no results in this folder"):
        result_paths([tmp_path])
