"""Digits of 8 × 8 pixels, short signals and tiny volumes: regions that delete; photos of 224 pixels as before."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

import blackbox_explain as bx
from blackbox_explain.methods.mask.jitter import width_for
from blackbox_explain.methods.mask.settings import PRESETS, Settings
from blackbox_explain.perturbations.perturbation import sigma_for
from tests.toys import Regions, box_region

Array = np.ndarray


@pytest.fixture(scope="module")
def digits() -> tuple[Array, Array, Array]:
    """Return 8 × 8 digits (N, 1, 8, 8) from 0 to 1, their labels, and which of them are not for training."""
    found = load_digits()
    images = (found.data / 16).astype(np.float32).reshape(-1, 1, 8, 8)
    return images, found.target, np.arange(len(images)) % 5 == 0


def test_sizes_of_the_paper_stay_to_the_bit() -> None:
    assert sigma_for((224, 224)) == 10.0
    assert sigma_for((227, 300)) == 10.0 * 227 / 224
    assert sigma_for((96, 96)) == 10.0 * 96 / 224
    assert width_for(4, (224, 224)) == width_for(4, (56, 80)) == width_for(4, (512, 512)) == 4
    for name, preset in PRESETS.items():
        assert Settings(name).at((224, 224)) == preset


def test_small_sizes() -> None:
    assert [sigma_for((n, n)) for n in (8, 12, 16, 32, 64)] == [2.0, 3.0, 4.0, 4.0, 4.0]
    assert [width_for(4, (n, n)) for n in (8, 27, 28, 42, 55, 56)] == [1, 1, 2, 3, 3, 4]
    assert sigma_for((1, 64)) == sigma_for((64,)) == 4.0
    assert Settings("fast").at((8, 8)).jitter == 1
    assert Settings("fast", jitter=4).at((8, 8)).jitter == 4


def test_from_scores_alone_larger_level_sets_are_learned() -> None:
    size = (224, 224)
    assert Settings("fast").at(size, exact=False).least_share == 0.1 > Settings("fast").at(size).least_share
    assert Settings("fast", least_share=0.02).at(size, exact=False).least_share == 0.02
    assert Settings("fast", most_share=0.05).at(size, exact=False).least_share == 0.05
    assert Settings("paper").at(size, exact=False) == Settings("paper").at(size)


def test_digits_of_a_network_are_deleted(digits: tuple[Array, Array, Array]) -> None:
    torch = pytest.importorskip("torch")
    images, labels, held_out = digits
    torch.manual_seed(0)
    layers = [torch.nn.Conv2d(1, 8, 3, padding=1), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(512, 10)]
    network = torch.nn.Sequential(*layers)
    optimizer = torch.optim.Adam(network.parameters(), 5e-3)
    inputs, wanted = torch.tensor(images[~held_out]), torch.tensor(labels[~held_out])
    for _ in range(6):
        for rows in torch.randperm(len(inputs)).split(64):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(network(inputs[rows]), wanted[rows]).backward()
            optimizer.step()
    box = bx.wrap(network.eval(), shape=(1, 8, 8), activation="softmax")
    shown = images[held_out][:20]
    assert np.mean(box.scores(torch.tensor(images[held_out])).argmax(axis=1).numpy() == labels[held_out]) > 0.93
    result = bx.explain(box, shown, progress=False)
    assert result.provenance.doubts == ()
    assert np.mean([one.kind == "ok" for one in result.outcome]) >= 0.8
    assert np.median(result.score_region) < 0.1
    assert np.median(result.score) > 0.95
    assert np.median(result.share) < 0.3


def test_digits_of_a_classifier_without_gradients_are_deleted(digits: tuple[Array, Array, Array]) -> None:
    images, labels, held_out = digits
    model = LogisticRegression(max_iter=300).fit(images[~held_out].reshape(-1, 64), labels[~held_out])
    box = bx.wrap(model, shape=(1, 8, 8))
    result = bx.explain(box, images[held_out][:5], progress=False, queries=1000)
    assert result.provenance.gradients == "estimated"
    assert result.provenance.doubts == ()
    assert [one.kind == "ok" for one in result.outcome].count(True) >= 4
    assert bx.verify(result, box, progress=False).holds


def test_a_short_signal_is_deleted_where_its_burst_is() -> None:
    time = np.arange(64)
    signal = np.where(abs(time - 40) < 6, np.sign(np.sin(time * np.pi / 2 + 0.1)), 0.0) * 0.4 + 0.5

    def scores(images: Array) -> Array:
        loud = np.abs(images[:, 0, 34:47] - 0.5).mean(axis=1) / 0.4
        return np.stack([loud, 1 - loud], axis=1)

    box = bx.wrap(scores, shape=(1, 64), activation="none")
    result = bx.explain(box, signal[None, None].astype(np.float32), 0, progress=False, queries=600)
    assert [one.kind for one in result.outcome] == ["ok"]
    assert 34 <= int(result.saliency[0].argmax()) <= 46


def test_a_tiny_volume_is_deleted_where_its_texture_is() -> None:
    region = box_region((8, 8, 8), (1, 1, 1), (4, 5, 4))
    box = Regions([region])
    result = bx.explain(box, box.image(), 0, progress=False)
    assert [one.kind for one in result.outcome] == ["ok"]
    assert result.saliency[0][region].mean() > 2 * result.saliency[0][~region].mean()
