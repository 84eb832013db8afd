"""What pictures show besides numbers: photo, leading classes, what was done; and what verify does not take."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

import blackbox_explain as bx
from blackbox_explain.errors import InputError
from blackbox_explain.verifying.pictured import classes_check, photo_check
from tests.toys import Linear
from tests.verifying.test_verifying import explained, known


def test_what_a_picture_shows_is_verified(tmp_path: Path) -> None:
    """Photo, leading classes, and what was done, which no number says."""
    pixels = np.random.default_rng(0).integers(0, 256, (8, 12, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((64, 96)).save(tmp_path / "photo.png")
    weights = np.random.default_rng(1).normal(size=(3, 16, 16))
    box = Linear(weights / np.abs(weights).sum())
    result = bx.explain(box, bx.load_images([tmp_path / "photo.png"], box.spec), steps=2, progress=False)
    saved = result.save(tmp_path / "result.npz")
    result = bx.Explanation.load(saved)
    assert bx.verify(result, box, progress=False).holds
    assert result.photos is not None
    photo, said = result.photos[0], result.predictions[0]
    assert photo is not None
    name, score = said.after[0]
    forged = {
        "photo": {"photos": (dataclasses.replace(photo, pixels=255 - photo.pixels),)},
        "without the region are as stated": {"predictions": (replace(said, after=((name, score + 0.1),)),)},
        "of the image are as stated": {"predictions": (replace(said, before=(("class 0", 9.0),)),)},
        "game and perturbation": {"perturbation": "noise"},
    }
    for claim, changes in forged.items():
        found = bx.verify(dataclasses.replace(result, **changes), box, progress=False)
        broken = [one.claim for one in found.rows[0].checks if one.held is False]
        assert not found.holds
        assert [one for one in broken if claim in one], (claim, broken)


SCORES = np.array([0.1, 0.7, 0.2])


@pytest.mark.parametrize(
    ("stated", "names", "held"),
    [
        ((("bee", 0.7), ("ant", 0.2), ("cat", 0.1)), ("cat", "bee", "ant"), True),
        ((("class 1", 0.7), ("class 2", 0.2), ("class 0", 0.1)), ("cat", "bee", "ant"), True),
        ((("class 1", 0.7), ("class 2", 0.2), ("class 0", 0.1)), None, True),
        ((("bee", 0.7), ("ant", 0.2), ("cat", 0.1)), None, None),
        ((("bee", 0.6), ("ant", 0.2), ("cat", 0.1)), ("cat", "bee", "ant"), False),
        ((("ant", 0.2), ("cat", 0.1)), ("cat", "bee", "ant"), False),
        ((("dog", 0.7), ("ant", 0.2), ("cat", 0.1)), ("cat", "bee", "ant"), False),
        ((), ("cat", "bee", "ant"), None),
    ],
)
def test_leading_classes(stated: Any, names: Any, held: bool | None) -> None:
    assert classes_check(stated, SCORES, names, 1e-3, "of the image").held is held


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("size", [(48, 32), (300, 700), (3000, 2000)])
@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 64, 48)])
def test_a_photo_is_told_from_one_that_was_painted_over(fit: Any, size: Any, shape: Any, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (12, 9, 3), dtype=np.uint8)
    Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC).save(tmp_path / "photo.png")
    box = Linear(np.random.default_rng(1).normal(size=shape) / np.prod(shape))
    made = bx.load_images([tmp_path / "photo.png"], box.spec, fit=fit)
    result = bx.explain(box, made, method="gradient", progress=False)
    result = bx.Explanation.load(result.save(tmp_path / "result.npz"))
    assert result.photos is not None
    photo = result.photos[0]
    assert photo is not None
    assert photo_check(photo, result.images[0], box.spec).held
    painted = Image.fromarray(photo.pixels)
    (left, top, right, bottom), (width, height) = photo.box, painted.size
    across, down = (min(right, width) + max(left, 0)) / 2, (min(bottom, height) + max(top, 0)) / 2
    half = 0.08 * min(painted.size)
    place = (across - half, down - half, across + half, down + half)
    dark = np.asarray(painted.crop(tuple(map(round, place)))).mean() < 128
    ImageDraw.Draw(painted).rectangle(place, fill="white" if dark else "black")
    assert photo_check(replace(photo, pixels=np.asarray(painted)), result.images[0], box.spec).held is False
    assert photo_check(replace(photo, box=(np.nan, 0, 1, 1)), result.images[0], box.spec).held is False


def test_of_a_blurred_copy_nothing_is_claimed(tmp_path: Path) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(tmp_path / "p.png")
    box = Linear(np.ones((3, 32, 32)))
    made = bx.load_images([tmp_path / "p.png"], box.spec, blur=4)
    result = bx.explain(box, made, method="gradient", progress=False)
    loaded = bx.Explanation.load(result.save(tmp_path / "result.npz"))
    assert loaded.photos is not None
    assert loaded.photos[0] is not None
    assert loaded.photos[0].blur == 4
    assert photo_check(loaded.photos[0], loaded.images[0], box.spec).held is None


@pytest.mark.parametrize("settings", [{"tolerance": "x"}, {"seeds": 1.5}])
def test_settings_of_verify_are_numbers(settings: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="This cannot be verified"):
        bx.verify(explained(), known(), progress=False, **settings)
    with pytest.raises(InputError, match=r"try: Explanation.load\(path\)"):
        bx.verify("result.npz", known(), progress=False)  # type: ignore[arg-type]


def test_numbers_that_differ_look_different() -> None:
    box = known()
    made = explained()
    moved = dataclasses.replace(made, score=made.score + 1e-7)
    reasons = [one.reason for row in bx.verify(moved, box, tolerance=0, progress=False).rows for one in row.checks]
    (told,) = {one for one in reasons if one.startswith("it is 1.0000000")}
    assert told.split("it is ")[1].split(",")[0] != told.split("was ")[1]
