"""A process keeps large blocks that were freed, unless its user said how memory is handed out."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

_HUGE = Path("/sys/kernel/mm/transparent_hugepage/enabled")
HUGE = _HUGE.read_text() if _HUGE.is_file() else ""

COUNTED = """
import resource
import numpy as np, torch
import blackbox_explain as bx

class Wide(torch.nn.Module):
    def forward(self, x):
        return (x.repeat(1, 160, 1, 1) + 1).sum((2, 3))[:, :3]  # 100 MB that are freed at once

box = bx.wrap(Wide(), shape=(3, 64, 64), activation="none")
images = np.zeros((13, 3, 64, 64), np.float32)
cleared = []
for _ in range(21):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    box.scores(images)
    cleared.append((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) * resource.getpagesize() / 1e6)
print(np.median(cleared))  # some of the first blocks have yet to find their places
"""


def mb_cleared_in_a_run(**variables: str) -> float:
    """Return the megabytes that the system hands out anew in one more run of a network, in a new process."""
    known = {key: value for key, value in os.environ.items() if not key.startswith(("MALLOC_", "GLIBC_"))}
    run = subprocess.run(
        [sys.executable, "-c", COUNTED], env=known | variables, capture_output=True, text=True, check=True
    )
    return float(run.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of the GNU C library")
def test_a_run_takes_the_memory_of_the_run_before() -> None:
    assert mb_cleared_in_a_run() < 1


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of the GNU C library")
@pytest.mark.skipif(
    "[always]" in HUGE, reason="the system hands memory out in pages of 2 MB, which are counted as 4 KiB"
)
@pytest.mark.parametrize(
    "variable", [{"MALLOC_TRIM_THRESHOLD_": "1000000"}, {"GLIBC_TUNABLES": "glibc.malloc.trim_threshold=1000000"}]
)
def test_what_the_user_says_of_memory_counts(variable: dict[str, str]) -> None:
    assert mb_cleared_in_a_run(**variable) > 90
