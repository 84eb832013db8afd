"""One look at a PyTorch module when it is wrapped: what turns its outputs into scores."""

from __future__ import annotations

import torch

from blackbox_explain.activations import Activation, Ending, WatchedRange, choose_activation
from blackbox_explain.adapting import asked_at_wrap, plain_images
from blackbox_explain_adapters._torch_ending import ending_of
from blackbox_explain_adapters._torch_network import Network

__all__ = ["choose"]


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
    ends_in: Ending | None = None

    def run(batch: torch.Tensor) -> tuple[torch.Tensor, ...]:
        nonlocal ends_in
        with torch.enable_grad():
            outputs = network.outputs(batch.detach().requires_grad_())
            ends_in = ending_of(network.module, outputs)
        return (outputs.detach(),)

    (outputs,) = asked_at_wrap(lambda rows: network.run(run, rows), images)
    if wanted != "auto":
        again = ends_in == wanted and wanted != "none"
        note = f"the model ends in a {wanted} itself, and another is applied, as activation={wanted!r} asks for"
        return wanted, (note,) if again else (), None
    chosen, reason = choose_activation(outputs, ends_in)
    return chosen, (reason,), WatchedRange.of(outputs, wanted, chosen, ends_in)
