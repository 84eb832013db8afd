"""Photos as the command line takes, names and keeps them: folders, patterns, tables, interrupts."""

from __future__ import annotations

import io
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from typer.testing import CliRunner, Result

import blackbox_explain as bx
from blackbox_explain import samples
from blackbox_explain.auditing.interrupts import interrupts_wait
from blackbox_explain.auditing.output_folder import OutputFolder
from blackbox_explain.cli import app, console, quiet_frameworks
from blackbox_explain.data.photo_paths import names_of, photo_paths
from blackbox_explain.errors import ImageError, ResultError
from blackbox_explain.explanation.outcome import DOUBTED
from blackbox_explain.report.contact_sheet import CELL
from blackbox_explain.report.text_layout import DOTS

MODEL = ("--model", "tests.auditing.test_photo_run:bright", "--queries", "100")


def bright() -> Any:
    """Return a model of three classes without gradients."""

    def scores(images: np.ndarray) -> np.ndarray:
        level = images[:, :, :16].mean(axis=(1, 2, 3))
        return np.stack([0.1 * level, 0.6 * level, 0.3 * level], axis=1)

    return bx.wrap(scores, shape=(3, 32, 32), activation="none", class_names=("few", "most", "some"))


def slow() -> Any:
    """Return a model that takes a second for each photo of 100 queries."""
    inner = bright()

    def scores(images: np.ndarray) -> np.ndarray:
        time.sleep(0.01 * len(images))
        return inner.scores(images)

    return bx.wrap(scores, spec=inner.spec, activation="none")


ASKED: list[int] = []
"""How many images `touchy` was asked about in each call."""


def touchy() -> Any:
    """Return a model that fails on images with a grey square, which occlusion makes, and works on all others."""
    inner = bright()

    def scores(images: np.ndarray) -> np.ndarray:
        ASKED.append(len(images))
        if (images[:, :, 10:14, 10:14] == 0.5).all(axis=(1, 2, 3)).any():
            raise ValueError("a square")
        return inner.scores(images)

    return bx.wrap(scores, spec=inner.spec, activation="none")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with four photos, two of one name."""
    for name in ("photos/cat.jpg", "photos/more/cat.jpg", "photos/a_long_name_of_a_photo_0001.jpg", "photos/b [1].jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(samples.CAT, tmp_path / name)
    (tmp_path / "photos" / "readme.txt").write_text("no photo")
    return tmp_path / "photos"


def test_folders_files_and_patterns_are_photos(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def found(*given: str) -> list[str]:
        return [path.as_posix() for path in photo_paths([Path(one) for one in given], Path("photos/more/out"))]

    monkeypatch.chdir(folder.parent)
    everything = ["a_long_name_of_a_photo_0001.jpg", "b [1].jpg", "cat.jpg", "more/cat.jpg"]
    assert found("photos") == [f"photos/{name}" for name in everything]
    assert found("photos/more/cat.jpg", "photos") == [
        "photos/more/cat.jpg",
        *(f"photos/{name}" for name in everything[:3]),
    ]
    assert found("photos/*at.jpg") == ["photos/cat.jpg"]
    assert found("photos/**/cat.jpg") == ["photos/cat.jpg", "photos/more/cat.jpg"]
    assert found("photos/mo*") == ["photos/more/cat.jpg"]
    # A file whose name looks like a pattern.
    assert found("photos/b [1].jpg") == ["photos/b [1].jpg"]
    # Missing ones do not take the others with them.
    assert found("photos/cat.jpg", "photos/dog.jpg") == ["photos/cat.jpg", "photos/dog.jpg"]
    # Pictures of an earlier run are no photos.
    (folder / "more" / "out").mkdir()
    shutil.copy(samples.CAT, folder / "more" / "out" / "cat.png")
    assert found("photos/more") == ["photos/more/cat.jpg"]
    for wrong, message in (
        ("nowhere.jpg", "no such file"),
        ("*.png", "fits this pattern"),
        ("photos/more/out", "--out"),
    ):
        with pytest.raises(ImageError, match=message):
            found(wrong)
    (folder / "empty").mkdir()
    with pytest.raises(ImageError, match="no photos in this folder"):
        found("photos/empty")


def test_names_tell_photos_apart(tmp_path: Path) -> None:
    paths = [tmp_path / one for one in ("a/cat.jpg", "b/cat.jpg", "b/dog.jpg")]
    assert names_of(paths) == [os.path.join("a", "cat.jpg"), os.path.join("b", "cat.jpg"), "dog.jpg"]  # noqa: PTH118
    assert names_of(paths[1:]) == ["cat.jpg", "dog.jpg"]


def test_a_folder_is_explained(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = run("explain", folder, *MODEL, "--out", out)
    assert done.exit_code == 0, done.output
    assert "4 of 4 explained" in done.output
    assert "in place of" not in done.output
    assert {path.stem for path in out.glob("*.npz")} == {"a_long_name_of_a_photo_0001", "b [1]", "cat", "cat-2"}
    # Nothing is cut or broken where there is no terminal.
    lines = [line for line in done.output.splitlines() if line.startswith("a_long_name_of_a_photo_0001.jpg ")]
    assert [line.split()[1] for line in lines] == ["most"]
    assert "more/cat.jpg" in done.output
    saved = bx.Explanation.load(out / "cat.npz")
    (best, score), *_ = saved.predictions[0].before
    assert best == "most"
    # Two photos have that name.
    assert f"  cat.jpg: most {score:.2f}, some {score / 2:.2f}, few {score / 6:.2f} → most" in done.output
    assert saved.photos is not None
    assert saved.photos[0] is not None
    assert saved.photos[0].name == "cat.jpg"
    assert "\x1b" not in done.output
    done = run("explain", folder / "cat.jpg", *MODEL, "--out", out)
    assert "1 of 1 explained" in done.output
    assert "1 of them in place of an earlier run's" in done.output


def test_the_top_classes_of_a_photo_are_explained_each_by_itself(tmp_path: Path) -> None:
    done = run("explain", samples.CAT, *MODEL, "--out", tmp_path, "--top", 2, "--json")
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)
    assert [row["target"] for row in rows] == ["most", "some"]
    assert json.loads((tmp_path / "cat.json").read_text(encoding="utf-8")) == rows
    both = bx.Explanation.load(tmp_path / "cat.npz")
    assert both.target == ("most", "some")
    assert both.score[0] == pytest.approx(2 * both.score[1])
    assert [Path(file).name for file in rows[0]["files"]] == ["cat.png", "cat.npz", "cat.json"]
    assert all(Path(file).stat().st_size > 0 for file in rows[0]["files"])
    done = run("explain", samples.CAT, *MODEL, "--out", tmp_path, "--top", 4)
    assert done.exit_code == 2
    assert "expected 1 to 3" in done.output
    (only,) = json.loads(run("explain", samples.CAT, *MODEL, "--out", tmp_path, "--sum-top", 2, "--json").stdout)
    assert only["target"] == "most + some"
    assert only["score"] == pytest.approx(both.score.sum())


def test_a_sheet_shows_the_photos_of_a_run(tmp_path: Path) -> None:
    photos = [tmp_path / "one.jpg", tmp_path / "two.jpg", tmp_path / "sheet.jpg"]
    for photo in photos:
        shutil.copy(samples.CAT, photo)
    sizes = []
    for count in (1, 3):
        out = tmp_path / f"out{count}"
        done = run("explain", *photos[:count], *MODEL, "--out", out, "--sheet", "-q")
        assert done.exit_code == 0, done.output
        with Image.open(out / "sheet.png") as sheet:
            sizes.append(sheet.width)
    assert sizes[1] > sizes[0] + CELL * DOTS
    # A photo of that name gives way.
    assert {path.stem for path in out.glob("*.npz")} == {"one", "two", "sheet-2"}


def stubborn() -> Any:
    """Return a model of twelve classes that says the same of everything, and a little more of bright images."""

    def scores(images: np.ndarray) -> np.ndarray:
        answer = np.tile(np.r_[0.45, np.full(11, 0.05)], (len(images), 1))
        answer[:, 0] += 0.001 * images.mean(axis=(1, 2, 3))
        return answer

    return bx.wrap(scores, shape=(3, 32, 32), activation="none")


def test_doubts_are_those_of_the_whole_run(tmp_path: Path) -> None:
    photos = [tmp_path / f"{name}.jpg" for name in ("a", "b", "c")]
    for photo in photos:
        shutil.copy(samples.CAT, photo)
    options = ("--model", "tests.auditing.test_photo_run:stubborn", "--queries", "100", "--out", tmp_path / "out")
    told = []
    for size in (1, 16):
        done = run("explain", *photos, *options, "--json", "--batch-size", size)
        assert done.exit_code == 0, done.output
        rows = json.loads(done.stdout)
        assert {(row["outcome"], row["message"]) for row in rows} == {(DOUBTED.kind, DOUBTED.message)}
        told.extend(row["provenance"]["doubts"] for row in rows)
    assert all(one == told[0] for one in told)
    assert any("of 3 of 3 images" in doubt for doubt in told[0])
    shown = run("explain", *photos, *options).output
    assert f"3 of 3 masks: {DOUBTED}" in shown
    assert all(shown.count(f"check: {doubt}") == 1 for doubt in told[0])
    # Such a result is verified as any other.
    done = run("verify", tmp_path / "out" / "a.npz", "--model", "tests.auditing.test_photo_run:stubborn", "--seeds", 0)
    assert "the outcome is what the scores say" not in done.output


@pytest.mark.parametrize(
    ("width", "name", "score"), [(80, "…_of_a_photo_0001.jpg", "0.9981"), (60, "0001.jpg", "1.00")]
)
def test_tables_fit_the_terminal(width: int, name: str, score: str, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = console._Output(width=width, height=40, force_terminal=True, file=io.StringIO(), color_system=None)
    monkeypatch.setattr(console, "stdout", terminal)
    table, digits = console.numbers_table(
        ("photo", "class"), ("before", "after", "region", "all", "area"), ("outcome",)
    )
    numbers = [f"{0.9981:.{digits}f}"] * 4
    long = "a_long_name_of_a_photo_0001.jpg"
    table.add_row(console.End(long), console.Start("American Staffordshire terrier"), *numbers, "12.3%", "weak")
    terminal.print(table)
    lines = terminal.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert len(lines) == 2
    assert max(map(len, lines)) <= width
    assert name[-8:] in lines[1]
    assert "…" in lines[1].split()[0]
    assert "America" in lines[1]
    assert lines[1].count(score) == 4


def test_without_a_terminal_lines_are_as_long_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    piped = console._Output(file=io.StringIO())
    piped.print("word " * 100)
    assert len(piped.file.getvalue().splitlines()) == 1  # type: ignore[attr-defined]
    assert isinstance(piped, Console)


def test_no_folder_is_left_where_nothing_was_written(tmp_path: Path) -> None:
    for wrong in (("--model", "nothing.onnx"), (*MODEL, "--target", "absent"), (*MODEL, "--top", "9")):
        assert run("explain", samples.CAT, "--out", tmp_path / "new" / "out", *wrong).exit_code == 2
    assert run("rules", samples.CAT, "--out", tmp_path / "new", "--model", "nothing.onnx").exit_code == 2
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(ResultError, match="it is a file"):
        OutputFolder(tmp_path / "file")
    with pytest.raises(ResultError, match="cannot be written"):
        OutputFolder(tmp_path / "file" / "below")


PROGRAM = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from blackbox_explain.cli import main
main()
"""


def test_an_interrupt_keeps_every_finished_photo_at_any_batch_size(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for index in range(10):
        shutil.copy(samples.CAT, photos / f"{index}.jpg")
    out = tmp_path / "out"
    options = ("--model", "tests.auditing.test_photo_run:slow", "--queries", "300", "--batch-size", "16", "--out", out)
    arguments = [sys.executable, "-c", PROGRAM, "explain", *map(str, (photos, *options))]
    root = Path(__file__).parents[2]
    running = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=root)
    try:
        latest = time.monotonic() + 120
        while not list(out.glob("*.npz")) and running.poll() is None and time.monotonic() < latest:
            time.sleep(0.05)
        running.send_signal(signal.SIGINT)
        shown, said = running.communicate(timeout=60)
    finally:
        running.kill()
    assert running.returncode == 130, said
    kept = sorted(path.stem for path in out.glob("*.npz"))
    assert 1 <= len(kept) < 10
    # Each of them whole, and told of.
    assert sorted(path.name for path in out.iterdir()) == sorted(
        f"{stem}{suffix}" for stem in kept for suffix in (".json", ".npz", ".png")
    )
    assert f"interrupted; {len(kept)} of 10 photos are finished and kept" in said
    assert all(f"{stem}.jpg" in shown for stem in kept)
    assert len(bx.Explanation.load(out / f"{kept[0]}.npz")) == 1


def test_an_interrupt_waits_for_what_is_being_written() -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    written: list[int] = []

    def interrupted(times: int) -> None:
        with interrupts_wait():
            for _ in range(times):
                signal.raise_signal(signal.SIGINT)
            written.append(times)

    try:
        for times in (1, 2):
            with pytest.raises(KeyboardInterrupt):
                interrupted(times)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        # What ignores interrupts goes on to do so.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        with interrupts_wait():
            signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
    # Once is waited for, twice is not.
    assert written == [1]


def test_frameworks_are_quiet_and_others_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    monkeypatch.setattr(sys, "warnoptions", [])
    level = logging.getLogger("matplotlib").level
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        quiet_frameworks()
        for module in ("torch.onnx", "keras", "my_torch", "net"):
            warnings.warn_explicit("look", UserWarning, f"{module}.py", 1, module=module)
    assert [Path(one.filename).stem for one in caught] == ["my_torch", "net"]
    assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == "3"
    logging.getLogger("matplotlib").setLevel(level)
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL")


def test_a_method_that_fails_on_all_photos_leaves_them_what_others_found(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = ("explain", folder, "--model", "tests.auditing.test_photo_run:touchy", "--out", out)

    def asked(*methods: str) -> int:
        ASKED.clear()
        result = run(*arguments, *(word for name in methods for word in ("--method", name)))
        assert "a square" in result.output or "occlusion" not in methods
        return sum(ASKED)

    # Photo by photo, the method that fails is asked again, and no other.
    alone = asked("occlusion")
    assert asked("center", "occlusion") <= alone + asked("center")
    written = sorted(out.glob("*-center.npz"))
    assert len(written) == 4
    assert not list(out.glob("*-occlusion.npz"))
