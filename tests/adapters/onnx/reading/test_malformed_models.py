"""Models that no exporter writes: errors of ours, and never a crash; and what is tried out before it is used."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from typer.testing import CliRunner

import blackbox_explain as bx
from blackbox_explain.cli import app
from blackbox_explain.errors import ModelError, OutOfMemoryError, UnsupportedModelError
from blackbox_explain_adapters._onnx.backward import gradient_graph as recipe
from blackbox_explain_adapters._onnx.backward.differentiation import differentiate
from blackbox_explain_adapters._onnx.box import DifferentiableOnnx
from tests.adapters.onnx.test_box import small


def refusal(box: Any) -> str:
    assert not isinstance(box, bx.Differentiable)
    return str(box.no_gradient)


def changed(change: Any) -> onnx.ModelProto:
    made = small()
    change(made.graph)
    return made


def _circle(graph: Any) -> None:
    graph.node[-1].input[0] = "y"


def _short_weights(graph: Any) -> None:
    graph.initializer[0].raw_data = graph.initializer[0].raw_data[:-4]


def _unknown_weights(graph: Any) -> None:
    graph.initializer[0].data_type = 99


def _unknown_input(graph: Any) -> None:
    graph.input[0].type.tensor_type.elem_type = 99


def _no_inputs(graph: Any) -> None:
    del graph.node[-1].input[:]


def _no_branches(graph: Any) -> None:
    graph.node.extend([helper.make_node("If", ["k"], ["z"])])
    graph.initializer.append(numpy_helper.from_array(np.array(True), "k"))


def _no_condition(graph: Any) -> None:
    graph.node.extend([helper.make_node("If", [], ["z"])])


def _sparse(graph: Any) -> None:
    graph.sparse_initializer.add().values.name = "s"


@pytest.mark.parametrize(
    "change",
    [_circle, _short_weights, _unknown_weights, _unknown_input, _no_inputs, _no_branches, _no_condition, _sparse],
)
def test_malformed_models_have_errors_of_ours(change: Any, tmp_path: Path) -> None:
    made = changed(change)
    path = tmp_path / "model.onnx"
    path.write_bytes(made.SerializeToString())
    for source in (made, path):
        with pytest.raises((UnsupportedModelError, ModelError)):
            bx.wrap(source)
    done = CliRunner().invoke(app, ["models", "inspect", str(path)])
    assert done.exception is None or isinstance(done.exception, SystemExit)
    assert "cannot be explained" in done.output or done.exit_code == 2


@pytest.mark.parametrize(
    "text", ["{[1]: 2}", "{0: 'a', 1: 'b'", "[" * 10_000, "__import__('os')", "{1: 'b'}", "['a', 2]"]
)
def test_class_names_in_metadata_that_are_none(text: str) -> None:
    made = small()
    helper.set_model_props(made, {"names": text})
    assert bx.wrap(made).spec.class_names is None


def test_a_fault_of_the_differentiation_leaves_the_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_args: Any, **_kwargs: Any) -> Any:
        raise KeyError("a")

    monkeypatch.setattr(recipe, "differentiate", fails)
    box = bx.wrap(small(), cache=False)
    assert re.search("KeyError: 'a'.*report it", refusal(box))
    assert box.scores(np.zeros((2, 3, 12, 12), np.float32)).shape == (2, 5)


def with_more_bias(model: onnx.ModelProto, more: np.ndarray) -> onnx.ModelProto:
    wrong = onnx.ModelProto()
    wrong.CopyFrom(model)
    bias = next(one for one in wrong.graph.initializer if one.name == "b")
    bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) + more, "b"))
    return wrong


def test_a_gradient_graph_that_gives_other_scores_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def other(model: onnx.ModelProto, **options: Any) -> onnx.ModelProto:
        return differentiate(with_more_bias(model, np.arange(5, dtype=np.float32)), **options)

    monkeypatch.setattr(recipe, "differentiate", other)
    assert re.search("scores that are off by .* of the largest", refusal(bx.wrap(small(), cache=False)))


def test_a_gradient_graph_that_does_not_run_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(model: onnx.ModelProto, **options: Any) -> onnx.ModelProto:
        made = differentiate(model, **options)
        made.graph.node[-1].op_type = "Unheard"
        return made

    monkeypatch.setattr(recipe, "differentiate", broken)
    box = bx.wrap(small(), cache=False)
    assert re.search("ONNX Runtime does not take the model", refusal(box))
    assert box.scores(np.zeros((2, 3, 12, 12), np.float32)).shape == (2, 5)


def test_scores_that_are_no_numbers_where_the_model_has_some_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(model: onnx.ModelProto, **options: Any) -> onnx.ModelProto:
        return differentiate(with_more_bias(model, np.full(5, np.nan, np.float32)), **options)

    monkeypatch.setattr(recipe, "differentiate", broken)
    assert "off by inf" in refusal(bx.wrap(small(), cache=False))


def test_models_that_draw_lots_are_not_held_against_themselves() -> None:
    box = bx.wrap(small(before="q = RandomNormal<shape=[3,12,12]>()\na = Add(x, q)"), cache=False)
    assert isinstance(box, bx.Differentiable), getattr(box, "no_gradient", "")


def test_a_trial_that_takes_too_much_memory_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_args: Any) -> Any:
        raise OutOfMemoryError("The device ran out of memory")

    monkeypatch.setattr(DifferentiableOnnx, "scores_and_gradient", full)
    assert isinstance(bx.wrap(small(), cache=False), bx.Differentiable)


@pytest.mark.parametrize("source", ["float[N,3,12,12] x", "float[4,3,12,12] x"])
def test_one_number_for_all_images_is_no_answer(source: str) -> None:
    made = small(source, head="y = ReduceMean<keepdims=0>(l)")
    made.graph.output[0].type.tensor_type.ClearField("shape")
    with pytest.raises((ModelError, UnsupportedModelError), match=r"class scores|row for each image"):
        bx.wrap(made)


def test_a_name_that_is_no_text_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "damaged.onnx"
    made = changed(lambda graph: graph.node[-1].input.__setitem__(0, "no text"))
    path.write_bytes(made.SerializeToString().replace(b"no text", b"no \xb8\x94xt"))
    with pytest.raises(ModelError, match=r"ONNX Runtime does not take the model.*no ��xt"):
        bx.wrap(path, cache=False)
    assert capsys.readouterr().out == ""
