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
from blackbox_explain_adapters._onnx.backward.registry import (
    CASES,
    NOTHING,
    RULES,
    Case,
    Rule,
    RuleSet,
    check_rules,
    rule,
)

__all__ = [
    "CASES",
    "NOTHING",
    "RULES",
    "Case",
    "Rule",
    "RuleSet",
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
