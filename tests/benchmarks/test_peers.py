"""Peers: their maps, what they ask, what is stored of them photo by photo, and what the figures say."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
import typer

from benchmarks.models.efficientnet_lite0_folded import folded_network
from benchmarks.peers.__main__ import add, done, main, stored_rows
from benchmarks.peers.asked import Asked
from benchmarks.peers.baseline import baseline_mask
from benchmarks.peers.by_queries import dianna_kernel_shap, xplique
from benchmarks.peers.methods import PEERS, absent, peer_maps
from benchmarks.peers.rows import LEFT, METRICS
from benchmarks.peers.verdicts import OURS, PLAIN, REGION, verdicts
from blackbox_explain.samples import MODEL


def row_of(seconds: list[float], value: float) -> dict[str, Any]:
    """Return a row in which every metric is `value` in each photo."""
    quality = {name: [value] * len(seconds) for name in (*METRICS, *LEFT)}
    return {"all_s": seconds, "queries": [60] * len(seconds), "quality": quality}


class Corner(torch.nn.Module):
    """Sees the upper left quarter of 56 × 56 alone: the first class where it has contrast."""

    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Conv2d(3, 2, 1)
        self.first.weight.data = torch.tensor([2 / 3, -2 / 3]).reshape(2, 1, 1, 1).expand(2, 3, 1, 1).contiguous()
        self.first.bias.data = torch.tensor([-1.0, 1.0])
        self.relu = torch.nn.ReLU()

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        contrast = self.relu(self.first(given)).sum(dim=1)[:, :28, :28].mean(dim=(1, 2))
        return torch.stack([8 * contrast - 4, 4 - 8 * contrast], dim=1)


def texture() -> torch.Tensor:
    return (torch.rand(1, 1, 56, 56, generator=torch.Generator().manual_seed(0)) > 0.5).float().repeat(1, 3, 1, 1)


def test_the_plain_loop_deletes_what_the_model_sees() -> None:
    network = Corner()
    mask = baseline_mask(lambda given: torch.softmax(network(given), dim=1), texture(), 0, steps=60)
    assert mask.shape == (56, 56)
    assert mask[:20, :20].mean() < mask[36:, 36:].mean() - 0.1


@pytest.mark.filterwarnings("ignore:Setting backward hooks")  # as Captum tells each time
@pytest.mark.parametrize("name", ["Captum, occlusion", "Captum, integrated gradients", "Captum, guided backprop"])
def test_peers_find_what_the_model_sees(name: str) -> None:
    assert absent(name) is None
    network, image = Corner().eval(), texture()
    asked = Asked(network, image, image, torch.full_like(image, 0.5), 0, network.first, lambda given: given)
    found, queries = peer_maps(name, asked)
    assert found.shape == (56, 56)
    assert np.abs(found[:28, :28]).mean() > 2 * np.abs(found[28:, 28:]).mean()
    assert queries >= 1
    assert not network._forward_pre_hooks


def test_rows_of_peers_grow_photo_by_photo_and_what_fails_is_told() -> None:
    row: dict[str, Any] = {}
    for seconds in (1.0, 2.0):
        add(row, {"seconds": seconds, "queries": 3, "quality": {"metric": seconds}}, "abc")
    assert row == {"all_s": [1, 2], "queries": [3, 3], "commits": ["abc"] * 2, "quality": {"metric": [1, 2]}}
    add(row, {"failed": "why"}, "abc")
    assert row["failed"] == "why"
    assert row["all_s"] == [1, 2]


def test_a_peer_that_is_absent_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PEERS, "none", ("no_such_package", lambda asked: asked.image))
    assert "no_such_package: ModuleNotFoundError" in str(absent("none"))


def test_what_the_figures_say() -> None:
    quick, ours, other = "ours, quick, PyTorch", row_of([2.0] * 6, 0.1), row_of([1.0] * 6, 0.2)
    other["quality"][LEFT[1]] = [0.05] * 6
    other["quality"][REGION] = [0.01] * 6
    measured = {quick: ours, OURS: row_of([3.0] * 6, 0.05), "other": other, PLAIN: row_of([20.0] * 6, 0.1)}
    measured["ours, quick, 8 together"] = {"all_s": [0.5], "queries": [60]}
    told = "\n".join(verdicts(measured))
    assert f"Better than {OURS}, by the mean of {REGION}: other ({REGION} 0.010 against 0.050, p = 0.031)." in told
    assert f"Better than {OURS}, by the mean of deletion, grey: none." in told
    # More is better of insertion.
    assert "insertion, blur: other (insertion, blur 0.200 against 0.050, p = 0.031); plain loop" in told
    assert f"Faster than {quick}, and better once some share is blurred: other ({LEFT[1]} 0.050 against 0.100" in told
    assert f"{quick}: 10.0 times as fast as the plain loop; not better at {', '.join(LEFT)}." in told
    assert f"{OURS}: 6.7 times as fast as the plain loop; better at every deleted share." in told
    assert "ours, quick, 8 together: 40.0 times as fast as the plain loop." in told
    assert "No preset is both faster and has a smaller region than: other." in told
    # Nothing is compared with rows of other photos, or with nothing.
    assert "other" not in "\n".join(verdicts({**measured, "other": {**other, "failed": "why"}}))
    assert "other" not in "\n".join(verdicts({**measured, "other": row_of([1.0] * 5, 0.01)}))
    assert verdicts({"other": other}) == []


def test_a_row_that_was_skipped_is_tried_again_and_other_photos_are_no_row() -> None:
    rows = {"a": {"skipped": "absent"}, "b": {"failed": "why"}, "c": row_of([1.0], 0.1)}
    before = {"settings": {"files": ["1", "2"]}, "measured": rows}
    assert list(stored_rows(before, {"files": ["1", "2", "3"]})) == ["b", "c"]
    assert stored_rows(None, {"files": ["1"]}) == {}
    with pytest.raises(SystemExit, match="other photos"):
        stored_rows(before, {"files": ["1", "3"]})
    assert [done(one, 0) for one in (None, {}, rows["b"], rows["c"])] == [False, False, True, True]
    assert not done(rows["c"], 1)


@pytest.mark.usefixtures("shared_photos")
@pytest.mark.filterwarnings("ignore:Setting backward hooks")  # as Captum tells each time
def test_a_run_goes_on_and_keeps_what_other_rows_hold(tmp_path: Path) -> None:
    first, second = "Captum, guided backprop", "ours, quick, PyTorch"
    for row in (first, second):
        main(quick=True, only=[row], resume=True, results=tmp_path)
    (path,) = tmp_path.glob("*/peers-efficientnet-lite0-quick.json")
    stored = json.loads(path.read_text(encoding="utf-8"))["measured"]
    assert stored.keys() == {first, second}
    assert all(len(row["all_s"]) == len(row["commits"]) == 1 for row in stored.values())
    assert stored[first]["quality"].keys() == {*METRICS, *LEFT}
    main(quick=True, only=[first], resume=True, results=tmp_path)
    assert json.loads(path.read_text(encoding="utf-8"))["measured"] == stored
    with pytest.raises(typer.BadParameter, match="no such row: Grad-KAM"):
        main(quick=True, only=["Grad-KAM"], results=tmp_path)


@pytest.mark.filterwarnings("ignore:Setting backward hooks")  # as Captum tells each time
def test_guided_backprop_finds_the_rectifiers_of_the_shipped_network() -> None:
    network = folded_network()
    image = torch.rand(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    asked = Asked(network, image, image, torch.zeros_like(image), 7, network.head, lambda given: given)
    guided, _ = peer_maps("Captum, guided backprop", asked)
    leaf = image.clone().requires_grad_()
    (plain,) = torch.autograd.grad(network(leaf)[0, 7], leaf)
    assert np.corrcoef(guided.ravel(), plain.numpy()[0].sum(axis=0).ravel())[0, 1] < 0.9


def test_xplique_is_handed_probabilities_of_channels_last(monkeypatch: pytest.MonkeyPatch) -> None:
    class Method:
        def __init__(self, box: Any) -> None:
            self.box = box

        def __call__(self, inputs: np.ndarray, wanted: np.ndarray) -> np.ndarray:
            scores = self.box(torch.tensor(np.moveaxis(inputs, -1, 1))).detach().numpy()
            np.testing.assert_allclose(scores.sum(axis=1), 1, rtol=1e-5)
            assert wanted.tolist() == [[1, 0]]
            return np.full((1, 56, 56, 1), scores[0, 0])

    attributions, wrappers = ModuleType("xplique.attributions"), ModuleType("xplique.wrappers")
    monkeypatch.setattr(attributions, "Method", Method, raising=False)
    monkeypatch.setattr(wrappers, "TorchWrapper", lambda module, *_a, **_k: module, raising=False)
    monkeypatch.setitem(sys.modules, "xplique.attributions", attributions)
    monkeypatch.setitem(sys.modules, "xplique.wrappers", wrappers)
    network, image = Corner().eval(), texture()
    asked = Asked(network, image, image, image, 0, network.first, lambda given: given)
    found = xplique("Method")(asked)
    np.testing.assert_allclose(found, torch.softmax(network(image), 1)[0, 0].item(), rtol=1e-5)
    assert found.shape == (56, 56)


def test_what_kernel_shap_asks_of_the_file_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxruntime

    def explain_image(path: str, image: np.ndarray, method: str, labels: list[int], axis_labels: Any) -> np.ndarray:
        assert (method, labels, axis_labels) == ("KernelSHAP", [3], {0: "channels"})
        session = onnxruntime.InferenceSession(path)
        session.run(None, {session.get_inputs()[0].name: np.stack([image] * 5)})
        return image[:1]

    dianna = ModuleType("dianna")
    monkeypatch.setattr(dianna, "explain_image", explain_image, raising=False)
    monkeypatch.setitem(sys.modules, "dianna", dianna)
    network, image = Corner(), torch.zeros(1, 3, 224, 224)
    asked = Asked(network, image, image, image, 3, network.first, lambda given: given, MODEL)
    assert dianna_kernel_shap(asked).shape == (224, 224)
    assert asked.queries == 5
