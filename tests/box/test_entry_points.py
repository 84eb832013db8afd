"""What is registered: looked up once, and again once another package is installed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from blackbox_explain.box.entry_points import FORMATS, entry_points


def install(folder: Path, name: str) -> None:
    """Write what a package that registers a format leaves in the folder of packages."""
    package = folder / f"{name}-1.0.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text(f"Name: {name}\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text(f"[{FORMATS}]\n{name} = {name}:read\n")


def registered() -> set[str]:
    return {point.name for point in entry_points(FORMATS)}


def test_a_package_that_is_installed_later_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = registered()
    assert "onnx" in before
    install(tmp_path, "first")
    os.utime(tmp_path, ns=(0, 0))
    monkeypatch.syspath_prepend(tmp_path)
    assert registered() - before == {"first"}
    install(tmp_path, "second")
    assert registered() - before == {"first", "second"}


def test_packages_are_looked_through_once(monkeypatch: pytest.MonkeyPatch) -> None:
    before = entry_points(FORMATS)
    monkeypatch.setattr("importlib.metadata.entry_points", lambda **_: pytest.fail("looked through again"))
    assert entry_points(FORMATS) is before
