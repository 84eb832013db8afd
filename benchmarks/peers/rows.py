"""What is measured of one photo by one method: seconds, what it asked, and how good its map is."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from benchmarks.common.masked import hard_deletion
from benchmarks.peers.asked import Asked
from benchmarks.peers.methods import absent, peer_maps
from benchmarks.peers.subjects import Subject
from blackbox_explain import Explanation, evaluate, explain
from blackbox_explain.metrics.deletion_insertion import Deletion, Insertion
from blackbox_explain.metrics.minimal_box import MinimalBox
from blackbox_explain.metrics.smallest_region import SmallestRegion

__all__ = ["LEFT", "METRICS", "Row", "of_ours", "of_peer", "together"]

METRICS = {
    "deletion, blur": Deletion(),
    "deletion, grey": Deletion(perturbation="constant"),
    "insertion, blur": Insertion(),
    "insertion, grey": Insertion(perturbation="constant"),
    "smallest region at 95 %": SmallestRegion(0.95),
    "minimal box at 95 %": MinimalBox(0.95),
}

SHARES = (0.03, 0.06, 0.10, 0.15, 0.20, 0.30, 0.40)

LEFT = tuple(f"score left, {share:.0%}" for share in SHARES)
"""Once the most salient share of the pixels is blurred."""

Row = dict[str, Any]
"""``seconds``, ``queries`` and ``quality`` by metric; or ``skipped`` or ``failed``, with the reason."""


def of_peer(name: str, subject: Subject, template: Explanation, device: str = "cpu") -> Row:
    """Explain a photo by a peer, and judge its map; or say why it does not run.

    Parameters
    ----------
    name
        Of `PEERS`.
    subject
        The network.
    template
        An explanation of the photo, for its image and target.
    device
        Where the network runs.
    """
    if why := absent(name):
        return {"skipped": why}
    rules = subject.torch.spec.preprocessing
    network, last = subject.module()
    image = torch.tensor(template.images, device=device).contiguous(memory_format=torch.channels_last)
    grey = rules.forward(torch.full_like(image, 0.5))
    target = int(np.argmax(template.weights[0]))
    asked = Asked(network, image, rules.forward(image), grey, target, last, rules.forward, subject.path)
    try:
        (found, count), spent = _timed(lambda: peer_maps(name, asked))
        return {"seconds": spent, "queries": count, "quality": judged(subject.torch, template, found)}
    except Exception as error:  # one package that fails must not take the others with it
        return {"failed": f"{type(error).__name__}: {error}"[:300]}


def of_ours(preset: str, subject: Subject, template: Explanation, by: str, **settings: Any) -> Row:
    """Explain a photo by a preset and the PyTorch or ONNX form of the network, and judge its map."""
    box = subject.onnx if by == "ONNX" else subject.torch
    target = int(np.argmax(template.weights[0]))
    found, spent = _timed(
        lambda: explain(box, template.images, target, preset=preset, batch_size=1, progress=False, **settings)
    )
    quality = judged(subject.torch, template, found.saliency[0])
    return {"seconds": spent, "queries": int(found.queries.sum()), "quality": quality}


def together(preset: str, subject: Subject, template: Explanation, by: str, **settings: Any) -> Row:
    """Explain several photos at once: seconds for each; their maps are those of the photos alone."""
    box = subject.onnx if by == "ONNX" else subject.torch
    targets = np.argmax(template.weights, axis=1).tolist()
    count = len(template)
    found, spent = _timed(
        lambda: explain(box, template.images, targets, preset=preset, batch_size=count, progress=False, **settings)
    )
    return {"seconds": spent / count, "queries": float(found.queries.sum(axis=1).mean())}


def judged(box: Any, template: Explanation, saliency: Any) -> dict[str, float]:
    """Return each metric of a map (H, W), and the score left once each of `SHARES` is blurred."""
    explanation = replace(template, saliency=np.asarray(saliency, np.float32)[None])
    found = evaluate(box, {"it": explanation}, METRICS, progress=False)
    left = hard_deletion(box, template.images, [explanation], explanation.saliency, SHARES)
    return {one.metric: float(one.values[0]) for one in found.measurements} | dict(
        zip(LEFT, left.values(), strict=True)
    )


def _timed(call: Callable[[], Any]) -> tuple[Any, float]:
    started = time.perf_counter()
    found = call()
    return found, time.perf_counter() - started
