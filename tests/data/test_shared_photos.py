"""The shared photos: the default classifier reads them, and its masks take the score away."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import blackbox_explain as bx


@pytest.mark.exhaustive
def test_masks_of_real_photos(default_box: bx.BlackBox, shared_photos: list[Path]) -> None:
    paths = shared_photos[::10]
    labels = [int(path.name.split("_")[0]) for path in paths]
    images = bx.load_images(paths, default_box.spec)
    right = default_box.scores(images).argmax(axis=1) == labels
    assert right.mean() >= 0.75
    result = bx.explain(default_box, images[right], progress=False)
    assert np.mean([one.kind == "ok" for one in result.outcome]) > 0.7
    assert 0.01 < result.share.mean() < 0.2
    assert (result.queries[:, 1] == 42).all()
