"""TensorFlow Lite: nothing is printed but what the program says, and nothing of others is lost."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import blackbox_explain as bx

if os.environ.get("REQUIRE_BACKENDS") != "1":
    pytest.importorskip("ai_edge_litert.interpreter")

from blackbox_explain_adapters._quiet import without_lines
from tests.adapters.tflite.models import ended

WEIGHTS = np.random.default_rng(0).integers(-3, 4, (5, 4 * 6 * 3)).astype(np.float64)


def test_nothing_but_the_program_speaks(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(ended("softmax", WEIGHTS, (4, 6, 3)))
    sample = Path(bx.__file__).parent / "samples" / "coffee.jpg"
    command = [sys.executable, "-m", "blackbox_explain", "explain", str(sample), "--model", str(path)]
    command += ["--out", str(tmp_path / "out"), "--option", "threads=1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("assumed: ")
    assert "XNNPACK" not in done.stderr


def test_what_others_write_meanwhile_is_passed_on(capfd: pytest.CaptureFixture[str]) -> None:
    with without_lines(b"noise"):
        os.write(2, b"some noise\nan error\n")
    os.write(2, b"afterwards\n")
    assert capfd.readouterr().err == "an error\nafterwards\n"
