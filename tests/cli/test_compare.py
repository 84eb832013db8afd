"""``blackbox-explain compare``: what it tells, and its exit status."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import blackbox_explain as bx
from blackbox_explain import samples
from blackbox_explain.auditing.output_folder import prepare_file
from blackbox_explain.auditing.photo_run import perturbation_for
from blackbox_explain.cli import app
from blackbox_explain.data.reading import PhotoReader
from blackbox_explain.errors import ResultError


def shifted() -> bx.BlackBox:
    box: Any = bx.wrap("efficientnet-lite0")

    def scores(images: np.ndarray) -> np.ndarray:
        return np.roll(box.scores(images.astype(np.float32)), 1, axis=1)

    return bx.wrap(scores, spec=box.spec)


def run(*arguments: str | Path) -> Any:
    return CliRunner().invoke(app, ["compare", *map(str, arguments)])


def test_the_command_line_tells_and_its_exit_status_too(tmp_path: Path) -> None:
    options = ("--mean", "0.4980392", "--std", "0.5019608")
    out = tmp_path / "new" / "same.json"
    done = run("efficientnet-lite0", samples.MODEL, samples.CAT, *options, "--out", out)
    assert done.exit_code == 0, done.output
    assert "preprocessing: as given for B alone, A describes itself" in done.output
    found = json.loads(out.read_text(encoding="utf-8"))
    assert found["verdicts"]["mean correlation of masks"]["found"] > 0.95
    assert [one["model"] for one in found["models"]] == ["efficientnet-lite0", str(samples.MODEL)]
    assert all(one["model_fingerprint"] for one in found["models"])
    assert found["models"][1]["assumptions"]
    done = run("efficientnet-lite0", "tests.cli.test_compare:shifted", samples.CAT, "--queries", "150")
    assert done.exit_code == 1, done.output
    assert "BROKEN" in done.output
    assert "but B: tiger cat" in " ".join(done.output.split())
    assert run("efficientnet-lite0", samples.MODEL, tmp_path / "no.jpg", *options).exit_code == 2
    assert run("efficientnet-lite0", "nothing.onnx", samples.CAT).exit_code == 2


def halves() -> Callable[[np.ndarray], np.ndarray]:
    return lambda images: np.stack([images[:, :, :16].mean(axis=(1, 2, 3)), images[:, :, 16:].mean(axis=(1, 2, 3))], 1)


def fails_on_coffee() -> Callable[[np.ndarray], np.ndarray]:
    coffee = bx.load_images(samples.COFFEE, bx.InputSpec((3, 32, 32))).mean()

    def scores(images: np.ndarray) -> np.ndarray:
        if (np.abs(images.mean(axis=(1, 2, 3)) - coffee) < 1e-3).any():
            raise ValueError("no coffee")
        return halves()(images)

    return scores


SMALL = ("--shape", "3,32,32", "--queries", "100")


def test_photos_that_fail_are_named_and_the_others_compared(tmp_path: Path) -> None:
    torn = tmp_path / "torn.jpg"
    torn.write_bytes(samples.CAT.read_bytes()[:3000])
    models = ("tests.cli.test_compare:halves", "tests.cli.test_compare:fails_on_coffee")
    done = run(*models, torn, samples.COFFEE, samples.CAT, *SMALL, "--out", tmp_path / "found.json")
    assert done.exit_code == 2, done.output
    text = " ".join(done.output.split())
    assert "coffee.jpg: B: The model raised an error. Got ValueError: no coffee" in text
    assert "The image is damaged" in text
    assert "over 1 of 3 photos" in text
    assert "2 of 2 masks are weak" in text
    assert "cat.jpg, A: weak" in text
    rows = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))["rows"]
    assert [Path(row["photo"]).name for row in rows] == ["torn.jpg", "coffee.jpg", "cat.jpg"]
    assert "damaged" in rows[0]["error"]
    assert "no coffee" in rows[1]["error"]
    assert rows[2]["error"] is None
    assert rows[2]["outcome"][0].startswith("weak")
    assert len({frozenset(row) for row in rows}) == 1
    best = [one[0] for one in rows[2]["predictions"]]
    assert [one["score"] for one in best] == pytest.approx(rows[2]["scores"])
    assert f"cat.jpg, A: {best[0]['class']} {best[0]['score']:.2f}" in text
    assert json.loads(run(*models, samples.CAT, *SMALL, "--json").stdout)["rows"][0]["scores"][0] > 0
    done = run(*models, samples.COFFEE, torn, *SMALL)
    assert done.exit_code == 2
    assert "No image is left to compare; the second model" in done.output


def test_the_authors_blur_is_that_of_explain(tmp_path: Path) -> None:
    spec = bx.InputSpec((3, 32, 32))
    made = perturbation_for("blur", "authors", [samples.CAT, samples.COFFEE], spec, PhotoReader())
    assert isinstance(made, bx.Reference)
    expected = bx.load_images([samples.CAT, samples.COFFEE], spec, blur=10)
    np.testing.assert_array_equal(made.images, expected)
    assert perturbation_for("blur", "paper", [samples.CAT], spec, PhotoReader()) == "blur"
    assert perturbation_for("noise", "authors", [samples.CAT], spec, PhotoReader()) == "noise"
    model = "tests.cli.test_compare:halves"
    done = run(model, model, samples.CAT, *SMALL, "--preset", "authors", "--json")
    assert json.loads(done.stdout)["provenance"]["settings"]["perturbation"] == "reference"


def test_a_file_that_cannot_be_written_is_found_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    for out in (tmp_path, tmp_path / "file" / "below.json"):
        done = run("nothing.onnx", "nothing.onnx", samples.CAT, "--out", out)
        assert done.exit_code == 2
        assert "cannot be written" in done.output
    with pytest.raises(ResultError):
        prepare_file(tmp_path)
    prepare_file(tmp_path / "file")
    prepare_file(tmp_path / "new")
    assert (tmp_path / "file").read_text() == "kept"
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--top-agreement", "1.5"], "--top-agreement"),
        (["--iou", "-0.1"], "--iou"),
        (["--correlation", "-1.5"], "--correlation"),
        (["--score-tolerance", "nan"], "score"),
        (["--mean", "0.5"], "knows its own input"),
        (["--shape", "3,224,224"], "knows its own input"),
        (["--bgr"], "knows its own input"),
    ],
)
def test_options_out_of_range_or_of_no_use_are_mistakes(given: list[str], message: str) -> None:
    done = run("efficientnet-lite0", "efficientnet-lite0", samples.CAT, *given)
    assert done.exit_code == 2
    assert message in done.output
