"""What each mode does to the explanations: the objective of eq. 4, and the table of deletions, judged in float32."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from benchmarks.gpu.device import Device
from benchmarks.gpu.modes import MODES, box_of, compilation, rounding
from benchmarks.gpu.networks import FIRST
from benchmarks.gpu.rates import COMPILING, LEAST
from benchmarks.gpu.sizes import Budget, Sizes, or_error

__all__ = ["AGAIN", "PLAIN", "Judge", "effects_of_modes"]

PLAIN = "fp32"
"""The mode that others are held against."""

AGAIN = "fp32, again"
"""The same a second time: what differs here is no effect of a mode."""


class Judge:
    """The model in float32, photos, and the class that it sees in each: all maps are of these, and are judged by it.

    Parameters
    ----------
    device, sizes
        Of the run.
    """

    def __init__(self, device: Device, sizes: Sizes) -> None:
        from blackbox_explain import explain

        with rounding(False):
            self.box = box_of(device, FIRST, MODES[PLAIN], sizes.side)
            self.images = _pictures(self.box.spec.spatial, sizes.photos)
            self.target: list[int] = np.asarray(self.box.scores(self.images)).argmax(axis=1).tolist()
            # Any method tells weights and scores of the photos.
            self._scored = explain(self.box, self.images, self.target, method="center", progress=False)

    def left(self, saliency: Any) -> dict[str, list[float]]:
        """Return what is left of each photo's score once the most salient share (N, H, W) of its pixels is blurred."""
        from benchmarks.common.each_photo import left_of_each
        from benchmarks.common.masked import DELETED

        with rounding(False):
            return left_of_each(self.box, self.images, [self._scored], np.asarray(saliency), DELETED)

    def objective(self, result: Any) -> list[float]:
        """Return eq. 4 with the weights of the preset `paper` under the mask of each photo."""
        from benchmarks.common.masked import OwnScore
        from blackbox_explain.methods.mask.settings import Settings

        with rounding(False):
            return OwnScore(self.box, result, Settings("paper")).objective().tolist()


def effects_of_modes(device: Device, sizes: Sizes, budget: Budget) -> Iterator[tuple[str, Any]]:
    """Learn rankings and masks in each mode, float32 twice, and judge them all by the model in float32."""
    judge = Judge(device, sizes)
    reference: Any = None
    for name in (PLAIN, AGAIN, *(one for one in MODES if one != PLAIN)):
        mode = MODES[PLAIN if name == AGAIN else name]
        if mode.bf16 and not device.cuda:
            yield name, {"skipped": "minutes on a CPU"}
            continue
        found = or_error(partial(_row, device, mode, judge, sizes, budget, reference))
        saliency = found.pop("saliency", None)
        if name == PLAIN:
            reference = saliency
        yield name, found
        device.free()


def _row(device: Device, mode: Any, judge: Judge, sizes: Sizes, budget: Budget, reference: Any) -> dict[str, Any]:
    from blackbox_explain import explain
    from blackbox_explain.explanation.map_similarity import correlation
    from blackbox_explain.methods.mask.mask import Mask

    budget.need(COMPILING if mode.compiled and device.cuda else LEAST)
    count = len(judge.images)
    with rounding(mode.tf32), compilation(mode) as told:
        box = box_of(device, FIRST, mode, sizes.side, batch=count)
        together: dict[str, Any] = {"batch_size": count, "progress": False}
        ranked: Any = explain(box, judge.images, judge.target, method=Mask("fast", **sizes.settings), **together)
        learned = Mask("paper", steps=sizes.objective_steps)
        masked: Any = explain(box, judge.images, judge.target, method=learned, **together)
        compiled = told()
    found = {
        "photos": count,
        "left": judge.left(ranked.saliency),
        "region": np.asarray(ranked.share, float).tolist(),
        "objective": judge.objective(masked),
        "objective_steps": sizes.objective_steps,
        **compiled,
        "saliency": ranked.saliency,
    }
    if reference is not None:
        found["alike_to_fp32"] = [correlation(a, b) for a, b in zip(reference, ranked.saliency, strict=True)]
    return found


def _pictures(spatial: tuple[int, ...], most: int) -> np.ndarray[Any, Any]:
    """Return the two sample photos in four crops each, and one of either mirrored: at most (10, 3, H, W)."""
    from PIL import Image

    from blackbox_explain.samples import CAT, COFFEE

    height, width = spatial
    found: list[Any] = []
    for path in (CAT, COFFEE):
        with Image.open(path) as opened:
            photo = opened.convert("RGB")
        side = min(photo.size)
        for share, place in ((1.0, 0.5), (0.9, 0.0), (0.9, 1.0), (0.8, 0.5)):
            size = round(share * side)
            left, top = (round((whole - size) * place) for whole in photo.size)
            cropped = photo.crop((left, top, left + size, top + size)).resize((width, height))
            found.append(np.asarray(cropped, np.float32).transpose(2, 0, 1) / 255)
        found.append(found[-4][:, :, ::-1])
    return np.ascontiguousarray(np.stack(found)[:most])
