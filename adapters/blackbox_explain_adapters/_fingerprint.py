"""The fingerprint of a model of which nothing but its answers is to be had."""

from __future__ import annotations

import hashlib

import numpy as np

from blackbox_explain.box.adapter_tools.description import plain_images
from blackbox_explain.box.protocols import BlackBox

__all__ = ["digest_of_answers"]


def digest_of_answers(box: BlackBox) -> str:
    """Return a digest of the scores of a few plain images; it costs one call of the model."""
    answers = np.ascontiguousarray(box.scores(plain_images(box.spec)))
    return f"answers:sha256:{hashlib.sha256(answers.tobytes()).hexdigest()}"
