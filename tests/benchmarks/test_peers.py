"""Peers: their maps, what they ask, what is stored of them photo by photo, and what the figures say."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
import typer

import blackbox_explain as bx
from benchmarks.common.photos import fair_order, validation_images
from benchmarks.models.efficientnet_lite0_folded import folded_network
from benchmarks.peers.__main__ import add, done, main, stored_rows
from benchmarks.peers.asked import Asked
from benchmarks.peers.baseline import baseline_mask
from benchmarks.peers.by_queries import dianna_kernel_shap, xplique
from benchmarks.peers.methods import PEERS, Peer, absent, peer_maps
from benchmarks.peers.rows import LEFT, METRICS, REGIONS, ScoreLeft
from benchmarks.peers.shown import peers
from benchmarks.peers.verdicts import OURS
from blackbox_explain.samples import MODEL
from tests.benchmarks.peer_rows import KNOWN, ours_of, row_of

RISE = "Xplique, RISE"


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


class Pooled(torch.nn.Module):
    """Has a channel of what is bright and one of what is dark, and a class of the mean of each."""

    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Conv2d(3, 2, 1)
        self.first.weight.data = torch.tensor([1 / 3, -1 / 3]).reshape(2, 1, 1, 1).expand(2, 3, 1, 1).contiguous()
        self.first.bias.data = torch.tensor([0.0, 0.5])
        self.relu = torch.nn.ReLU()

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        return 8 * self.relu(self.first(given)).mean(dim=(2, 3))


class Bright(torch.nn.Module):
    """Sees how bright the upper left quarter is."""

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        light = given.mean(dim=1)[:, :28, :28].mean(dim=(1, 2))
        return torch.stack([8 * light - 4, 4 - 8 * light], dim=1)


def texture() -> torch.Tensor:
    return (torch.rand(1, 1, 56, 56, generator=torch.Generator().manual_seed(0)) > 0.5).float().repeat(1, 3, 1, 1)


def test_the_plain_loop_deletes_what_the_model_sees() -> None:
    network = Corner()
    mask = baseline_mask(lambda given: torch.softmax(network(given), dim=1), texture(), 0, steps=60)
    assert mask.shape == (56, 56)
    assert mask[:20, :20].mean() < mask[36:, 36:].mean() - 0.1


@pytest.mark.filterwarnings("ignore:Setting backward hooks")  # as Captum tells each time
@pytest.mark.parametrize(
    "name",
    [
        "Captum, occlusion",
        "Captum, integrated gradients",
        "Captum, guided backprop",
    ],
)
def test_peers_find_what_the_model_sees(name: str) -> None:
    assert absent(name) is None
    network, image = Corner().eval(), texture()
    asked = Asked(network, image, image, torch.full_like(image, 0.5), 0, network.first, lambda given: given)
    found, queries = peer_maps(name, asked)
    assert found.shape == (56, 56)
    assert np.abs(found[:28, :28]).mean() > 2 * np.abs(found[28:, 28:]).mean()
    assert queries >= 1
    assert not network._forward_pre_hooks


@pytest.mark.parametrize("name", ["Grad-CAM", "Grad-CAM++", "LayerCAM", "Score-CAM", "Ablation-CAM"])
def test_class_activation_maps_are_high_where_their_channel_is(name: str) -> None:
    assert absent(name) is None
    network, image = Pooled().eval(), torch.zeros(1, 3, 56, 56)
    image[:, :, :28, :28] = 1
    asked = Asked(network, image, image, torch.full_like(image, 0.5), 0, network.relu, lambda given: given)
    found, queries = peer_maps(name, asked)
    assert found.shape == (56, 56)
    assert found[:28, :28].mean() > 1.5 * found[28:, 28:].mean()
    assert queries >= 1


def test_lime_runs_at_its_defaults() -> None:
    network, image = Corner().eval(), texture()
    asked = Asked(network, image, image, image, 0, network.first, lambda given: given)
    found, queries = peer_maps("LIME", asked)
    assert queries == 1000
    # It hides by the mean colour of superpixels, which are made of what looks alike.
    assert found[:28, :28].mean() > 1.5 * found[28:, 28:].mean() > 0


def test_what_a_peer_draws_is_of_the_seed() -> None:
    network, image = Bright().eval(), 0.5 + texture() / 2

    def found(seed: int) -> np.ndarray:
        asked = Asked(network, image, image, image, 0, network, lambda given: given, seed=seed)
        return peer_maps("Captum, LIME, 200 samples", asked)[0]

    one, same, other = found(0), found(0), found(1)
    assert np.abs(one[:28, :28]).mean() > 2 * np.abs(one[28:, 28:]).mean()
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 0


def test_rows_of_peers_grow_photo_by_photo_and_what_fails_is_told() -> None:
    row: dict[str, Any] = {}
    for seconds in (1.0, 2.0):
        add(row, {"seconds": seconds, "queries": 3, "quality": {"metric": [seconds]}}, KNOWN)
    kept = {"all_s": [1, 2], "queries": [3, 3], "commits": ["abc"] * 2, "quality": {"metric": [1, 2]}}
    assert row == {**kept, "versions": {"numpy": ["1"]}}
    add(row, {"failed": "why"}, KNOWN)
    assert row["failed"] == "why"
    assert row["all_s"] == [1, 2]


def test_a_map_that_is_not_finite_is_no_map(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PEERS, "none", Peer("numpy", lambda asked: np.full((56, 56), np.nan)))
    network, image = Corner().eval(), texture()
    with pytest.raises(ValueError, match="not finite"):
        peer_maps("none", Asked(network, image, image, image, 0, network.first, lambda given: given))


def test_a_peer_that_is_absent_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PEERS, "none", Peer("no_such_package", lambda asked: asked.image))
    assert "no_such_package: ModuleNotFoundError" in str(absent("none"))


def test_the_page_shows_tables_claims_and_a_plot(tmp_path: Path) -> None:
    measured = {OURS: ours_of([3.0] * 8, 0.05), RISE: row_of([9.0] * 8, 0.2), "LIME": {"skipped": "lime: not here"}}
    for row, version in ((OURS, "1"), (RISE, "2")):
        measured[row]["versions"] = {"numpy": [version], "torch": ["2"]}
    path = tmp_path / "machine" / "peers-x.json"
    path.parent.mkdir()
    told = "\n".join(peers(path, measured))
    assert path.with_suffix(".png").stat().st_size > 10_000
    assert "![quality against time](machine/peers-x.png)" in told
    assert f"| {RISE} | 9.00 (9.00 to 9.00) | 60 | 0.204 ± 0.001 |" in told
    assert f"{REGIONS[0]}: {OURS} is lower than every peer | undecided | 0.054 ± 0.001, of 1 peer; not among" in told
    assert f"- {RISE}: 4,000 masks, its default" in told
    assert "Not judged: LIME: lime: not here." in told
    assert "Measured at abc; by several versions of numpy 1 and 2." in told
    del measured[OURS]
    assert peers(path, measured)[1] == f"So far: {RISE}: 8 photos so far; LIME: lime: not here."


def test_what_is_left_of_a_score_is_that_of_the_pixels_that_stay() -> None:
    # The first class is the mean of the left half, which is white; grey takes half of it away.
    image = np.zeros((1, 3, 4, 8), np.float32)
    image[..., :4] = 1

    def scores(given: np.ndarray) -> np.ndarray:
        left = given[..., :4].mean(axis=(1, 2, 3))
        return np.stack([left, 1 - left], axis=1)

    box = bx.wrap(scores, shape=(3, 4, 8), activation="none")
    found = bx.explain(box, image, 0, method="center", progress=False)
    ranked = replace(found, saliency=image.mean(axis=1))
    metrics = {str(share): ScoreLeft(share, "constant") for share in (0.125, 0.25, 0.5)}
    told = bx.evaluate(box, {"it": ranked}, metrics, progress=False)
    np.testing.assert_allclose([one.values[0] for one in told.measurements], [0.75, 0.5, 0], atol=1e-6)


def test_what_was_skipped_or_failed_is_tried_again_and_other_photos_or_settings_are_no_row() -> None:
    known = KNOWN["versions"]
    rows = {"a": {"skipped": "absent"}, "b": {"failed": "why", **row_of([1.0], 0.1)}, "c": row_of([1.0], 0.1)}
    own = {f"ours, {preset}, ONNX, 8 together": ours_of([1.0], 0.1) for preset in ("quick", "fast")}
    before = {
        "settings": {"files": ["1", "2"], "threads": 2, "presets": {"quick": "steps=12", "fast": "steps=38"}},
        "measured": rows | own,
        "machine": KNOWN,
    }
    now = {"files": ["1", "2", "3"], "threads": 2, "presets": {"quick": "steps=12", "fast": "steps=38"}}
    found = stored_rows(before, now, known)
    assert found == {"a": {}, "b": row_of([1.0], 0.1), "c": row_of([1.0], 0.1), **own}
    assert stored_rows(None, now, known) == {}
    # Of a preset that has other settings by now, nothing is kept.
    changed = stored_rows(before, now | {"presets": {"quick": "steps=7", "fast": "steps=38"}}, known)
    assert found.keys() - changed.keys() == {"ours, quick, ONNX, 8 together"}
    for other in ({"files": ["1", "3"]}, {"threads": 1}):
        with pytest.raises(SystemExit, match="other photos, or by other threads"):
            stored_rows(before, now | other, known)
    assert [done(one, 0) for one in (None, {}, rows["b"], rows["c"])] == [False, False, True, True]
    assert not done(rows["c"], 1)


@pytest.mark.usefixtures("shared_photos")
def test_validation_images_are_the_first_that_are_classified_right_for_sure() -> None:
    box = bx.wrap("efficientnet-lite0")
    found = validation_images(box, "stretch", 3)
    names = [path.name for path in found.paths]
    assert names == fair_order(names)
    scores = np.asarray(box.scores(found.images))
    assert scores.argmax(axis=1).tolist() == found.labels.tolist()
    assert (scores.max(axis=1) > 0.5).all()
    # The first of a longer list are the same.
    assert [path.name for path in validation_images(box, "stretch", 5).paths][:3] == names


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
    assert np.corrcoef(guided.ravel(), np.abs(plain.numpy()[0]).max(axis=0).ravel())[0, 1] < 0.9
    assert guided.min() >= 0


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
    asked = Asked(network, image, image, image, 0, network.first, lambda given: given, classes=2)
    found = xplique("Method")(asked)
    np.testing.assert_allclose(found, torch.softmax(network(image), 1)[0, 0].item(), rtol=1e-5)
    assert found.shape == (56, 56)


def test_kernel_shap_is_run_in_parts_on_one_class_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxruntime

    class Segmenting:
        @staticmethod
        def _segment_image(count: int) -> np.ndarray:
            return np.tile(np.arange(count).repeat(224 // count), (224, 1)) + 1

    def explain_image(path: str, image: np.ndarray, method: str, labels: list[int], axis_labels: Any) -> np.ndarray:
        assert (method, labels, axis_labels) == ("KernelSHAP", [0], {0: "channels"})
        session = onnxruntime.InferenceSession(path)
        (scores,) = session.run(None, {session.get_inputs()[0].name: np.stack([image] * 70)})
        assert scores.shape == (70, 1)
        places = module.KERNELSHAPImage._segment_image(2)  # the left and the right half
        assert np.unique(places).tolist() == [0, 1]
        return module._create_heatemaps(np.asarray([[[scores[0, 0]], [2 * scores[0, 0]]]]), places)

    dianna, module = ModuleType("dianna"), ModuleType("dianna.methods.kernelshap_image")
    monkeypatch.setattr(dianna, "explain_image", explain_image, raising=False)
    monkeypatch.setattr(module, "_create_heatemaps", None, raising=False)
    monkeypatch.setattr(module, "KERNELSHAPImage", Segmenting, raising=False)
    monkeypatch.setitem(sys.modules, "dianna", dianna)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    network, image = Corner(), torch.zeros(1, 3, 224, 224)
    asked = Asked(network, image, image, image, 3, network.first, lambda given: given, MODEL)
    session = onnxruntime.InferenceSession(MODEL)
    usual = session.run(None, {session.get_inputs()[0].name: image.numpy()})[0]
    expected = usual[0, 3] * np.where(np.arange(224) < 112, 1, 2)
    np.testing.assert_allclose(dianna_kernel_shap(asked), np.tile(expected, (224, 1)), rtol=1e-4)
    assert asked.queries == 70
