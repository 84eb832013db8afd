"""What wrapping costs: weights are held once, and kept graphs hold none of them."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper, parser

import blackbox_explain as bx
from blackbox_explain_adapters._onnx import cache, session
from blackbox_explain_adapters._onnx.graph.weights import held_at, together
from blackbox_explain_adapters._onnx.reading.files import model_of, read_model

WIDE = 2000

TEXT = """
    c = Conv<pads=[1,1,1,1], strides=[2,2]>(x, k)
    r = Relu(c)
    f = Flatten(r)
    a = MatMul(f, w)
    t = Tanh(a)
    b = Gemm<transB=1>(t, v)
    u = Relu(b)
    d = Transpose<perm=[1,0]>(z)
    y = MatMul(u, d)
"""


def heavy(width: int = WIDE, names: str = "") -> onnx.ModelProto:
    """Make a classifier of images (3, 16, 16), most of whose weights are in two layers."""
    graph = parser.parse_graph(f"heavy (float[N,3,16,16] x) => (float[N,5] y) {{ {TEXT} }}")
    rng = np.random.default_rng(0)
    for name, shape in {"k": (64, 3, 3, 3), "w": (4096, width), "v": (width, width), "z": (5, width)}.items():
        value = rng.standard_normal(shape, dtype=np.float32) / np.sqrt(np.prod(shape[1:])).astype(np.float32)
        graph.initializer.append(numpy_helper.from_array(value, name))
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    if names:
        helper.set_model_props(made, {"names": names})
    return made


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("heavy") / "heavy.onnx"
    place.write_bytes(heavy().SerializeToString())
    return place


PEAK = """
import resource, sys
import numpy, onnx, onnxruntime, blackbox_explain as bx, blackbox_explain_adapters._onnx.wrapping
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
box = bx.wrap(sys.argv[1])
box.scores_and_gradient(numpy.zeros((1, 3, 16, 16), numpy.float32), numpy.ones((1, 5), numpy.float32))
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""


def test_memory_is_a_small_multiple_of_the_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLACKBOX_EXPLAIN_CACHE", str(tmp_path / "cache"))
    model = tmp_path / "model.onnx"
    model.write_bytes(heavy(4000).SerializeToString())
    size = model.stat().st_size
    assert size > 1.2e8
    for _ in range(2):  # without and with what is kept
        done = subprocess.run([sys.executable, "-c", PEAK, str(model)], capture_output=True, text=True, check=True)
        assert int(done.stdout) < 1.8 * size


def test_kept_graphs_hold_no_weights(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLACKBOX_EXPLAIN_CACHE", str(tmp_path))
    bx.wrap(path)
    (kept,) = cache.folder().glob("*.onnx")
    assert kept.stat().st_size < path.stat().st_size / 200


def test_other_class_names_find_the_kept_graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLACKBOX_EXPLAIN_CACHE", str(tmp_path))
    bx.wrap(heavy(100))
    bx.wrap(heavy(100, names="['a', 'b', 'c', 'd', 'e']"))
    bx.wrap(heavy(100), class_names=["v", "w", "x", "y", "z"])
    assert len(list(cache.folder().glob("*.onnx"))) == 1
    changed = heavy(100)
    weights = next(one for one in changed.graph.initializer if one.name == "w")
    weights.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weights) * np.float32(1.5), "w"))
    bx.wrap(changed)
    assert len(list(cache.folder().glob("*.onnx"))) == 2


def answers(box: Any) -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    images = rng.random((3, 3, 16, 16), dtype=np.float32)
    return list(map(np.asarray, box.scores_and_gradient(images, rng.random((3, 5), dtype=np.float32))))


def test_shared_weights_give_the_same_scores_and_gradients(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = onnx.load(path)
    beside = tmp_path / "beside.onnx"
    onnx.save_model(onnx.load(path), beside, save_as_external_data=True, location="weights.bin", size_threshold=0)
    graph = bx.wrap(path, cache=False)
    assert graph._parts.weights.nbytes >= session.MANY
    many = [answers(graph), answers(bx.wrap(model, cache=False)), answers(bx.wrap(beside, cache=False))]
    many.append(answers(pickle.loads(pickle.dumps(graph))))  # noqa: S301 (our own)
    monkeypatch.setattr(session, "MANY", 1 << 40)
    expected = answers(bx.wrap(path, cache=False))
    for found in many:
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5 * float(np.abs(other).max()))


def test_a_file_that_changed_is_not_read_again(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.onnx"
    copy.write_bytes(path.read_bytes())
    whole = read_model(copy)
    copy.write_bytes(b"x" * copy.stat().st_size)
    expected = answers(bx.wrap(path, cache=False))
    for one, other in zip(answers(bx.wrap(whole, cache=False)), expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_reading_apart_loses_nothing(path: Path) -> None:
    model, weights = model_of(read_model(path))
    assert {held_at(one) for one in model.graph.initializer} >= {"#w", "#v"}
    assert together(model, weights) == onnx.load(path)


def test_a_gradient_graph_that_is_given_away_is_whole(path: Path) -> None:
    box: Any = bx.wrap(path, cache=False)
    graph = onnx.ModelProto.FromString(box.gradient_graph())
    assert not any(held_at(one) for one in graph.graph.initializer)
