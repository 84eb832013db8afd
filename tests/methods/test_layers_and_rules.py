"""Methods that look into a model or rewrite its backward pass: the contract, by ONNX; what they refuse, in words."""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import blackbox_explain as bx
from benchmarks.models.networks import exported
from blackbox_explain.box.protocols import Layer
from blackbox_explain.errors import InputError, UnsupportedModelError
from blackbox_explain.methods.layers import GradCam, GradCamPlusPlus
from blackbox_explain.methods.rewritten import ExcitationBackprop, GuidedBackprop, Lrp
from blackbox_explain.testing import check_method
from tests.adapters.onnx.architectures import NETWORKS
from tests.methods.test_all_methods import BY_LAYERS, BY_RULES


@cache
def box(name: str) -> Any:
    import torch

    torch.manual_seed(0)
    about = NETWORKS[name]
    model = exported(about.make().eval(), about.shape)
    return bx.wrap(model, shape=about.shape, activation="softmax", cache=False)


def images(name: str) -> Any:
    return np.random.default_rng(3).random((2, *NETWORKS[name].shape)).astype(np.float32)


@pytest.mark.parametrize("name", [one for one in (*BY_LAYERS, *BY_RULES) if one not in ("attention-rollout", "cam")])
def test_the_contract(name: str) -> None:
    check_method(name, box("plain"), tolerance=1e-5)


def test_attention_is_rolled_out() -> None:
    check_method("attention-rollout", box("vit"), tolerance=1e-5)
    found = bx.explain(box("vit"), images("vit"), 0, method="attention-rollout", progress=False)
    assert found.saliency.min() > 0
    with pytest.raises(UnsupportedModelError, match="No attention was found"):
        bx.explain(box("plain"), images("plain"), 0, method="attention-rollout", progress=False)
    assert bx.methods_for(box("vit"))["attention-rollout"] is None
    assert "No attention was found" in str(bx.methods_for(box("plain"))["attention-rollout"])


def windowed() -> Any:
    """Make a network whose patches see each other in windows, and all of them only once they are merged, as Swin's."""
    import torch
    from torch import nn

    class Attention(nn.Module):
        def __init__(self, width: int, side: int, window: int) -> None:
            super().__init__()
            self.width, self.parts, self.window = width, side // window, window
            self.norm, self.mix = nn.LayerNorm(width), nn.Linear(width, 3 * width)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            parts, window, width = self.parts, self.window, self.width
            cut = (-1, parts, window, parts, window, width)
            windows = self.norm(x).reshape(cut).transpose(2, 3).reshape(-1, window**2, width)
            query, key, value = self.mix(windows).chunk(3, dim=-1)
            mixed = torch.softmax(query @ key.transpose(1, 2) / width**0.5, dim=-1) @ value
            back = mixed.reshape(-1, parts, parts, window, window, width).transpose(2, 3)
            return x + back.reshape(-1, (parts * window) ** 2, width)

    class Windowed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.patches, self.merge = nn.Conv2d(3, 8, 4, 4), nn.Linear(32, 16)
            self.first, self.last = Attention(8, 8, 4), Attention(16, 4, 4)
            self.head = nn.Linear(16, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            tokens = self.first(self.patches(x).flatten(2).transpose(1, 2))
            fours = tokens.reshape(-1, 4, 2, 4, 2, 8).transpose(2, 3).reshape(-1, 16, 32)
            return self.head(self.last(self.merge(fours)).mean(dim=1))

    torch.manual_seed(2)
    return bx.wrap(exported(Windowed().eval(), (3, 32, 32)), activation="softmax", cache=False)


def test_attention_in_windows_is_refused() -> None:
    why = bx.methods_for(windowed())["attention-rollout"]
    assert why is not None
    assert "patches are merged on the way" in why
    assert "16 tokens where they see each other, after 64" in why


def test_attention_is_no_map_of_the_image() -> None:
    from blackbox_explain.methods.layers.choice import chosen_layer

    layers = box("vit").layers()
    assert any(one.kind == "Softmax" and one.shape[-1] == one.shape[-2] for one in layers)
    tokens = {one.shape[-1] for one in layers if one.kind == "Softmax"}
    assert chosen_layer(box("vit")).shape[-1] not in tokens


def linear_head() -> Any:
    """Make a network of which nothing but a mean and a linear layer lies behind its last layer."""
    import torch
    from torch import nn

    torch.manual_seed(1)
    layers = (nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4))
    return nn.Sequential(*layers).eval()


@pytest.mark.parametrize("kind", ["torch", "onnx"])
def test_cam_is_grad_cam_before_a_mean_and_a_linear_layer(kind: str) -> None:
    model = linear_head()
    shape = (3, 12, 12)
    if kind == "torch":
        made: Any = bx.wrap(model, shape=shape, activation="softmax")
    else:
        made = bx.wrap(exported(model, shape), activation="softmax", cache=False)
    given = np.random.default_rng(0).random((2, *shape)).astype(np.float32)
    cam = bx.explain(made, given, 1, method="cam", progress=False)
    layer = made.layers()[1].name if kind == "torch" else None
    grad = bx.explain(made, given, 1, method=GradCam(layer=layer), progress=False)
    weights = model[4].weight[1].detach().numpy()
    import torch

    values = model[:2](torch.tensor(given)).detach().numpy()
    expected = np.einsum("k,nkhw->nhw", weights, values)
    np.testing.assert_allclose(cam.saliency, expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(grad.saliency, np.maximum(expected, 0) / 144, rtol=1e-4, atol=1e-7)


def test_cam_refuses_what_has_more_behind_the_layer() -> None:
    with pytest.raises(UnsupportedModelError, match="not defined for this model"):
        bx.explain(box("plain"), images("plain"), 0, method="cam", progress=False)


@pytest.mark.parametrize("name", ["squeeze", "mobile", "convnext", "vit"])
@pytest.mark.parametrize("method", [*BY_LAYERS, *BY_RULES])
@pytest.mark.exhaustive
def test_each_gives_a_map_or_says_why_not(name: str, method: str) -> None:
    why = ""
    try:
        found = bx.explain(box(name), images(name), method=method, progress=False)
        assert np.isfinite(found.saliency).all()
        assert np.ptp(found.saliency) > 0
    except UnsupportedModelError as error:
        why = str(error)
    assert not why or any(word in why for word in ("node", "layer", "attention", "activations"))


def test_targets_may_be_differences() -> None:
    for method in ("grad-cam", "guided-backprop", "lrp", "excitation-backprop"):
        found = bx.explain(box("plain"), images("plain"), bx.Difference(0, 1), method=method, progress=False)
        assert np.isfinite(found.saliency).all()


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (GradCam, {"of": "odds"}),
        (GuidedBackprop, {"of": "odds"}),
        (Lrp, {"rule": "gamma"}),
        (Lrp, {"epsilon": 0.0}),
        (Lrp, {"alpha": 1.0, "beta": 1.0}),
    ],
)
def test_settings_out_of_range(kind: Any, settings: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        kind(**settings)


def test_an_unknown_layer_names_near_ones() -> None:
    name = box("plain").layers()[0].name
    with pytest.raises(InputError, match="layer"):
        bx.explain(box("plain"), images("plain"), 0, method="grad-cam", layer=f"{name}x", progress=False)


def test_excitation_is_told_at_the_pooling_that_first_has_its_cells() -> None:

    def layer_of(first: str) -> str | None:
        kinds = [("Relu", (8, 64, 64)), (first, (8, 8, 8)), ("Relu", (16, 8, 8)), ("MaxPool", (16, 4, 4))]
        layers = tuple(Layer(f"{place}", kind, shape) for place, (kind, shape) in enumerate(kinds))
        made = SimpleNamespace(
            spec=SimpleNamespace(spatial=(64, 64)),
            scores=len,
            scores_and_gradient=len,
            inner=len,
            layers=lambda: layers,
        )
        return ExcitationBackprop()._layer(SimpleNamespace(box=made))  # type: ignore[arg-type]

    assert layer_of("MaxPool") == "1"
    assert layer_of("Conv") == "2"


def test_grad_cam_plus_plus_of_slopes_whose_squares_are_nothing() -> None:
    rng = np.random.default_rng(0)
    values, slopes = rng.random((1, 4, 3, 3)).astype(np.float32), rng.normal(size=(1, 4, 3, 3)).astype(np.float32)
    usual = GradCamPlusPlus().combined(values, 1e-6 * slopes)
    np.testing.assert_allclose(GradCamPlusPlus().combined(values, 1e-25 * slopes) * 1e19, usual, rtol=1e-4)
