"""Other backward rules of PyTorch modules: logits by autograd itself, guided ones by way of an ONNX export."""

from __future__ import annotations

import pickle
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import blackbox_explain as bx
from blackbox_explain.errors import BackendMissingError, InputError, UnsupportedModelError
from tests.kinds import kept

SHAPE, CLASSES = (3, 12, 10), 4
IMAGES = np.random.default_rng(0).random((3, *SHAPE), dtype=np.float32)
WEIGHTS = np.random.default_rng(1).standard_normal((3, CLASSES)).astype(np.float32)
PREPROCESSING = bx.Preprocessing(mean=(0.4, 0.5, 0.6), std=0.25, channels="BGR")


class Net(torch.nn.Module):
    """Two convolutions, each rectified by a module or by a function, and an activation behind them or none."""

    def __init__(self, rectify: Any = torch.relu, ending: Any = None) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = torch.nn.Conv2d(3, 6, 3)
        self.norm = torch.nn.BatchNorm2d(6)
        self.second = torch.nn.Conv2d(6, 8, 3, stride=2)
        self.head = torch.nn.Linear(8, CLASSES)
        self.relus = torch.nn.ModuleList([torch.nn.ReLU(), torch.nn.ReLU()]) if rectify is None else [rectify] * 2
        self.ending = ending

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        inner = self.relus[0](self.norm(self.first(images)))
        logits = self.head(self.relus[1](self.second(inner)).mean((2, 3)))
        return logits if self.ending is None else self.ending(logits)


class Guided(torch.autograd.Function):
    """A rectifier that hands back only what is positive, where it is active."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x)
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx: Any, slope: torch.Tensor) -> torch.Tensor:
        return slope.clamp(min=0) * (ctx.saved_tensors[0] > 0)


class Deconvolved(Guided):
    """A rectifier that hands back only what is positive."""

    @staticmethod
    def backward(ctx: Any, slope: torch.Tensor) -> torch.Tensor:
        return slope.clamp(min=0)


def wrapped(module: torch.nn.Module, **options: Any) -> Any:
    return bx.wrap(module, shape=SHAPE, preprocessing=PREPROCESSING, **options)


def read() -> torch.Tensor:
    """Return the images as the module reads them, without the box."""
    return (torch.tensor(IMAGES) - torch.tensor([0.4, 0.5, 0.6])[:, None, None]).flip(1) / 0.25


def by_hand(rectify: Any, activate: Any = lambda logits: logits) -> np.ndarray:
    leaf = torch.tensor(IMAGES, requires_grad=True)
    inputs = (leaf - torch.tensor([0.4, 0.5, 0.6])[:, None, None]).flip(1) / 0.25
    total = (activate(Net(rectify).eval()(inputs)) * torch.tensor(WEIGHTS)).sum()
    return torch.autograd.grad(total, leaf)[0].numpy()


@pytest.mark.parametrize("rectify", [None, torch.relu], ids=["modules", "functions"])
@pytest.mark.parametrize(("rules", "by"), kept([("guided", Guided), ("deconvnet", Deconvolved)], ("guided", Guided)))
def test_rules_by_the_export_are_those_written_by_hand(rectify: Any, rules: str, by: Any) -> None:
    box = wrapped(Net(rectify)).with_backward(rules, of="logits")
    scores, gradient = box.scores_and_gradient(IMAGES, WEIGHTS)
    np.testing.assert_allclose(scores, Net().eval()(read()).detach().numpy(), atol=1e-5)
    np.testing.assert_allclose(gradient, by_hand(by.apply), atol=1e-5)
    assert np.abs(gradient - by_hand(torch.relu)).max() > 1e-3


def test_of_scores_rules_go_on_behind_the_activation() -> None:
    box = wrapped(Net(), activation="softmax", class_names=["a", "b", "c", "d"])
    made = box.with_backward("guided")
    expected = by_hand(Guided.apply, lambda logits: logits.softmax(1))
    np.testing.assert_allclose(made.scores_and_gradient(IMAGES, WEIGHTS)[1], expected, atol=1e-5)
    np.testing.assert_allclose(made.scores(IMAGES), box.scores(IMAGES), atol=1e-5)
    assert (made.activation, made.spec.class_names) == ("softmax", ("a", "b", "c", "d"))
    as_tensors = made.scores_and_gradient(torch.tensor(IMAGES), torch.tensor(WEIGHTS))[1]
    assert isinstance(as_tensors, torch.Tensor)
    assert any("ONNX export" in one for one in made.assumptions)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("rules", "name"),
    kept([("guided", "GuidedBackprop"), ("deconvnet", "Deconvolution")], ("guided", "GuidedBackprop")),
)
def test_rules_by_the_export_are_those_of_captum(rules: str, name: str) -> None:
    attr = pytest.importorskip("captum.attr")
    box = bx.wrap(Net(None), shape=SHAPE).with_backward(rules, of="logits")
    _, gradient = box.scores_and_gradient(IMAGES, np.tile(np.float32([0, 0, 1, 0]), (3, 1)))
    images = torch.tensor(IMAGES, requires_grad=True)
    expected = getattr(attr, name)(Net(None).eval()).attribute(images, target=2)
    np.testing.assert_allclose(gradient, expected.detach().numpy(), atol=1e-5)


@pytest.mark.parametrize("of", ["scores", "logits"])
def test_exact_rules_are_left_to_autograd(of: Any) -> None:
    box = wrapped(Net(), activation="softmax")
    made = box.with_backward("exact", of=of)
    assert type(made) is type(box)
    activate = (lambda logits: logits.softmax(1)) if of == "scores" else (lambda logits: logits)
    scores, gradient = made.scores_and_gradient(IMAGES, WEIGHTS)
    np.testing.assert_allclose(scores, activate(Net().eval()(read())).detach().numpy(), atol=1e-6)
    np.testing.assert_allclose(gradient, by_hand(torch.relu, activate), atol=1e-6)
    assert (made.fingerprint() == box.fingerprint()) == (of == "scores")


def test_the_box_of_logits_can_be_looked_into_pickled_and_asked_again() -> None:
    box = wrapped(Net(), activation="softmax").with_backward("exact", of="logits")
    assert isinstance(box, bx.Layered)
    _, slopes = box.inner(IMAGES, WEIGHTS, ["second"])["second"]
    expected = WEIGHTS @ Net().head.weight.detach().numpy() / slopes[0, 0].size
    values = box.inner(IMAGES, WEIGHTS, ["second"])["second"][0]
    np.testing.assert_allclose(slopes, (values > 0) * expected[:, :, None, None], atol=1e-6)
    again = pickle.loads(pickle.dumps(box))  # noqa: S301 - made here
    np.testing.assert_array_equal(again.scores(IMAGES), box.scores(IMAGES))
    assert again.fingerprint() == box.fingerprint()
    np.testing.assert_array_equal(box.with_backward("exact", of="logits").scores(IMAGES), box.scores(IMAGES))


ENDINGS = {
    "softmax, a module": torch.nn.Softmax(1),
    "softmax, a function": lambda logits: torch.nn.functional.softmax(logits, -1),
    "softmax, then reshaped": lambda logits: logits.softmax(1)[:, :, None, None],
    "softmax, after another": lambda logits: (logits + logits.softmax(1).detach() * 0).softmax(1),
    "log softmax": torch.nn.LogSoftmax(1),
    "sigmoid": torch.sigmoid,
}


@pytest.mark.parametrize("ending", kept(ENDINGS, "softmax, a module", "softmax, then reshaped", "sigmoid"))
def test_the_activation_that_a_module_ends_in_is_left_out(ending: str) -> None:
    module = Net(ending=ENDINGS[ending])
    box = wrapped(module)
    made = box.with_backward("exact", of="logits")
    scores, gradient = made.scores_and_gradient(IMAGES, WEIGHTS)
    np.testing.assert_allclose(scores, Net().eval()(read()).detach().numpy(), atol=1e-5)
    np.testing.assert_allclose(gradient, by_hand(torch.relu), atol=1e-5)
    _, slopes = made.inner(IMAGES, WEIGHTS, ["head"])["head"]
    np.testing.assert_allclose(slopes, WEIGHTS, atol=1e-6)
    assert np.abs(box.scores(IMAGES) - made.scores(IMAGES)).max() > 0.1
    if ending == "softmax, a module":
        by_rules = box.with_backward("guided", of="logits").scores_and_gradient(IMAGES, WEIGHTS)[1]
        np.testing.assert_allclose(by_rules, by_hand(Guided.apply), atol=1e-5)


def test_the_softmax_of_logarithms_is_left_out_with_them() -> None:
    box = wrapped(Net(ending=torch.nn.LogSoftmax(1)), activation="softmax")
    made = box.with_backward("exact", of="logits")
    np.testing.assert_allclose(made.scores(IMAGES), Net().eval()(read()).detach().numpy(), atol=1e-5)


@pytest.mark.filterwarnings("ignore")
def test_exported_programs_have_logits_too_and_scripts_say_why_not() -> None:
    module = Net(ending=torch.nn.Softmax(1)).eval()
    expected = Net().eval()(torch.tensor(IMAGES)).detach().numpy()
    box: Any = bx.wrap(torch.export.export(module, (torch.tensor(IMAGES),)))
    np.testing.assert_allclose(box.with_backward("exact", of="logits").scores(IMAGES), expected, atol=1e-5)
    np.testing.assert_allclose(box.with_backward("guided", of="logits").scores(IMAGES), expected, atol=1e-5)
    script: Any = bx.wrap(torch.jit.trace(module, torch.tensor(IMAGES)), shape=SHAPE)
    with pytest.raises(UnsupportedModelError, match=r"logits of this model cannot be had.*wrap the model without"):
        script.with_backward("exact", of="logits")


def test_scores_of_unknown_make_are_taken_for_logits_and_it_is_said() -> None:
    class Spot(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images.mean((2, 3)).clamp(0, 1)

    box: Any = bx.wrap(Spot(), shape=SHAPE)
    made = box.with_backward("exact", of="logits")
    np.testing.assert_array_equal(made.scores(IMAGES), box.scores(IMAGES))
    assert any("taken for the logits" in one for one in made.assumptions)


def test_the_module_stays_as_it_was() -> None:
    module = Net(None).train()
    module.second.eval()
    module.first.weight.requires_grad_(False)
    flags = [one.training for one in module.modules()]
    before = {name: value.clone() for name, value in module.state_dict().items()}
    held = {name: sorted(vars(one)) for name, one in module.named_modules()}
    random = torch.get_rng_state()
    box = wrapped(module)
    for rules, of in (("exact", "logits"), ("guided", "scores"), ("guided", "logits")):
        box.with_backward(rules, of).scores_and_gradient(IMAGES, WEIGHTS)
    assert [one.training for one in module.modules()] == flags
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert {name: sorted(vars(one)) for name, one in module.named_modules()} == held
    assert all(one.grad is None for one in module.parameters())
    assert [one.requires_grad for one in module.parameters()] == [False] + [True] * 7
    assert not any(one._forward_hooks or one._forward_pre_hooks or one._backward_hooks for one in module.modules())
    assert torch.equal(torch.get_rng_state(), random)


def test_the_export_is_made_once_for_the_weights_it_has_and_is_not_pickled(monkeypatch: pytest.MonkeyPatch) -> None:
    from blackbox_explain_adapters._torch import box as module_of_box

    exports = []
    real = module_of_box.exported_to_onnx
    monkeypatch.setattr(module_of_box, "exported_to_onnx", lambda *given: exports.append(1) or real(*given))
    module = Net()
    box = wrapped(module)
    first = box.with_backward("guided", "logits").scores(IMAGES)
    box.with_backward("deconvnet")
    assert len(exports) == 1
    with torch.no_grad():
        module.head.bias += 1
    np.testing.assert_allclose(box.with_backward("guided", "logits").scores(IMAGES), first + 1, atol=1e-5)
    assert len(exports) == 2
    assert len(pickle.dumps(box)) == len(pickle.dumps(wrapped(module)))


@pytest.mark.exhaustive
@pytest.mark.filterwarnings("ignore")
def test_a_batch_that_is_fixed_stays_so() -> None:
    program = torch.export.export(Net().eval(), (torch.zeros(2, *SHAPE),))
    made: Any = bx.wrap(program, preprocessing=PREPROCESSING, activation="softmax").with_backward("guided", of="logits")
    np.testing.assert_allclose(made.scores_and_gradient(IMAGES, WEIGHTS)[1], by_hand(Guided.apply), atol=1e-5)


@pytest.mark.exhaustive
def test_a_module_that_no_trace_takes_for_any_batch_is_exported_for_one_image() -> None:
    class Loop(Net):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.cat([super(Loop, self).forward(one[None]) for one in images])

    made = wrapped(Loop()).with_backward("guided", of="logits")
    np.testing.assert_allclose(made.scores_and_gradient(IMAGES, WEIGHTS)[1], by_hand(Guided.apply), atol=1e-5)


class Doubtful(Net):
    """Takes one of two ways by what it sees, which no export follows."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return super().forward(images if images.sum() > 1e9 else -images)


def test_what_cannot_be_exported_is_refused_in_words(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UnsupportedModelError) as refusal:
        wrapped(Doubtful()).with_backward("guided")
    told = str(refusal.value)
    assert told.startswith("This module cannot be exported to ONNX")
    assert "data-dependent" in told
    assert "wrap the .onnx file" in told
    assert "\n" not in told
    assert capfd.readouterr() == ("", "")


def test_an_export_that_answers_otherwise_is_refused() -> None:
    class Otherwise(Net):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            outputs = super().forward(images)
            return outputs + 1 if torch.compiler.is_exporting() else outputs

    with pytest.raises(UnsupportedModelError, match=r"gives other scores.*difference of 1 on plain images"):
        wrapped(Otherwise(), activation="none").with_backward("guided")


def test_what_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    from blackbox_explain_adapters._torch import exporting

    box = wrapped(Net())
    monkeypatch.setattr(exporting, "find_spec", lambda name: None if name == "onnxscript" else name)
    with pytest.raises(BackendMissingError, match=r"no onnxscript; try: .*\[onnx\].*, and pip install onnxscript"):
        box.with_backward("guided")


def test_an_export_that_computes_elsewhere_says_so() -> None:
    from blackbox_explain_adapters._torch.exporting import note_on

    on_host: Any = SimpleNamespace(native=np.asarray)
    for device, told in (("cpu", "ONNX Runtime"), ("cuda:1", "ONNX Runtime, on the CPU instead of cuda:1")):
        network: Any = SimpleNamespace(dtype=torch.float32, device=torch.device(device))
        assert note_on(on_host, network).endswith(told)


def test_wrong_words_are_refused() -> None:
    box = wrapped(Net())
    with pytest.raises(InputError, match="'scores' or 'logits'"):
        box.with_backward("exact", of="probabilities")
    with pytest.raises(InputError, match="exact rules have no settings"):
        box.with_backward("exact", epsilon=1)
    with pytest.raises(InputError, match="did you mean 'guided'"):
        box.with_backward("guidde")


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-4), (torch.bfloat16, 0.1)])
def test_modules_in_other_precisions_are_exported_in_single(dtype: torch.dtype, tolerance: float) -> None:
    module = Net().eval()
    expected = wrapped(module).with_backward("guided").scores_and_gradient(IMAGES, WEIGHTS)[1]
    other = Net().eval().to(dtype)
    made = wrapped(other).with_backward("guided")
    found = made.scores_and_gradient(IMAGES, WEIGHTS)[1]
    assert np.abs(found - expected).max() <= tolerance * np.abs(expected).max()
    assert any("single precision" in one for one in made.assumptions)
    assert {one.dtype for one in other.parameters()} == {dtype}
