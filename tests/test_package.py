"""The package as a whole: light to import, complete when built, true in its README."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from blackbox_explain.rules.faithfulness import percent

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "tensorflow", "keras", "onnx", "onnxruntime", "matplotlib", "rich", "typer", "PIL", "scipy")


def test_import_is_fast_and_loads_no_framework() -> None:
    code = (
        "import sys, time; started = time.perf_counter(); import numpy; alone = time.perf_counter() - started; "
        "import blackbox_explain; "
        f"print((time.perf_counter() - started) / alone, *(name for name in {HEAVY} if name in sys.modules))"
    )
    # Times of NumPy alone, which it needs: machines differ.  The best of several: this one may be busy.
    runs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
        for _ in range(5)
    ]
    assert runs[0][1:] == []
    assert min(float(run[0]) for run in runs) < 4


def test_the_built_wheel_works_outside_the_project(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)], cwd=ROOT, check=True
    )
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(tmp_path / "site")
    wanted = ["blackbox_explain/samples/cat.jpg", "blackbox_explain_adapters/data/imagenet_classes.txt"]
    assert all(name in names for name in wanted)
    assert any(name.endswith("licenses/NOTICE") for name in names)
    assert not any(name.startswith(("tests", "benchmarks", "adapters/")) for name in names)
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path / 'site')!r}); import blackbox_explain as bx; "
        "print(bx.__file__); print(len(bx.wrap('efficientnet-lite0').spec.class_names))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True, env={"PATH": ""}
    )
    where, count = done.stdout.split()
    assert where.startswith(str(tmp_path))
    assert count == "1000"


def test_readme_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    examples = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    assert examples
    monkeypatch.chdir(tmp_path)
    for example in examples:
        exec(compile(example, "README.md", "exec"), {})


def test_notice_names_every_shipped_file() -> None:
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")
    shipped = [*(ROOT / "blackbox_explain/samples").glob("*.[!p]*"), *(ROOT / "adapters").glob("**/data/*.*")]
    assert len(shipped) >= 4
    assert [path.name for path in shipped if path.name not in notice] == []


def test_readme_figures_are_those_measured() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    quality = json.loads((ROOT / "benchmarks/results/quality-stretch.json").read_text(encoding="utf-8"))
    for name, row in quality["presets"].items():
        assert f"| `{name}` | {row['objective']:.4f} | {row['suppression']:.3f} | {row['area']:.0%} |" in text
    for name, row in quality["hard_deletion"].items():
        assert f"| {name} | " + " | ".join(f"{value:.2f}" for value in row.values()) + " |" in text
    overhead = [*(ROOT / "benchmarks/results").glob("overhead-*.json")]
    assert len(overhead) == 2
    for row in (row for path in overhead for row in json.loads(path.read_text(encoding="utf-8"))["rows"]):
        if row["batch"] == 16:
            assert f"| {row['backend']} | `{row['preset']}` | {row['ratio']:.2f} |" in text
    speed = json.loads((ROOT / "benchmarks/results/onnx-gradient.json").read_text(encoding="utf-8"))
    for name, rows in speed["networks"].items():
        row = rows["8"]
        ratios = (row["over_torch"], row["over_channels_last"], row["over_forward"])
        assert f"| {name} | {row['gradient_ms_per_image']:.1f} | " + " | ".join(f"{one:.2f}" for one in ratios) in text
    exports = json.loads((ROOT / "benchmarks/results/exports.json").read_text(encoding="utf-8"))
    for name, row in exports["pairs"].items():
        figures = f"{row['score_difference']:.4f} | {row['correlation']:.3f} | {row['correlation_least']:.3f}"
        assert f"| {name} | {figures} |" in text
    alone = json.loads((ROOT / "benchmarks/results/score-only.json").read_text(encoding="utf-8"))
    for queries, row in alone["by_queries"].items():
        ratio = row["objective"] / alone["exact"]["objective"]
        enough = sum(one >= 0.95 for one in row["suppressions"])
        assert (
            f"| {int(queries):,} | {row['objective']:.4f} | {ratio:.2f} | {enough} of 20 | {row['overhead']:.1%} |"
            in text
        )
    found = [
        json.loads((ROOT / f"benchmarks/results/rules-{name}.json").read_text(encoding="utf-8"))["relations"]
        for name in ("efficientnet-lite0", "googlenet")
    ]
    for rows in zip(*found, strict=True):
        cells = [rows[0]["relation"]]
        for row in rows:
            error, low, high = (percent(row["chosen"][one]) for one in ("error", "low", "high"))
            largest = f"{row['theta']:g}{row['unit']}" if row["theta"] else "none"
            cells += [largest, f"{error} % ({low}–{high} %)"]
        assert f"| {' | '.join(cells)} |" in text


def test_no_file_is_long() -> None:
    folders = ("blackbox_explain", "adapters", "tests", "benchmarks")
    files = [path for folder in folders for path in (ROOT / folder).glob("**/*.py")]
    assert [path.name for path in files if len(path.read_text(encoding="utf-8").splitlines()) > 400] == []
