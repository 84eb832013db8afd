"""A plan of a toy: the class is in a square of 8 × 8 pixels."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.paper.kept import Kept
from benchmarks.paper.plan import Plan
from tests.toys import Regions, box_region


@pytest.fixture
def region() -> Regions:
    return Regions([box_region((32, 32), (4, 4), (12, 12))])


@pytest.fixture
def plan(tmp_path: Path, region: Regions) -> Plan:
    return Plan("googlenet", region, Kept(tmp_path / "cache"), out=tmp_path / "paper")
