"""Planted defects that audits must find: a stamp that a network learned in place of animals, and swapped channels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import blackbox_explain as bx
from benchmarks.common.photos import data_folder
from blackbox_explain.auditing.plan import AuditPlan
from blackbox_explain.auditing.report_page import page_of_audit
from blackbox_explain.errors import InputError

pytest.importorskip("torch", reason="the network is one of PyTorch")

from tests.auditing.planted import NAMES, SIDE, photos_of, trained

TRAINED_ON, AUDITED = 220, 80

PLAN = AuditPlan(methods={"mask": {"preset": "quick"}})


@pytest.fixture(scope="module")
def network(shared_photos: list[Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, dict[str, Any]]:
    """Return the network, and photos that it was not trained on with their classes; `shared_photos` are beside them."""
    assert shared_photos
    folder = tmp_path_factory.mktemp("planted")
    pixels, labels = photos_of(data_folder(), TRAINED_ON + AUDITED)
    (folder / "photos").mkdir()
    lines = ["file,label"]
    for place in range(TRAINED_ON, TRAINED_ON + AUDITED):
        Image.fromarray(pixels[place]).save(folder / "photos" / f"{place}.png")
        lines.append(f"{place}.png,{NAMES[labels[place]]}")
    (folder / "labels.csv").write_text("\n".join(lines))
    net = trained(pixels[:TRAINED_ON], labels[:TRAINED_ON])
    given = {"images": folder / "photos", "labels": folder / "labels.csv", "plan": PLAN, "progress": False, "rules": 0}
    return net, given


def wrapped(net: Any, channels: str) -> bx.BlackBox:
    preprocessing = bx.Preprocessing(channels=channels)
    return bx.wrap(net, shape=(3, SIDE, SIDE), class_names=NAMES, preprocessing=preprocessing)


def test_a_stamp_that_a_network_learned_is_the_first_finding(network: tuple[Any, Any], tmp_path: Path) -> None:
    net, given = network
    done = bx.audit(wrapped(net, "RGB"), out=tmp_path / "out", **given)
    assert not done.first_look.doubts
    first = done.findings()[0]
    assert (first.name, first.severity) == ("fixed place of animal", "problem")
    assert "images of animal the region is at the bottom right" in first.title
    assert first.count > 20
    assert first.share > 0.9
    table = bx.read_audit(tmp_path / "out").set_index("position")
    assert set(table.target[list(first.positions)]) == {"animal"}
    page = page_of_audit(tmp_path / "out")
    assert page.findings[0] == first
    assert sum(first.name in card.findings for card in page.cards) == first.count


def test_swapped_channels_stop_the_audit_and_head_the_report_of_one_that_goes_on(
    network: tuple[Any, Any], tmp_path: Path
) -> None:
    net, given = network
    with pytest.raises(
        InputError, match=r"classified right with .*channels in the other order, .* try: .*without --bgr"
    ):
        bx.audit(wrapped(net, "BGR"), out=tmp_path / "stopped", **given)
    assert not list((tmp_path / "stopped").glob("*.parquet"))
    bx.audit(wrapped(net, "BGR"), out=tmp_path / "out", accept_doubts=True, **(given | {"limit": 32}))
    assert "channels in the other order" in page_of_audit(tmp_path / "out").warnings[0]
