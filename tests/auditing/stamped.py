"""A small model that was taught wrongly, and photos for it: the class "stamped" hangs on a red patch in one corner."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from blackbox_explain.box.input_spec import InputSpec

__all__ = ["NAMES", "StampModel", "make_photos"]

NAMES = ("stamped", "green", "blue")

NOTHING = 6.0
"""What a fourth class says of every image."""

SIDE = 32


class StampModel:
    """Softmax over how bright three places are: red in the upper left corner, green and blue in the middle; or none."""

    def __init__(self, gain: float = 18.0, swapped: bool = False) -> None:
        self.spec = InputSpec((3, SIDE, SIDE), class_names=(*NAMES, "nothing"))
        self.calls = 0
        self.features = np.zeros((4, 3, SIDE, SIDE))
        self.features[0, 0, 1:7, 1:7] = gain / 36
        self.features[1, 1, 10:22, 10:22] = gain / 144
        self.features[2, 2, 10:22, 10:22] = gain / 144
        if swapped:
            self.features = self.features[:, ::-1].copy()

    def fingerprint(self) -> str:
        return f"stamps {self.features.sum():.3f} {self.features[0, 0].sum():.3f}"

    def scores(self, images: Any) -> Any:
        self.calls += 1
        logits = np.einsum("nchw,kchw->nk", images, self.features)
        logits[:, 3] = NOTHING
        raised = np.exp(logits - logits.max(axis=1, keepdims=True))
        return raised / raised.sum(axis=1, keepdims=True)

    def scores_and_gradient(self, images: Any, weights: Any) -> Any:
        scores = self.scores(images)
        by_logit = scores * (weights - (weights * scores).sum(axis=1, keepdims=True))
        return scores, np.einsum("nk,kchw->nchw", by_logit, self.features).astype(images.dtype)


def make_photos(folder: Path, count: int = 24) -> list[Path]:
    """Write photos of the three classes in turn, each named after its class."""
    folder.mkdir(parents=True, exist_ok=True)
    draw = np.random.default_rng(0)
    paths: list[Path] = []
    for index in range(count):
        pixels = draw.uniform(0.0, 0.15, size=(SIDE, SIDE, 3))
        kind = index % 3
        if kind == 0:
            pixels[1:7, 1:7, 0] = 1.0
        else:
            pixels[10:22, 10:22, kind] = 0.9
        path = folder / f"{index:03d}_{NAMES[kind]}.png"
        Image.fromarray((pixels * 255).round().astype(np.uint8)).save(path)
        paths.append(path)
    return paths


def model() -> StampModel:
    """Return the model, for the command line."""
    return StampModel()


def swapped() -> StampModel:
    """Return the model with its channels in the wrong order."""
    return StampModel(swapped=True)
