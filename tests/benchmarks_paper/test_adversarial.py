"""Maps of clean and attacked images told apart, and what a mask takes away from an image."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from benchmarks.paper.experiments.learners.telling_apart import WAYS, described, features, told_apart
from benchmarks.paper.learned import disc_of, gone_of, masked_by
from benchmarks.paper.methods import METHODS, map_of
from benchmarks.paper.plan import Labelled, Plan
from benchmarks.paper.statistics import share_of
from blackbox_explain.data.images import LoadedImages
from tests.toys import Regions


def apart(clean: np.ndarray, other: np.ndarray, way: str = "by all that they tell") -> float:
    few = replace(WAYS[way], splits=2)
    return float(told_apart(*(features(described(one)) for one in (clean, other)), few).mean())


def test_maps_that_differ_are_told_apart_and_others_are_not() -> None:
    draw = np.random.default_rng(0)
    clean = draw.random((30, 56, 56))
    other = draw.random((30, 56, 56))
    other[:, 20:40, 20:40] += 3
    assert apart(clean, other) > 0.95
    assert 0.25 < apart(clean, draw.random((30, 56, 56))) < 0.75


def test_maps_whose_cells_have_the_same_means_are_told_apart_by_their_spreads() -> None:
    draw = np.random.default_rng(0)
    smooth = np.kron(draw.random((30, 28, 28)), np.ones((1, 2, 2)))
    rough = smooth + 0.3 * np.tile([[1.0, -1.0], [-1.0, 1.0]], (30, 28, 28))
    assert apart(smooth, rough) > 0.95


def test_maps_are_told_apart_by_their_grain_and_by_their_strength() -> None:
    draw = np.random.default_rng(0)
    noise = draw.standard_normal((40, 112, 112))
    # Of the same spread in every cell of four pixels, and of another frequency.
    fine = np.cos(np.pi * np.arange(112)) * np.ones((112, 1))
    coarse = np.cos(np.pi / 2 * np.arange(112)) * np.sqrt(2) * np.ones((112, 1))
    assert apart(noise[:20] + 3 * fine, noise[20:] + 3 * coarse) > 0.95
    assert apart(noise[:20], 5 * noise[20:]) > 0.95
    # A picture of a map does not tell its strength.
    assert 0.2 < apart(noise[:20], 5 * noise[20:], "by their shape alone") < 0.8


def test_trees_tell_apart_what_depends_on_two_cells_at_once() -> None:
    draw = np.random.default_rng(0)
    sides = draw.choice([-1.0, 1.0], size=(60, 1, 1))
    one, other = (np.ones((60, 56, 56)) for _ in range(2))
    for maps, sign in ((one, 1), (other, -1)):
        maps[:, :, :28] += 0.5 * sides
        maps[:, :, 28:] += 0.5 * sign * sides
        maps += 0.01 * draw.random(maps.shape)
        maps[:, 0, 0], maps[:, 0, 1] = -1, 3  # the same scale for all
    assert apart(one, other, "by a forest of trees") > 0.95
    assert apart(one, other, "by 28 × 28 means alone") < 0.75


def test_the_spectrum_reaches_up_to_single_pixels() -> None:
    board = np.indices((224, 224)).sum(axis=0) % 2.0
    (rings,) = described(board[None])["rings"]
    assert rings[1:].argmax() == round(112 * 2**0.5) - 1
    (rings,) = described(board[:1].repeat(224, axis=0)[None])["rings"]
    assert rings[1:].argmax() == 112 - 1


def test_two_images_are_too_few_to_tell_apart() -> None:
    maps = np.random.default_rng(0).random((2, 56, 56))
    assert np.isnan(apart(maps, maps + 1))
    assert np.isnan(share_of(0, 0)).all()


def test_what_a_mask_takes_away_makes_its_masked_image(plan: Plan, region: Regions) -> None:
    one = Labelled("image", LoadedImages(region.image()), 0)
    short = Plan("googlenet", region, plan.kept, steps=2)
    for name in ("fast", "paper"):
        found = map_of(short, one, name)
        gone = gone_of(found)
        assert 0 < gone.mean() < 1
        again = masked_by(region, METHODS[name].called(short), np.asarray(one.image), 1 - gone[None])
        np.testing.assert_allclose(again[0], found["masked_image"], atol=3e-3)


def test_a_disc_covers_a_share_in_the_middle() -> None:
    disc = disc_of(0.25, (40, 60))
    assert disc.mean() == 0.25
    down, across = np.nonzero(disc)
    assert np.hypot(down.mean() - 19.5, across.mean() - 29.5) < 0.5
    assert np.ptp(down) < 30
