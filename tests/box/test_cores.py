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
    """Make a machine of 16 cores, of which nothing is taken away yet; return its folder of control groups."""
    monkeypatch.setenv(THREADS, "")  # the same as none; and what a test leaves in it is undone
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: set(range(16)), raising=False)
    monkeypatch.setattr(module, "CGROUPS", tmp_path)
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


def test_where_a_system_does_not_bind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")
    assert limited_cores() is None


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
    ],
)
def test_the_time_that_a_container_may_use(machine: Path, files: dict[str, str], expected: int | None) -> None:
    for name, text in files.items():
        (machine / name).parent.mkdir(exist_ok=True)
        (machine / name).write_text(text, encoding="latin-1")
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
        with pytest.raises(LoadedError, match=str(expected)):
            Worker(load, nothing, {}, nothing, threads=1)
    monkeypatch.setenv(THREADS, "")
    with pytest.raises(LoadedError, match="16"):  # workers that hold a GPU share the cores as they like
        Worker(load, nothing, {}, nothing)
