"""What ``blackbox-explain evaluate`` shows: its table, and what speaks against the comparison."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import re
import shutil
from pathlib import Path

import pytest
from rich.console import Console

import blackbox_explain as bx
from blackbox_explain.auditing.result_run import ResultRun, result_paths
from blackbox_explain.cli.shown.evaluate import show_evaluation
from blackbox_explain.explanation.outcome import Outcome
from blackbox_explain.metrics.by_name import metric_of
from tests.cli.evaluated import MODEL, boxes_file, explained, model, run, saved


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder of results: three images by one method, two of them by another."""
    return saved(tmp_path)


def test_a_row_for_each_method_and_a_column_for_each_metric(folder: Path) -> None:
    done = run(folder, "--model", MODEL)
    assert done.exit_code == 0, done.output
    names, heads, *rows, legend = done.stdout.splitlines()
    assert names.split() == ["deletion", "insertion"]
    assert re.split(r"  +", heads.strip()) == ["method", "lower is better", "higher is better", "images", "runs"]
    cells = [re.split(r"  +", row.strip()) for row in rows]
    assert [row[0] for row in cells] == ["gradient", "gradient-times-input"]
    assert [row[3] for row in cells] == ["3", "2"]
    assert [row[4] for row in cells] == [str(explained(row[0], 0).queries.sum()) for row in cells]
    methods = json.loads(run(folder, "--model", MODEL, "--json").stdout)["methods"]
    for row, told in zip(cells, methods, strict=True):
        for cell, one in zip(row[1:3], told["metrics"].values(), strict=True):
            assert one["interval"] == [None, None]  # of so few photos there is none
            assert cell == f"{one['mean']:.3f}"
    assert "in brackets" not in legend
    assert "runs: images that the model was run on" in legend


def test_the_best_is_marked_and_first_where_all_methods_saw_the_same_photos(folder: Path) -> None:
    uneven = run(folder, "--model", MODEL)
    assert "*" not in uneven.stdout
    assert "gradient was measured on 3 photos, gradient-times-input on 2 of them" in uneven.stderr
    same = [folder / name / f"{row}.npz" for name in ("gradient-times-input", "gradient") for row in "ab"]
    even = run(*same, "--model", MODEL)
    assert "of them" not in even.stderr
    methods = {
        one["method"]: one["metrics"]["deletion"]["mean"]
        for one in json.loads(run(*same, "--model", MODEL, "--json").stdout)["methods"]
    }
    best, worst = sorted(methods, key=methods.__getitem__)
    assert [line.split()[:2] for line in even.stdout.splitlines()[2:4]] == [
        [best, f"{methods[best]:.3f}*"],
        [worst, f"{methods[worst]:.3f}"],
    ]


def test_where_0_is_best_no_sign_is_better_than_the_other(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    measured = ResultRun({"deletion": metric_of("deletion")}, lambda *_: model(), 8)
    measured.run(result_paths([folder]))
    group = measured.groups[0]
    one = dataclasses.replace(group.measurements["deletion"], better="nearer 0")
    groups = [
        dataclasses.replace(group, name=name, measurements={"correlation": dataclasses.replace(one, mean=mean)})
        for name, mean in (("turned around", -0.9), ("hardly changed", 0.8), ("another map", -0.1))
    ]
    show_evaluation(groups, ["correlation"])
    shown = capsys.readouterr().out
    names = [line.split("  ")[0] for line in shown.splitlines()[2:5]]
    assert names == ["another map", "hardly changed", "turned around"]
    assert "nearer 0 is better" in shown
    assert "-0.100*" in shown


def test_a_terminal_that_is_too_narrow_has_a_line_for_each_metric_and_method(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    methods = ResultRun({name: metric_of(name) for name in ("insertion", "deletion")}, lambda *_: model(), 8)
    methods.run(result_paths([folder]))
    # As of more photos, which have intervals.
    groups = [
        dataclasses.replace(
            group,
            measurements={
                name: dataclasses.replace(one, low=one.mean - 0.05, high=one.mean + 0.05)
                for name, one in group.measurements.items()
            },
        )
        for group in methods.groups
    ]
    seen: list[list[str]] = []
    for width in (100, 76, 60):
        stream = io.StringIO()
        narrow = Console(file=stream, width=width, highlight=False)
        monkeypatch.setattr("blackbox_explain.cli.shown.evaluate.stdout", narrow)
        monkeypatch.setattr("blackbox_explain.cli.console.stdout", narrow)
        show_evaluation(groups, ["insertion", "deletion"])
        seen.append(stream.getvalue().splitlines())
        assert max(map(len, seen[-1])) <= width
        assert "…" not in stream.getvalue() or width == 60
    wide, usual, least = seen
    mean = groups[0].measurements["insertion"].mean
    assert wide[2].split()[1] == f"{mean:.3f}"
    assert usual[2].split()[1] == f"{mean:.2f}"
    assert [line.split()[:3] for line in least[1:5:2]] == [
        ["insertion", "gradient", f"{mean:.2f}"],
        ["deletion", "gradient", f"{groups[0].measurements['deletion'].mean:.2f}"],
    ]


def test_the_same_explanation_twice_counts_once(folder: Path) -> None:
    alone = run(folder / "gradient", "--model", MODEL, "--metric", "deletion", "--json")
    shutil.copy(folder / "gradient" / "a.npz", folder / "gradient" / "z.npz")
    twice = run(folder / "gradient", "--model", MODEL, "--metric", "deletion", "--json")
    before, after = (json.loads(done.stdout)["methods"][0]["metrics"]["deletion"] for done in (alone, twice))
    assert after["mean"] == before["mean"]
    assert after["interval"] == before["interval"]
    assert after["repeated"] == [3]
    assert after["values"] == [*before["values"], before["values"][0]]
    said = "gradient: 1 explanation is of an image and a class explained before, and in no mean: 'a.jpg'"
    assert said in json.loads(twice.stdout)["warnings"]
    assert said in twice.stderr
    row = run(folder / "gradient", "--model", MODEL, "--metric", "deletion").stdout.splitlines()[2]
    assert row.split()[-2] == "3"


def test_weak_explanations_are_told_once_for_each_method(folder: Path) -> None:
    for path in (folder / "gradient").iterdir():
        one = bx.Explanation.load(path)
        outcome = (Outcome("ok" if path.stem == "c" else "weak", f"doubt about {path.stem}"),)
        dataclasses.replace(one, outcome=outcome).save(path)
    done = run(folder / "gradient", "--model", MODEL, "--metric", "deletion", "--json")
    said = "2 of 3 explanations by gradient are weak, such as that of 'a.jpg': doubt about a"
    assert json.loads(done.stdout)["warnings"] == [said]
    assert done.stderr.count("are weak") == 1


def test_a_file_that_a_metric_fails_on_shifts_no_value(folder: Path) -> None:
    path = folder / "gradient" / "b.npz"
    dataclasses.replace(bx.Explanation.load(path), attribution=None).save(path)
    out = folder / "quality"
    asked = ("--metric", "infidelity", "--metric", "deletion", "--out", out)
    done = run(folder / "gradient", "--model", MODEL, *asked)
    assert done.exit_code == 2
    with (out / "evaluation.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["metric"] == "infidelity"]
    assert [(row["photo"], row["value"] != "", "no signs" in row["error"]) for row in rows] == [
        ("a.jpg", True, False),
        ("b.jpg", False, True),
        ("c.jpg", True, False),
    ]


def test_what_is_wrong_with_several_results_is_told_once(folder: Path) -> None:
    path = boxes_file(folder, "a.jpg,0,0,24,24,bird", "c.jpg,0,0,24,24,bird")
    done = run(folder, "--model", MODEL, "--boxes", path, "--metric", "pointing-game", "--json")
    assert done.exit_code == 2
    assert done.stderr.count("is not among those with boxes") == 1
    assert "its photo 'b.jpg' is not among those with boxes (in 2 results)" in done.stderr
    assert "in no mean" not in done.stderr
    errors = json.loads(done.stdout)["errors"]
    assert [Path(one["result"]).parent.name for one in errors] == ["gradient", "gradient-times-input"]
