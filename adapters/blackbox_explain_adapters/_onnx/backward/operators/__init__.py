"""The rules by which gradients pass operators, one file for each family."""

from __future__ import annotations

from blackbox_explain_adapters._onnx.backward.operators import (
    activations,
    convolution,
    deformable,
    elementwise,
    indexing,
    linear,
    normalization,
    pooling,
    reductions,
    resize,
    sampling,
    shapes,
    spectral,
    unfolding,
)
from blackbox_explain_adapters._onnx.backward.registry import CASES, RULES, Case, Rule, check_rules, rule

__all__ = [
    "CASES",
    "RULES",
    "Case",
    "Rule",
    "activations",
    "check_rules",
    "convolution",
    "deformable",
    "elementwise",
    "indexing",
    "linear",
    "normalization",
    "pooling",
    "reductions",
    "resize",
    "rule",
    "sampling",
    "shapes",
    "spectral",
    "unfolding",
]
