"""Rows of an audit: what an image gets depends on the image alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import blackbox_explain as bx
from blackbox_explain.auditing.auditor import audit, read_audit
from blackbox_explain.auditing.plan import AuditPlan


def reddish(images: Any) -> Any:
    """Of 12 classes the first is how red a square is: a fifth of the score is left where the square is half as red."""
    logits = np.zeros((len(images), 12))
    logits[:, 0] = 10 * images[:, 0, 4:12, 4:12].mean(axis=(1, 2)) - 4
    raised = np.exp(logits)
    return raised / raised.sum(axis=1, keepdims=True)


def test_what_a_batch_has_in_common_speaks_against_no_row(tmp_path: Path) -> None:
    # As of a folder for each class: each batch alone would look as if the model were shown the wrong pixels.
    photos = tmp_path / "photos"
    photos.mkdir()
    for index in range(6):
        pixels = np.random.default_rng(index).integers(0, 40, (16, 16, 3), dtype=np.uint8)
        pixels[4:12, 4:12, 0] = 255
        Image.fromarray(pixels).save(photos / f"{index}.png")
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
