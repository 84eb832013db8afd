"""`wrap`: callables, names, module:function, and adapters that are missing or broken."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import blackbox_explain as bx
from blackbox_explain.box import wrapping as registry
from blackbox_explain.errors import BackendMissingError, InputError, ModelError, TargetError, UnsupportedModelError
from tests.toys import Linear


def test_a_function_is_a_score_only_black_box() -> None:
    box = bx.wrap(lambda images: images.mean(axis=(2, 3)), shape=(3, 8, 8), class_names=["r", "g", "b"])
    images = np.random.default_rng(0).random((2, 3, 8, 8))
    np.testing.assert_allclose(box.scores(images), images.mean(axis=(2, 3)))
    assert not isinstance(box, bx.Differentiable)
    assert bx.explain(box, images, "g", queries=100, progress=False).provenance.gradients == "estimated"


@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
@pytest.mark.parametrize("activation", ["none", "softmax", "log_softmax"])
def test_a_function_with_its_gradient(layout: str, activation: str) -> None:
    rng = np.random.default_rng(0)
    filters = rng.normal(size=(3, 4, 4, 2) if layout == "channels_first" else (4, 4, 3, 2))
    box = bx.wrap(
        lambda images: np.tensordot(images, filters, 3),
        gradient=lambda images, weights: np.tensordot(weights, filters, ([1], [3])),
        shape=(3, 4, 4),
        preprocessing=bx.Preprocessing((0.4, 0.5, 0.6), (0.5, 0.25, 0.2), layout=layout),
        activation=activation,
    )
    images, direction = rng.random((2, 3, 4, 4)), rng.normal(size=(2, 3, 4, 4))
    weights = rng.normal(size=(2, 2))
    step = 1e-6
    numeric = np.sum(weights * (box.scores(images + step * direction) - box.scores(images - step * direction))) / (
        2 * step
    )
    _, gradient = box.scores_and_gradient(images, weights)
    assert np.sum(gradient * direction) == pytest.approx(numeric, rel=1e-5)
    assert bx.explain(box, images, 0, progress=False, steps=2).outcome


def test_what_a_function_must_answer() -> None:
    for answer, message in ((np.zeros(3), r"\(3,\)"), (np.zeros((3, 4)), r"\(3, 4\)"), (np.zeros((2, 0)), r"\(2, 0\)")):
        with pytest.raises(ModelError, match=message):
            bx.wrap(lambda _images, answer=answer: answer, shape=(3, 8, 8))


def make_linear() -> Linear:
    return Linear(np.ones((1, 8, 8)) / 64)


def make_nothing() -> Any:
    raise ValueError("no weights")


def test_names_and_functions(default_box: bx.BlackBox) -> None:
    assert default_box.spec.class_names is not None
    assert default_box.spec.class_names[281] == "tabby, tabby cat"
    assert isinstance(bx.wrap("tests.box.test_wrap:make_linear"), Linear)
    for text, message in (
        ("tests.box.test_wrap:missing", "cannot be imported"),
        ("tests.no_such_module:make", "cannot be imported"),
        ("tests.box.test_wrap:make_nothing", "no weights"),
        ("model.xyz", "names no model"),
        ("missing.pt2", "no such model file"),
    ):
        with pytest.raises(UnsupportedModelError, match=message):
            bx.wrap(text)
    with pytest.raises(InputError, match="knows its own input"):
        bx.wrap("efficientnet-lite0", shape=(3, 32, 32))
    with pytest.raises(InputError, match="described twice"):
        bx.wrap(make_nothing, spec=bx.InputSpec((1, 8, 8)), shape=(1, 8, 8))
    with pytest.raises(UnsupportedModelError, match="No adapter fits"):
        bx.wrap(object())


def test_a_broken_adapter_warns_and_breaks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    real = registry.entry_points
    broken = EntryPoint("tests", "tests.no_such_module:wrap", registry.ADAPTERS)
    monkeypatch.setattr(registry, "entry_points", lambda group: (*real(group), broken))

    class Function:
        def __call__(self, images: np.ndarray) -> np.ndarray:
            return images.mean(axis=(2, 3))

    with pytest.warns(RuntimeWarning, match="broken"):
        box = bx.wrap(Function(), shape=(3, 8, 8))
    assert box.scores(np.zeros((1, 3, 8, 8))).shape == (1, 3)


def test_a_missing_framework_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "adapter_of_missing_framework.py").write_text("import no_such_framework")
    monkeypatch.syspath_prepend(tmp_path)
    point = EntryPoint("tests", "adapter_of_missing_framework:wrap", registry.ADAPTERS)
    monkeypatch.setattr(registry, "entry_points", lambda group: (point,))

    class Model:
        pass

    with pytest.raises(BackendMissingError, match=r"pip install .*no_such_framework"):
        bx.wrap(Model())


def test_one_bad_row_does_not_decide_the_activation() -> None:
    def scores(images: np.ndarray) -> np.ndarray:
        share = images.mean(axis=(1, 2, 3))
        return np.where(share[:, None] < 0.1, np.nan, np.stack([share, 1 - share], axis=1))

    box = bx.wrap(scores, shape=(1, 4, 4))
    assert box.activation == "none"
    np.testing.assert_allclose(box.scores(np.full((2, 1, 4, 4), 0.3)), [[0.3, 0.7]] * 2)
    with pytest.raises(ModelError, match="not finite"):
        bx.wrap(lambda images: images[:, 0, 0] * np.nan, shape=(1, 4, 4))


def middle_logit(images: np.ndarray) -> np.ndarray:
    return 12 * (images[:, :, 8:20, 8:20].mean((1, 2, 3))[:, None] - 0.4)


def test_a_function_answers_the_same_whatever_was_asked_before() -> None:
    bright, dim = np.full((1, 1, 32, 32), 1.0), np.full((1, 1, 32, 32), 0.45)
    fresh, used = (bx.wrap(middle_logit, shape=(1, 32, 32)) for _ in range(2))
    assert fresh.activation == "sigmoid"
    np.testing.assert_allclose(used.scores(dim), 1 / (1 + np.exp(-0.6)))
    np.testing.assert_allclose(used.scores(bright), 1 / (1 + np.exp(-7.2)))
    np.testing.assert_array_equal(fresh.scores(bright), used.scores(bright))


@pytest.mark.parametrize(("classes", "better"), [(1, "sigmoid"), (3, "softmax")])
def test_a_guess_by_the_range_of_outputs_is_taken_back_loudly(classes: int, better: str) -> None:
    def outputs(images: np.ndarray) -> np.ndarray:
        # In [0, 1] for any even image, and for noise; 11 for an image with a bright middle.
        middle, whole = images[:, 0, 8:24, 8:24].mean((1, 2)), images.mean((1, 2, 3))
        logit = 0.3 + np.maximum(0, 20 * (middle - whole) - 1)
        return np.stack([logit] * classes, axis=1)

    image = np.zeros((1, 1, 32, 32))
    image[:, :, 8:24, 8:24] = 0.75
    box = bx.wrap(outputs, shape=(1, 32, 32))
    assert box.activation == "none"
    with pytest.raises(ModelError, match=rf'activation="{better}"\), --activation {better}'):
        box.scores(image)
    stated = bx.wrap(outputs, shape=(1, 32, 32), activation="none")
    np.testing.assert_allclose(stated.scores(image), [[10.55] * classes])


def test_a_function_that_fails_says_so_when_it_is_wrapped() -> None:
    def broken(_images: np.ndarray) -> np.ndarray:
        raise KeyError("weights")

    with pytest.raises(ModelError, match=r"The model raised an error. Got KeyError: 'weights'"):
        bx.wrap(broken, shape=(1, 4, 4))


def test_what_wrap_and_preprocessing_refuse() -> None:
    linear = make_linear()
    with pytest.raises(InputError, match="knows its own input"):
        bx.wrap(linear, shape=(1, 9, 9))
    with pytest.raises(InputError, match=r"no such option.*device"):
        bx.wrap(lambda images: images, shape=(1, 9, 9), device="cpu")
    # What the command line takes as --mean and --std is said together here.
    with pytest.raises(InputError, match=r"try: preprocessing=blackbox_explain\.Preprocessing\(mean=0\.5, std=0\.25\)"):
        bx.wrap(lambda images: images, shape=(1, 9, 9), mean=0.5, std=0.25)
    for wrong in ({"channels": "bgr"}, {"layout": "NHWC"}, {"std": 0.0}, {"mean": ()}, {"mean": np.nan}):
        with pytest.raises(InputError):
            bx.Preprocessing(**wrong)
    assert bx.Preprocessing(mean=np.float32(0.5)).mean == 0.5
    assert bx.wrap(linear) is linear


@pytest.mark.parametrize("shape", [(2, 1), (2, 7), (1, 3), (3,), (2, 3, 1)])
def test_weights_of_another_shape_are_a_mistake(shape: tuple[int, ...]) -> None:
    import torch

    function = bx.wrap(
        lambda images: images.mean(axis=(2, 3)),
        gradient=lambda images, weights: np.broadcast_to(weights[:, :, None, None] / 64, images.shape),
        shape=(3, 8, 8),
    )
    network = bx.wrap(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 3)), shape=(3, 8, 8))
    for box in (function, network):
        assert isinstance(box, bx.Differentiable)
        with pytest.raises(InputError, match="weights do not fit"):
            box.scores_and_gradient(np.zeros((2, 3, 8, 8), np.float32), np.zeros(shape, np.float32))


def test_a_shape_that_is_a_number_is_a_mistake() -> None:
    with pytest.raises(InputError, match=r"size for each axis.*\(3, 224, 224\)"):
        bx.wrap(lambda images: images, shape=224)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    "given", [{"target": 1.5}, {"seed": "a"}, {"mask_shape": 4}, {"target": bx.Top(0)}], ids=lambda one: next(iter(one))
)
def test_arguments_of_other_types_are_mistakes(given: dict[str, Any]) -> None:
    box = bx.wrap(lambda rows: rows.mean(axis=(2, 3)), shape=(3, 16, 16))
    with pytest.raises((InputError, TargetError)):
        bx.explain(box, np.zeros((1, 3, 16, 16), np.float32), queries=100, progress=False, **given)


@pytest.mark.parametrize("wrong", [{"preprocessing": (0.5, 0.5)}, {"shape": "3,8,8"}, {"class_names": "names.txt"}])
def test_descriptions_of_other_types_are_mistakes(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        bx.wrap(lambda rows: rows.mean(axis=(2, 3)), **{"shape": (3, 8, 8), **wrong})


def test_a_class_is_no_model() -> None:
    with pytest.raises(UnsupportedModelError, match=r"class Linear.*wrap\(Linear\(\)\)"):
        bx.wrap(Linear, shape=(1, 8, 8))


def test_the_axis_of_the_batch_in_a_shape_is_left_out() -> None:
    images = np.random.default_rng(0).random((2, 3, 8, 8))
    box: Any = bx.wrap(lambda rows: rows.transpose(0, 2, 3, 1).mean(axis=(1, 2)), shape=(1, 3, 8, 8))
    assert box.spec.shape == (3, 8, 8)
    assert any("(1, 3, 8, 8): the first axis is taken for that of the batch" in one for one in box.assumptions)
    np.testing.assert_allclose(box.scores(images), images.mean(axis=(2, 3)))
    volume = bx.wrap(lambda rows: rows.mean(axis=(2, 3, 4)), shape=(1, 3, 8, 8))
    assert volume.spec.shape == (1, 3, 8, 8)
    with pytest.raises(ModelError, match=r"outputs of shape \(2, 1, 3, 8, 8\)"):
        bx.wrap(lambda rows: rows + 0, shape=(1, 3, 8, 8))
