"""What a run of the forward half shows, and what it costs to look."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from blackbox_explain_adapters._onnx.graph import observation as observe_module
from blackbox_explain_adapters._onnx.graph.observation import fold, observe
from blackbox_explain_adapters._onnx.graph.shortened import shortened

DEEP = """
import resource
import onnx
from blackbox_explain_adapters._onnx.graph.observation import observe

layers = "\\n".join(f"t{k + 1} = Tanh(t{k})" for k in range(60))
text = f'<ir_version: 9, opset_import: ["": 18]> g (float[N,3,512,512] t0) => (float[N,3,512,512] t60) {{ {layers} }}'
model = onnx.parser.parse_model(text)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert len(observe(model).tensors) == 61
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_tensors_are_not_kept_while_they_are_looked_at() -> None:
    done = subprocess.run([sys.executable, "-c", DEEP], capture_output=True, text=True, check=True)
    # One of the 60 takes 15 MB for the largest batch.
    assert int(done.stdout) < 200


def test_shapes_types_and_constants() -> None:
    text = """<ir_version: 9, opset_import: ["": 18]>
        g (float[N, 3, 4] x) => (float[N, 12] y) <int64[2] to = {0, -1}, float[4] mask = {0.0, 0.0, 0.0, 0.0}> {
        s = Shape<start = 1>(x)
        f = Flatten(x)
        h = Cast<to = 10>(f)
        one = Shape<end = 1>(x)
        gone = Log(mask)
        a = Add(x, gone)
        p = Softmax(a)
        b = IsNaN(p)
        w = Where(b, x, p)
        y = Reshape(w, to)
    }"""
    model = onnx.parser.parse_model(text)
    seen = observe(model)
    assert seen.tensors["x"].shape == (None, 3, 4)
    assert seen.tensors["f"].batched
    assert seen.tensors["h"].dtype == np.float16
    assert seen.tensors["b"].dtype == np.bool_
    assert seen.tensors["p"].has_nan
    assert not seen.tensors["w"].has_nan
    np.testing.assert_array_equal(seen.values["s"], [3, 4])
    assert "one" not in seen.values
    constants = fold(model, seen)[1]
    assert {"s", "gone", "to", "mask"} <= set(constants)
    assert not {"f", "one", "p"} & set(constants)


def test_what_three_batches_do_not_tell_is_no_constant() -> None:
    text = """<ir_version: 9, opset_import: ["": 18]>
        g (float[N, 3, 4] x) => (float[N, 3, 4] y)
        <int64 six = {6}, int64 zero = {0}, int64 minus = {-1}, float one = {1.0}, float two = {2.0}> {
        s = Shape(x)
        n = Gather(s, zero)
        many = Greater(n, six)
        tens = Div(n, six)
        none = Greater(zero, n)
        free = Equal(s, minus)
        k = Where(many, two, one)
        y = Mul(x, k)
    }"""
    seen = observe(onnx.parser.parse_model(text))
    assert {"many", "k", "n", "s"}.isdisjoint(seen.values)
    # Of what holds for every batch, both are known.
    np.testing.assert_array_equal(seen.values["free"], [False] * 3)
    assert not seen.values["none"]


def test_batches_are_told_apart_by_size_remainder_and_what_cannot_be_computed() -> None:
    text = """<ir_version: 9, opset_import: ["": 18]>
        g (float[N, 3, 4] x) => (float[N, 3, 4] y)
        <int64 large = {72}, int64 zero = {0}, int64 eight = {8}, int64 four = {4}, int64 six = {6}, float one = {1.0},
         float two = {2.0}, int64[8] table = {5, 5, 5, 5, 5, 5, 5, 5}, int64 eight_dozens = {96}> {
        s = Shape(x)
        n = Gather(s, zero)
        size = Size(x)
        many = Greater(size, large)
        rest = Mod(n, eight)
        even = Equal(rest, zero)
        is_four = Equal(n, four)
        more = Greater(n, six)
        taken = Gather(table, n)
        r = ReduceSum<keepdims=0>(x)
        channels = Shape<start=1, end=2>(x)
        both = Add(n, channels)
        dozens = Greater(both, eight_dozens)
        places = NonZero(x)
        counted = Shape(places)
        rank = Gather(counted, zero)
        times = Mul(rank, four)
        k = Where(many, two, one)
        y = Mul(x, k)
    }"""
    seen = observe(onnx.parser.parse_model(text))
    assert {"many", "k", "even", "is_four", "more", "n", "size", "dozens"}.isdisjoint(seen.values)
    assert "times" not in seen.values  # of a shape that follows values nothing is told, though this entry does not


PRODUCTS = """<ir_version: 9, opset_import: ["": 18]>
    g (float[N, 4, 6, 6] x) => (float[N, 5] y) <int64[3] rows = {0, 4, -1}> {
    c = Conv<strides = [2, 2], pads = [1, 1, 1, 1]>(x, k)
    d = Conv<group = 4>(c, l)
    r = Reshape(d, rows)
    t = Transpose<perm = [0, 2, 1]>(r)
    a = MatMul(r, t)
    p = Softmax(a)
    b = MatMul(p, r)
    f = Flatten(b)
    y = Gemm<transB = 1>(f, w)
}"""


def test_what_is_seen_of_other_batches_is_what_the_whole_network_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    model = onnx.parser.parse_model(PRODUCTS)
    rng = np.random.default_rng(0)
    for name, shape in {"k": (4, 4, 3, 3), "l": (4, 1, 2, 2), "w": (5, 16)}.items():
        model.graph.initializer.append(numpy_helper.from_array(rng.random(shape, dtype=np.float32), name))
    found: list[onnx.ModelProto] = []

    def noted(*given: Any) -> Any:
        found.append(shortened(*given))
        return found[-1]

    monkeypatch.setattr(observe_module, "shortened", noted)
    quick = observe(model)
    assert [node.op_type for node in found[0].graph.node].count("Slice") == 8  # both factors of all but one product
    monkeypatch.setattr(observe_module, "shortened", lambda *_given: None)
    assert quick.tensors == observe(model).tensors
    assert quick.tensors["y"].batched


def test_networks_that_make_whole_numbers_of_pixels_are_run_as_they_are() -> None:
    text = """<ir_version: 9, opset_import: ["": 18]>
        g (float[N, 4] x) => (float[N, 4] y) { a = MatMul(x, w)\n i = ArgMax(a)\n j = Cast<to = 1>(i)\n y = Mul(a, j) }"""
    model = onnx.parser.parse_model(text)
    types = {name: np.dtype(kind) for name, kind in {"a": "f4", "i": "i8", "j": "f4", "y": "f4"}.items()}
    shapes = {"x": (1, 4), "w": (4, 4), "a": (1, 4)}
    assert shortened(model, shapes, types, set()) is None
    assert shortened(model, shapes, types, {"i"}) is not None
