"""A look at a PyTorch module when it is wrapped: how it has to be asked, and what turns its outputs into scores."""

from __future__ import annotations

import torch

from blackbox_explain.activations import Activation, Ending, WatchedRange, choose_activation
from blackbox_explain.adapting import asked_at_wrap, plain_images
from blackbox_explain.errors import OutOfMemoryError
from blackbox_explain.probing import TOLERANCE, Manner, manner_of_asking
from blackbox_explain_adapters._torch_ending import ending_of
from blackbox_explain_adapters._torch_network import Network

__all__ = ["choose", "manner_of"]

ROUGH = 3e-2
"""What counts as rounding where a module computes in half precision."""


def manner_of(network: Network) -> Manner:
    """Find out how many images a module takes at once, and whether its answers repeat."""

    def run(batch: torch.Tensor) -> tuple[torch.Tensor, ...]:
        with torch.no_grad():
            return (network.outputs(batch),)

    def ask(images: torch.Tensor, size: int | None) -> torch.Tensor:
        return asked_at_wrap(lambda rows: network.run(run, rows, size=size)[0], images)

    tolerance = TOLERANCE if network.exact else ROUGH
    like = torch.zeros(0, device=network.device)
    return manner_of_asking(ask, network.spec, network.batch, like=like, tolerance=tolerance)


def choose(network: Network, wanted: Activation) -> tuple[Activation, tuple[str, ...], WatchedRange | None]:
    """Decide what turns outputs into scores, from plain images and from what the module ends in.

    Returns
    -------
    activation
        What is applied.
    notes
        Sentences for the user.
    watched
        What later outputs are held against, where the choice was a guess by their range.

    Raises
    ------
    ModelError
        If the module fails, or does not answer like a classifier.
    """
    images = network.tensor(plain_images(network.spec))
    endings: list[Ending | None] = []

    def run(batch: torch.Tensor) -> tuple[torch.Tensor, ...]:
        with torch.enable_grad():
            outputs = network.outputs(batch.detach().requires_grad_())
            endings.append(ending_of(network.module, outputs))
        return (outputs.detach(),)

    try:
        (outputs,) = asked_at_wrap(lambda rows: network.run(run, rows), images)
    except OutOfMemoryError:
        (outputs,) = asked_at_wrap(lambda rows: network.run(run, rows, size=network.batch or 1), images)
    ends_in = endings[-1]
    if wanted != "auto":
        again = ends_in == wanted and wanted != "none"
        note = f"the model ends in a {wanted} itself, and another is applied, as activation={wanted!r} asks for"
        return wanted, (note,) if again else (), None
    chosen, reason = choose_activation(outputs, ends_in)
    return chosen, (reason,), WatchedRange.of(outputs, wanted, chosen, ends_in)
