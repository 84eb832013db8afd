"""A distribution of its own is installed, found by its entry points, and keeps the contract; so does the page's."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from blackbox_explain.box.adapter_tools.description import Described
from blackbox_explain.testing import Case, check_black_box

EXAMPLE = Path(__file__).parents[1] / "example_adapter"
PAGE = Path(__file__).parents[2] / "docs" / "write-an-adapter.md"


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the interpreter of an environment that has all of this one, and the example installed."""
    folder = tmp_path_factory.mktemp("example")
    venv.create(folder / "environment", with_pip=False)
    here = sysconfig.get_path("purelib")
    (site,) = (folder / "environment").glob("**/site-packages")
    # A line of code, because files of paths are read in site folders alone, and an editable install is such a file.
    (site / "this_environment.pth").write_text(f"import site; site.addsitedir({here!r})\n")
    found = folder / "environment" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    # Built from a copy: a build leaves files.
    source = shutil.copytree(EXAMPLE, folder / "source", ignore=shutil.ignore_patterns("__pycache__"))
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check", "--quiet"]
    run(Path(sys.executable), "-m", "pip", "--python", str(found), "install", *options, str(source))
    return found


def run(python: Path, *arguments: str, folder: Path | None = None) -> str:
    environment = {**os.environ, "COLUMNS": "200", "PYTHONPATH": ""}
    done = subprocess.run([python, *arguments], capture_output=True, text=True, cwd=folder, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_model_and_its_file_are_found_by_entry_point(python: Path, tmp_path: Path) -> None:
    code = (
        "import blackbox_explain as bx, numpy as np, sys, pathlib; from tiny_centroids import Centroids\n"
        "model = Centroids(np.random.default_rng(0).random((2, 3, 8, 8)), ['cat', 'dog'])\n"
        "model.save(pathlib.Path('model.centroids'))\n"
        "for box in bx.wrap(model), bx.wrap('model.centroids'), bx.wrap(model, sharpness=2.0):\n"
        "    scores = box.scores(np.zeros((2, 3, 8, 8)))\n"
        "    print(type(box).__module__, type(box).__name__, box.spec.class_names, scores.shape)\n"
    )
    lines = run(python, "-c", code, folder=tmp_path).splitlines()
    assert lines == ["tiny_centroids.explaining CentroidBox ('cat', 'dog') (2, 2)"] * 3


def test_the_command_line_lists_it(python: Path, tmp_path: Path) -> None:
    listed = run(python, "-m", "blackbox_explain", "models", folder=tmp_path)
    assert [line.split() for line in listed.splitlines() if "tiny_centroids" in line] == [
        ["│", "tiny_centroids", "│", "yes", "│"]
    ]
    assert ".centroids" in listed.split("model files:")[1]


def test_its_own_tests_pass_there(python: Path, tmp_path: Path) -> None:
    for name in ("tests", "pyproject.toml"):
        copy = shutil.copytree if (EXAMPLE / name).is_dir() else shutil.copy
        copy(EXAMPLE / name, tmp_path / name)
    said = run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", folder=tmp_path)
    assert "27 passed" in said


def test_the_page_on_adapters_is_true() -> None:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    assert len(lines) < 60
    space: dict[str, Any] = {}
    for example in re.findall(r"```python\n(.*?)```", "\n".join(lines), flags=re.DOTALL):
        exec(compile(example, PAGE.name, "exec"), space)
    for batch in (1, 4):
        check_black_box(Case(lambda batch=batch: space["wrap_matrix"](np.eye(768, 5), Described(), batch=batch)))
