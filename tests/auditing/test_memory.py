"""Findings and report of a large audit take the memory of a small one: shards pass by one after the other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from blackbox_explain.auditing import decoded_image
from blackbox_explain.auditing.auditor import audit, read_audit
from blackbox_explain.auditing.ledger.columns import schema_of, table_of
from blackbox_explain.auditing.ledger.manifest import Manifest
from blackbox_explain.auditing.ledger.shards import shard_tables, write_table
from blackbox_explain.auditing.plan import AuditPlan
from blackbox_explain.report.picture_files import map_png
from tests.auditing.stamped import StampModel, make_photos
from tests.auditing.test_findings import row

ROWS = 500
"""Of a shard."""

CODE = """
import resource, sys
from pathlib import Path
from blackbox_explain.auditing.auditor import Audit
from blackbox_explain.auditing.report_page import page_of_audit
found = Audit(Path(sys.argv[1]), 0, 0, 0, None, 0.0).findings()
page = page_of_audit(sys.argv[1], most=10)
place = next(one for one in found if one.name == "fixed place of stamped")
print(place.count, len(page.cards), page.summary["images"], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, sep=";")
"""


def audited(folder: Path, shards: int) -> Path:
    """Write the table of an audit of many images, a tenth of them stamped."""
    folder.mkdir()
    corner, draw = np.zeros((224, 224), dtype=bool), np.random.default_rng(0)
    corner[8:40, 8:40] = True
    elsewhere = [map_png(np.roll(corner, draw.integers(60, 180, 2), axis=(0, 1))) for _ in range(20)]
    shared = {
        "mask": np.zeros(784, np.float16), "curve": np.zeros(10, np.float32), "width": 0, "height": 0,
        # What a map of a photo takes.
        "ranking": draw.bytes(20_000),
    }  # fmt: skip
    stamped = {"target": "stamped", "region": map_png(corner)}
    rows = [row(k, **shared, **(stamped if k % 10 == 0 else {"region": elsewhere[k % 20]})) for k in range(ROWS)]
    table = table_of(rows, schema_of((28, 28), 10))
    for shard in range(shards):
        positions = np.arange(shard * ROWS, (shard + 1) * ROWS)
        own = {"position": pa.array(positions), "path": pa.array([f"{place}.png" for place in positions])}
        own["look"] = pa.array(draw.integers(2**63, size=ROWS, dtype=np.uint64))
        for name, values in own.items():
            table = table.set_column(table.schema.get_field_index(name), table.schema.field(name), values)
        write_table(table, folder / f"rows-0000-{shard:09d}.parquet")
    plan = {"methods": {"mask": {}}, "grid": [28, 28], "curve_shares": [0.1] * 10, "white": None, "fit": "crop"}
    plan["shape"] = [3, 224, 224]
    Manifest(plan=plan, count=shards * ROWS).write(folder)
    return folder


def test_memory_does_not_grow_with_the_number_of_images(tmp_path: Path) -> None:
    peaks: list[float] = []
    for shards in (2, 20):
        folder = audited(tmp_path / str(shards), shards)
        done = subprocess.run([sys.executable, "-c", CODE, str(folder)], capture_output=True, text=True, check=True)
        stamped, cards, images, peak = done.stdout.strip().split(";")
        assert (int(stamped), int(cards)) == (50 * shards, 10)
        assert images == f"{ROWS * shards:,} of {ROWS * shards:,}"
        peaks.append(int(peak) / 1024)
    # The rows of the larger one that the smaller lacks are 200 MiB of maps alone.
    assert peaks[1] - peaks[0] < 40


@pytest.mark.parametrize("shards", [1, 3])
def test_of_images_that_several_runs_explained_the_last_counts(tmp_path: Path, shards: int) -> None:
    schema = schema_of((28, 28), 10)
    for run, (places, score) in enumerate([(range(12), 0.1), (range(4, 8), 0.2), ([6, 20], 0.3)]):
        rows = [row(place, score=score) for place in places]
        size = -(-len(rows) // shards)
        for shard, first in enumerate(range(0, len(rows), size)):
            write_table(table_of(rows[first : first + size], schema), tmp_path / f"rows-{run:04d}-{shard:09d}.parquet")
    found = [one for table in shard_tables(tmp_path, ["position", "score"]) for one in table.to_pylist()]
    scores = {one["position"]: round(one["score"], 3) for one in found}
    assert len(found) == len(scores) == 13
    assert scores == dict.fromkeys(range(12), 0.1) | dict.fromkeys(range(4, 8), 0.2) | {6: 0.3, 20: 0.3}


def test_an_image_that_memory_lacked_for_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lacking(*_: Any) -> Any:
        raise MemoryError

    make_photos(tmp_path / "photos", 3)
    given: dict[str, Any] = {"plan": AuditPlan(methods={"center": {}}), "progress": False, "accept_doubts": True}
    audit(StampModel(), tmp_path / "photos", tmp_path / "out", limit=2, **given)
    with monkeypatch.context() as patch:
        patch.setattr(decoded_image, "decoded", lacking)
        done = audit(StampModel(), tmp_path / "photos", tmp_path / "out", resume=True, **given)
        assert (done.done, done.failed) == (1, 1)
    assert "too little memory" in read_audit(tmp_path / "out").error[2]
    done = audit(StampModel(), tmp_path / "photos", tmp_path / "out", resume=True, **given)
    assert (done.done, done.unexplained()) == (1, 0)
