"""The logits of a PyTorch module: what the last activation is applied to, be it the module's own."""

from __future__ import annotations

from collections.abc import Callable

import torch

from blackbox_explain.box.activations import Ending, no_logits
from blackbox_explain.box.adapter_tools.description import plain_images
from blackbox_explain_adapters._torch.activation.by_watching import ActivationsSeen, LastActivation
from blackbox_explain_adapters._torch.network import Network

__all__ = ["without_own_activation"]

APPLIED: dict[Ending, Callable[[torch.Tensor], torch.Tensor]] = {
    "softmax": lambda logits: torch.softmax(logits, dim=1),
    "log_softmax": lambda logits: torch.log_softmax(logits, dim=1),
    "sigmoid": torch.sigmoid,
    "log_sigmoid": torch.nn.functional.logsigmoid,
}
"""What a module may end in."""

TOLERANCE, ROUGH = 1e-4, 3e-2
"""By how much scores may differ from the activation of the logits, in single and in half precision."""


def without_own_activation(network: Network, ends_in: Ending | None) -> Network:
    """Return a network whose raw outputs are the logits; the module is the same, and stays as it is.

    Parameters
    ----------
    network
        How the module is run.
    ends_in
        What the module ends in; it is returned as it is if that is no activation.

    Raises
    ------
    UnsupportedModelError
        If the activation cannot be left out.
    """
    if ends_in not in APPLIED:
        return network
    images = network.tensor(plain_images(network.spec))
    found: list[LastActivation | None] = []

    def scores_of(rows: torch.Tensor) -> tuple[torch.Tensor, ...]:
        with torch.enable_grad(), ActivationsSeen() as seen:
            scores = network.outputs(rows.detach().requires_grad_())
            found.append(seen.last(scores))
        return (scores.detach(),)

    (scores,) = network.run(scores_of, images)
    if (last := found[0]) is None or any(one != last for one in found):
        raise no_logits(ends_in, "it is computed where it cannot be seen, as in TorchScript")
    shortened = network.without(last)

    def logits_of(rows: torch.Tensor) -> tuple[torch.Tensor, ...]:
        with torch.no_grad():
            return (shortened.outputs(rows),)

    (logits,) = network.run(logits_of, images)
    tolerance = TOLERANCE if network.exact else ROUGH
    if not torch.allclose(APPLIED[ends_in](logits), scores, rtol=tolerance, atol=tolerance, equal_nan=True):
        raise no_logits(ends_in, f"the scores are not the {ends_in} of all logits of an image")
    return shortened
