"""Loop and Scan, differentiated step by step, against differences in double precision."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper, parser

from blackbox_explain.errors import UnsupportedModelError
from blackbox_explain_adapters._onnx.backward.differentiation import WEIGHTS, differentiate

RNG = np.random.default_rng(0)

# Each step reads `x` from outside, carries `h`, and leaves `o`; what is called `inner` is in every body.
STEP = "inner = Mul(h, s) t = Tanh(inner) u = Add(t, x) ho = Mul(u, s) o = Exp(ho)"
IN, OUT = "int64 i, bool c, double[N,4] h", "double[N,4] ho, double[N,4] o"


def loop(condition: str = "co = Identity(c)", count: str = "m") -> str:
    return f"e, os = Loop({count}, yes, x) <body = b ({IN}) => (bool co, {OUT}) {{ {STEP} {condition} }}>"


def scan(attributes: str) -> str:
    body = "b (double[N,4] h, double[N,4] v) => (double[N,4] ho, double[N,4] o) { inner = Mul(h, v) a = Sin(inner) ho = Add(a, v) o = Mul(ho, x) }"
    return f"e, os = Scan(x, q) <{attributes}, body = {body}>"


def model(text: str, output: str = "double[] y", opset: int = 18, **constants: Any) -> onnx.ModelProto:
    graph = parser.parse_graph(f"g (double[N,4] x) => ({output}) {{ {text} }}")
    graph.output[0].type.tensor_type.ClearField("shape")
    values = {"m": np.array(3), "yes": np.array(True), "s": np.array(0.7), "last": np.array(2)} | constants
    graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in values.items())
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def run(made: onnx.ModelProto, **feeds: np.ndarray) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, feeds)


MIX = "k = ReduceMean(os, ax)\ny = Add(k, e)"
TO = np.array([0])
OLD = "k = ReduceMean<axes=[0]>(os)\ny = Add(k, e)"

CASES = {
    "loop": model(f"{loop()}\n{MIX}", ax=TO),
    "loop, opset 11": model(f"{loop()}\n{OLD}", opset=11),
    "loop without a number": model(f"{loop('co = Less(i, last)', count='')}\n{MIX}", ax=TO),
    "loop that a condition ends": model(
        f"{loop('co = Less(i, last)', count='m')}\n{MIX}", m=np.array(9_000), ax=TO
    ),
    "loop whose steps nobody asks for": model(f"{loop()}\ny = Mul(e, s)"),
    "loop that carries nothing": model(
        "os = Loop(m, yes) <body = b (int64 i, bool c) => (bool co, double[N,4] o)"
        " { co = Identity(c) j = Cast<to=11>(i) inner = Mul(x, j) o = Tanh(inner) }>\ny = ReduceSum(os, ax)",
        ax=TO,
    ),
    "loop whose body has axes as attributes": model(
        "y = Loop(m, yes, x) <body = b (int64 i, bool c, double[N,4] h) => (bool co, double[N,4] ho)"
        " { co = Identity(c) r = ReduceMean<axes=[1]>(h) t = Tanh(r) ho = Sub(x, t) }>",
        opset=13,
    ),
    "loop in a loop": model(
        "y = Loop(m, yes, x) <body = a (int64 n, bool c, double[N,4] g) => (bool co, double[N,4] go) { co = Identity(c) "
        f"e, os = Loop(m, yes, g) <body = b (int64 i, bool d, double[N,4] h) => (bool do, {OUT}) {{ do = Identity(d) {STEP} }}>"
        " inner = Mul(e, s) go = Sin(inner) }>"
    ),
    "loop in a branch": model(
        f"big = Greater(m, last)\ny = If (big) <then_branch = p () => (double[N,4] w) {{ {loop()} w = Mul(e, x) }},"
        " else_branch = q () => (double[N,4] w) { w = Neg(x) }>"
    ),
    "scan": model(f"q = Expand(x, to)\n{scan('num_scan_inputs=1')}\n{MIX}", to=np.array([3, 1, 1]), ax=TO),
    "scan backwards along other axes": model(
        "t = Unsqueeze(x, ax)\n"
        f"q = Mul(t, k)\n{scan('num_scan_inputs=1, scan_input_axes=[-1], scan_input_directions=[1], scan_output_axes=[1], scan_output_directions=[1]')}\n"
        "d = Mul(os, l)\nr = ReduceSum(d, one)\ny = Add(r, e)",

        k=RNG.random((1, 1, 3)),
        l=RNG.random((1, 3, 1)),
        ax=np.array([2]),
        one=np.array([1]),
    ),
    "scan of a constant": model(
        f"{scan('num_scan_inputs=1')}\n{MIX}", q=RNG.random((3, 1, 4)), ax=TO
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_gradients(case: onnx.ModelProto) -> None:
    graph = differentiate(case)
    images = RNG.standard_normal((2, 4))
    expected = run(case, x=images)[0]
    weights = RNG.standard_normal(expected.shape)
    found, gradient = run(graph, x=images, **{WEIGHTS: weights})
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    for _ in range(3):
        way = RNG.standard_normal(images.shape)
        ahead, behind = (np.sum(run(case, x=images + sign * 1e-6 * way)[0] * weights) for sign in (1, -1))
        assert float(np.sum(gradient * way)) == pytest.approx((ahead - behind) / 2e-6, rel=1e-6)
    assert not {"Loop", "Scan", "If"} & {node.op_type for node in graph.graph.node}


@pytest.mark.parametrize(
    ("case", "message"),
    [
        (model(f"{loop('w = ReduceMax<keepdims=0>(ho) co = Less(w, s)')}\n{MIX}", ax=TO), "when the image says so"),
        (
            model(
                "f = ReduceMax<keepdims=0>(x)\ny, z = Loop(m, yes, x, f) <body = b (int64 i, bool c, double[N,4] h, double g)"
                " => (bool co, double[N,4] ho, double k) { co = Less(g, s) k = Identity(g) ho = Tanh(h) }>"
            ),
            "when the image says so",
        ),
        (model(f"w = ReduceMax<keepdims=0>(x)\nn = Cast<to=7>(w)\n{loop(count='n')}\ny = Mul(e, s)"), "image says so"),
        (model(f"w = Shape<end=1>(x)\nn = Squeeze(w)\n{loop(count='n')}\n{MIX}", ax=TO), "unknown number of steps"),
        (model(f"{loop()}\n{MIX}", m=np.array(2_000), ax=TO), "takes 2000 steps"),
    ],
)
def test_steps_whose_number_is_not_known_are_refused(case: onnx.ModelProto, message: str) -> None:
    with pytest.raises(UnsupportedModelError, match=message):
        differentiate(case)
