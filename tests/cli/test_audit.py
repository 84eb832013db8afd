"""``blackbox-explain audit``: what it prints, and what its exit status says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from blackbox_explain.auditing.auditor import read_audit
from blackbox_explain.cli import app
from blackbox_explain.errors import InputError
from tests.auditing.stamped import make_photos


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    paths = make_photos(folder / "photos")
    lines = [f"{path.name},{path.stem[4:]}" for path in paths]
    (folder / "labels.csv").write_text("\n".join(["file,label", *lines]) + "\n")
    return folder / "photos"


def cli(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["audit", *map(str, arguments)])


MODEL = ("--model", "tests.auditing.stamped:model", "--preset", "quick", "--perturbation", "constant")


def test_the_command_finds_the_stamp_and_says_where(photos: Path, tmp_path: Path) -> None:
    done = cli(photos, *MODEL, "--labels", photos.parent / "labels.csv", "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert "In 8 of 8 images of stamped the region is at the top left" in " ".join(done.output.split())
    assert "first look at 24 images: 100% right" in done.output
    # The clearest images are named, and what makes a page of it.
    assert "000_stamped.png" in done.output
    assert f"'blackbox-explain report {tmp_path / 'out'}' makes a page" in done.output
    assert "outside boxes: not looked for: no boxes" in done.output
    assert "no rules were learned: they need 30 images" in done.output
    told = json.loads(cli(photos, *MODEL, "--out", tmp_path / "out2", "--limit", "9", "--json").stdout)
    assert (told["images"], told["failed"]) == (9, 0)
    again = cli(photos, *MODEL, "--out", tmp_path / "out")
    assert again.exit_code == 2
    assert "--resume" in again.output


def test_an_image_that_failed_before_is_told_by_the_exit_status_of_every_run(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    make_photos(photos, 6)
    (photos / "broken.png").write_bytes(b"no photo")
    assert cli(photos, *MODEL, "--out", tmp_path / "out").exit_code == 2
    again = cli(photos, *MODEL, "--out", tmp_path / "out", "--resume")
    assert again.exit_code == 2
    assert "0 images explained" in again.output
    assert ", 6 before; 1 of 7 failed" in again.output
    assert "1 of 7 images could not be explained" in again.output


def test_a_wrong_model_is_stopped_and_yes_goes_on(photos: Path, tmp_path: Path) -> None:
    options = ("--labels", photos.parent / "labels.csv", "--preset", "quick")
    done = cli(photos, "--model", "tests.auditing.stamped:swapped", *options, "--out", tmp_path / "out")
    assert done.exit_code == 2
    assert "--bgr" in done.output
    assert cli(
        photos, "--model", "tests.auditing.stamped:swapped", *options, "--out", tmp_path / "out", "--yes"
    ).exit_code in (0, 2)
    assert len(read_audit(tmp_path / "out")) == 24


def test_a_mistyped_class_is_told_before_the_first_image(photos: Path, tmp_path: Path) -> None:
    done = cli(photos, *MODEL, "--target", "stampd", "--out", tmp_path / "out")
    assert done.exit_code == 2
    assert done.output.count("There is no such class") == 1
    assert not (tmp_path / "out").exists()


def test_a_page_of_an_audit_in_which_a_run_explained_nothing(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    make_photos(photos, 6)
    assert cli(photos, *MODEL, "--out", tmp_path / "out").exit_code == 0
    (photos / "zz.png").write_bytes(b"")
    assert cli(photos, *MODEL, "--out", tmp_path / "out", "--resume").exit_code == 2
    done = CliRunner().invoke(app, ["report", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output


def test_a_kind_of_table_that_there_is_not(photos: Path, tmp_path: Path) -> None:
    assert cli(photos, *MODEL, "--limit", 2, "--out", tmp_path / "out").exit_code == 0
    with pytest.raises(InputError, match="no such kind of table"):
        read_audit(tmp_path / "out", to="polars")  # type: ignore[arg-type]
