"""Two exports of one model: when they are the same, and when they only look it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import blackbox_explain as bx
from blackbox_explain import samples
from blackbox_explain.cli import app
from blackbox_explain.compare import Tolerances, compare, equal_area_iou
from blackbox_explain.errors import InputError, ModelError
from tests.toys import Regions, box_region

REGIONS = [box_region((64, 64), (8, 8), (32, 32)), box_region((64, 64), (36, 36), (58, 58))]


def options() -> dict[str, Any]:
    return {"perturbation": "constant", "area_weight": 1e-3}


def test_a_model_is_the_same_as_itself() -> None:
    box = Regions(REGIONS[:1])
    found = compare(box, box, box.image(), **options())
    assert found.score_difference[0] == 0
    assert found.correlation[0] == pytest.approx(1)
    assert found.iou[0] == 1
    assert found.effect[0, 0, 0] == pytest.approx(found.effect[0, 0, 1])
    assert all(kept for _, _, kept in found.verdicts(Tolerances()).values())


def test_equal_scores_for_other_reasons_are_told_apart() -> None:
    first, second = Regions(REGIONS[:1]), Regions(REGIONS[1:])
    found = compare(first, second, first.image(), **options())
    assert found.score_difference[0] < 1e-12
    assert found.correlation[0] < 0.2
    assert found.iou[0] < 0.1
    # Each mask does its work on its own model and none on the other.
    assert found.effect[0].diagonal().min() > 0.8
    assert np.abs(found.effect[0][~np.eye(2, dtype=bool)]).max() < 0.3
    kept = {name: one[2] for name, one in found.verdicts(Tolerances()).items()}
    assert kept == {
        "largest difference of a score": True,
        "same top class": True,
        "mean correlation of masks": False,
        "mean IoU at equal area": False,
    }


def test_masks_that_are_constant_and_scores_that_are_infinite() -> None:
    constant = bx.wrap(lambda images: np.tile([0.6, 0.4], (len(images), 1)), shape=(1, 64, 64), activation="none")
    image = Regions(REGIONS).image()
    assert compare(constant, constant, image, queries=120).correlation[0] == 1

    def scores(images: np.ndarray) -> np.ndarray:
        known = Regions(REGIONS[:1]).scores(images)
        return np.concatenate([known, np.full((len(images), 1), -np.inf)], axis=1)

    box = bx.wrap(scores, shape=(1, 64, 64), activation="none")
    found = compare(box, box, image, queries=300, **options())
    assert found.score_difference[0] == 0
    assert np.isfinite(found.effect).all()


def test_regions_of_equal_area() -> None:
    ramp = np.linspace(0, 1, 100).reshape(10, 10)
    assert equal_area_iou(ramp, ramp / 5) == 1
    assert equal_area_iou(ramp, 1 - ramp) == 0
    assert equal_area_iou(ramp * 0, ramp * 0) == 1


def test_models_that_cannot_be_compared() -> None:
    box = Regions(REGIONS[:1])
    with pytest.raises(InputError, match="read different images"):
        compare(box, Regions([box_region((32, 32), (2, 2), (9, 9))]), box.image())
    three = bx.wrap(lambda images: np.ones((len(images), 3)) / 3, shape=(1, 64, 64))
    with pytest.raises(ModelError, match="different classes"):
        compare(box, three, box.image())


def shifted() -> bx.BlackBox:
    box: Any = bx.wrap("efficientnet-lite0")

    def scores(images: np.ndarray) -> np.ndarray:
        return np.roll(box.scores(images.astype(np.float32)), 1, axis=1)

    return bx.wrap(scores, spec=box.spec)


def run(*arguments: str | Path) -> Any:
    return CliRunner().invoke(app, ["compare", *map(str, arguments)])


def test_the_command_line_tells_and_its_exit_status_too(tmp_path: Path) -> None:
    options = ("--mean", "0.4980392", "--std", "0.5019608")
    done = run("efficientnet-lite0", samples.MODEL, samples.CAT, *options, "--out", tmp_path / "same.json")
    assert done.exit_code == 0, done.output
    found = json.loads((tmp_path / "same.json").read_text(encoding="utf-8"))
    assert found["verdicts"]["mean correlation of masks"]["found"] > 0.98
    done = run("efficientnet-lite0", "tests.test_compare:shifted", samples.CAT, "--queries", "150")
    assert done.exit_code == 1, done.output
    assert "BROKEN" in done.output
    assert run("efficientnet-lite0", samples.MODEL, tmp_path / "no.jpg", *options).exit_code == 2
    assert run("efficientnet-lite0", "nothing.onnx", samples.CAT).exit_code == 2
