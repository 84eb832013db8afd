"""Real models: the embedded default, and those among the shared data, against PyTorch."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import blackbox_explain as bx
from benchmarks.common.photos import confident_photos, data_folder
from benchmarks.models.efficientnet_lite0 import build, pytorch_box, top1
from benchmarks.models.efficientnet_lite0_folded import folded_network
from benchmarks.models.networks import exported, googlenet
from blackbox_explain import samples
from tests.adapters.onnx.backward.test_networks import error

CAFFE = bx.Preprocessing(mean=(123 / 255, 117 / 255, 104 / 255), std=1 / 255, channels="BGR")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    if not (data_folder() / "googlenet").is_dir():
        message = f"no shared models in {data_folder()}"
        if os.environ.get("REQUIRE_DATA") == "1":
            pytest.fail(message)
        pytest.skip(message)
    return data_folder()


def against_torch(box: Any, network: Any, images: np.ndarray) -> None:
    """Hold gradients against float64: no worse than PyTorch's own float32.

    Over many photos: in single precision now and then a unit flips, and each library has its own bad photos.
    """
    scores = network.scores(images)
    np.testing.assert_allclose(box.scores(images), scores, atol=2e-5)
    weights = np.zeros_like(scores)
    weights[np.arange(len(images)), scores.argmax(axis=1)] = 1
    exact = bx.wrap(network.module.double(), spec=network.spec, activation=network.activation)
    slope = exact.scores_and_gradient(images.astype(np.float64), weights.astype(np.float64))[1]
    single = bx.wrap(network.module.float(), spec=network.spec, activation=network.activation)
    own = error(single.scores_and_gradient(images, weights)[1], slope)
    found = error(box.scores_and_gradient(images, weights)[1], slope)
    assert np.mean(found) <= 1.1 * np.mean(own)
    assert np.max(found) <= 2 * np.max(own)


def test_the_embedded_default_is_small_and_can_be_built_again() -> None:
    assert samples.MODEL.stat().st_size < 10e6
    assert build().SerializeToString(deterministic=True) == samples.MODEL.read_bytes()


def test_the_embedded_default_scores_like_the_published_network(sample_images: np.ndarray, default_box: Any) -> None:
    expected = pytorch_box().scores(sample_images)
    found = default_box.scores(sample_images)
    # The weights are stored in half precision.
    np.testing.assert_allclose(found, expected, atol=1e-2)
    np.testing.assert_array_equal(found.argmax(axis=1), expected.argmax(axis=1))


@pytest.mark.exhaustive
@pytest.mark.usefixtures("shared_data")
def test_the_embedded_default_is_as_often_right(default_box: Any) -> None:
    found, expected = top1(default_box), top1(pytorch_box())
    assert found["photos"] == 730
    assert abs(found["top1"] - expected["top1"]) <= 0.003


@pytest.mark.exhaustive
def test_gradients_of_efficientnet(shared_photos: list[Path]) -> None:
    network: Any = pytorch_box()
    box = bx.wrap(exported(network.module, network.spec.shape), spec=network.spec, activation="softmax", cache=False)
    against_torch(box, network, bx.load_images(shared_photos[:24], box.spec))


def googlenets(data: Path) -> tuple[Any, Any]:
    path = data / "googlenet" / "googlenet_bvlc.onnx"
    spec = bx.InputSpec((3, 224, 224), preprocessing=CAFFE)
    return bx.wrap(path, spec=spec, cache=False), bx.wrap(googlenet(path), spec=spec, activation="none")


@pytest.mark.exhaustive
def test_gradients_of_googlenet(shared_data: Path) -> None:
    box, network = googlenets(shared_data)
    assert any("softmax" in sentence for sentence in box.assumptions)
    photos = sorted((shared_data / "photos").glob("*.JPEG"))[:16]
    against_torch(box, network, bx.load_images(photos, box.spec))


@pytest.mark.exhaustive
def test_masks_agree_with_those_of_pytorch(shared_data: Path) -> None:
    photos = confident_photos(bx.wrap("efficientnet-lite0"), "crop", limit=4)
    shipped = bx.wrap("efficientnet-lite0")
    # With the weights of the file, which are half as precise as those that were published.
    same = bx.wrap(folded_network(), spec=shipped.spec, activation="softmax")
    for box, network in (googlenets(shared_data), (shipped, same)):
        images = photos.images
        target = [int(label) for label in photos.labels]
        found, expected = (bx.explain(one, images, target, progress=False) for one in (box, network))
        pairs = [(found.importance(row), expected.importance(row)) for row in range(4)]
        assert np.mean([np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in pairs]) >= 0.95
        np.testing.assert_allclose(found.share, expected.share, atol=0.05)


def test_squeezenet(shared_data: Path) -> None:
    box = bx.wrap(shared_data / "squeezenet" / "squeezenet11.onnx", preprocessing=CAFFE)
    photos = [
        path for path in sorted((shared_data / "photos").glob("*.JPEG")) if re.search("tiger|espresso", path.name)
    ]
    images = bx.load_images(photos, box.spec)
    result = bx.explain(box, images, progress=False)
    assert [one.kind for one in result.outcome] == ["ok"] * len(photos)
    assert result.share.max() < 0.3
    by_differences(box, images)


def test_text_orientation(shared_data: Path) -> None:
    path = shared_data / "onnx" / "ch_ppocr_mobile_v2.0_cls_infer.onnx"
    box = bx.wrap(path, shape=(3, 48, 192), preprocessing=bx.Preprocessing(0.5, 0.5))
    assert isinstance(box, bx.Differentiable)
    image = np.full((1, 3, 48, 192), 0.9, np.float32)
    for k, column in enumerate(range(20, 170, 12)):
        image[0, :, 12 + 3 * (k % 3) : 34, column : column + 4] = 0.1
    by_differences(box, image)
    result = bx.explain(box, image, progress=False, steps=10)
    assert result.region.shape == (1, 48, 192)


def by_differences(box: Any, images: np.ndarray) -> None:
    """Hold a gradient against differences of float32 scores, along the gradient itself."""
    scores = box.scores(images)
    weights = np.zeros_like(scores)
    weights[np.arange(len(images)), scores.argmax(axis=1)] = 1
    gradient = box.scores_and_gradient(images, weights)[1].astype(np.float64)
    way = gradient / np.sqrt(np.sum(gradient**2))
    step = 0.02
    ahead, behind = (np.sum(box.scores((images + sign * step * way).astype(np.float32)) * weights) for sign in (1, -1))
    assert (ahead - behind) / (2 * step) == pytest.approx(np.sum(gradient * way), rel=0.1)


@pytest.mark.exhaustive
def test_quantised_googlenet(shared_data: Path) -> None:
    path = shared_data / "quantised" / "googlenet_bvlc_qdq.onnx"
    spec = bx.InputSpec((3, 224, 224), preprocessing=CAFFE)
    box, plain = bx.wrap(path, spec=spec, straight_through=True), googlenets(shared_data)[0]
    photos = sorted((shared_data / "photos").glob("*.JPEG"))[:4]
    images = bx.load_images(photos, box.spec)
    weights = np.eye(1000, dtype=np.float32)[plain.scores(images).argmax(axis=1)]
    found, expected = (one.scores_and_gradient(images, weights)[1] for one in (box, plain))
    cosines = [np.sum(a * b) / np.sqrt(np.sum(a**2) * np.sum(b**2)) for a, b in zip(found, expected, strict=True)]
    assert np.median(cosines) > 0.3


def test_explaining_needs_neither_pytorch_nor_tensorflow(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "for name in ('torch', 'tensorflow', 'keras', 'jax'): sys.modules[name] = None\n"
        "from blackbox_explain.cli import main\n"
        f"sys.argv[1:] = ['explain', {str(samples.COFFEE)!r}, '--out', {str(tmp_path)!r}]\n"
        "main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "coffee.png").is_file()
