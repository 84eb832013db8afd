"""The ONNX adapter in use: pickled, from several threads, on batches of any size, on a device."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnxruntime
import pytest
import torch

import blackbox_explain as bx
from blackbox_explain.errors import BackendMissingError, InputError
from blackbox_explain_adapters._onnx.session import Session, device_arrays
from tests.adapters.onnx.test_box import PREPROCESSING, SHAPE, guided, quantised, saved, small


def pickled(box: Any) -> Any:
    return pickle.loads(pickle.dumps(box))  # noqa: S301 - written a moment ago


@pytest.mark.parametrize(
    "make",
    [
        lambda: bx.wrap(small(), preprocessing=PREPROCESSING),
        lambda: bx.wrap(small("float[3,3,12,12] x"), threads=1),
        lambda: bx.wrap(quantised(), straight_through=True),
        lambda: bx.wrap(small(), rules={"Relu": guided}),
    ],
)
def test_a_pickled_box_answers_the_same_to_the_last_bit(make: Any, images: np.ndarray, weights: np.ndarray) -> None:
    box = make()
    before = pickled(box)
    expected = (box.scores(images), *box.scores_and_gradient(images, weights), *box.inner(images, weights, ["f"])["f"])
    for again in (before, pickled(box), copy.deepcopy(box)):
        found = (again.scores(images), *again.scores_and_gradient(images, weights))
        for one, other in zip((*found, *again.inner(images, weights, ["f"])["f"]), expected, strict=True):
            np.testing.assert_array_equal(one, other)
        assert (again.spec, again.assumptions, again.fingerprint()) == (box.spec, box.assumptions, box.fingerprint())


def test_a_pickled_box_keeps_the_reason_for_having_no_gradient(images: np.ndarray) -> None:
    box = bx.wrap(quantised())
    again = pickled(box)
    np.testing.assert_array_equal(again.scores(images), box.scores(images))
    assert type(again.no_gradient) is type(box.no_gradient)
    assert str(again.no_gradient) == str(box.no_gradient)


def test_rules_that_cannot_be_pickled_are_named() -> None:
    box = bx.wrap(small(), rules={"Relu": lambda tape, node, gradients: gradients})
    with pytest.raises(InputError, match="rules of its own cannot be pickled"):
        pickle.dumps(box)


def test_an_empty_batch_and_images_of_another_shape() -> None:
    for box in (bx.wrap(small()), bx.wrap(small("float[3,3,12,12] x"))):
        scores, gradient = box.scores_and_gradient(np.zeros((0, *SHAPE), np.float32), np.zeros((0, 5), np.float32))
        assert box.scores(np.zeros((0, *SHAPE), np.float32)).shape == scores.shape == (0, 5)
        assert gradient.shape == (0, *SHAPE)
        for shape in ((2, 3, 12, 13), (3, 12, 12), (2, 1, 12, 12)):
            with pytest.raises(InputError, match="do not fit the model"):
                box.scores(np.zeros(shape, np.float32))
            with pytest.raises(InputError, match="do not fit the model"):
                box.scores_and_gradient(np.zeros(shape, np.float32), np.zeros((2, 5), np.float32))


def test_threads_may_share_a_box(images: np.ndarray, weights: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = bx.wrap(small()).scores_and_gradient(images, weights)[1]
    box = bx.wrap(small())
    made: list[Any] = []
    usual = onnxruntime.InferenceSession
    monkeypatch.setattr(onnxruntime, "InferenceSession", lambda *a, **k: made.append(1) or usual(*a, **k))
    together = threading.Barrier(4)

    def ask(_: int) -> np.ndarray:
        together.wait()
        return box.scores_and_gradient(images, weights)[1]

    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(ask, range(4)):
            np.testing.assert_array_equal(found, expected)
    assert len(made) == 1


def test_on_a_cpu_arrays_are_numpy_and_no_pytorch_is_imported(tmp_path: Path) -> None:
    program = (
        "import sys, numpy as np, blackbox_explain as bx\n"
        f"box = bx.wrap({str(saved(tmp_path))!r}, cache=False)\n"
        "images = box.native(np.zeros((2, 3, 12, 12), np.float32))\n"
        "assert type(images) is np.ndarray\n"
        "assert type(box.scores_and_gradient(images, np.ones((2, 5), np.float32))[1]) is np.ndarray\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


class OnCuda:
    providers = ("CUDAExecutionProvider", "CPUExecutionProvider")
    device_id = 1
    on_host = ("LpPool",)


@pytest.mark.parametrize("usable", [True, False])
def test_sessions_on_cuda_read_torch_tensors_where_there_are_any(usable: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2 if usable else 0)
    place, notes = device_arrays(cast("Session", OnCuda()))
    assert place == ("cuda:1" if usable else None)
    assert "LpPool" in notes[0]
    assert len(notes) == (1 if usable else 2)


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_a_gpu_on_which_the_session_does_not_start_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    # ONNX Runtime itself goes on on the CPU, with a warning at most.
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: list(OnCuda.providers))
    with pytest.raises(BackendMissingError, match="could not start on the GPU"):
        bx.wrap(small(), device="cuda")
