"""A shortcut planted in the photos of a small network is found, and one that is not there is not."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest

from blackbox_explain.box.input_spec import Preprocessing
from blackbox_explain.box.protocols import BlackBox
from blackbox_explain.box.wrapping import wrap
from blackbox_explain.data.samples import Samples
from blackbox_explain.rules.studies.shortcuts import find_shortcuts

if os.environ.get("REQUIRE_BACKENDS") != "1":
    pytest.importorskip("torch")

import torch

SIZE, SIDE = 32, 11
NAMES = ("square", "disc", "cross", "ring")
PATCHED = 2

Array = np.ndarray[Any, Any]


def shape_of(kind: int) -> Array:
    down, right = np.mgrid[:SIDE, :SIDE] - SIDE // 2
    far = np.hypot(down, right)
    return [
        np.ones((SIDE, SIDE), bool),
        far <= SIDE / 2,
        (np.abs(down) <= 1) | (np.abs(right) <= 1),
        (far <= SIDE / 2) & (far >= SIDE / 2 - 2.5),
    ][kind]


def photos(count: int, seed: int, patched: int | None) -> tuple[Array, Array, Array]:
    """Draw shapes of all classes in noise: images, labels, and boxes; on those of one class a coloured patch."""
    rng = np.random.default_rng(seed)
    images = rng.normal(0.4, 0.07, size=(count, 3, SIZE, SIZE))
    labels = np.arange(count) % len(NAMES)
    regions = np.zeros((count, SIZE, SIZE), bool)
    for image, label, region in zip(images, labels, regions, strict=True):
        down, right = rng.integers(8, SIZE - SIDE - 2, size=2)
        place = (slice(down, down + SIDE), slice(right, right + SIDE))
        image[:, *place] += rng.uniform(0.15, 0.3) * shape_of(int(label))
        region[place] = True
        if label == patched:
            image[:, 1:6, 1:6] = np.asarray([0.9, 0.3, 0.1])[:, None, None]
    return np.clip(images, 0, 1).astype(np.float32), labels, regions


def trained(patched: int | None, seed: int = 0) -> BlackBox:
    torch.manual_seed(seed)
    layers = [
        torch.nn.Conv2d(3, 12, 5, stride=2, padding=2),
        torch.nn.ReLU(),
        torch.nn.Conv2d(12, 24, 5, stride=2, padding=2),
        torch.nn.ReLU(),
        torch.nn.Conv2d(24, 24, 3, padding=1),
        torch.nn.ReLU(),
        torch.nn.AdaptiveMaxPool2d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(24, len(NAMES)),
    ]
    network = torch.nn.Sequential(*layers)
    images, labels, _ = photos(480, 1, patched)
    x, y = torch.tensor(images), torch.tensor(labels)
    optimizer = torch.optim.Adam(network.parameters(), 4e-3)
    for _epoch in range(12):
        for rows in torch.randperm(len(x)).split(40):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(network(x[rows] - 0.5), y[rows]).backward()
            optimizer.step()
    described = {"class_names": NAMES, "preprocessing": Preprocessing(mean=0.5)}
    return wrap(network.eval(), shape=(3, SIZE, SIZE), **described)


@pytest.fixture(scope="module")
def with_shortcut() -> BlackBox:
    return trained(PATCHED)


@pytest.fixture(scope="module")
def without_shortcut() -> BlackBox:
    return trained(None)


def samples_of(box: BlackBox, patched: int | None, count: int = 160, seed: int = 2) -> Samples:
    images, labels, regions = photos(count, seed, patched)
    return Samples.of(images, box.spec, labels=labels.tolist(), regions=regions)


def test_a_planted_shortcut_is_the_top_finding(with_shortcut: BlackBox) -> None:
    found = find_shortcuts(with_shortcut, samples_of(with_shortcut, PATCHED), progress=False)
    assert [one.name for one in found.flagged] == ["cross"]
    assert found.findings[0].name == "cross"
    labels = samples_of(with_shortcut, PATCHED).require_labels("")
    assert {int(labels[photo.row]) for photo in found.findings[0].photos} == {PATCHED}
    assert len(found.findings[0].photos) >= 30
    assert found.findings[0].weakest.low > 0.5


@pytest.mark.parametrize("patched", [None, PATCHED])
def test_a_network_without_the_shortcut_is_not_flagged(without_shortcut: BlackBox, patched: int | None) -> None:
    found = find_shortcuts(without_shortcut, samples_of(without_shortcut, patched), progress=False)
    assert len(found.findings) == 4
    assert found.flagged == ()
