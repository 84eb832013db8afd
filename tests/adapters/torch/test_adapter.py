"""PyTorch in all its forms: modules, TorchScript, exported programs, precisions, memory formats."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import blackbox_explain as bx
from blackbox_explain.errors import InputError, ModelError, UnsupportedModelError
from tests.adapters.torch.conftest import SHAPE
from tests.methods.test_invariance import Small

PREPROCESSING = bx.Preprocessing(mean=(0.4, 0.5, 0.6), std=0.25, channels="BGR")


def scripted(model: torch.nn.Module, folder: Path) -> Any:
    traced = torch.jit.trace(model, torch.zeros(1, *SHAPE), check_trace=False)
    traced.save(str(folder / "model.pt"))
    return folder / "model.pt"


def exported(model: torch.nn.Module, folder: Path) -> Any:
    batch = {"images": {0: torch.export.Dim("batch", min=1, max=64)}}
    program = torch.export.export(model, (torch.zeros(2, *SHAPE),), dynamic_shapes=batch)
    torch.export.save(program, folder / "model.pt2")
    return folder / "model.pt2"


def exported_fixed(model: torch.nn.Module, folder: Path) -> Any:
    torch.export.save(torch.export.export(model, (torch.zeros(2, *SHAPE),)), folder / "fixed.pt2")
    return folder / "fixed.pt2"


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
@pytest.mark.parametrize("form", [lambda model, _folder: model, scripted, exported, exported_fixed])
def test_every_form_gives_the_same_scores_and_gradients(
    form: Any, model: torch.nn.Module, images: np.ndarray, tmp_path: Path
) -> None:
    inputs = torch.tensor(images, requires_grad=True)
    expected = model((inputs - torch.tensor([0.4, 0.5, 0.6])[:, None, None]).flip(1) / 0.25).softmax(1)
    weights = np.random.default_rng(1).random((3, 5), dtype=np.float32)
    (expected * torch.tensor(weights)).sum().backward()
    box = bx.wrap(form(model, tmp_path), shape=SHAPE, preprocessing=PREPROCESSING)
    np.testing.assert_allclose(box.scores(images), expected.detach().numpy(), atol=1e-6)
    scores, gradient = box.scores_and_gradient(images, weights)
    np.testing.assert_allclose(scores, expected.detach().numpy(), atol=1e-6)
    np.testing.assert_allclose(gradient, inputs.grad.numpy(), atol=1e-7)
    assert box.activation == "softmax"
    result = bx.explain(box, images, progress=False, steps=2)
    assert any("softmax" in sentence for sentence in result.provenance.assumptions)
    assert result.provenance.model_fingerprint.startswith("sha256:")


def test_exported_programs_tell_their_shape(model: torch.nn.Module, tmp_path: Path) -> None:
    box = bx.wrap(exported_fixed(model, tmp_path))
    assert box.spec.shape == SHAPE
    assert any("no preprocessing" in sentence for sentence in box.assumptions)
    with pytest.raises(InputError, match="another shape"):
        bx.wrap(exported_fixed(model, tmp_path), shape=(3, 32, 32))


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_gradients_inside_the_callers_modes(mode: Any, model: torch.nn.Module, images: np.ndarray) -> None:
    box = bx.wrap(model, shape=SHAPE)
    weights = np.ones((3, 5), np.float32) * np.arange(5, dtype=np.float32)
    expected = box.scores_and_gradient(images, weights)[1]
    with mode():
        found = box.scores_and_gradient(torch.tensor(images), torch.tensor(weights))[1]
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-7)


@pytest.mark.parametrize("options", [{"channels_last": True}, {"autocast": "bfloat16"}, {"device": "cpu"}])
def test_options_change_speed_and_not_the_answer(options: Any, model: torch.nn.Module, images: np.ndarray) -> None:
    plain = bx.wrap(model, shape=SHAPE).scores(images)
    found = bx.wrap(model, shape=SHAPE, **options).scores(images)
    np.testing.assert_allclose(found, plain, atol=5e-3 if "autocast" in options else 1e-5)


def test_other_precisions(model: torch.nn.Module, images: np.ndarray) -> None:
    plain = bx.wrap(model, shape=SHAPE).scores(images)
    double = bx.wrap(model.double(), shape=SHAPE)
    np.testing.assert_allclose(double.scores(images), plain, atol=1e-6)
    assert double.scores_and_gradient(images, np.ones((3, 5), np.float32))[1].dtype == np.float32


class Answers(torch.nn.Module):
    def __init__(self, make: Any) -> None:
        super().__init__()
        self.make = make

    def forward(self, images: torch.Tensor) -> Any:
        return self.make(images.mean(dim=(2, 3)))


class Head(torch.nn.Module):
    """A network whose outputs for every image are near 0.5, and what is done with them."""

    def __init__(self, end: Any, classes: int = 2) -> None:
        super().__init__()
        self.body = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1))
        self.linear = torch.nn.Linear(4, classes)
        torch.nn.init.constant_(self.linear.weight, 1e-3)
        torch.nn.init.constant_(self.linear.bias, 0.4)
        self.end = end

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.end(self.linear(self.body(images).flatten(1)))


ENDS: list[tuple[torch.nn.Module, int, str, str]] = [
    (torch.nn.Identity(), 2, "softmax", "linear layer: a softmax"),
    (torch.nn.Identity(), 1, "sigmoid", "linear layer with one output"),
    (torch.nn.Unflatten(1, (2, 1)), 2, "softmax", "linear layer"),
    (torch.nn.Softmax(1), 2, "none", "ends in a softmax"),
    (torch.nn.LogSoftmax(1), 2, "none", "ends in a log_softmax"),
    (torch.nn.Sigmoid(), 2, "none", "ends in a sigmoid"),
    (torch.nn.ReLU(), 2, "none", "lie in [0, 1]"),
]


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
@pytest.mark.parametrize("form", ["module", "traced", "scripted", "exported"])
@pytest.mark.parametrize(("end", "classes", "activation", "reason"), ENDS)
def test_what_the_module_ends_in_decides_and_not_the_range(
    form: str, end: torch.nn.Module, classes: int, activation: str, reason: str, images: np.ndarray
) -> None:
    torch.manual_seed(0)
    head = torch.nn.Sequential(Head(end, classes), torch.nn.Flatten()).eval()
    example = torch.zeros(2, *SHAPE)
    made: Any = {
        "module": lambda: head,
        "traced": lambda: torch.jit.trace(head, example),
        "scripted": lambda: torch.jit.script(head),
        "exported": lambda: torch.export.export(head, (example,)),
    }[form]()
    if form != "exported":
        for _ in range(3):  # TorchScript is compiled by and by
            made(torch.tensor(images).requires_grad_())
    box = bx.wrap(made, shape=SHAPE)
    assert box.activation == activation
    assert any(reason in one for one in box.assumptions)


def test_a_guess_by_the_range_of_outputs_is_taken_back_loudly(images: np.ndarray) -> None:
    box = bx.wrap(Answers(lambda scores: scores * torch.where(scores > 0.99, 0.9, 1.3)), shape=SHAPE)
    assert box.activation == "none"
    with pytest.raises(ModelError, match=r"--activation softmax"):
        box.scores(0.9 + 0.05 * images)
    with pytest.raises(ModelError, match=r"--activation softmax"):
        box.scores_and_gradient(0.9 + 0.05 * images, np.ones((3, 3), np.float32))


def test_an_activation_that_is_there_is_not_applied_twice(images: np.ndarray) -> None:
    model = Answers(lambda scores: scores.softmax(1))
    box = bx.wrap(model, shape=SHAPE, activation="softmax")
    assert any("ends in a softmax itself, so that none is applied" in one for one in box.assumptions)
    np.testing.assert_array_equal(box.scores(images), bx.wrap(model, shape=SHAPE).scores(images))
    with pytest.raises(InputError, match=r"ends in a softmax, which cannot be replaced.*activation='sigmoid'"):
        bx.wrap(model, shape=SHAPE, activation="sigmoid")
    function = bx.wrap(lambda rows: model(torch.tensor(rows)), shape=SHAPE, activation="softmax")
    assert any("a softmax is applied as asked for, although" in one for one in function.assumptions)


def test_logarithms_of_probabilities_become_these_again(images: np.ndarray) -> None:
    model = Answers(lambda scores: scores.log_softmax(1))
    box = bx.wrap(model, shape=SHAPE, activation="softmax")
    logarithms = bx.wrap(model, shape=SHAPE, activation="none").scores(images)
    np.testing.assert_allclose(box.scores(images), np.exp(logarithms), atol=1e-6)
    with pytest.raises(InputError, match="ends in a log_sigmoid"):
        bx.wrap(Answers(torch.nn.functional.logsigmoid), shape=SHAPE, activation="sigmoid")


def test_logits_of_a_constant_sum_are_no_percentages(images: np.ndarray) -> None:
    head = torch.nn.Linear(3, 4)
    with torch.no_grad():
        head.weight.sub_(head.weight.mean(0))
        head.bias.fill_(25.0)
    net = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), head).eval()
    assert bx.wrap(net, shape=SHAPE).activation == "softmax"


def test_percentages_and_log_sigmoids_are_taken_as_they_are(images: np.ndarray) -> None:
    hundred = bx.wrap(Answers(lambda scores: 100 * scores.softmax(1)), shape=SHAPE)
    assert hundred.activation == "none"
    assert any("sum to 100, as percentages" in one for one in hundred.assumptions)
    np.testing.assert_allclose(hundred.scores(images).sum(1), 100, rtol=1e-4)
    assert bx.wrap(Answers(torch.nn.functional.logsigmoid), shape=SHAPE).activation == "none"


def test_labels_that_a_module_answers_with_are_refused() -> None:
    with pytest.raises(ModelError, match="looks like the predicted class"):
        bx.wrap(Answers(lambda scores: scores.argmax(1)), shape=SHAPE)


def test_modules_with_a_mode_of_their_own_are_to_be_evaluated_first() -> None:
    class Merged(Answers):
        def train(self, mode: bool = True) -> Merged:
            return super().train(mode)

    said = "train() of Merged, which does more, is not called: call eval()"
    module = Merged(lambda scores: scores)
    module.training = True
    assert any(said in one for one in bx.wrap(module, shape=SHAPE).assumptions)
    assert not any("is not called" in one for one in bx.wrap(module.eval(), shape=SHAPE).assumptions)


def test_weights_that_are_not_loaded_are_no_model(model: torch.nn.Module) -> None:
    with pytest.raises(InputError, match=r"weights of this model are not loaded.*meta"):
        bx.wrap(model.to("meta"), shape=SHAPE)


def test_buffers_of_other_layouts_are_part_of_the_fingerprint(images: np.ndarray) -> None:
    class Held(Answers):
        def __init__(self, factor: float) -> None:
            super().__init__(lambda scores: scores)
            self.register_buffer("sparse", factor * torch.eye(3).to_sparse())
            self.register_buffer("conjugate", torch.tensor([1 + 2j]).conj())

    first, second = (bx.wrap(Held(factor), shape=SHAPE) for factor in (1, 2))
    assert first.fingerprint() != second.fingerprint()
    assert bx.explain(first, images, 0, method="center", progress=False).provenance.model_fingerprint


def test_activations(images: np.ndarray) -> None:
    mean = images.mean(axis=(2, 3)) * 8 - 4
    linear = Answers(lambda scores: scores * 8 - 4)
    np.testing.assert_allclose(bx.wrap(linear, shape=SHAPE, activation="none").scores(images), mean, atol=1e-5)
    np.testing.assert_allclose(
        bx.wrap(linear, shape=SHAPE, activation="sigmoid").scores(images), 1 / (1 + np.exp(-mean)), atol=1e-6
    )
    one = bx.wrap(Answers(lambda scores: scores[:, :1] * 8 - 2), shape=SHAPE)
    assert one.activation == "sigmoid"
    probable = bx.wrap(Answers(lambda scores: scores.softmax(1)), shape=SHAPE)
    assert probable.activation == "none"


def test_what_the_adapter_refuses(model: torch.nn.Module, images: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--shape"):
        bx.wrap(model)
    with pytest.raises(InputError, match="activation"):
        bx.wrap(model, shape=SHAPE, activation="relu")
    with pytest.raises(InputError, match="cannot move there"):
        bx.wrap(model, shape=SHAPE, device="cuda:99")
    for autocast in ("float99", True, "int8"):
        with pytest.raises(InputError, match=str(autocast)):
            bx.wrap(model, shape=SHAPE, autocast=autocast)
    with pytest.raises(InputError, match="another number of channels"):
        bx.wrap(model, shape=SHAPE, preprocessing=bx.Preprocessing(mean=(0.1, 0.2)))
    with pytest.raises(UnsupportedModelError, match="not among the outputs"):
        bx.wrap(Answers(lambda _scores: {"a": 1, "b": 2}), shape=SHAPE)
    (tmp_path / "junk.pt2").write_bytes(b"junk")
    (tmp_path / "junk.pt").write_bytes(b"junk")
    torch.save(model.state_dict(), tmp_path / "weights.pt")
    torch.save(model, tmp_path / "module.pt")
    for name in ("junk.pt2", "junk.pt", "weights.pt, which holds weights alone", "module.pt, which holds a pickled"):
        with pytest.raises(UnsupportedModelError, match=name):
            bx.wrap(tmp_path / name.split(",")[0], shape=SHAPE)


def test_an_exported_program_runs_no_pickled_code(model: torch.nn.Module, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "pwned",)

    good = exported_fixed(model, tmp_path)
    payload = io.BytesIO()
    torch.save(Evil(), payload)
    changed = 0
    with zipfile.ZipFile(good) as source, zipfile.ZipFile(tmp_path / "evil.pt2", "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if "sample_inputs" in name:
                content, changed = payload.getvalue(), changed + 1
            target.writestr(name, content)
    assert changed
    with pytest.raises(UnsupportedModelError):
        bx.wrap(tmp_path / "evil.pt2")
    assert not (tmp_path / "pwned").exists()


def test_a_symbolic_trace_is_evaluated_and_left_alone(images: np.ndarray) -> None:
    torch.manual_seed(0)
    plain = Small().train()
    traced = torch.fx.symbolic_trace(torch.nn.Sequential(plain.body, torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()))
    traced.train()
    before = {name: value.clone() for name, value in traced.state_dict().items()}
    box = bx.wrap(traced, shape=SHAPE)
    np.testing.assert_array_equal(box.scores(images), box.scores(images))
    assert all(torch.equal(before[name], value) for name, value in traced.state_dict().items())
    assert traced.training


def test_free_sizes_of_a_program_take_the_callers_shape(tmp_path: Path) -> None:
    free = {"input": {2: torch.export.Dim("high", min=8, max=64), 3: torch.export.Dim("wide", min=8, max=64)}}
    layers = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    program = torch.export.export(layers, (torch.zeros(1, 3, 16, 16),), dynamic_shapes=free)
    assert bx.wrap(program, shape=(3, 32, 24)).scores(np.zeros((2, 3, 32, 24), np.float32)).shape == (2, 4)
    with pytest.raises(InputError, match="does not tell"):
        bx.wrap(program)
