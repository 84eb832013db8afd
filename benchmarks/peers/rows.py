"""What is measured of photos by one method: seconds, what it asked, and how good its maps are."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch

from benchmarks.common.masked import DELETED
from benchmarks.common.timings import timed_answer
from benchmarks.paper.plan import remembering
from benchmarks.peers.asked import Asked
from benchmarks.peers.methods import absent, peer_maps
from benchmarks.peers.subjects import Subject
from blackbox_explain import BlackBox, Explanation, evaluate, explain
from blackbox_explain.box.oracle import Oracle
from blackbox_explain.explanation.region import SHARES
from blackbox_explain.metrics.deletion_insertion import Deletion, Insertion
from blackbox_explain.metrics.metric import Better
from blackbox_explain.metrics.minimal_box import MinimalBox
from blackbox_explain.metrics.smallest_region import SmallestRegion
from blackbox_explain.metrics.suppressing import Suppressing
from blackbox_explain.perturbations.deletion import count_at, level_set
from blackbox_explain.perturbations.named import perturbation_of

__all__ = ["CAP", "DELETED_BY", "LEFT", "METRICS", "REGIONS", "Row", "of_ours", "of_peer"]

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]

DELETED_BY = {"blur": "blur", "grey": "constant"}
"""Ours learns by blur; several peers hide by a colour."""

CAP = SHARES[-1]
"""What counts where no region of half of the image takes 95 % of the score away: a mean is then a lower bound."""

Row = dict[str, Any]
"""``seconds`` and ``queries`` of an image, and ``quality`` by metric and photo; or ``skipped`` or ``failed``: why.  Of
ours, ``by`` what the network was run, and how many photos were explained ``together``."""


@dataclass(frozen=True)
class ScoreLeft:
    """The share of the score that is left once the most salient share of the pixels is deleted: p' of section 5.2."""

    share: float
    perturbation: str

    name: ClassVar[str] = "score-left"
    needs: ClassVar[type[Any]] = BlackBox
    better: ClassVar[Better] = "lower"
    range: ClassVar[tuple[float, float]] = (-np.inf, np.inf)

    def measure(self, oracle: Oracle, explanation: Explanation) -> Floats:
        """Return the shares (n,); NaN where perturbing the whole image hardly lowers the score."""
        ends = Suppressing.of(oracle, explanation, perturbation_of(self.perturbation))
        deleted = np.stack([level_set(one, count_at(self.share, one.size)) for one in explanation.saliency])
        return np.where(ends.there, 1 - ends.done(deleted, np.arange(len(deleted))), np.nan)


LEFT = {f"score left, {share:.0%}, {by}": ScoreLeft(share, how) for by, how in DELETED_BY.items() for share in DELETED}

REGIONS = tuple(f"smallest region at 95 %, {by}" for by in DELETED_BY)

METRICS: dict[str, Any] = {
    f"{what}, {by}": of(how)
    for what, of in (
        ("deletion", Deletion),
        ("insertion", Insertion),
        ("smallest region at 95 %", lambda how: SmallestRegion(0.95, perturbation=how)),
        ("minimal box at 95 %", lambda how: MinimalBox(0.95, perturbation=how)),
    )
    for by, how in DELETED_BY.items()
}


def of_peer(name: str, subject: Subject, template: Explanation, device: str = "cpu", seed: int = 0) -> Row:
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
    seed
        Of what the peer draws.
    """
    if why := absent(name):
        return {"skipped": why}
    rules = subject.torch.spec.preprocessing
    network, last = subject.module()
    image = torch.tensor(template.images, device=device).contiguous(memory_format=torch.channels_last)
    grey = rules.forward(torch.full_like(image, 0.5))
    target, classes = int(np.argmax(template.weights[0])), template.weights.shape[1]
    inputs = rules.forward(image)
    asked = Asked(network, image, inputs, grey, target, last, rules.forward, subject.path, classes, seed)
    try:
        spent, (found, count) = timed_answer(lambda: peer_maps(name, asked))
        return {"seconds": spent, "queries": count, "quality": judged(subject.judge, template, found[None])}
    except Exception as error:  # one package that fails must not take the others with it
        return {"failed": f"{type(error).__name__}: {error}"[:300]}


def of_ours(preset: str, subject: Subject, template: Explanation, by: str, **settings: Any) -> Row:
    """Explain the photos of `template` in one batch, by a preset and a form of the network, and judge their maps.

    Seconds and queries are those of each photo.
    """
    box = subject.onnx if by == "ONNX" else subject.torch
    targets = np.argmax(template.weights, axis=1).tolist()
    count = len(template)
    spent, found = timed_answer(
        lambda: explain(box, template.images, targets, preset=preset, batch_size=count, progress=False, **settings)
    )
    quality = judged(subject.judge, template, found.saliency)
    each = {"seconds": spent / count, "queries": float(found.queries.sum(axis=1).mean())}
    return {"by": by, "together": count, **each, "quality": quality}


def judged(box: Any, template: Explanation, saliency: Any) -> dict[str, list[float]]:
    """Return each metric of the maps (N, H, W), photo by photo."""
    explanation = replace(template, saliency=np.asarray(saliency, np.float32))
    found = evaluate(remembering(box), {"it": explanation}, METRICS | LEFT, progress=False)
    return {one.metric: [float(value) for value in one.values] for one in found.measurements}
