"""Several methods on the command line: one picture, a file for each, and what a model does not allow."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

import blackbox_explain as bx
from blackbox_explain import Explanation, samples
from blackbox_explain.cli import app
from blackbox_explain.cli.shown.listed import choices_of, defaults_of, first_line, takes
from blackbox_explain.metrics.metric import Better

BRIGHT = ("--model", "tests.auditing.test_photo_run:bright")
"""A model of three classes without gradients, for photos of 32 × 32 pixels."""


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)))


def test_methods_are_listed_with_what_the_model_does_not_allow() -> None:
    done = run("methods", *BRIGHT, "--json")
    assert done.exit_code == 0, done.output
    found = {one["method"]: one for one in json.loads(done.output)}
    assert found["occlusion"]["allowed"]
    assert found["rise"]["settings"] == {"perturbation": None, "masks": 4000, "cells": 7, "kept": 0.5}
    assert (found["rise"]["takes"], found["mask"]["takes"]) == ("scores", "scores")
    assert found["mask"]["choices"]["preset"][0] == "fast"
    assert found["rise"]["queries"] > 4000
    assert not found["grad-cam"]["allowed"]
    assert "grad-cam" in found["grad-cam"]["why_not"]
    lines = run("methods", *BRIGHT).output.splitlines()
    assert lines[1].split()[:2] == ["mask", "scores"]
    assert any(line.startswith("occlusion") and "Cover squares of the image" in line for line in lines)
    (refused,) = [line for line in lines if line.startswith("not ")]
    names, _, why = refused.removeprefix("not ").partition(": ")
    assert set(names.split(", ")) == {name for name, one in found.items() if not one["allowed"]}
    assert why.startswith("This black box gives scores but no gradients. Got a CallableBlackBox")


def test_methods_tell_choices_and_where_the_settings_of_the_mask_are(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {line.split()[0]: line for line in run("methods").output.partition("settings,")[2].splitlines() if line}
    assert "space=input|mask" in told["integrated-gradients"]
    assert "of=logits|scores" in told["grad-cam"]
    assert "options of explain: --preset fast|quick|thorough|paper|authors, --game deletion|" in told["mask"]
    monkeypatch.setenv("COLUMNS", "90")
    narrow = run("methods").output
    assert max(map(len, narrow.splitlines())) <= 90
    assert [line.split()[1] for line in narrow.splitlines() if line.startswith(("mask ", "grad-cam ", "gradient "))][
        :3
    ] == ["gradients", "gradients", "layers"]


def test_metrics_are_listed_with_what_they_need_and_their_settings() -> None:
    done = run("metrics", "--json")
    assert done.exit_code == 0, done.output
    found = {one["metric"]: one for one in json.loads(done.output)}
    box = bx.wrap(lambda images: images.mean(axis=(1, 2, 3))[:, None], shape=(3, 8, 8), activation="none")
    assert set(found) == set(bx.metrics_for(box))
    assert all(one["what"].endswith(".") and one["better"] in get_args(Better) for one in found.values())
    assert found["deletion"]["settings"] == {"perturbation": "blur", "steps": 20}
    assert found["deletion"]["range"] == [None, None]
    assert found["smallest-region"]["range"] == [0, 0.5]
    assert found["localization"]["needs"] == found["pointing-game"]["needs"] == "boxes"
    assert "objects" not in found["pointing-game"]["settings"]
    assert found["part-saliency"]["needs"] == "points"
    assert found["randomization"]["needs"] == "the method, parameters"
    assert "method" not in found["randomization"]["settings"]
    shown = run("metrics").output
    assert "threshold=value|energy|mean, alpha=null" in shown
    assert "blackbox-explain metrics" in " ".join(run("evaluate", "--help").output.replace("│", " ").split())


def test_a_type_for_the_type_checker_alone_hides_choices_and_nothing_else() -> None:
    @dataclass(frozen=True)
    class Elsewhere:
        """Measure nothing.

        Not even this.
        """

        way: NotImported = "near"  # type: ignore[name-defined]  # noqa: F821
        least: float | None = None
        needs = bx.Rewritable

    assert defaults_of(Elsewhere) == {"way": "near", "least": None}
    assert choices_of(Elsewhere) == {}
    assert (first_line(Elsewhere), takes(Elsewhere)) == ("Measure nothing.", "backward rules")


def test_what_a_model_lacks_nothing_for_is_refused_for_a_reason_of_its_own() -> None:
    (refused,) = [line for line in run("methods").output.splitlines() if line.startswith("not ")]
    assert refused.startswith("not attention-rollout: No attention was found in this model")


def test_two_methods_make_one_picture_and_two_results(tmp_path: Path) -> None:
    options = ("--method", "occlusion", "--method", "lime", "--setting", "side=8", "--setting", "samples=50")
    done = run("explain", samples.CAT, *BRIGHT, *options, "--setting", "segments=9", "--out", tmp_path)
    assert done.exit_code == 0, done.output
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"cat.png", "cat.json", "cat-occlusion.npz", "cat-lime.npz"}
    entries = json.loads((tmp_path / "cat.json").read_text())
    assert [one["method"] for one in entries] == ["occlusion", "lime"]
    assert all(one["seconds"] >= 0 for one in entries)
    result = Explanation.load(tmp_path / "cat-occlusion.npz")
    assert result.provenance.settings["side"] == 8
    assert entries[0]["share"] == pytest.approx(float(result.share[0]))
    with Image.open(tmp_path / "cat.png") as picture:
        assert np.asarray(picture.convert("RGB")).std() > 20
    assert "occlusion" in done.output
    assert "lime" in done.output


def test_one_other_method_takes_its_settings(tmp_path: Path) -> None:
    done = run("explain", samples.CAT, *BRIGHT, "--method", "rise", "--setting", "masks=40", "--out", tmp_path)
    assert done.exit_code == 0, done.output
    assert {path.name for path in tmp_path.iterdir()} == {"cat.png", "cat-rise.npz", "cat.json"}
    assert "by rise;" in done.output
    result = Explanation.load(tmp_path / "cat-rise.npz")
    assert result.method == "rise"
    assert result.provenance.settings["masks"] == 40


def test_what_the_model_does_not_allow_is_named_and_the_others_are_kept(tmp_path: Path) -> None:
    done = run("explain", samples.CAT, *BRIGHT, "--method", "center", "--method", "grad-cam", "--out", tmp_path)
    assert done.exit_code == 2
    assert "not grad-cam:" in done.output
    assert (tmp_path / "cat-center.npz").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--method", "gradcam"), "did you mean 'grad-cam'"),
        (("--method", "center", "--method", "occlusion", "--setting", "mask=3"), "None of these methods"),
        (("--method", "rise", "--setting", "mask=3"), "did you mean masks="),
        (("--method", "rise", "--setting", "masks"), "--setting is not NAME=VALUE"),
        (("--method", "center", "--method", "rise", "--setting", "msks=20"), "did you mean masks="),
        (("--method", "center", "--setting", "rise.masks=20"), "rise.masks"),
        (("--method", "RISE"), "did you mean 'rise'"),
        (("--method", "center", "--method", "rise", "--sheet"), "--sheet shows several photos by one method"),
        (("--method", "rise", "--game", "both"), "game='both'; expected 'deletion' or 'preservation'"),
        (("--method", "grad-cam"), "the method 'grad-cam'"),
        (("--method", "rise", "--method", "center", "--top", "2"), "--top explains several classes by one method"),
    ],
)
def test_mistakes_are_told(options: tuple[str, ...], said: str, tmp_path: Path) -> None:
    done = run("explain", samples.CAT, *BRIGHT, *options, "--out", tmp_path)
    assert done.exit_code == 2
    assert said in " ".join(done.output.split())
    assert not list(tmp_path.iterdir())


def breaks_at_squares() -> Any:
    """Return a model that fails where a photo has a grey square in its corner, as occlusion has it."""

    def scores(images: np.ndarray) -> np.ndarray:
        if (images[:, :, :4, :4] == 0.5).all(axis=(1, 2, 3)).any():
            raise ValueError("no grey corners")
        level = images.mean(axis=(1, 2, 3))
        return np.stack([level, 1 - level], axis=1)

    return bx.wrap(scores, shape=(3, 32, 32), activation="none", class_names=("light", "dark"))


@pytest.mark.parametrize("command", ["explain", "audit"])
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--method", "grad-cem"), "grad-cam"),
        (("--method", "all", "--method", "grad-cem"), "grad-cam"),
        (("--method", "rise", "--setting", "masks=-1"), "masks=-1"),
    ],
)
def test_mistakes_are_told_before_a_model_is_loaded(
    command: str, options: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    done = run(command, samples.CAT, "--model", tmp_path / "none.onnx", *options, "--out", tmp_path / "out")
    assert done.exit_code == 2, done.output
    assert said in " ".join(done.output.split())
    assert "none.onnx" not in done.output


def test_many_methods_tell_their_cost_and_the_dearest(tmp_path: Path) -> None:
    few = ("--method", "center", "--method", "rise", "--setting", "masks=500", "--setting", "cells=3")
    assert "cost:" not in run("explain", samples.CAT, *BRIGHT, *few, "--out", tmp_path / "few").output
    many = (*few, "--method", "occlusion", "--setting", "side=8", "--method", "circle-occlusion")
    done = run("explain", samples.CAT, *BRIGHT, *many, "--out", tmp_path / "many")
    said = " ".join(done.output.split())
    assert "runs of the model for a photo; the slowest: circle-occlusion (" in said
    told = re.search(r"cost: \d methods, up to ([\d,]+) runs", said)
    results = [bx.Explanation.load(path) for path in (tmp_path / "many").glob("*.npz")]
    assert told
    assert len(results) == 4
    assert int(told[1].replace(",", "")) >= sum(int(one.queries.sum()) for one in results) > 500


def test_a_setting_may_be_of_one_method_alone(tmp_path: Path) -> None:
    options = (
        "--method",
        "rise",
        "--method",
        "shapley",
        "--setting",
        "rise.masks=30",
        "--setting",
        "shapley.samples=150",
    )
    done = run("explain", samples.CAT, *BRIGHT, *options, "--out", tmp_path)
    assert done.exit_code == 0, done.output
    rise, shapley = (bx.Explanation.load(tmp_path / f"cat-{name}.npz") for name in ("rise", "shapley"))
    assert rise.provenance.settings["masks"] == 30
    assert shapley.provenance.settings["samples"] == 150


def test_all_regions_of_a_picture_are_by_the_same_game_and_perturbation(tmp_path: Path) -> None:
    by = ("--method", "center", "--method", "mask", "--method", "rise", "--setting", "masks=30")
    options = ("--preset", "quick", "--game", "preservation", "--perturbation", "constant")
    done = run("explain", samples.CAT, *BRIGHT, *by, *options, "--out", tmp_path)
    assert done.exit_code == 0, done.output
    results = [bx.Explanation.load(path) for path in tmp_path.glob("*.npz")]
    assert {(one.game, one.perturbation) for one in results} == {("preservation", "constant")}
    assert len(results) == 3
    assert "with nothing but the region" in " ".join(done.output.split())


def test_one_method_that_fails_leaves_the_others_what_they_found(tmp_path: Path) -> None:
    model = ("--model", "tests.cli.test_methods:breaks_at_squares")
    done = run("explain", samples.CAT, *model, "--method", "occlusion", "--method", "center", "--out", tmp_path)
    assert done.exit_code == 2
    assert "occlusion failed: The model raised an error" in " ".join(done.output.split())
    assert {path.name for path in tmp_path.iterdir()} == {"cat.png", "cat.json", "cat-center.npz"}


def test_what_is_doubtful_is_told_of_several_methods_too(tmp_path: Path) -> None:
    # The score of the top class stays when the whole photo is hidden.
    model = ("--model", "tests.cli.test_methods:always_the_same")
    done = run("explain", samples.CAT, *model, "--method", "occlusion", "--method", "center", "--out", tmp_path)
    assert "check:" in done.output
    assert "weak" in done.output


def always_the_same() -> Any:
    """Return a model of a dozen classes that answers whatever it sees with the first."""
    return bx.wrap(lambda images: np.tile(np.eye(12)[0], (len(images), 1)), shape=(3, 32, 32), activation="none")
