"""What is said of a model on the command line, kept in results, and used again by ``verify``."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from typer.testing import CliRunner, Result

import blackbox_explain as bx
from blackbox_explain import samples
from blackbox_explain.cli import app
from blackbox_explain.cli.options.model import ModelOptions, complete_models
from blackbox_explain.cli.options.model_record import ModelRecord, completed
from blackbox_explain.cli.options.preprocessing import preprocessing_from
from blackbox_explain.errors import InputError, ResultError


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)))


@pytest.fixture
def net(tmp_path: Path) -> Path:
    """Return an ONNX file: the mean of each channel in the upper half, times 9, is the output of a class."""
    nodes = [
        helper.make_node("Slice", ["x", "start", "end", "axis"], ["top"]),
        helper.make_node("GlobalAveragePool", ["top"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["flat"]),
        helper.make_node("Mul", ["flat", "nine"], ["y"]),
    ]
    constants = {"start": np.array([0]), "end": np.array([16]), "axis": np.array([2]), "nine": np.float32([9])}
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 32, 32])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    path = tmp_path / "models" / "net.onnx"
    path.parent.mkdir()
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def test_verify_needs_no_options(net: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = tmp_path / "names.txt"
    names.write_text("red\ngreen\nblue\n")
    said = ("--mean", "123,117,104", "--std", "58", "--range", "255", "--bgr", "--activation", "sigmoid")
    done = run("explain", samples.CAT, "--model", "models/net.onnx", *said, "--classes", "names.txt", "--out", "out")
    assert done.exit_code == 0, done.output
    kept = json.loads((tmp_path / "out" / "cat.json").read_text())["provenance"]["model"]
    assert kept["model"] == "models/net.onnx"
    assert kept["path"] == str(net)
    assert kept["options"] == {
        "mean": "123,117,104",
        "std": "58",
        "largest": 255.0,
        "bgr": True,
        "activation": "sigmoid",
        "classes": str(names),
    }
    result = tmp_path / "out" / "cat.npz"
    # From another folder, too.
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    done = run("verify", result, "--seeds", 0)
    assert done.exit_code == 0, done.output
    assert "the model is the one that the result was made with" in done.output
    # What is told comes first, and preprocessing is one thing.
    assert run("verify", result, "--seeds", 0, "--mean", "123,117,104", "--range", "255").exit_code == 1
    assert run("verify", result, "--seeds", 0, "--activation", "softmax").exit_code == 1
    moved = shutil.move(net, tmp_path / "elsewhere" / "moved.onnx")
    done = run("verify", result, "--seeds", 0)
    assert done.exit_code == 2
    assert f"not where it was. Got {net}; try: --model" in done.output
    assert run("verify", result, "--seeds", 0, "--model", moved).exit_code == 0
    # Beside the result it is found again.
    shutil.copy(moved, tmp_path / "out" / "net.onnx")
    assert run("verify", result, "--seeds", 0).exit_code == 0


def test_a_result_that_names_no_model_is_not_of_the_default_one(net: Path, tmp_path: Path) -> None:
    box = bx.wrap(net, activation="softmax")
    result = bx.explain(box, bx.load_images(samples.CAT, box.spec), progress=False)
    path = result.save(tmp_path / "cat.npz")
    done = run("verify", path)
    assert "The result does not name its model" in done.output
    assert "--model" in done.output
    assert done.exit_code == 2
    assert run("verify", path, "--model", net, "--activation", "softmax", "--seeds", 0).exit_code == 0


def test_no_result_chooses_what_runs_or_where_secrets_go() -> None:
    beside = Path()
    for model in ("command:rm -r photos", "net:make", "ftp:there"):
        record = ModelRecord.of(ModelOptions(model=model, shape="3,32,32"))
        for kind in (record.kind, "name", "address", "file"):
            forged = ModelRecord.from_dict({**record.to_dict(), "kind": kind})
            with pytest.raises(ResultError, match="--model"):
                completed(ModelOptions(), None, forged, beside)
        # Whoever says it again may run it, and needs to say no more.
        assert completed(ModelOptions(), model, record, beside) == ModelOptions(model=model, shape="3,32,32")
    secret = ModelOptions(model="https://me:word@host/scores?key=1", option=['headers={"key": "word"}', "timeout=3"])
    record = ModelRecord.of(secret)
    assert "word" not in json.dumps(record.to_dict())
    assert record.model == "https://host/scores"
    assert record.options == {"option": ["timeout=3"]}
    with pytest.raises(ResultError, match="does not keep what may be secret"):
        completed(ModelOptions(), None, record, beside)
    plain = ModelRecord.of(ModelOptions(model="http://host/scores", option=["allow_lambda=true", "timeout=3"]))
    assert completed(ModelOptions(), None, plain, beside) == ModelOptions(
        model="http://host/scores", option=["timeout=3"]
    )


def test_scores_of_many_steps_are_joined_as_the_message_says(tmp_path: Path) -> None:
    path = tmp_path / "steps.onnx"
    body = "r = ReduceMean<axes=[3], keepdims=0>(x) y = Transpose<perm=[0,2,1]>(r)"
    graph = f"g (float[n,3,32,32] x) => (float[n,32,3] y) {{ {body} }}"
    onnx.save(onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]> {graph}'), path)
    given = ("explain", samples.CAT, "--model", path, "--perturbation", "constant", "--out", tmp_path / "out")
    refused = run(*given)
    assert refused.exit_code == 2
    assert "(--reduce mean,1)" in refused.output
    assert run(*given, "--reduce", "mean,1").exit_code == 0
    assert run("models", "inspect", path, "--reduce", "mean,1").output.count("exact gradients") == 1
    assert run("verify", tmp_path / "out" / "cat.npz", "--seeds", 0).exit_code == 0
    assert "--reduce is not KIND,AXIS. Got 'mean,one'" in run(*given, "--reduce", "mean,one").output


def test_what_is_typed_comes_before_what_is_kept() -> None:
    kept = ModelRecord.of(
        ModelOptions(model="efficientnet-lite0", mean="123", largest=255.0, activation="none", option=["threads=2"])
    )
    found = completed(ModelOptions(mean="0.5", device="cpu", option=["threads=1"]), None, kept, Path())
    assert found == ModelOptions(
        model="efficientnet-lite0", device="cpu", mean="0.5", activation="none", option=["threads=2", "threads=1"]
    )
    assert found.for_adapter() == {"device": "cpu", "threads": 1}
    # Options of an adapter are not for a file of another format.
    onnx_file = ModelRecord.of(ModelOptions(model="a.onnx", straight_through=True, output="scores"))
    assert completed(ModelOptions(), "b.tflite", onnx_file, Path()) == ModelOptions(model="b.tflite")
    assert completed(ModelOptions(), "b.onnx", onnx_file, Path()).output == "scores"


@pytest.mark.parametrize(
    "change",
    [{"kind": "other"}, {"options": {"device": "cpu"}}, {"options": {"mean": 3}}, {"model": None}, {"left_out": None}],
)
def test_records_that_are_none_are_refused(change: dict[str, Any]) -> None:
    whole = ModelRecord.of(ModelOptions()).to_dict()
    assert ModelRecord.from_dict(whole) == ModelRecord.of(ModelOptions())
    with pytest.raises(ResultError, match="cannot be read"):
        ModelRecord.from_dict({**whole, **change})


def test_preprocessing_is_read_in_the_order_of_red_green_blue() -> None:
    caffe = preprocessing_from("123,117,104", "1", 255, bgr=True)
    assert caffe == bx.Preprocessing((123 / 255, 117 / 255, 104 / 255), 1 / 255, channels="BGR")
    assert preprocessing_from("0.485,0.456,0.406", "0.229,0.224,0.225", None, bgr=False) is not None
    assert preprocessing_from(None, None, None, bgr=False) is None


def test_what_is_doubtful_in_the_options_leaves_no_row_ok(net: Path, tmp_path: Path) -> None:
    options = ("--model", net, "--mean", "0.485,0.456,0.406", "--range", "255", "--out", tmp_path / "out")
    done = run("explain", samples.CAT, *options, "--json")
    assert done.exit_code == 0, done.output
    (row,) = json.loads(done.stdout)
    assert row["outcome"] == "weak"
    said = "the mean is 0.2% of white: is it in other units than they are"
    assert said in row["provenance"]["doubts"][0]
    assert f"warning: {said}" in " ".join(done.stderr.split())
    assert f"check: {said}" in " ".join(run("explain", samples.CAT, *options).output.split())


@pytest.mark.parametrize(
    ("mean", "std", "largest", "said"),
    [
        ("123,117,104", None, None, "try: --mean 123,117,104 --range 255"),
        (None, "255", None, "try: --std 255 --range 255"),
        ("300", None, 255, "--range"),
        ("a", None, None, "--mean is not a list of numbers"),
        ("0.5", None, -1, "no pixel value of white"),
    ],
)
def test_impossible_preprocessing_is_refused(
    mean: str | None, std: str | None, largest: float | None, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        preprocessing_from(mean, std, largest, bgr=False)


def test_shells_complete_models_and_choices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "efficient.onnx").touch()
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets" / "a.onnx").touch()
    assert complete_models("eff") == ["efficientnet-lite0", "efficient.onnx"]
    assert complete_models("ne") == ["nets/"]
    assert complete_models("nets/") == ["nets/a.onnx"]
    assert complete_models("absent/") == []
    complete = {"_BLACKBOX_EXPLAIN_COMPLETE": "complete_bash", "COMP_CWORD": "4"}
    words = {"COMP_WORDS": "blackbox-explain explain cat.jpg --activation "}
    done = CliRunner().invoke(app, [], env=complete | words, prog_name="blackbox-explain")
    assert set(done.output.split()) == {"auto", "softmax", "log_softmax", "sigmoid", "none"}
