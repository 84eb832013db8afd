"""What a user of ``blackbox-explain verify`` types and sees."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

import blackbox_explain as bx
from blackbox_explain.cli import app
from tests.verifying.test_verifying import Checkered, changed, explained, known


@pytest.fixture(scope="module")
def result() -> bx.Explanation:
    return explained()


@pytest.fixture
def path(result: bx.Explanation, tmp_path: Path) -> Path:
    return result.save(tmp_path / "result.npz")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["verify", *map(str, arguments)])


def test_the_command_line_verifies_a_file(path: Path) -> None:
    done = run(path, "--model", "tests.verifying.test_verifying:known", "--seeds", 1)
    assert done.exit_code == 0, done.output
    assert "texture, mask 1 of 2" in done.output
    assert "suppression by noise instead" in done.output
    assert "correlation, 1 other seed" in done.output
    assert "The result holds" in done.output
    assert max(map(len, done.stdout.splitlines())) <= 80
    done = run(path, "--model", "tests.verifying.test_verifying:known", "--seeds", 0, "--json")
    whole = json.loads(done.stdout)
    assert whole["holds"]
    assert whole["model"]["held"]
    assert whole["result"] == str(path)
    assert whole["rows"][0]["found"]["score"] == pytest.approx(1.0)


def test_seeds_that_cannot_be_tried_are_named(tmp_path: Path) -> None:
    box = known()
    made = bx.explain(box, box.image(), 0, perturbation=Checkered(), progress=False, steps=3)
    done = run(made.save(tmp_path / "result.npz"), "--model", "tests.verifying.test_verifying:known", "--seeds", 1)
    assert done.exit_code == 0, done.output
    assert "no mask was learned with other seeds" in done.output


@pytest.mark.parametrize("model", ["named_otherwise", "elsewhere"])
def test_the_command_line_fails_on_another_model(path: Path, model: str) -> None:
    done = run(path, "--model", f"tests.verifying.test_verifying:{model}", "--seeds", 0)
    assert done.exit_code == 1
    assert "BROKEN" in done.output
    assert "does not hold" in done.output
    done = run(path, "--model", f"tests.verifying.test_verifying:{model}", "--seeds", 0, "--json")
    assert done.exit_code == 1
    assert json.loads(done.stdout)["holds"] is False


def test_the_command_line_fails_on_a_changed_result(result: bx.Explanation, tmp_path: Path) -> None:
    path = changed(result, score_masked=result.score_masked * 0).save(tmp_path / "changed.npz")
    done = run(path, "--model", "tests.verifying.test_verifying:known", "--seeds", 0)
    assert done.exit_code == 1
    assert "the score after the mask is as stated: it is" in done.output


def test_what_cannot_be_verified_is_an_error(path: Path, tmp_path: Path) -> None:
    good = path.read_bytes()
    files = {"short.npz": good[: len(good) // 2], "text.npz": b"hello", "empty.npz": b"", "cat.jpg": b"\xff\xd8\xff"}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    np.savez(tmp_path / "other.npz", mask=np.zeros(3))
    messages = dict.fromkeys((*files, "other.npz"), "not a saved explanation")
    for name, message in {**messages, "missing.npz": "no such file"}.items():
        done = run(tmp_path / name, "--model", "tests.verifying.test_verifying:known")
        assert done.exit_code == 2, name
        assert message in done.output.replace("\n", " ")
        assert "Traceback" not in done.output
    for model, message in (
        ("larger", "do not fit the model"),
        ("failing", "no power"),
        ("absent", "cannot be imported"),
    ):
        done = run(path, "--model", f"tests.verifying.test_verifying:{model}")
        assert done.exit_code == 2
        assert message in done.output.replace("\n", " ")


def test_a_photo_explained_by_the_command_line_verifies_with_nothing_but_its_result(tmp_path: Path) -> None:
    from blackbox_explain import samples

    explained = CliRunner().invoke(app, ["explain", str(samples.COFFEE), "--out", str(tmp_path), "--quiet"])
    assert explained.exit_code == 0
    done = run(tmp_path / "coffee.npz", "--seeds", 0)
    assert done.exit_code == 0, done.output
    assert "the model is the same" in done.output
