"""The public contract over PyTorch, ONNX and functions, and that no check of it is one that cannot fail.

The same contract over TensorFlow and Keras: ``tests/tensorflow/test_contract.py``; over TFLite, scikit-learn, endpoints
and commands: ``tests/test_score_only_contract.py``.
"""

from __future__ import annotations

import functools
import importlib
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest

import blackbox_explain as bx
from blackbox_explain.testing import CHECKS, SCORE_CHECKS, Case, check_black_box
from tests.box.broken_boxes import BROKEN, Good, NamesTooMany, ScoresOnly, SecondRowWrong, WithLogits, case_of
from tests.box.randomizable_boxes import BROKEN_RANDOM, Drawn
from tests.kinds import kept

PREPROCESSING = bx.Preprocessing(mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3), channels="BGR")


def backend(name: str) -> Any:
    """Import a framework; skip without it, fail without it where REQUIRE_BACKENDS=1."""
    return importlib.import_module(name) if os.environ.get("REQUIRE_BACKENDS") == "1" else pytest.importorskip(name)


def torch_module(*, training: bool = False, **options: Any) -> Case:
    torch = backend("torch")
    from tests.methods.test_invariance import Small

    torch.manual_seed(0)
    model = Small().train(training)

    def state() -> object:
        return (
            [one.training for one in model.modules()],
            {name: tensor.numpy().tobytes() for name, tensor in model.state_dict().items()},
            [tensor.requires_grad for tensor in model.parameters()],
            torch.get_rng_state().numpy().tobytes(),
        )

    return Case(lambda: bx.wrap(model, shape=(3, 24, 24), preprocessing=PREPROCESSING, **options), state=state)


def torch_file(form: str) -> Case:
    backend("torch")
    from tests.adapters.torch import test_adapter as test_torch_adapter
    from tests.methods import test_invariance

    importlib.import_module("torch").manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        path = getattr(test_torch_adapter, form)(test_invariance.Small().eval(), Path(folder))
        stored = path.read_bytes()

    def make() -> bx.BlackBox:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / path.name).write_bytes(stored)
            return bx.wrap(Path(folder) / path.name, shape=(3, 24, 24), preprocessing=PREPROCESSING)

    return Case(make)


def onnx_graph(*source: str, gradient: bool = True, **options: Any) -> Case:
    backend("onnxruntime")
    from tests.adapters.onnx.test_box import small

    model = small(*source)
    return Case(
        lambda: bx.wrap(model, preprocessing=PREPROCESSING, **options), gradient=gradient, state=model.SerializeToString
    )


def function(*, gradient: bool = False, layout: Any = "channels_first", **options: Any) -> Case:
    filters = np.random.default_rng(0).normal(size=(3 * 8 * 7, 5)).astype(np.float32) / 8

    def scores(images: np.ndarray) -> np.ndarray:
        images *= 1.5  # in place, as some do
        return np.tanh(images.reshape(len(images), -1) @ filters)

    def by_images(images: np.ndarray, weights: np.ndarray) -> np.ndarray:
        answers = np.tanh(1.5 * images.reshape(len(images), -1) @ filters)
        return (1.5 * (weights * (1 - answers**2)) @ filters.T).reshape(images.shape)

    told = bx.Preprocessing(PREPROCESSING.mean, PREPROCESSING.std, "BGR", layout)
    options = {"shape": (3, 8, 7), "preprocessing": told, **({"gradient": by_images} if gradient else {}), **options}
    return Case(lambda: bx.wrap(scores, **options), gradient=gradient, state=filters.tobytes)


def embedded() -> Case:
    backend("onnxruntime")
    return Case(lambda: bx.wrap("efficientnet-lite0"))


WITH_GRADIENT: dict[str, Callable[[], Case]] = {
    "good": lambda: case_of(Good),
    "good, with logits": lambda: case_of(WithLogits),
    "torch": torch_module,
    "torch, training": lambda: torch_module(training=True),
    "torch, channels last": lambda: torch_module(channels_last=True),
    "torchscript": lambda: torch_file("scripted"),
    "exported": lambda: torch_file("exported"),
    "exported, fixed batch": lambda: torch_file("exported_fixed"),
    "onnx": onnx_graph,
    "onnx, channels last": lambda: onnx_graph("float[N,12,12,3] x", "a = Transpose<perm=[0,3,1,2]>(x)"),
    "onnx, fixed batch": lambda: onnx_graph("float[4,3,12,12] x"),
    "onnx, softmax inside": lambda: onnx_graph("float[N,3,12,12] x", "a = Identity(x)", "y = Softmax<axis=1>(l)"),
    "function": lambda: function(gradient=True),
    "function, log": lambda: function(gradient=True, layout="channels_last", activation="log_softmax"),
    "embedded": embedded,
}
"""One line for each form of model that has gradients."""

SCORES_ONLY: dict[str, Callable[[], Case]] = {
    "onnx, no rule": lambda: onnx_graph("float[N,3,12,12] x", "t = Round(x)\na = Mul(t, x)", gradient=False),
    "function": function,
    "function, fixed batch": lambda: function(fixed_batch=4),
}
"""One line for each that has none."""


@functools.cache
def case_named(table: str, name: str) -> Case:
    return {"gradient": WITH_GRADIENT, "scores": SCORES_ONLY}[table][name]()


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("name", kept(WITH_GRADIENT, *(name for name in WITH_GRADIENT if name != "embedded")))
def test_models_with_gradients(name: str, check: Callable[[Case], None]) -> None:
    check(case_named("gradient", name))


@pytest.mark.parametrize("check", SCORE_CHECKS)
@pytest.mark.parametrize("name", SCORES_ONLY)
def test_models_with_scores_only(name: str, check: Callable[[Case], None]) -> None:
    check(case_named("scores", name))


def failed(case: Case) -> list[str]:
    """Return the names of the checks that fail."""
    found = []
    for check in CHECKS:
        try:
            check(case)
        except AssertionError:
            found.append(check.__name__)
    return found


@pytest.mark.parametrize(
    ("check", "make"), [(check, make) for check, makes in (BROKEN | BROKEN_RANDOM).items() for make in makes], ids=str
)
def test_a_broken_box_fails_the_check_it_breaks_and_no_other(check: str, make: Any) -> None:
    assert failed(case_of(make)) == [check]


def test_a_gradient_is_there_if_and_only_if_it_is_promised() -> None:
    assert failed(case_of(Good, gradient=False)) == ["check_gradient_promised"]
    assert failed(case_of(ScoresOnly, gradient=False)) == []
    assert "check_gradient_promised" in failed(case_of(ScoresOnly))


def test_what_one_fault_breaks_at_once() -> None:
    assert failed(case_of(SecondRowWrong)) == ["check_company", "check_gradient_differences"]
    assert failed(case_of(NamesTooMany)) == ["check_value_range", "check_explain"]


def test_every_check_is_broken_by_some_box() -> None:
    assert {*BROKEN, *BROKEN_RANDOM, "check_gradient_promised"} == {check.__name__ for check in CHECKS}


def test_all_failures_are_reported_together() -> None:
    check_black_box(case_of(Good))
    check_black_box(case_of(Drawn))

    class Broken(Good):
        scores: Any = None

    with pytest.raises(AssertionError, match=r"(?s)1\d of 22 .*check_scores: TypeError.*check_threads: TypeError"):
        check_black_box(case_of(Broken))


def test_a_run_that_ends_does_not_wake_dropout_in_another_thread() -> None:
    torch = backend("torch")
    entered, leave = [Event(), Event()], [Event(), Event()]
    seen: list[bool] = []

    class Waits(torch.nn.Module):
        def forward(self, images: Any) -> Any:
            which = int(images[0, 0, 0, 0])
            entered[which].set()
            assert leave[which].wait(30)
            seen.append(self.training)
            return images.mean(dim=(2, 3))

    model = Waits().train()
    for one in leave:
        one.set()
    box = bx.wrap(model, shape=(3, 4, 4), bounds=(0, 2), activation="none")
    for one in (*entered, *leave):
        one.clear()
    seen.clear()
    with ThreadPoolExecutor(2) as pool:
        runs = []
        for which in (0, 1):
            runs.append(pool.submit(box.scores, np.full((2, 3, 4, 4), which, np.float32)))
            assert entered[which].wait(30)
        leave[0].set()
        runs[0].result(30)
        assert not model.training
        leave[1].set()
        runs[1].result(30)
    assert seen == [False, False]
    assert model.training


READ = """
import pickle, sys
box, images = pickle.load(sys.stdin.buffer)
sys.stdout.buffer.write(pickle.dumps((type(box).__name__, box.scores(images), box.activation, box.assumptions)))
"""


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
@pytest.mark.parametrize("form", ["module", "scripted", "script inside"])
def test_pytorch_boxes_are_read_by_another_process_after_use(form: str) -> None:
    torch = backend("torch")
    images = np.random.default_rng(0).random((2, 3, 24, 24), dtype=np.float32)
    if form == "script inside":
        script = torch.jit.trace(torch.nn.Conv2d(3, 4, 3).eval(), torch.zeros(1, 3, 24, 24))
        box: Any = bx.wrap(torch.nn.Sequential(script, torch.nn.Flatten(), torch.nn.Linear(1936, 3)), shape=(3, 24, 24))
    else:
        box = torch_module(channels_last=True).make() if form == "module" else torch_file("scripted").make()
    bx.explain(box, images, progress=False, steps=1)
    # The package alone is imported there, and torch by what is read.
    done = subprocess.run([sys.executable, "-c", READ], input=pickle.dumps((box, images)), capture_output=True)
    assert done.returncode == 0, done.stderr
    name, scores, activation, assumptions = pickle.loads(done.stdout)  # noqa: S301
    assert (name, activation, assumptions) == (type(box).__name__, box.activation, box.assumptions)
    np.testing.assert_allclose(scores, box.scores(images), atol=1e-6)
