"""What a user of ``blackbox-explain evaluate`` types and sees."""

from __future__ import annotations

import csv
import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import blackbox_explain as bx
from blackbox_explain.cli import app
from blackbox_explain.metrics.deletion_insertion import Deletion
from tests.cli.evaluated import MODEL, PHOTOS, WEIGHTS, boxes_file, explained, model, named, run, saved


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder of results: three images by one method, two of them by another."""
    return saved(tmp_path)


def test_the_values_are_those_of_python(folder: Path) -> None:
    done = run(folder / "gradient", "--model", MODEL, "--metric", "smallest-region", "--json")
    assert done.exit_code == 0, done.output
    (told,) = json.loads(done.stdout)["methods"]
    results = [bx.Explanation.load(path) for path in sorted((folder / "gradient").iterdir())]
    values = [bx.evaluate(model(), one, "smallest-region", progress=False).measurements[0].values[0] for one in results]
    found = told["metrics"]["smallest-region"]
    assert found["values"] == pytest.approx(values)
    assert found["mean"] == pytest.approx(np.mean(values))
    assert found["interval"] == [None, None]  # of three photos there is none
    assert [one["photo"] for one in told["rows"]] == list(PHOTOS)


def test_files_for_tables_and_a_picture_of_quality_and_cost(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "quality"
    done = run(folder, "--model", MODEL, "--metric", "deletion", "--out", out)
    assert done.exit_code == 0, done.output
    assert {path.name for path in out.iterdir()} == {"evaluation.csv", "evaluation.json", "quality.png"}
    with (out / "evaluation.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["method"], row["photo"]) for row in rows[:4]] == [
        *(("gradient", name) for name in PHOTOS),
        ("gradient-times-input", "a.jpg"),
    ]
    values = json.loads((out / "evaluation.json").read_text())["methods"][0]["metrics"]["deletion"]["values"]
    assert [float(row["value"]) for row in rows[:3]] == values
    with Image.open(out / "quality.png") as picture:
        assert np.asarray(picture.convert("RGB")).std() > 5
    one = run(folder / "gradient", "--model", MODEL, "--metric", "deletion", "--out", tmp_path / "one")
    assert one.exit_code == 0
    assert not (tmp_path / "one" / "quality.png").exists()


def test_results_of_other_settings_are_another_line(tmp_path: Path) -> None:
    one = explained("gradient", 0)
    for name, value in (("a", 1), ("b", 2), ("c", 2)):
        told = dataclasses.replace(one.provenance, settings={"steps": value, "all": 3})
        dataclasses.replace(one, provenance=told).save(tmp_path / f"{name}.npz")
    done = run(tmp_path, "--model", MODEL, "--metric", "deletion", "--json")
    methods = json.loads(done.stdout)["methods"]
    assert [(one["method"], len(one["rows"])) for one in methods] == [
        ("gradient, steps=1", 1),
        ("gradient, steps=2", 2),
    ]


def test_what_cannot_be_measured_is_named_and_the_rest_measured(folder: Path) -> None:
    good = folder / "gradient" / "a.npz"
    (folder / "gradient" / "damaged.npz").write_bytes(good.read_bytes()[:200])
    done = run(folder / "gradient", folder / "missing.npz", "--model", MODEL, "--metric", "deletion")
    assert done.exit_code == 2
    assert "damaged.npz" in done.output
    assert "not a saved explanation" in done.output
    assert "There is no such file" in done.output
    assert "Traceback" not in done.output
    assert done.stdout.splitlines()[2].split()[0] == "gradient"
    told = json.loads(run(folder / "gradient", "--model", MODEL, "--metric", "deletion", "--json").stdout)
    assert [Path(one["result"]).name for one in told["errors"]] == ["damaged.npz"]
    assert len(told["methods"][0]["rows"]) == 3


def test_a_metric_that_fits_one_method_alone(folder: Path) -> None:
    unsigned = dataclasses.replace(explained("gradient", 0), attribution=None, method="unsigned")
    unsigned.save(folder / "unsigned.npz")
    done = run(folder, "--model", MODEL, "--metric", "infidelity", "--json")
    assert done.exit_code == 2
    told = json.loads(done.stdout)
    assert [one["method"] for one in told["methods"]] == ["gradient"]
    said = " ".join(one["error"] for one in told["errors"])
    assert "'unsigned' tells no signs" in said
    assert "'gradient-times-input' tells shares of the score" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--metric", "deletoin"], "did you mean 'deletion'"),
        (["--metric", "pointing-game"], "on the command line --boxes"),
        (["--metric", "part-saliency"], "compares with points"),
        (["--label", "bird"], "--boxes too"),
        (["--setting", "stepps=5"], "None of these metrics has such a setting. Got stepps"),
        (["--metric", "deletion", "--setting", "stepps=5"], "did you mean steps="),
        (["--metric", "deletion", "--setting", "steps=0"], "a whole number from 1 to 1,000,000"),
        (["--metric", "deletion", "--setting", "steps=100000000"], "a whole number from 1 to 1,000,000"),
        (["--setting", "steps"], "--setting is not NAME=VALUE"),
        (["--points", "missing.csv"], "cannot be read"),
        (["--boxes", "missing.csv"], "cannot be read"),
    ],
)
def test_bad_options_stop_before_the_model_is_asked(arguments: list[str], message: str, folder: Path) -> None:
    done = run(folder, "--model", "tests.cli.evaluated:absent", *arguments)
    assert done.exit_code == 2
    assert message in done.output.replace("\n", " ")
    assert "Traceback" not in done.output


def test_results_without_a_model_need_one(folder: Path, tmp_path: Path) -> None:
    done = run(folder / "gradient" / "a.npz")
    assert done.exit_code == 2
    assert "does not name its model" in done.output.replace("\n", " ")
    (tmp_path / "empty").mkdir()
    done = run(tmp_path / "empty", "--model", MODEL)
    assert done.exit_code == 2
    assert "no results in this folder" in done.output.replace("\n", " ")


def test_boxes_of_the_class_that_was_explained(folder: Path) -> None:
    rows = ("a.jpg,0,0,24,24,bird", "b.jpg,0,0,24,24,fish", "photos/c.jpg,,,,,")
    done = run(folder / "gradient", "--model", MODEL, "--boxes", boxes_file(folder, *rows), "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)["methods"][0]["metrics"]
    assert list(told) == ["deletion", "insertion", "pointing-game", "localization"]
    assert told["pointing-game"]["values"] == [1.0, None, None]
    assert told["localization"]["values"][0] in (0.0, 1.0)
    assert "pointing-game: 2 of 3 explanations are in no mean: no object of the class in sight" in done.stderr
    fish = run(
        *(folder / "gradient", "--model", MODEL, "--boxes", folder / "boxes.csv", "--json"),
        *("--metric", "pointing-game", "--label", "fish"),
    )
    assert json.loads(fish.stdout)["methods"][0]["metrics"]["pointing-game"]["values"] == [None, 1.0, None]


def test_labels_that_the_model_has_no_class_for_are_told(folder: Path) -> None:
    rows = ("a.jpg,0,0,24,24,brid", "b.jpg,0,0,24,24,bird", "c.jpg,0,0,24,24,bird")
    asked = (folder / "gradient", "--model", MODEL, "--boxes", boxes_file(folder, *rows), "--metric", "pointing-game")
    done = run(*asked)
    assert done.exit_code == 0, done.output
    assert "a label of the boxes is no class of the model: 'brid'; --label says which" in done.stderr
    assert "no class of the model" not in run(*asked, "--label", "brid").stderr


def test_photos_that_are_not_among_those_with_boxes_are_errors(folder: Path) -> None:
    path = boxes_file(folder, "a.jpg,0,0,24,24,bird", "c.jpg,0,0,24,24,0")
    done = run(folder / "gradient", "--model", MODEL, "--boxes", path, "--metric", "pointing-game", "--json")
    assert done.exit_code == 2
    told = json.loads(done.stdout)
    assert [one["error"] for one in told["errors"]] == ["its photo 'b.jpg' is not among those with boxes"]
    assert told["methods"][0]["metrics"]["pointing-game"]["values"] == [1.0, None, 1.0]


def test_settings_are_those_of_the_metrics_that_have_them(folder: Path) -> None:
    asked = ("--metric", "deletion", "--metric", "infidelity", "--setting", "steps=5", "--setting", "draws=3")
    done = run(folder / "gradient", "--model", MODEL, *asked, "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)["methods"][0]["metrics"]
    assert "steps=5" in found["deletion"]["settings"]
    assert "draws=3" in found["infidelity"]["settings"]
    results = [bx.Explanation.load(path) for path in sorted((folder / "gradient").iterdir())]
    by_hand = [bx.evaluate(model(), one, [Deletion(steps=5)], progress=False).measurements[0].mean for one in results]
    assert found["deletion"]["values"] == pytest.approx(by_hand)


def test_points_are_measured_part_by_part(folder: Path) -> None:
    path = folder / "points.csv"
    rows = ("a.jpg,eyes,5,5", "a.jpg,feet,20,20", "b.jpg,eyes,3,3", "photos/c.jpg,,,")
    path.write_text("\n".join(("file,part,x,y", *rows)), encoding="utf-8")
    given = (folder / "gradient", "--model", MODEL, "--points", path, "--json")
    done = run(*given)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)["methods"][0]["metrics"]
    assert list(found) == ["deletion", "insertion", "part-saliency, eyes", "part-saliency, feet"]
    assert [value is None for value in found["part-saliency, eyes"]["values"]] == [False, False, True]
    assert [value is None for value in found["part-saliency, feet"]["values"]] == [False, True, True]
    assert "part-saliency, feet: 2 of 3 explanations are in no mean: no point of the part in sight" in done.stderr
    feet = run(*given, "--metric", "part-saliency", "--setting", "part=feet", "--setting", "window=1")
    assert feet.exit_code == 0, feet.output
    assert "window=1" in json.loads(feet.stdout)["methods"][0]["metrics"]["part-saliency"]["settings"]
    path.write_text("file,part,x,y\na.jpg,eyes,5,5\n", encoding="utf-8")
    done = run(*given, "--metric", "part-saliency")
    assert done.exit_code == 2
    errors = [one["error"] for one in json.loads(done.stdout)["errors"]]
    assert errors == [f"its photo '{name}.jpg' is not among those with points" for name in "bc"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_fingerprint": "sha256:other"}, "of different models are not measured in one table"),
        ({"suppress": 0.8}, "suppress=0.95.*suppress=0.8"),
    ],
)
def test_results_that_do_not_belong_together_stop_the_run(
    change: dict[str, Any], message: str, folder: Path, tmp_path: Path
) -> None:
    told = {"model_fingerprint": "sha256:one"}
    for row, change_of_row in ((0, {}), (1, change)):
        one = explained("gradient", row)
        changed = told | change_of_row
        suppress = changed.pop("suppress", one.suppress)
        provenance = dataclasses.replace(one.provenance, **changed)
        dataclasses.replace(one, provenance=provenance, suppress=suppress).save(folder / "gradient" / PHOTOS[row][:1])
    done = run(folder / "gradient", "--model", "tests.cli.evaluated:absent")
    assert done.exit_code == 2
    assert re.search(message, done.output.replace("\n", " "))
    assert "Traceback" not in done.output


def test_another_model_is_asked_whether_explanations_hold_for_it_too(folder: Path) -> None:
    done = run(folder / "gradient", "--model", "tests.cli.evaluated:other", "--metric", "transfer")
    assert done.exit_code == 2
    assert "0 of 3" in done.stdout
    assert "3 of 3 explanations are in no mean: nothing to measure" in done.stderr


def test_a_photo_explained_by_the_command_line_is_evaluated_with_nothing_but_its_result(tmp_path: Path) -> None:
    from blackbox_explain import samples

    made = CliRunner().invoke(app, ["explain", str(samples.COFFEE), "--out", str(tmp_path), "--quiet"])
    assert made.exit_code == 0
    done = run(tmp_path, "--metric", "smallest-region")
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[0].split() == ["smallest-region"]
    assert done.stdout.splitlines()[2].split()[0] == "mask"


def test_boxes_of_photos_of_one_name_could_be_of_either(folder: Path, tmp_path: Path) -> None:
    other = explained("gradient", 1)
    assert other.photos is not None
    renamed = dataclasses.replace(other.photos[0], name="a.jpg", pixels=np.full((24, 24, 3), 90, np.uint8))
    dataclasses.replace(other, photos=(renamed,)).save(tmp_path / "gradient" / "z.npz")
    boxes = boxes_file(tmp_path, "a.jpg,0,0,12,12,bird", "b.jpg,0,0,12,12,bird", "c.jpg,0,0,12,12,bird")
    done = run(tmp_path / "gradient", "--model", MODEL, "--boxes", boxes, "--metric", "pointing-game", "--json")
    assert done.exit_code == 2
    assert "are both called 'a.jpg': boxes could be of either" in done.output
    (told,) = json.loads(done.stdout)["methods"]
    assert len(told["metrics"]["pointing-game"]["values"]) == 3
    # Where nobody marked anything, a name is a name.
    assert run(tmp_path / "gradient", "--model", MODEL, "--metric", "deletion").exit_code == 0


def test_boxes_in_shares_of_the_photo_are_refused(folder: Path, tmp_path: Path) -> None:
    boxes = boxes_file(tmp_path, "a.jpg,0.1,0.1,0.6,0.6,bird")
    done = run(folder / "gradient", "--model", MODEL, "--boxes", boxes)
    assert done.exit_code == 2
    assert "this box is less than a pixel" in done.output


def swapped() -> bx.BlackBox:
    return named(WEIGHTS, "fish", "bird")


def test_a_model_with_its_classes_in_another_order_is_refused(folder: Path) -> None:
    done = run(folder / "gradient", "--model", "tests.cli.test_evaluate:swapped", "--metric", "deletion")
    assert done.exit_code == 2
    assert "The model has its classes in another order than the explanation" in done.output
    assert "'bird' as class 1, and class 0 as 'fish'" in done.output


def constant() -> bx.BlackBox:
    return named(np.zeros_like(WEIGHTS), "bird", "fish")


def test_a_metric_without_a_value_is_told_by_the_exit_status(folder: Path) -> None:
    done = run(folder / "gradient", "--model", "tests.cli.test_evaluate:constant", "--metric", "deletion")
    assert done.exit_code == 2
    assert "0 of 3" in done.output
