"""Preprocessings whose parts do not fit together: said when a model is wrapped, and no result of it is ok."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import blackbox_explain as bx
from blackbox_explain.box.preprocessing_questions import questions_about
from blackbox_explain.errors import InputError, PreprocessingWarning

PHOTO = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
CAFFE = {"mean": (123.68, 116.78, 103.94), "channels": "BGR"}


def scaled(given: dict[str, Any], by: float) -> dict[str, Any]:
    return {**given, **{key: tuple(by * one for one in given[key]) for key in ("mean", "std") if key in given}}


def asked(bounds: tuple[float, float], shape: tuple[int, ...] = (3, 8, 8), **given: Any) -> tuple[str, ...]:
    return questions_about(bx.InputSpec(shape, bounds, bx.Preprocessing(**given)))


@pytest.mark.parametrize(
    ("bounds", "given"),
    [
        ((0, 1), {}),
        ((0, 1), PHOTO),
        ((0, 255), scaled(PHOTO, 255)),
        ((0, 255), CAFFE),
        ((0, 1), {**scaled(CAFFE, 1 / 255), "std": 1 / 255}),
        ((0, 1), {"mean": 0.5, "std": 0.5}),
        ((-1, 1), {"mean": 0.001}),
        ((0, 1), {"mean": 0.1307, "std": 0.3081, "shape": (1, 28, 28)}),
        ((-4, 4), {"std": 1e-3, "shape": (12, 500)}),
        ((-1024, 3071), {"shape": (1, 8, 8)}),
        ((0, 4095), {}),
        ((0, 65535), {"mean": 400, "std": 90, "shape": (1, 8, 8)}),
        ((0, 1), {"mean": -0.1}),
        ((-1, 1), {"mean": 0.5, "std": 0.5}),
        ((0, 255), {"mean": 127.5, "std": 127.5}),
    ],
)
def test_usual_ones_are_not_questioned(bounds: tuple[float, float], given: dict[str, Any]) -> None:
    assert asked(bounds, **given) == ()


@pytest.mark.parametrize(
    ("bounds", "given", "said"),
    [
        ((0, 255), {"mean": 127, "std": 0.5}, "the std is 0.2% of the range of pixel values"),
        ((0, 255), PHOTO, "the mean is 0.2% of white"),
        ((0, 1), {"std": 58.4}, "the std is 58 times the range of pixel values"),
        ((-1, 1), {"std": 127.5}, "the std is 64 times the range of pixel values"),
        ((0, 1), scaled(PHOTO, 255), "the mean 123.675, 116.28, 103.53 lies outside of the pixel values, 0 to 1"),
        ((0, 1), {**PHOTO, "mean": PHOTO["mean"][::-1]}, "in the order B, G, R"),
        ((0, 255), {**CAFFE, "mean": CAFFE["mean"][::-1]}, "in the order B, G, R"),
    ],
)
def test_what_does_not_fit_is_said_and_no_result_is_ok(
    bounds: tuple[float, float], given: dict[str, Any], said: str
) -> None:
    with pytest.warns(PreprocessingWarning) as seen:
        box = bx.wrap(
            lambda images: images.mean(axis=(2, 3)), shape=(3, 8, 8), bounds=bounds, activation="none",
            preprocessing=bx.Preprocessing(**given),
        )  # fmt: skip
    assert said in str(seen[0].message)
    images = np.random.default_rng(0).random((1, 3, 8, 8)) * bounds[1]
    found = bx.explain(box, images, 0, method="center", progress=False)
    assert said in found.provenance.doubts[0]
    assert found.outcome[0].kind == "weak"


@pytest.mark.parametrize(
    "given",
    [{"mean": "0.1,0.2,0.3"}, {"mean": {"r": 1}}, {"mean": [[1, 2], [3]]}, {"std": None}, {"mean": np.zeros(0)}],
)
def test_what_is_no_number_does_not_normalise(given: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="does not normalise"):
        bx.Preprocessing(**given)


@pytest.mark.parametrize("bounds", [255, (0, 1, 2), "0,1", (1, 0), (0, float("inf"))])
def test_what_are_no_two_numbers_are_no_bounds(bounds: Any) -> None:
    with pytest.raises(InputError, match="These are no bounds"):
        bx.InputSpec((3, 8, 8), bounds=bounds)


def test_bounds_may_be_an_array() -> None:
    assert bx.InputSpec((3, 8, 8), bounds=np.asarray([0, 255.0])).bounds == (0.0, 255.0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_normalisation_copies_nothing_to_where_the_images_are(dtype: torch.dtype) -> None:
    class Copies(TorchDispatchMode):
        def __init__(self) -> None:
            super().__init__()
            self.seen: list[str] = []

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            self.seen += [str(func)] if "copy" in str(func) or "lift" in str(func) else []
            return func(*args, **(kwargs or {}))

    rules, images = bx.Preprocessing(**PHOTO), torch.rand(2, 3, 4, 5).to(dtype)
    with Copies() as copies:
        found = rules.forward(images), rules.adjoint(images)
    # To an accelerator it would be a wait at every step.
    assert copies.seen == []
    mean, std = (torch.tensor(PHOTO[name], dtype=dtype).reshape(3, 1, 1) for name in ("mean", "std"))
    torch.testing.assert_close(found[0], (images - mean) / std, rtol=0, atol=0)
    torch.testing.assert_close(found[1], images / std, rtol=0, atol=0)
