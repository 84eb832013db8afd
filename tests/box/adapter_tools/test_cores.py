"""How many cores a process may use, and that sessions and workers keep to it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from blackbox_explain.auditing.engines.ray_cluster import Worker
from blackbox_explain.box.adapter_tools import cores as module
from blackbox_explain.box.adapter_tools.cores import THREADS, cores, limited_cores
from blackbox_explain.errors import InputError
from blackbox_explain_adapters._onnx.graph.observation import session_options


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Make a machine of 16 cores, of which nothing is taken away yet; return its folders."""
    monkeypatch.setenv(THREADS, "")  # the same as none; and what a test leaves in it is undone
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: set(range(16)), raising=False)
    monkeypatch.setattr(module, "SYSTEM", tmp_path)
    monkeypatch.setattr(module, "OWN_GROUPS", tmp_path / "own")
    return tmp_path


def test_all_cores_are_no_limit() -> None:
    assert limited_cores() is None
    assert cores() == 16
    assert session_options().intra_op_num_threads == 0  # ONNX Runtime's own choice


def test_the_cores_that_a_process_is_bound_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: {3, 5})
    assert (limited_cores(), cores()) == (2, 2)
    assert session_options().intra_op_num_threads == 2
    assert session_options(threads=7).intra_op_num_threads == 7


def test_two_threads_of_a_core_are_one(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for k in range(16):
        folder = machine / f"devices/system/cpu/cpu{k}/topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(f"{k % 8},{k % 8 + 8}\n")
    assert limited_cores() is None
    for bound, expected in (({0, 8}, 1), ({0, 1, 8}, 2), (set(range(15)), None)):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _process, bound=bound: bound)
        assert limited_cores() == expected


def test_where_a_system_does_not_bind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")
    assert limited_cores() is None


PERIOD = {"cpu/a/cpu.cfs_period_us": "100000"}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu.max": "250000 100000\n"}, 3),
        ({"cpu.max": "10000 100000\n"}, 1),
        ({"cpu.max": "3200000 100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "400000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 4),
        ({"cpu.max": "\xff\xfe"}, None),
        ({"cpu.max": "1 0"}, None),
        ({"own": "0::/slice/job\n", "slice/cpu.max": "200000 100000", "slice/job/cpu.max": "max 100000"}, 2),
        ({"own": "0::/slice/job\n", "slice/cpu.max": "800000 100000", "slice/job/cpu.max": "50000 100000"}, 1),
        ({"own": "4:memory:/a\n3:cpu,cpuacct:/a\n", "cpu/a/cpu.cfs_quota_us": "500000", **PERIOD}, 5),
        ({"own": "4:memory:/a\n", "a/cpu.max": "100000 100000"}, None),
    ],
)
def test_the_time_that_a_container_may_use(machine: Path, files: dict[str, str], expected: int | None) -> None:
    for name, text in files.items():
        path = machine / ("own" if name == "own" else f"fs/cgroup/{name}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="latin-1")
    assert limited_cores() == expected


def test_what_the_environment_says_counts_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(THREADS, "4")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: {1})
    assert (limited_cores(), cores()) == (4, 4)
    for wrong in ("0", "two", "-1", "1.5"):
        monkeypatch.setenv(THREADS, wrong)
        with pytest.raises(InputError, match=f"{THREADS} is no number of threads"):
            cores()


def test_a_worker_of_a_cluster_keeps_to_its_core(monkeypatch: pytest.MonkeyPatch) -> None:
    class LoadedError(Exception):
        pass

    def load() -> Any:
        raise LoadedError(cores())

    nothing: Any = None
    for told, expected in (("", 1), ("2", 2)):
        monkeypatch.setenv(THREADS, told)
        with pytest.raises(LoadedError, match=rf"^{expected}$"):
            Worker(load, nothing, {}, nothing, threads=1)
    monkeypatch.setenv(THREADS, "")
    with pytest.raises(LoadedError, match=r"^16$"):  # workers that hold a GPU share the cores as they like
        Worker(load, nothing, {}, nothing)
