"""Settings of every method: what is no number, or out of range, is refused with the name of the setting."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import blackbox_explain as bx
from blackbox_explain.box.entry_points import entry_points, settings_of
from blackbox_explain.box.info import BoxInfo
from blackbox_explain.errors import InputError
from blackbox_explain.methods.by_name import METHODS, kind_of, method_of
from blackbox_explain.methods.extremal import ExtremalPerturbation
from blackbox_explain.methods.layers import GradCam
from blackbox_explain.methods.occlusions import CircleOcclusion, Occlusion, Rise, Shapley, VariableOcclusion
from tests.toys import Regions, box_region

NAMES = sorted(point.name for point in entry_points(METHODS))

NO_NUMBERS: tuple[Any, ...] = ("", "ten", b"1", [], [1], (), {}, object(), 1 + 2j, True, False)
NOWHERE = (-1, -0.5, math.nan, math.inf, -math.inf)
"""What no setting of any method may be."""

MAY_BE: dict[str, tuple[Any, ...]] = {
    "layer": ("", "ten"),
    "radii": ([1],),
    "mask_shape": ([1],),
    "average": (True, False),
    "relative": (True, False),
}
"""What of these is a value nevertheless, by setting: a name of a layer, a list of lengths, a choice."""


def toy() -> Regions:
    return Regions([box_region((24, 24), (6, 6), (14, 14))])


@pytest.mark.parametrize("name", NAMES)
def test_no_setting_takes_what_it_cannot_be(name: str) -> None:
    for setting in settings_of(kind_of(name)):
        for value in (*NO_NUMBERS, *NOWHERE):
            if any(value is one or (type(value) is type(one) and value == one) for one in MAY_BE.get(setting, ())):
                continue
            with pytest.raises(InputError):
                method_of(name, {setting: value})


@pytest.mark.parametrize("name", NAMES)
def test_no_whole_number_is_half_or_beyond_all_bounds(name: str) -> None:
    for setting, kind in settings_of(kind_of(name)).items():
        if kind.startswith("int"):
            for value in (0.5, 1.5, 10**12):
                with pytest.raises(InputError, match=setting):
                    method_of(name, {setting: value})


def test_the_message_says_the_setting_the_method_and_the_range() -> None:
    with pytest.raises(InputError, match=r"masks of 'rise'.*Got masks=0; expected a whole number from 1 to 1,000,000"):
        method_of("rise", {"masks": 0})
    with pytest.raises(InputError, match=r"kept=1.0; expected a number above 0 and below 1"):
        method_of("rise", {"kept": 1.0})


def test_numbers_of_numpy_are_kept_as_those_of_python() -> None:
    method = Rise(masks=np.int64(20), kept=np.float32(0.5))  # type: ignore[arg-type]
    assert type(method.masks) is int
    assert type(method.kept) is float


def test_settings_of_masks_are_checked_too() -> None:
    for wrong in ("ten", math.nan, -1.0):
        for name in ("area_weight", "tv_weight", "tv_beta", "tolerance"):
            with pytest.raises(InputError):
                method_of("mask", {"preset": "paper", name: wrong})


def test_squares_that_fit_no_image_are_refused() -> None:
    image = np.full((1, 1, 24, 24), 0.3, np.float32)
    for settings, words in (({"side": 24}, "covers the whole image"), ({"stride": 4}, "leave gaps")):
        with pytest.raises(InputError, match=words):
            bx.explain(toy(), image, 0, method=Occlusion(**settings), progress=False)


def test_an_area_of_less_than_a_pixel_is_one() -> None:
    image = np.full((1, 1, 24, 24), 0.3, np.float32)
    method = ExtremalPerturbation(area=1e-9, steps=5, perturbation="low")
    found = bx.explain(toy(), image, 0, method=method, progress=False)
    assert np.isfinite(found.saliency).all()


def test_a_layer_is_a_name() -> None:
    with pytest.raises(InputError, match="the setting layer of 'grad-cam'".capitalize()):
        GradCam(layer=["conv"])  # type: ignore[arg-type]


def test_circles_of_any_length_allowed_give_finite_maps() -> None:
    image = np.full((1, 1, 24, 24), 0.3, np.float32)
    for method in (
        CircleOcclusion(radius=10_000.0, edge=10_000.0, spacing=100.0),
        VariableOcclusion(radii=(1e-3, 10_000.0), edge=0.0, spacing=100.0),
    ):
        found = bx.explain(toy(), image, 0, method=method, progress=False)
        assert np.isfinite(found.saliency).all()


@pytest.mark.parametrize("size", [0, -1, 1.5, "four", math.nan, True])
def test_a_batch_is_a_whole_number_of_images(size: Any) -> None:
    image = np.full((1, 1, 24, 24), 0.3, np.float32)
    with pytest.raises(InputError, match="batch"):
        bx.explain(toy(), image, 0, method="gradient", batch_size=size, progress=False)


@pytest.mark.parametrize("size", [math.inf, math.nan, 0, 2.5])
def test_no_mask_has_a_side_that_is_no_count(size: float) -> None:
    with pytest.raises(InputError, match="mask_shape"):
        method_of("mask", {"mask_shape": (size, 28)})


def test_shapley_takes_as_few_samples_as_one_order_and_its_reverse_need() -> None:
    segments = 7
    least = 2 * (segments + 1)
    box, method = toy(), Shapley(segments=segments, samples=least)
    found = bx.explain(box, np.full((1, 1, 24, 24), 0.5), 0, method=method, progress=False)
    assert len(np.unique(found.saliency)) > 1
    assert found.queries.sum() <= method.budget(BoxInfo.of(box)).with_region
    with pytest.raises(InputError, match=f"expected at least {least}"):
        method_of("shapley", {"segments": segments, "samples": least - 1})
