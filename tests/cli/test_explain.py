"""The command line as a user meets it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from blackbox_explain import Explanation, samples
from blackbox_explain.cli import app
from blackbox_explain.cli.options.parsing import adapter_options
from blackbox_explain.progress import progress_bar
from tests.data.test_images import broken_files


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(one) for one in arguments])


def test_help_shows_examples() -> None:
    for command in ([], ["explain"], ["models"]):
        done = run(*command, "--help")
        assert done.exit_code == 0
    assert "blackbox-explain explain cat.jpg" in run("explain", "--help").output


def test_one_photo_leaves_a_picture_a_result_and_a_summary(tmp_path: Path) -> None:
    done = run("explain", samples.COFFEE, "--out", tmp_path / "new" / "folder")
    assert done.exit_code == 0, done.output
    assert "espresso" in done.output
    folder = tmp_path / "new" / "folder"
    assert {path.name for path in folder.iterdir()} == {"coffee.png", "coffee.npz", "coffee.json"}
    with Image.open(folder / "coffee.png") as picture:
        assert picture.width > 2 * picture.height
        assert np.asarray(picture.convert("RGB")).std() > 20
    result = Explanation.load(folder / "coffee.npz")
    summary = json.loads((folder / "coffee.json").read_text())
    assert summary["score"] == pytest.approx(result.score[0])
    assert summary["outcome"] == "ok"
    assert summary["score_region"] < 0.06 * summary["score"]
    assert summary["provenance"]["settings"]["preset"] == "fast"
    assert f"{result.score[0]:.4f}" in done.output


def brightness() -> Callable[[np.ndarray], np.ndarray]:
    """Return a model without gradients, for ``--model module:function``."""
    return lambda images: np.stack([images[:, :, :16].mean(axis=(1, 2, 3)), 1 - images.mean(axis=(1, 2, 3))], axis=1)


def test_a_model_that_gives_scores_only(tmp_path: Path) -> None:
    options = (
        "--model",
        "tests.cli.test_explain:brightness",
        "--shape",
        "3,32,32",
        "--queries",
        "120",
        "--out",
        tmp_path,
    )
    done = run("explain", samples.CAT, *options, "--target", "0")
    assert done.exit_code == 0, done.output
    assert "gradient estimated from scores: mean objective" in done.output
    summary = json.loads((tmp_path / "cat.json").read_text())
    assert summary["provenance"]["gradients"] == "estimated"
    assert 100 < summary["queries"]["scores"] <= 120
    assert run("explain", samples.CAT, *options, "--option", "fixed_batch=4").exit_code == 0
    refused = run("explain", samples.CAT, *options, "--option", "timeout=4")
    assert refused.exit_code == 2
    assert "no such option" in refused.output
    for wrong in ("timeout", "described=3", "model=x", "shape=3"):
        assert run("explain", samples.CAT, *options, "--option", wrong).exit_code == 2
    assert adapter_options(["a=False", "b=none", "c=[1]"]) == {"a": False, "b": "none", "c": [1]}


def test_json_is_json_and_quiet_is_quiet(tmp_path: Path) -> None:
    done = run("explain", samples.CAT, "--out", tmp_path, "--json", "--target", "tabby", "--game", "preservation")
    (only,) = json.loads(done.stdout)
    assert only["target"] == "tabby"
    assert only["provenance"]["settings"]["game"] == "preservation"
    assert run("explain", samples.CAT, "--out", tmp_path, "--quiet").output == ""


@pytest.mark.exhaustive
def test_the_authors_blur_of_several_photos(tmp_path: Path) -> None:
    model = ("--model", "tests.cli.test_explain:tiny_model", "--shape", "3,32,32", "--mean", "0.5")
    photos = [tmp_path / f"{index}.jpg" for index in range(3)]
    for photo in photos:
        shutil.copy(samples.CAT, photo)
    for count in (2, 3):
        done = run("explain", *photos[:count], *model, "--preset", "authors", "--out", tmp_path / "out")
        assert done.exit_code == 0, done.output
        assert f"{count} of {count} explained" in done.output


def test_good_photos_of_a_run_are_finished_and_kept(tmp_path: Path) -> None:
    broken = broken_files(tmp_path)
    other = tmp_path / "copy" / "cat.jpg"
    other.parent.mkdir()
    shutil.copy(samples.CAT, other)
    out = tmp_path / "out"
    done = run("explain", samples.CAT, *broken.values(), other, "--out", out, "--batch-size", "3")
    assert done.exit_code == 2
    # The folder of the broken ones was named too: its photos are those named and the copy, each taken once.
    assert "2 of 7 explained" in done.output
    for path in broken.values():
        assert str(path) in done.output.replace("\n", "")
    assert {path.name for path in out.glob("*.npz")} == {"cat.npz", "cat-2.npz"}
    first, second = (Explanation.load(out / name) for name in ("cat.npz", "cat-2.npz"))
    np.testing.assert_array_equal(first.mask, second.mask)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--target", "tabbi"], "tabby"),
        (["--target", "5000"], "no such class"),
        (["--target", "tabby", "--versus", "tabby"], "minus itself"),
        (["--versus", "tabby"], "one --target"),
        (["--top", "3", "--target", "tabby"], "stands alone"),
        (["--sum-top", "3", "--top", "2"], "stands alone"),
        (["--top", "5000"], "1 to 1000"),
        (["--model", "no-such-model"], "names no model"),
        (["--model", "missing.pt2"], "no such model file"),
        (["--device", "tpu"], "does not compute on 'tpu'"),
        (["--shape", "three"], "such as 3,224,224"),
        (["--classes", "missing.txt"], "cannot be read"),
    ],
)
def test_mistakes_are_messages(options: list[str], message: str, tmp_path: Path) -> None:
    done = run("explain", samples.CAT, "--out", tmp_path, *options)
    assert done.exit_code == 2
    assert "error:" in done.output
    assert message in done.output.replace("\n", " ")
    assert "Traceback" not in done.output


def test_an_output_folder_that_cannot_be_written_is_found_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = run("explain", samples.CAT, "--out", tmp_path / "file")
    assert done.exit_code == 2
    assert "cannot be written" in done.output
    if os.geteuid() != 0:
        (tmp_path / "locked").mkdir(mode=0o500)
        assert run("explain", samples.CAT, "--out", tmp_path / "locked").exit_code == 2


def test_models_lists_what_can_be_explained() -> None:
    done = run("models")
    assert "efficientnet-lite0 (default)" in done.output
    assert ".pt2" in done.output
    classes = run("models", "--classes", "efficientnet-lite0", "--like", "tabby")
    assert classes.output.split() == ["281", "tabby,", "tabby", "cat"]
    # Two classes have one name, and are told apart as in tables.
    cranes = run("models", "--classes", "efficientnet-lite0", "--like", "crane").output.splitlines()
    assert [line.strip() for line in cranes] == ["134  crane (134)", "517  crane (517)"]


@pytest.mark.parametrize(
    "options", [["--perturbation", "noise"], ["--preset", "authors"], ["--target", "3", "--target", "4"]]
)
def test_options_reach_the_learner(options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])
    out = tmp_path / "out"
    model = [
        "--model",
        "tests.cli.test_explain:tiny_model",
        "--shape",
        "3,32,32",
        "--mean",
        "0.5",
        "--std",
        "0.5,0.5,0.5",
        "--bgr",
    ]
    names = tmp_path / "names.txt"
    names.write_text("\n".join(f"name {index}" for index in range(6)))
    done = run("explain", samples.CAT, "--out", out, *model, "--classes", names, *options)
    assert done.exit_code == 0, done.output
    told = json.loads((out / "cat.json").read_text())
    settings = told["provenance"]["settings"]
    assert options[1] in (settings["perturbation"], settings["preset"], "3")
    if options[0] == "--target":
        assert told["target"] == "name 3 + name 4"
    if options[1] == "authors":
        assert settings["perturbation"] == "reference"


def tiny_model() -> object:
    import torch

    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 6, 5), torch.nn.Tanh(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()
    )


def test_progress_shows_what_is_done_and_what_is_left(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar(3, "explaining 3 photos", show=True) as advance:
        advance(3)
    shown = capsys.readouterr().err
    assert "explaining 3 photos" in shown
    assert "100%" in shown
    with progress_bar(3, "silent", show=False) as advance:
        advance(3)
    assert capsys.readouterr().err == ""


def test_a_report_shows_all_photos_by_all_methods_on_one_page(tmp_path: Path) -> None:
    model = ("--model", "tests.auditing.test_photo_run:bright")
    methods = ("--method", "occlusion", "--method", "center", "--setting", "side=8")
    done = run("explain", samples.CAT, samples.COFFEE, *model, *methods, "--report", "--out", tmp_path)
    assert done.exit_code == 0, done.output
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    for word in ("cat.jpg", "coffee.jpg", "occlusion", "center"):
        assert word in page
    assert "http://" not in page.replace("http://www.w3.org", "")
