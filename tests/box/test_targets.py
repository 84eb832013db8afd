"""Targets of every kind mean one class for each image; what is no target says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import blackbox_explain as bx
from blackbox_explain.box.input_spec import check_images
from blackbox_explain.box.targets import resolve
from blackbox_explain.errors import InputError, TargetError

SCORES = np.array([[0.1, 0.7, 0.2], [0.5, 0.2, 0.3]])
NAMES = ("cat", "dog, hound", "fox")
SPEC = bx.InputSpec((1, 8, 8))


def chosen(target: Any, names: tuple[str, ...] | None = NAMES) -> list[int]:
    weights, shown = resolve(target, SCORES, names)
    assert weights.sum(axis=1).tolist() == [1, 1]
    indices = weights.argmax(axis=1).tolist()
    assert shown == tuple(("cat", "dog", "fox")[index] for index in indices)
    return indices


@pytest.mark.parametrize(
    ("target", "classes"),
    [
        (None, [1, 0]),
        (2, [2, 2]),
        (np.int64(2), [2, 2]),
        (np.array(2), [2, 2]),
        ("fox", [2, 2]),
        (np.str_("fox"), [2, 2]),
        (np.array("fox"), [2, 2]),
        ("2", [2, 2]),
        ([2, 0], [2, 0]),
        ((2, 0), [2, 0]),
        (range(1, 3), [1, 2]),
        (iter([2, 0]), [2, 0]),
        ([np.int64(2), np.uint8(0)], [2, 0]),
        ([np.array(2), 0], [2, 0]),
        (np.array([2, 0]), [2, 0]),
        (np.array([2, 0], np.uint8), [2, 0]),
        (np.array(["fox", "hound"]), [2, 1]),
        (np.array(["fox", 0], object), [2, 0]),
        (["fox", None], [2, 0]),
        ([bx.Top(1), bx.Labels("dog")], [1, 1]),
    ],
)
def test_targets(target: Any, classes: list[int]) -> None:
    assert chosen(target) == classes


def test_labels_of_a_loader_are_targets() -> None:
    torch = pytest.importorskip("torch")
    assert chosen(torch.tensor([2, 0])) == [2, 0]
    assert chosen(torch.tensor(2)) == [2, 2]
    assert chosen([torch.tensor(2), torch.tensor(0)]) == [2, 0]
    assert chosen((torch.tensor(2), 0)) == [2, 0]


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (-1, "class -1; expected 0 to 2.*try: 2, which counts from the first"),
        (np.array([0, -3]), "class -3.*try: 0"),
        ("-1", "class -1"),
        (3, "class 3; expected 0 to 2"),
        (1.0, r"whole number. Got 1\.0.*try: 1\."),
        (np.array([0.0, 2.0]), r"whole number. Got 0\.0.*try: 0\."),
        (1.5, r"whole number. Got 1\.5"),
        (float("nan"), "whole number"),
        (True, "not a target. Got True"),
        (np.array([True, False]), "not a target. Got True"),
        ([0, 1, 2], "3 targets for 2 images"),
        (np.zeros((2, 3)), r"one axis. Got an array \(2, 3\).*\(2,\) labels.*argmax\(axis=1\)"),
        (np.zeros((2, 1), int), r"one axis.*labels\[:, 0\]"),
        ({"a": 0, "b": 1}, "not a target"),
        ({0, 1}, "not a target"),
        (object(), "not a target"),
        ("", "no name"),
    ],
)
def test_what_is_no_target(target: Any, message: str) -> None:
    with pytest.raises(TargetError, match=message):
        resolve(target, SCORES, NAMES)


def test_several_classes_for_one_image_are_labels() -> None:
    with pytest.raises(TargetError, match=r"2 targets for 1 images.*Labels\(...\)"):
        resolve([0, 1], SCORES[:1], NAMES)


def test_as_many_names_as_scores() -> None:
    with pytest.raises(TargetError, match=r"2 names; expected 3.*'background' first"):
        resolve(0, SCORES, NAMES[:2])
    with pytest.raises(TargetError, match=r"4 names; expected 3, one for each score"):
        resolve(0, SCORES, (*NAMES, "owl"))


def test_names_of_targets_tell_classes_apart() -> None:
    names = ("Pepper,_bell___spot", "Pepper,_bell___healthy", "Corn")
    assert resolve(None, SCORES, names)[1] == ("Pepper,_bell___healthy", "Pepper,_bell___spot")
    assert resolve(bx.Difference(0, 1), SCORES, names)[1][0] == "Pepper,_bell___spot - Pepper,_bell___healthy"
    assert resolve(bx.Labels(0, 2), SCORES, ("crane", "x", "crane"))[1][0] == "crane (0) + crane (2)"


PICTURE = Image.new("L", (8, 8))
PIXELS = np.zeros((2, 1, 8, 8), np.float32)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (
            (PIXELS, np.array([0, 1])),
            r"batch of images and their labels.*\(2, 1, 8, 8\) and \(2,\).*explain\(box, x, y\)",
        ),
        ([PIXELS, np.eye(2)], r"labels.*explain\(box, x, y\)"),
        ((PIXELS[0], 1), r"labels.*explain\(box, x, y\)"),
        ({"pixel_values": PIXELS, "labels": [0, 1]}, r"mapping of pixel_values, labels.*batch\[.pixel_values.\]"),
        (((PIXELS, [0, 1]) for _ in range(2)), r"for x, y in loader: explain\(box, x, y\)"),
        ("cat.png", r"photo. Got 'cat.png'.*load_images\(\[photo\], box.spec\)"),
        (Path("cat.png"), "photo.*load_images"),
        (PICTURE, "photo.*load_images"),
        ([PICTURE, PICTURE], r"photos. Got a list of 2.*load_images\(photos, box.spec\)"),
        (["a.png", Path("b.png")], "photos.*load_images"),
        (
            [np.zeros((1, 8, 8)), np.zeros((1, 9, 9)), np.zeros((1, 8, 8))],
            r"differ in shape. Got \(1, 8, 8\), \(1, 9, 9\)",
        ),
        (None, "no images. Got a NoneType"),
        ([[0, 1], [2]], "no images"),
        ([], "do not fit"),
    ],
)
def test_what_is_no_batch_of_images(images: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_images(images, SPEC)


def test_a_list_of_images_is_a_batch() -> None:
    np.testing.assert_array_equal(check_images([PIXELS[0], PIXELS[1] + 1], SPEC), [PIXELS[0], PIXELS[1] + 1])
    np.testing.assert_array_equal(check_images((PIXELS + 1).tolist(), SPEC), PIXELS + 1)


def test_a_list_of_tensors_is_a_batch() -> None:
    torch = pytest.importorskip("torch")
    made = check_images([torch.zeros(1, 8, 8), torch.ones(1, 8, 8)], SPEC)
    np.testing.assert_array_equal(made, [PIXELS[0], PIXELS[1] + 1])
    with pytest.raises(InputError, match=r"explain\(box, x, y\)"):
        check_images([torch.zeros(2, 1, 8, 8), torch.tensor([0, 1])], SPEC)
