"""The public contract over every kind of black box that has no gradient."""

from __future__ import annotations

import os
import pickle
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import blackbox_explain as bx
from blackbox_explain.testing import SCORE_CHECKS, Case

if os.environ.get("REQUIRE_BACKENDS") != "1":
    for name in ("ai_edge_litert", "sklearn", "httpx", "tenacity"):
        pytest.importorskip(name)

from ai_edge_litert.interpreter import Interpreter
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

from tests.adapters.remote.server import DemonstrationServer
from tests.adapters.tflite.models import linear

WEIGHTS = np.random.default_rng(0).integers(-3, 4, (5, 8 * 12 * 3)).astype(np.float64)

PROGRAM = """
import json, sys, zlib
scores = []
for path in sys.argv[1:]:
    with open(path, "rb") as file:
        parts = file.read().partition(b"IDAT")[2]
    values = zlib.decompressobj().decompress(parts)
    mean = sum(values) / len(values) / 255
    scores.append([mean, 1 - mean])
print(json.dumps(scores))
"""


def tflite_case(folder: Path, **options: Any) -> Case:
    path = folder / "model.tflite"
    path.write_bytes(linear(WEIGHTS, (8, 12, 3), **options))
    return Case(lambda: bx.wrap(path), gradient=False)


def interpreter_case(_: Path) -> Case:
    interpreter = Interpreter(model_content=linear(WEIGHTS, (8, 12, 3)))
    return Case(lambda: bx.wrap(interpreter), gradient=False)


def estimator_case(model: Any) -> Case:
    pixels, labels = load_digits(return_X_y=True)
    model.fit(pixels[:500], labels[:500])
    return Case(
        lambda: bx.wrap(model, preprocessing=bx.Preprocessing(std=1 / 16)),
        gradient=False,
        state=lambda: pickle.dumps(model),
    )


def command_case(folder: Path) -> Case:
    program = folder / "classify.py"
    program.write_text(PROGRAM)
    text = "command:" + shlex.join([sys.executable, "-I", "-S", str(program)])
    return Case(lambda: bx.wrap(text, shape=(3, 12, 8)), gradient=False)


CASES: dict[str, Callable[[Path], Case]] = {
    "tflite": lambda folder: tflite_case(folder, free=True),
    "tflite, fixed batch": lambda folder: tflite_case(folder, batch=2),
    "tflite, bytes": lambda folder: tflite_case(folder, dtype="uint8", quantisation=(1 / 128, 128), output=(2.0, 128)),
    "tflite, interpreter": interpreter_case,
    "scikit-learn": lambda _: estimator_case(LogisticRegression(max_iter=300)),
    "scikit-learn, decision function": lambda _: estimator_case(SVC()),
    "command": command_case,
}


@pytest.fixture(scope="module", params=[*CASES, "endpoint"])
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    if request.param == "endpoint":
        with DemonstrationServer() as server:
            yield Case(lambda: bx.wrap(server.address, shape=(3, 12, 8)), gradient=False)
    else:
        yield CASES[request.param](tmp_path_factory.mktemp("models"))


@pytest.mark.parametrize("check", SCORE_CHECKS, ids=lambda check: check.__name__)
def test_the_contract_is_kept(case: Case, check: Callable[[Case], None]) -> None:
    check(case)
