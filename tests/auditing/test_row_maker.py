"""Rows of an audit: what an image gets depends on the image alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import blackbox_explain as bx
from blackbox_explain.auditing.auditor import audit, read_audit
from blackbox_explain.auditing.decoded_image import Decoder
from blackbox_explain.auditing.entries import Entry
from blackbox_explain.auditing.plan import AuditPlan
from blackbox_explain.auditing.row_maker import RowMaker
from blackbox_explain.data.image_sources import SourceImage


def reddish(images: Any) -> Any:
    """Of 12 classes the first is how red a square is: a fifth of the score is left where the square is half as red."""
    logits = np.zeros((len(images), 12))
    logits[:, 0] = 10 * images[:, 0, 4:12, 4:12].mean(axis=(1, 2)) - 4
    raised = np.exp(logits)
    return raised / raised.sum(axis=1, keepdims=True)


def make_photo(path: Path, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 40, (16, 16, 3), dtype=np.uint8)
    pixels[4:12, 4:12, 0] = 255
    Image.fromarray(pixels).save(path)


def test_what_a_batch_has_in_common_speaks_against_no_row(tmp_path: Path) -> None:
    # As of a folder for each class: each batch alone would look as if the model were shown the wrong pixels.
    photos = tmp_path / "photos"
    photos.mkdir()
    for index in range(6):
        make_photo(photos / f"{index}.png", index)
    box = bx.wrap(reddish, shape=(3, 16, 16), preprocessing=bx.Preprocessing(), activation="none")
    together = bx.explain(
        box, bx.load_images(sorted(photos.iterdir()), box.spec), method="occlusion", side=8, stride=4, progress=False
    )
    assert together.provenance.doubts
    found = []
    for batch in (6, 4, 1):
        out = tmp_path / str(batch)
        plan = AuditPlan(methods={"occlusion": {"side": 8, "stride": 4}}, batch_size=batch)
        audit(box, photos, out, plan=plan, accept_doubts=True, rules=0, progress=False)
        found.append(read_audit(out, to="arrow"))
    assert found[0].column("outcome").to_pylist() == ["ok"] * 6
    assert found[0].equals(found[1])
    assert found[0].equals(found[2])


def test_checking_a_region_does_not_ask_about_the_image_again(tmp_path: Path) -> None:
    asked = 0

    def counted(images: Any) -> Any:
        nonlocal asked
        asked += len(images)
        return reddish(images)

    make_photo(tmp_path / "0.png", 0)
    box = bx.wrap(counted, shape=(3, 16, 16), preprocessing=bx.Preprocessing(), activation="none")
    image = Decoder(box.spec).decode(Entry(0, SourceImage("0.png", str(tmp_path / "0.png"))))
    asked = 0
    (row,) = RowMaker(box, AuditPlan(methods={"center": {}})).rows([image])
    # Two other perturbations, each with the region alone and with the whole image perturbed.
    assert asked == row["queries"] + 4
    (transfer,) = bx.evaluate(
        box, bx.explain(box, image.pixels[None], method="center", progress=False), "transfer", progress=False
    ).measurements
    assert row["transfer_constant"] == pytest.approx(transfer.values[0])
