"""The package as a whole: light to import, complete when built."""

from __future__ import annotations

import ast
import subprocess
import sys
import zipfile
from pathlib import Path

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
    wanted = [
        "blackbox_explain/py.typed",
        "blackbox_explain/samples/cat.jpg",
        "blackbox_explain_adapters/data/imagenet_classes.txt",
        "blackbox_explain_adapters/py.typed",
    ]
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


def test_notice_names_every_shipped_file() -> None:
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")
    shipped = [*(ROOT / "blackbox_explain/samples").glob("*.[!p]*"), *(ROOT / "adapters").glob("**/data/*.*")]
    assert len(shipped) >= 4
    assert [path.name for path in shipped if path.name not in notice] == []


def test_no_file_is_long() -> None:
    folders = ("blackbox_explain", "adapters", "tests", "benchmarks")
    files = [path for folder in folders for path in (ROOT / folder).glob("**/*.py")]
    assert [path.name for path in files if len(path.read_text(encoding="utf-8").splitlines()) > 400] == []


def test_one_place_looks_for_what_a_box_may_have() -> None:
    """Everything else asks `BoxInfo.of` or `isinstance`."""
    members = {"scores_and_gradient", "layers", "inner", "with_backward", "native", "fingerprint", "activation"}
    members |= {"assumptions", "no_gradient"}
    found = [
        f"{path.relative_to(ROOT)}:{call.lineno}"
        for folder in ("blackbox_explain", "benchmarks")
        for path in (ROOT / folder).glob("**/*.py")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in ("getattr", "hasattr")
        if isinstance(call.args[1], ast.Constant) and call.args[1].value in members
    ]
    assert {one.partition(":")[0] for one in found} == {"blackbox_explain/box/info.py"}
