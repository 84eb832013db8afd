"""Whether ``batch_size="auto"`` finds a size that is as fast as the best: all sizes in rounds, on the same images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.common.timings import in_rounds, summary
from blackbox_explain import explain, load_images
from blackbox_explain.explaining import SIZES
from blackbox_explain.methods.by_name import method_of
from blackbox_explain.samples import CAT, COFFEE

__all__ = ["AUTO_LIMIT", "TRIED", "settled", "sizes_beside"]

AUTO_LIMIT = 1.10
"""Seconds for an image at the size that ``"auto"`` settled at, in those at the best size: at most."""

TRIED = (1, 2, 4, 8, 16, 32)

TOGETHER = 32
"""Images of one timing; more where ``"auto"`` settles at more."""

SETTLING = (128, 256, 512)
"""Images that ``"auto"`` is given until it settles: it learns within one call, and a size takes one batch to be known.

It settles with 128 where it goes down from 16, or stays; 32 and 64 take 128 and 256."""

SETTINGS: dict[str, Any] = {"preset": "quick", "steps": 2, "start": "centre"}
"""Few steps, so that all sizes fit into a minute or two: the steps of a batch are alike, and more of them would make
every size slower by as much."""


def settled(box: Any, counts: tuple[int, ...], settings: dict[str, Any]) -> int | None:
    """Explain ever more images by ``"auto"`` until it has settled; return its size, None where it never has."""
    method = method_of("mask", settings)
    for count in counts:
        explain(box, _images(box, count), batch_size="auto", progress=False, **settings)
        size = SIZES.of(box, repr(method))
        if size is not None:
            return size
    return None


def sizes_beside(
    box: Any,
    rounds: int,
    *,
    sizes: tuple[int, ...] = TRIED,
    together: int = TOGETHER,
    counts: tuple[int, ...] = SETTLING,
    settings: dict[str, Any] | None = None,
    finish: Callable[[], Any] = lambda: None,
) -> dict[str, Any]:
    """Time `explain` at several sizes of batches, and by ``"auto"`` once it has settled.

    Parameters
    ----------
    box
        What is explained.
    rounds
        In each of which every size is timed once.
    sizes, together, counts, settings
        As `TRIED`, `TOGETHER`, `SETTLING` and `SETTINGS` say.
    finish
        Waits for the device.

    Returns
    -------
    dict
        ``settled``: the size, or None.  ``seconds_per_image`` of each size, and of ``"auto"``.  ``best``: the fixed
        size of the least median.  ``over_best``: for each round, the time by ``"auto"`` over that at the best size;
        best is chosen by the same timings, which makes it look a little faster than it is, never slower.
    """
    chosen = SETTINGS if settings is None else settings
    size = settled(box, counts, chosen)
    images = _images(box, max(together, size or 0))
    tried: dict[str, Any] = {str(one): one for one in sizes}
    if size is not None:
        tried["auto"] = "auto"

    def call(batch: Any, some: Any) -> Callable[[], None]:
        def once() -> None:
            explain(box, some, batch_size=batch, progress=False, **chosen)
            finish()

        return once

    for batch in sizes:
        call(batch, images[:batch])()  # each size allocates anew, and some libraries choose their kernels by it
    seconds = in_rounds({name: call(batch, images) for name, batch in tried.items()}, rounds)
    each = {name: [one / len(images) for one in times] for name, times in seconds.items()}
    best = min((str(one) for one in sizes), key=lambda name: float(np.median(each[name])))
    found: dict[str, Any] = {
        "settings": chosen,
        "images": len(images),
        "settled": size,
        "seconds_per_image": {name: summary(times) for name, times in each.items()},
        "best": best,
    }
    if size is not None:
        found["over_best"] = [ours / other for ours, other in zip(each["auto"], each[best], strict=True)]
    return found


def _images(box: Any, count: int) -> Any:
    photos = load_images([CAT, COFFEE], box.spec)
    return np.concatenate([photos] * -(-count // len(photos)))[:count]
