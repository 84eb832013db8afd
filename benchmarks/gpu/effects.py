"""What each mode does to the explanations: the objective of eq. 4, and the table of deletions, judged in float32."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from benchmarks.gpu.device import Device
from benchmarks.gpu.modes import FIRST, MODES, box_of, rounding
from benchmarks.gpu.rates import or_error
from benchmarks.gpu.sizes import Budget, Sizes

__all__ = ["effects_of_modes", "pictures"]

SHARES = (0.03, 0.06, 0.10, 0.15, 0.20, 0.30, 0.40)


def pictures(box: Any, most: int) -> np.ndarray[Any, Any]:
    """Return the two sample photos, mirrored, and in three crops each: at most (10, 3, H, W)."""
    from PIL import Image

    from blackbox_explain.samples import CAT, COFFEE

    height, width = box.spec.spatial
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


def effects_of_modes(device: Device, sizes: Sizes, budget: Budget) -> Iterator[tuple[str, Any]]:
    """Learn rankings and masks in each mode, and judge them all by the model in float32."""
    judge = box_of(device, FIRST, MODES["fp32"], sizes.side)
    images = pictures(judge, 10 if device.cuda else 2)
    reference: Any = None
    for name, mode in MODES.items():
        if mode.bf16 and not device.cuda:
            yield name, {"skipped": "minutes on a CPU"}
            continue
        if (mode.compiled and device.cuda and not budget.has(90.0)) or not budget.has(10.0):
            yield name, {"skipped": "out of time"}
            continue

        found = or_error(partial(_row, device, name, judge, images, sizes, reference))
        saliency = found.pop("saliency", None)
        if reference is None and saliency is not None:
            reference = saliency
        yield name, found


def _row(device: Device, name: str, judge: Any, images: Any, sizes: Sizes, reference: Any) -> dict[str, Any]:
    from benchmarks.common.masked import OwnScore, hard_deletion
    from blackbox_explain import explain
    from blackbox_explain.explanation.map_similarity import correlation
    from blackbox_explain.methods.mask.mask import Mask
    from blackbox_explain.methods.mask.settings import Settings

    mode = MODES[name]
    with rounding(mode.tf32):
        box = box_of(device, FIRST, mode, sizes.side)
        # The class of the plain model, so that all modes explain one.
        target = np.asarray(judge.scores(images)).argmax(axis=1).tolist()
        together: dict[str, Any] = {"batch_size": len(images), "progress": False}
        ranked: Any = explain(box, images, target, method=Mask("fast", **sizes.settings), **together)
        masked: Any = explain(box, images, target, method=Mask("paper", steps=sizes.objective_steps), **together)
    with rounding(False):
        left = hard_deletion(judge, images, [ranked], ranked.saliency, SHARES)
        objective = OwnScore(judge, masked, Settings("paper")).objective()
    alike = 1.0 if reference is None else [correlation(a, b) for a, b in zip(reference, ranked.saliency, strict=True)]
    return {
        "photos": len(images),
        "left": left,
        "region": float(np.mean(ranked.share)),
        "objective": float(objective.mean()),
        "objective_steps": sizes.objective_steps,
        "alike_to_fp32": float(np.mean(alike)),
        "saliency": ranked.saliency,
    }
