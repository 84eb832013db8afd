"""Gradient graphs kept on disk."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import blackbox_explain as bx
from blackbox_explain_adapters._onnx import cache
from blackbox_explain_adapters._onnx.backward import gradient_graph as recipe
from tests.adapters.onnx.test_box import small


def test_graphs_are_kept_repaired_and_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, images: np.ndarray
) -> None:
    monkeypatch.setenv("BLACKBOX_EXPLAIN_CACHE", str(tmp_path))
    first = bx.wrap(small()).scores_and_gradient(images, np.ones((4, 5), np.float32))[1]
    (kept,) = cache.folder().glob("*.onnx")
    kept.write_bytes(kept.read_bytes()[:100])
    again = bx.wrap(small()).scores_and_gradient(images, np.ones((4, 5), np.float32))[1]
    np.testing.assert_array_equal(first, again)
    assert kept.stat().st_size > 100
    bx.wrap(small(), activation="sigmoid")
    assert len(list(cache.folder().glob("*"))) == 2
    cache.cached("third", lambda: b"x" * 10, limit=50)
    assert [one.stem for one in cache.folder().glob("*.onnx")] == ["third"]
    bx.wrap(small(), activation="log_softmax", cache=False)
    assert len(list(cache.folder().glob("*"))) == 1


def test_graphs_that_may_only_be_read_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLACKBOX_EXPLAIN_CACHE", str(tmp_path))
    bx.wrap(small())

    def denied(*_args: Any, **_options: Any) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "touch", denied)
    monkeypatch.setattr(cache.tempfile, "NamedTemporaryFile", denied)
    monkeypatch.setattr(recipe, "differentiate", None)
    assert isinstance(bx.wrap(small()), bx.Differentiable)


def test_what_was_never_finished_is_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLACKBOX_EXPLAIN_CACHE", str(tmp_path))
    bx.wrap(small())
    old, new = (cache.folder() / f"{name}{cache.UNFINISHED}" for name in ("old", "new"))
    for one in (old, new):
        one.write_bytes(b"x")
    os.utime(old, (0, 0))
    bx.wrap(small(), activation="sigmoid")
    assert new.exists()
    assert not old.exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_folder_that_cannot_be_written_is_done_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.chmod(0o500)
    monkeypatch.setenv("BLACKBOX_EXPLAIN_CACHE", str(tmp_path))
    assert isinstance(bx.wrap(small()), bx.Differentiable)
