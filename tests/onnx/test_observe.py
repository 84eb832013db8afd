"""What a run of the forward half shows, and what it costs to look."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import onnx

from blackbox_explain_adapters._onnx.observe import fold, observe

DEEP = """
import resource
import onnx
from blackbox_explain_adapters._onnx.observe import observe

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
    assert seen.values["times"] == 12  # one entry of its shape varies with the values, the other does not
