"""Commands are imported when they are called, and none waits for another's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import blackbox_explain as bx
from blackbox_explain.cli import app
from blackbox_explain.cli.commands import COMMANDS


def test_help_names_every_command_in_order() -> None:
    lines = CliRunner().invoke(app, ["--help"]).output.splitlines()
    named = [words[1] for line in lines if len(words := line.split()) > 1 and words[1] in COMMANDS]
    assert tuple(named) == COMMANDS


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_under_its_name(name: str) -> None:
    result = CliRunner().invoke(app, [name, "-h"])
    assert result.exit_code == 0
    assert f"Usage: blackbox-explain {name} " in result.output


def test_a_slip_of_the_keys_is_told_what_was_meant() -> None:
    result = CliRunner().invoke(app, ["explian", "cat.jpg"])
    assert result.exit_code == 2
    assert "Did you mean 'explain'?" in result.output


def test_explain_loads_no_other_command_and_draws_nothing_before_it_has_to() -> None:
    code = (
        "import sys; from blackbox_explain.cli import app; "
        "from typer.testing import CliRunner; assert CliRunner().invoke(app, ['explain', '-h']).exit_code == 0; "
        "print(*sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "blackbox_explain.cli.explain" in loaded
    others = {f"blackbox_explain.cli.{name}" for name in COMMANDS} - {"blackbox_explain.cli.explain"}
    heavy = {
        "matplotlib",
        "onnx",
        "onnxruntime",
        "scipy",
        "pyarrow",
        "blackbox_explain.rules",
        "blackbox_explain.auditing.auditor",
    }
    assert not (others | heavy) & set(loaded)


def test_what_is_loaded_later_is_listed_at_once() -> None:
    code = (
        "import blackbox_explain as bx; assert not set(bx.__all__) - set(dir(bx)); bx.verify, bx.evaluate, bx.compare"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert bx.interrogate.__module__ == "blackbox_explain.interrogating"


def test_a_command_ends_without_a_last_search_for_circles() -> None:
    code = (
        "import atexit, gc, sys; atexit.register(lambda: print(gc.get_freeze_count() > 1000)); "
        "sys.argv = ['blackbox-explain', '--version']; from blackbox_explain.cli import main; main()"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert said == [bx.__version__, "True"]


@pytest.mark.skipif(sys.platform == "win32", reason="pipes end otherwise on Windows")
@pytest.mark.parametrize(("reader", "status"), [("true", 141), ("cat", 0)])
def test_a_reader_that_has_enough_is_no_verdict(reader: str, status: int) -> None:
    command = f'"{sys.executable}" -m blackbox_explain methods | {reader} > /dev/null; exit ${{PIPESTATUS[0]}}'
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (status, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_output_that_cannot_be_written_is_told() -> None:
    command = f'"{sys.executable}" -m blackbox_explain methods > /dev/full'
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "error: The output cannot be written. Got No space left on device.\n"
