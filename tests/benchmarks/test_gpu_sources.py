"""The benchmarks of a GPU run from the sources alone, and their tests tell the truth."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.gpu import absent
from benchmarks.gpu.absent import COPIES, WANTED, from_sources
from benchmarks.gpu.device import Device
from benchmarks.gpu.marked_tests import files_with_marked_tests, marked_tests
from benchmarks.gpu.outcomes import outcomes_in
from benchmarks.gpu.sizes import TINY, Budget

ROOT = Path(__file__).parents[2]

BLOCKER = """
import importlib.metadata, sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
"""

INSTALLED = """
real = importlib.metadata.Distribution.discover
def without(**how):
    return (one for one in real(**how) if "site-packages" not in str(getattr(one, "_path", "")))
importlib.metadata.Distribution.discover = without
"""


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code]
    env = {**os.environ, **environment}
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False, env=env)


def test_what_an_installation_registers_is_found_without_one() -> None:
    """Of all distributions those that were installed are hidden, so that the package is none of them."""
    code = (
        "import importlib.metadata, sys\n"
        + INSTALLED
        + """
assert not [*importlib.metadata.entry_points(group="blackbox_explain.adapters")]
from benchmarks.gpu.absent import from_sources
with from_sources():
    import blackbox_explain as bx, torch
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 2))
    box = bx.wrap(network, shape=(3, 2, 2))
    print(type(box).__name__, importlib.metadata.version("blackbox-explain"), len(bx.methods_for(box)) > 20)
"""
    )
    done = run(code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["LayeredTorch", "0.1.0", "True"]


def package(folder: Path, name: str, version: str) -> Path:
    """Write a package of one file, which tells its version."""
    inside = folder / name
    inside.mkdir(parents=True)
    (inside / "__init__.py").write_text(f"__version__ = '{version}'\n")
    return inside


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Let two packages keep copies of a third, which is not installed."""
    for name, version in (("keeps_old", "1.9"), ("keeps_new", "1.15.0")):
        package(package(tmp_path, name, "3.0"), "kept_by_others", version)
    places = (("keeps_old", "kept_by_others"), ("keeps_new", "kept_by_others"), ("no_such", "kept_by_others"))
    monkeypatch.setattr(absent, "COPIES", {"kept_by_others": places})
    monkeypatch.setattr(absent, "WANTED", {"kept_by_others": "all"})
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("elsewhere")
def test_the_newest_copy_is_taken_here_and_in_processes() -> None:
    before = [*sys.path]
    with from_sources() as found:
        assert found.taken == {"kept_by_others": "1.15.0 of keeps_new"}
        assert found.absent == {}
        done = run("import kept_by_others; print(kept_by_others.__version__)")
        assert done.stdout.strip() == "1.15.0", done.stderr
    assert sys.path == before
    sys.modules.pop("kept_by_others")


def test_what_is_installed_is_used_where_no_copy_is_newer(elsewhere: Path) -> None:
    package(elsewhere, "kept_by_others", "1.15.0")
    with from_sources() as found:
        assert found.taken == {}
    sys.modules.pop("kept_by_others")


@pytest.mark.usefixtures("elsewhere")
def test_copies_older_than_the_project_needs_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(absent, "_least_versions", lambda _: {"kept_by_others": "1.16"})
    with from_sources() as found:
        assert found.taken == {}
        assert found.absent == {"kept_by_others": "all (the newest is 1.15.0 of keeps_new, older than 1.16)"}


def test_least_versions_are_those_of_the_project() -> None:
    project = {
        "dependencies": ["array-api-compat>=1.15", "numpy"],
        "optional-dependencies": {"onnx": ["platformdirs>=4"]},
    }
    assert absent._least_versions(project) == {"array_api_compat": "1.15", "platformdirs": "4"}


def test_packages_that_are_absent_are_named(tmp_path: Path) -> None:
    """The script begins with NumPy, PyTorch and ONNX Runtime alone, and tells what it leaves out."""
    keepers = {package for places in COPIES.values() for package, _ in places}
    blocked = sorted({*keepers, *WANTED, "typer", "rich", "matplotlib", "pandas"} - {"onnxruntime"})
    code = BLOCKER.format(blocked=blocked) + (
        "from benchmarks.gpu.__main__ import main\n"
        f"sys.exit(main(['--device', 'cpu', '--tiny', '--seconds', '0', '--results', {str(tmp_path)!r}]))"
    )
    done = run(code)
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("array_api_compat", "PIL", "onnx", "platformdirs", "pytest"):
        assert f"{name} is absent; skipped:" in done.stdout
    # Of a twin it has another name than what the page of results looks for.
    (path,) = tmp_path.glob("*/gpu-twin-quick.json")
    stored = json.loads(path.read_text(encoding="utf-8"))
    assert stored["measured"]["peaks"]["copy"]["all_ms"]
    assert stored["measured"]["waits in the loop"] == {"skipped": "array_api_compat is absent"}
    assert stored["measured"]["tests marked gpu"] == {"skipped": "pytest and array_api_compat are absent"}
    assert {"machine", "settings", "date"} <= set(stored)


def test_tests_are_found_by_their_mark() -> None:
    found = files_with_marked_tests()
    for name in ("tests/adapters/torch/test_recurrent.py", "tests/adapters/torch/test_cuda.py"):
        assert ROOT / name in found


def outcome(folder: Path, text: str, device: str = "cpu", seconds: float = 60) -> dict[str, Any]:
    file = folder / "test_it.py"
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = gpu: needs one\n")
    file.write_text(f"import time\nimport pytest\npytestmark = pytest.mark.gpu\n{text}")
    return marked_tests(Device(device), TINY, Budget(seconds), [file], cwd=folder)


def test_outcomes_are_kept_one_by_one(tmp_path: Path) -> None:
    text = """
def test_good(): pass
def test_bad(): assert 1 == 2
@pytest.mark.skip(reason="no CUDA here")
def test_left(): pass
@pytest.fixture
def broken():
    yield
    raise ValueError("afterwards")
def test_late(broken): pass
"""
    found = outcome(tmp_path, text)
    assert found["counts"] == {"passed": 1, "failed": 2, "skipped": 1}
    assert found["failed"] == "2 failed"
    assert found["status"] == 1
    tests = {name.partition("::")[2]: one for name, one in found["tests"].items()}
    assert tests["test_bad"]["message"] == "assert 1 == 2"
    assert tests["test_left"]["message"].endswith("no CUDA here")
    assert tests["test_late"]["outcome"] == "failed"


def test_tests_that_cannot_begin_have_failed(tmp_path: Path) -> None:
    found = outcome(tmp_path, "import no_such_package\n")
    assert found["failed"] == "1 failed"
    (tmp_path / "conftest.py").write_text("import no_such_package\n")
    found = outcome(tmp_path, "def test_good(): pass\n")
    assert found["failed"] == "pytest ended with status 4"
    assert found["counts"] == {"passed": 0, "failed": 0, "skipped": 0}
    assert any("no_such_package" in line for line in found["output"])


def test_no_test_is_no_success(tmp_path: Path) -> None:
    assert outcome(tmp_path, "")["failed"] == "no test was run"


def test_on_a_device_skipping_everything_is_no_success(tmp_path: Path) -> None:
    text = "@pytest.mark.skip(reason='no CUDA here')\ndef test_left(): pass\n"
    assert outcome(tmp_path, text, device="cuda")["failed"] == "each test was skipped"
    assert "failed" not in outcome(tmp_path, text)


def test_what_was_tested_before_the_time_was_up_stays(tmp_path: Path) -> None:
    found = outcome(tmp_path, "def test_good(): pass\ndef test_slow(): time.sleep(60)\n", seconds=6)
    assert found["status"] is None
    assert found["failed"].startswith("the tests were stopped after ")
    assert found["counts"]["passed"] == 1


def test_without_outcomes_there_are_none(tmp_path: Path) -> None:
    assert outcomes_in(tmp_path / "missing") == {}
