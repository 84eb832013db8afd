"""What audits look for, on tables whose findings are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from blackbox_explain.auditing.findings.everything import findings_of
from blackbox_explain.auditing.ledger.columns import schema_of, table_of
from blackbox_explain.report.page.content import Finding
from blackbox_explain.report.picture_files import map_png


def row(position: int, **changed: Any) -> dict[str, Any]:
    region = np.zeros((32, 32), dtype=bool)
    region[12:20, 12:20] = True
    return {
        "path": f"{position}.png", "sha256": "0", "position": position, "look": 2**60 + (position * 7919 << 20),
        "method": "mask", "rank": 0, "target": "cat", "target_index": 3, "score": 0.9, "outcome": "ok", "share": 0.06,
        "region": map_png(region), "transfer_constant": 0.9, "transfer_noise": 0.9, "at_border": 0.0,
    } | changed  # fmt: skip


def found(rows: list[dict[str, Any]], name: str) -> Finding:
    return next(one for one in everything(rows) if one.name.startswith(name))


def everything(rows: list[dict[str, Any]], parts: int = 1) -> list[Finding]:
    """Return what is found in a table that comes in so many parts."""
    table = table_of(rows, schema_of((28, 28), 10))
    size = -(-len(rows) // parts)
    return findings_of(lambda: [table.slice(first, size) for first in range(0, len(rows), size)])


def test_nothing_is_found_where_nothing_is() -> None:
    rows = [row(k) for k in range(30)]
    assert {one.severity for one in everything(rows)} == {"none"}
    assert found(rows, "confident mistake").title == "Not looked for: no labels were given"
    assert found(rows, "tiny region").high == pytest.approx(1 - 0.025 ** (1 / 30))


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("outside boxes", {"inside_boxes": 0.1}),
        ("boxes not seen", {"boxes_share": 0.0}),
        ("tiny region", {"share": 0.001}),
        ("at the border", {"at_border": 0.8}),
        ("artefact suspect", {"transfer_constant": 0.1, "transfer_noise": -0.3}),
        ("no region", {"outcome": "weak"}),
        ("confident mistake", {"label": 5}),
        ("failed", {"error": "no", "outcome": "failed", "region": None}),
    ],
)
def test_what_is_true_of_some_images_is_counted_with_its_interval(name: str, changed: dict[str, Any]) -> None:
    right = {"inside_boxes": 0.9, "boxes_share": 0.5, "label": 3}
    rows = [row(k, **(right | (changed if k < 9 else {}))) for k in range(30)]
    one = found(rows, name)
    # What was not found, or was not given to see, says nothing against the model.
    severity = "notice" if name in ("no region", "boxes not seen") else "problem"
    assert (one.count, one.total, one.severity) == (9, 30, severity)
    assert one.share == 0.3
    assert one.low < 0.3 < one.high
    assert sorted(one.positions) == list(range(9))
    few = found([row(k, **(right | (changed if k < 1 else {}))) for k in range(60)], name)
    assert (few.count, few.severity) == (1, "notice")


def test_regions_lie_outside_of_boxes_by_what_could_lie_in_them() -> None:
    boxed = {"boxes_share": 0.02, "share": 0.2}
    # A tenth of such a region fits into the boxes.
    inside = [row(k, inside_boxes=0.08, **boxed) for k in range(3)]
    outside = [row(3 + k, inside_boxes=0.02, **boxed) for k in range(2)]
    weak = [row(5 + k, inside_boxes=0.0, outcome="weak", **boxed) for k in range(4)]
    one = found([*inside, *outside, *weak], "outside boxes")
    assert (one.count, one.total) == (2, 5)
    assert sorted(one.positions) == [3, 4]


def test_a_place_of_one_class_is_found_and_so_is_one_of_all() -> None:
    corner = np.zeros((32, 32), dtype=bool)
    corner[24:31, 1:8] = True
    stamped = [row(k, target="dog", region=map_png(corner)) for k in range(8)]
    others = [row(8 + k, region=map_png(np.roll(corner, (5 * k, 9 + 7 * k), axis=(0, 1)))) for k in range(20)]
    one = found(stamped + others, "fixed place")
    assert one.title.startswith("In 8 of 8 images of dog the region is at the bottom left; of other classes in ")
    assert one.severity == "problem"
    assert one.positions == tuple(range(8))
    in_parts = [one for one in everything(stamped + others, parts=9) if one.name.startswith("fixed place")]
    assert in_parts == [one]
    everywhere = [row(k, target=f"class {k % 3}", region=map_png(corner)) for k in range(30)]
    one = found(everywhere, "fixed place")
    assert (one.name, one.count, one.severity) == ("fixed place of all classes", 30, "problem")
    assert one.title == "In 30 of 30 images, whatever their class, the region is at the bottom left"
    # The middle is where objects are.
    assert found([row(k, target=f"class {k % 3}") for k in range(30)], "fixed place").severity == "none"
    # Three images are too few to tell.
    assert found(stamped[:3] + others, "fixed place").severity == "none"
    # Regions that are scattered over the image are at no place of their own.
    rng = np.random.default_rng(0)
    scattered = [row(k, target=f"class {k % 3}", region=map_png(rng.random((32, 32)) < 0.4)) for k in range(30)]
    assert found(scattered, "fixed place").severity == "none"


def test_near_duplicates_differ_in_few_bits() -> None:
    rows = [row(0, look=0xF0F0_1234_5678_9ABC), row(1), row(2, look=0xF0F0_1234_5678_9ABC ^ 0b1001 << 30), row(3)]
    assert found(rows, "near duplicate").positions == (0, 2)
    assert found(rows, "near duplicate").severity == "notice"
    # A scan of many, of which each looks like the one before alone, is one group.
    chain = [row(k, look=0xF0F0_1234_5678_9ABC ^ (2**k - 1)) for k in range(20)]
    assert found(chain, "near duplicate").count == 20
    far = [row(0, look=0xF0F0_1234_5678_9ABC), row(1, look=0xF0F0_1234_5678_9ABC ^ 0xF0F0)]
    assert found(far, "near duplicate").count == 0


def test_near_duplicates_of_many_images_are_those_that_comparing_all_pairs_finds() -> None:
    rng = np.random.default_rng(0)
    # A plain sky: most bits are the same in all of them.
    looks = rng.integers(0, 2**18, 600).astype(np.uint64) << np.uint64(20) | np.uint64(2**62)
    different = np.unpackbits((looks[:, None] ^ looks).view(np.uint8).reshape(600, 600, 8), axis=2).sum(axis=2)
    np.fill_diagonal(different, 64)
    one = found([row(k, look=int(look)) for k, look in enumerate(looks)], "near duplicate")
    assert sorted(one.positions) == np.flatnonzero((different <= 3).any(axis=1)).tolist()
    assert 0 < one.count < 600


def test_a_place_is_not_looked_for_among_few_images_of_one_class() -> None:
    assert found([row(k) for k in range(8)], "fixed place").title.startswith("Not looked for: less than 20 images")
