"""What cannot be explained is refused by name, before it does harm."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from google.protobuf.message import EncodeError
from onnx import helper, numpy_helper, parser
from typer.testing import CliRunner

import blackbox_explain as bx
from blackbox_explain import samples
from blackbox_explain.cli import app
from blackbox_explain.errors import InputError, ModelError, UnsupportedModelError
from blackbox_explain_adapters._onnx.backward import gradient_graph as recipe
from blackbox_explain_adapters._onnx.inspection import inspect_onnx
from blackbox_explain_adapters._onnx.reading import files
from tests.adapters.onnx.test_box import small


def model(text: str, opset: int = 18, ir: int = 9, domains: tuple[str, ...] = (), **constants: Any) -> onnx.ModelProto:
    graph = parser.parse_graph(text)
    graph.initializer.extend(numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items())
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(one, 1) for one in domains)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=ir)


IMAGE = "float[N,3,8,8] x"


def refusal(box: Any) -> str:
    assert not isinstance(box, bx.Differentiable)
    return str(box.no_gradient)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (small().SerializeToString()[:400], "not an ONNX model, or it is truncated"),
        (samples.CAT.read_bytes(), "not an ONNX model"),
        (b"hello, this is text\n" * 20, "not an ONNX model"),
        (onnx.ModelProto(ir_version=9).SerializeToString(), "not an ONNX model"),
    ],
)
def test_files_that_are_no_models(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    for source in (path, content):
        with pytest.raises(UnsupportedModelError, match=message):
            bx.wrap(source)
    done = CliRunner().invoke(app, ["explain", str(samples.CAT), "--model", str(path), "--out", str(tmp_path / "out")])
    assert done.exit_code == 2
    assert message in done.stderr


def test_a_missing_file() -> None:
    with pytest.raises(UnsupportedModelError, match="no such model file"):
        bx.wrap("nothing.onnx")


def external(folder: Path) -> Path:
    onnx.save_model(
        small(),
        folder / "model.onnx",
        save_as_external_data=True,
        location="weights.bin",
        size_threshold=0,
        convert_attribute=True,
    )
    return folder / "model.onnx"


def test_weights_beside_the_model_are_read_and_those_elsewhere_are_not(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    path = external(inside)
    images = np.random.default_rng(0).random((2, 3, 12, 12), dtype=np.float32)
    np.testing.assert_allclose(bx.wrap(path).scores(images), bx.wrap(small()).scores(images), atol=1e-6)
    loose = onnx.load(path, load_external_data=False)
    with pytest.raises(UnsupportedModelError, match="lie in another file"):
        bx.wrap(loose)
    shutil.move(inside / "weights.bin", tmp_path / "weights.bin")
    with pytest.raises(UnsupportedModelError, match="are missing"):
        bx.wrap(path)
    for place in ("../weights.bin", str(tmp_path / "weights.bin")):
        for tensor in loose.graph.initializer:
            next(one for one in tensor.external_data if one.key == "location").value = place
        path.write_bytes(loose.SerializeToString())
        with pytest.raises(UnsupportedModelError, match="outside its folder"):
            bx.wrap(path)
    (inside / "weights.bin").symlink_to(tmp_path / "weights.bin")
    for tensor in loose.graph.initializer:
        next(one for one in tensor.external_data if one.key == "location").value = "weights.bin"
    path.write_bytes(loose.SerializeToString())
    with pytest.raises(UnsupportedModelError, match="outside its folder"):
        bx.wrap(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"m ({IMAGE}, float[N,2] z) => (float[N,2] y) {{ p = GlobalAveragePool(x)\nf = Flatten(p)\ns = Gemm(f, w)\ny = Add(s, z) }}", "inputs 'x', 'z'"),
        ("m (float[N,9] x) => (float[N,2] y) { y = Gemm(x, w) }", "with 2 axes"),
        ("m (int64[N,3,8,8] x) => (float[N,3,8,8] y) { y = Cast<to=1>(x) }", "of type int64"),
        ("m (string[N,3,8] x) => (string[N,3,8] y) { y = Identity(x) }", "of type string"),
        (f"m ({IMAGE}) => (string[N,3] y) {{ p = GlobalAveragePool(x)\nf = Flatten(p)\ny = Cast<to=8>(f) }}", "string"),
        (f"m ({IMAGE}) => (seq(float[N,3]) y) {{ p = GlobalAveragePool(x)\nf = Flatten(p)\ny = SequenceConstruct(f) }}", "sequence"),
        (f"m ({IMAGE}) => (float[N,100,4] boxes, int64[N,100] classes) {{ boxes = Identity(x)\nclasses = Cast<to=7>(x) }}", "boxes"),
    ],
)  # fmt: skip
def test_models_that_are_no_classifiers(text: str, message: str) -> None:
    with pytest.raises(UnsupportedModelError, match=message):
        bx.wrap(model(text, w=np.ones((9, 2), np.float32)))


def test_a_size_left_free_must_be_said() -> None:
    free = model("m (float[N,3,H,W] x) => (float[N,3] y) { p = GlobalAveragePool(x)\ny = Flatten(p) }")
    with pytest.raises(InputError, match=r"shape=\(3, 224, 224\)"):
        bx.wrap(free)
    assert bx.wrap(free, shape=(3, 9, 7)).scores(np.ones((2, 3, 9, 7), np.float32)).shape == (2, 3)


def test_weights_that_are_not_numbers() -> None:
    broken = small()
    array = numpy_helper.to_array(broken.graph.initializer[0]).copy()
    array[0, 0, 0, 0] = np.nan
    broken.graph.initializer[0].CopyFrom(numpy_helper.from_array(array, "w"))
    with pytest.raises(ModelError, match=r"hold NaN.*'w'"):
        bx.wrap(broken)


def test_outputs_that_are_no_scores_are_found_by_a_run() -> None:
    hidden = model(f"m ({IMAGE}) => (float[N,3,8,8] y) {{ y = Exp(x) }}")
    hidden.graph.output[0].type.tensor_type.ClearField("shape")
    with pytest.raises(UnsupportedModelError, match=r"outputs of shape \(4, 3, 8, 8\)"):
        bx.wrap(hidden)


HEAD = "p = GlobalAveragePool(a)\ny = Flatten(p)"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("r = Round(x)\na = Mul(r, x)", r"Round \(node .*cuts the gradient"),
        ("i = Cast<to=6>(x)\na = Cast<to=1>(i)", r"Cast \(node .*cuts the gradient"),
        ("q, s, z = DynamicQuantizeLinear(x)\na = DequantizeLinear(q, s, z)", "straight_through=True"),
        ("q, s, z = DynamicQuantizeLinear(x)\ni = ConvInteger(q, w)\na = Cast<to=1>(i)", "has no surrogate either"),
        ("l, m, i = LayerNormalization(x, e)\na = Add(l, m)", "LayerNormalization .*second output"),
        ("m = ReduceMax<keepdims=0>(x)\na = Clip(x, , m)", "Clip .*input 'm' depends on the image"),
        ("d = Det(x)\nu = Unsqueeze(d, ax)\na = Mul(x, u)", "Det .*no gradient rule"),
    ],
)
def test_models_without_a_gradient_give_scores_and_the_reason(body: str, message: str) -> None:
    box = bx.wrap(
        model(
            f"m (float[1,3,8,8] x) => (float[1,3] y) {{ {body}\n{HEAD} }}",
            ax=np.array([2, 3]),
            e=np.ones(8, np.float32),
            w=np.ones((3, 3, 1, 1), np.uint8),
        ),
        cache=False,
    )
    images = np.random.default_rng(0).random((2, 3, 8, 8), dtype=np.float32)
    assert box.scores(images).shape == (2, 3)
    assert not isinstance(box, bx.Differentiable)
    assert re.search(message, refusal(box))
    assert ("straight_through" in refusal(box)) == (message == "straight_through=True")


def test_a_surrogate_is_advised_where_there_is_one() -> None:
    text = f"m (float[1,3,8,8] x) => (float[1,3] y) {{ q, s, z = DynamicQuantizeLinear(x)\na = DequantizeLinear(q, s, z)\n{HEAD} }}"
    assert isinstance(bx.wrap(model(text), straight_through=True, cache=False), bx.Differentiable)


def test_control_flow_that_depends_on_the_image() -> None:
    branch = "{bn} () => (float[N,3,8,8] {bn}_out) {{ {bn}_out = {op}(x) }}"
    text = (
        f"m ({IMAGE}) => (float[N,3] y) {{ s = ReduceSum<keepdims=0>(x)\nc = Greater(s, t)\n"
        f"a = If (c) <then_branch = {branch.format(bn='th', op='Exp')}, else_branch = {branch.format(bn='el', op='Neg')}>\n{HEAD} }}"
    )
    box = bx.wrap(model(text, t=np.float32(90)))
    assert re.search("control flow that the image, or the number of images, decides", refusal(box))


def test_weights_beyond_what_a_message_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "LARGEST", 100)
    with pytest.raises(UnsupportedModelError, match=r"too large.*framework"):
        bx.wrap(small())


def test_a_gradient_graph_beyond_what_a_message_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless:
        graph = onnx.GraphProto()

        def SerializeToString(self) -> bytes:  # noqa: N802 (a message has it)
            raise EncodeError("Failed to serialize proto")

    monkeypatch.setattr(recipe, "differentiate", lambda *_args, **_kwargs: Endless())
    box = bx.wrap(model(f"m ({IMAGE}) => (float[N,3] y) {{ a = Exp(x)\n{HEAD} }}"), cache=False)
    assert "more than 2 GB" in refusal(box)


def test_custom_operators() -> None:
    known = model(
        f"m ({IMAGE}) => (float[N,3] y) {{ a = com.microsoft.Inverse(x)\n{HEAD} }}", domains=("com.microsoft",)
    )
    box = bx.wrap(known)
    assert re.search(r"com\.microsoft\.Inverse.*before an optimiser", refusal(box))
    unknown = model(f"m ({IMAGE}) => (float[N,3] y) {{ a = own.Thing(x)\n{HEAD} }}", domains=("own",))
    with pytest.raises(ModelError, match="own"):
        bx.wrap(unknown)


def test_an_opset_of_the_future() -> None:
    future = model(f"m ({IMAGE}) => (float[N,3] y) {{ a = Exp(x)\n{HEAD} }}", opset=99)
    with pytest.raises(ModelError, match=r"99|opset"):
        bx.wrap(future)


def test_scores_that_do_not_depend_on_the_image() -> None:
    constant = model(
        f"m ({IMAGE}) => (float[N,3] y) {{ s = Shape<start=0, end=1>(x)\nk = Concat<axis=0>(s, three)\ny = ConstantOfShape(k) }}",
        three=np.array([3]),
    )
    box = bx.wrap(constant)
    assert re.search(r"depends? on the image|no path", refusal(box))


def test_inspection(tmp_path: Path) -> None:
    onnx.save(small(), tmp_path / "small.onnx")
    done = CliRunner().invoke(app, ["models", "inspect", str(tmp_path / "small.onnx")])
    assert done.exit_code == 0, done.output
    for part in (
        "x: float N × 3 × 12 × 12",
        "y: float N × 5",
        "ai.onnx 18",
        "261",
        "Conv",
        "differentiable: exact gradients",
    ):
        assert part in done.output
    onnx.save(model(f"m ({IMAGE}) => (float[N,3] y) {{ a = Round(x)\n{HEAD} }}"), tmp_path / "cut.onnx")
    done = CliRunner().invoke(app, ["models", "inspect", str(tmp_path / "cut.onnx"), "--json"])
    assert '"differentiable": false' in done.output
    assert '"usable": true' in done.output
    assert "Round" in done.output
    two = model(f"m ({IMAGE}, float[1] z) => (float[N,3] y) {{ a = Mul(x, z)\n{HEAD} }}")
    onnx.save(two, tmp_path / "two.onnx")
    done = CliRunner().invoke(app, ["models", "inspect", str(tmp_path / "two.onnx")])
    assert "cannot be explained as it is" in done.output
    assert "constants=" in done.output
    done = CliRunner().invoke(app, ["models", "inspect", str(tmp_path / "none.onnx")])
    assert done.exit_code == 2


def test_inspection_counts_the_weights_beside_the_graph(tmp_path: Path) -> None:
    wide = small()
    wide.graph.initializer.append(numpy_helper.from_array(np.zeros(500_000, np.float32), "unused"))
    onnx.save(wide, tmp_path / "whole.onnx")
    onnx.save_model(wide, tmp_path / "apart.onnx", save_as_external_data=True, location="weights.bin")
    assert dict(inspect_onnx(tmp_path / "whole.onnx").facts)["file"] == "2.0 MB"
    told = dict(inspect_onnx(tmp_path / "apart.onnx").facts)["file"]
    assert told == "2.0 MB, 2.0 MB of it beside the graph"


def test_inspection_says_of_each_operator_why_it_is_no_obstacle(tmp_path: Path) -> None:
    steps = model(
        "m (float[N,3,H] x) => (float[N,4] y) { t = Transpose<perm=[2,0,1]>(x)\ns = Shape(x)\nz = ConstantOfShape(s)\n"
        "q, h = LSTM<hidden_size=4>(t, w, r)\nl = Squeeze(h, a)\ne = Equal(l, l)\nn = Not(e)\nk = Cast<to=1>(n)\ny = Add(l, k) }",
        w=np.ones((1, 16, 3), np.float32),
        r=np.ones((1, 16, 4), np.float32),
        a=np.array([0]),
    )
    onnx.save(steps, tmp_path / "steps.onnx")
    done = CliRunner().invoke(app, ["models", "inspect", str(tmp_path / "steps.onnx"), "--json"])
    rows = {row["name"]: row["gradient"] for row in json.loads(done.output)["operators"]}
    assert rows["LSTM"] == "step by step"
    assert rows["Transpose"] == rows["Add"] == "yes"
    assert rows["Equal"] == rows["Not"] == rows["Cast"] == "not needed: its slope is zero"
    assert rows["ConstantOfShape"] == "not needed: does not read pixels"


def test_external_weights_shorter_than_told(tmp_path: Path) -> None:
    path = external(tmp_path)
    weights = tmp_path / "weights.bin"
    weights.write_bytes(weights.read_bytes()[:-8])
    with pytest.raises(UnsupportedModelError, match="cannot be read"):
        bx.wrap(path)


def test_sparse_constants_elsewhere_are_not_opened(tmp_path: Path) -> None:
    made = small()
    constant = made.graph.node.add(op_type="Constant", output=["s"])
    attribute = constant.attribute.add(name="sparse_value", type=onnx.AttributeProto.SPARSE_TENSOR)
    attribute.sparse_tensor.values.data_location = onnx.TensorProto.EXTERNAL
    attribute.sparse_tensor.values.external_data.add(key="location", value="../elsewhere.bin")
    path = tmp_path / "model.onnx"
    path.write_bytes(made.SerializeToString())
    with pytest.raises(UnsupportedModelError, match="outside its folder"):
        bx.wrap(path)


def test_images_of_whole_numbers_and_weights_of_other_images() -> None:
    box = bx.wrap(small())
    with pytest.raises(InputError, match=r"floats in pixel space.*uint8"):
        box.scores(np.zeros((2, 3, 12, 12), np.uint8))
    with pytest.raises(InputError, match=r"weights do not fit.*\(1, 5\)"):
        box.scores_and_gradient(np.zeros((2, 3, 12, 12), np.float32), np.zeros((1, 5), np.float32))
