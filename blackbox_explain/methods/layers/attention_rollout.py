"""Attention rollout: how tokens of a transformer are mixed from layer to layer (Abnar & Zuidema 2020)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from blackbox_explain.arrays import Array, to_numpy
from blackbox_explain.box.info import BoxInfo, require
from blackbox_explain.box.oracle import Oracle
from blackbox_explain.box.protocols import Layer, Layered
from blackbox_explain.errors import UnsupportedModelError
from blackbox_explain.methods.method import Attribution, Budget
from blackbox_explain.methods.upsampling import at_pixels

__all__ = ["AttentionRollout"]

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]

MOST_BESIDES = 8
"""Tokens that stand for no patch, at most: of the class, of a teacher, registers."""

ON_TOKENS = ("Add", "LayerNormalization", "LayerNorm")
"""Kinds of layers that have a row for each token, and its channels along the other axis."""


@dataclass(frozen=True)
class AttentionRollout:
    """Follow attention through all layers of a transformer: what the class token is made of.

    Π_l (Ā_l + 1) / 2, Ā_l the attention of layer l averaged over its heads.

    Abnar & Zuidema, *Quantifying Attention Flow in Transformers* (2020).  It is the same for every target.  Attention
    is found as the results of softmax that have a row and a column for each token; models that compute it in one
    operator do not show it, and those that merge patches (Swin) let them see each other in windows alone, for which no
    rollout is defined.  Without a class token the mean over all tokens is taken.
    """

    name: ClassVar[str] = "attention-rollout"
    needs: ClassVar[type[Any]] = Layered

    @classmethod
    def check_box(cls, box: Layered) -> None:
        """Raise that no attention is found in this model."""
        _attention(box.layers(), box.spec.spatial)

    def budget(self, info: BoxInfo) -> Budget:
        """Return one run for the score and one for all layers."""
        del info
        return Budget(2)

    def explain(self, oracle: Oracle, images: Array, weights: Array, seed: int) -> Attribution:
        """Return the share of each patch, upsampled linearly."""
        del seed
        spatial = oracle.box.spec.spatial
        layers, grid = _attention(require(oracle.box, Layered).layers(), spatial)
        names = [one.name for one in layers]
        found = oracle.inner(images, weights, names)
        tokens = int(layers[0].shape[-1] or 0)
        mixed = np.eye(tokens)[None]
        for name in names:
            values = to_numpy(found[name][0]).astype(np.float64)
            heads = values.reshape(len(values), -1, tokens, tokens).mean(axis=1)
            mixed = (heads + np.eye(tokens)) / 2 @ mixed
        besides = tokens - math.prod(grid)
        row = mixed[:, 0] if besides else mixed.mean(axis=1)
        maps = row[:, besides:].reshape(-1, *grid).astype(to_numpy(images).dtype)
        return Attribution(saliency=at_pixels(maps, spatial))


def _attention(layers: tuple[Layer, ...], spatial: tuple[int, ...]) -> tuple[list[Layer], tuple[int, ...]]:
    """Return the attention of every layer, and the grid of patches."""
    squares = [
        one
        for one in layers
        if one.kind == "Softmax" and len(one.shape) in (2, 3) and one.shape[-1] == one.shape[-2] and one.shape[-1]
    ]
    if squares:
        tokens = int(squares[-1].shape[-1] or 0)
        grid = _grid(tokens, spatial)
        if grid is not None:
            finer = _finer(layers, tokens, spatial)
            if finer is not None:
                raise UnsupportedModelError(
                    "Attention rollout is not defined for this model: its patches are merged on the way",
                    got=f"{tokens} tokens where they see each other, after {finer.shape[0]} at {finer.name!r}",
                    expected="a vision transformer whose tokens see each other in every layer",
                )
            return [one for one in squares if one.shape[-1] == tokens], grid
    raise UnsupportedModelError(
        "No attention was found in this model",
        got="no softmax with a row and a column for each patch of the image",
        expected="a vision transformer whose graph has its softmax as an operator, such as an ONNX export",
    )


def _finer(layers: Sequence[Layer], tokens: int, spatial: tuple[int, ...]) -> Layer | None:
    """Return a layer of more, smaller patches: these saw each other in windows, which have no row for an image."""
    for one in layers:
        if one.kind in ON_TOKENS and len(one.shape) == 2 and (count := one.shape[0] or 0) > tokens:
            grid = _grid(count, spatial)
            if grid is not None and math.prod(grid) == count:
                return one
    return None


def _grid(tokens: int, spatial: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return how many patches lie along each axis, of square patches that make up (almost) all tokens."""
    for besides in range(MOST_BESIDES + 1):
        patches = tokens - besides
        if patches < 2:
            return None
        side = round((math.prod(spatial) / patches) ** (1 / len(spatial)))
        if side < 1 or any(size % side for size in spatial):
            continue
        grid = tuple(size // side for size in spatial)
        if math.prod(grid) == patches:
            return grid
    return None
