"""A look at a PyTorch module when it is wrapped: how it has to be asked, and what turns its outputs into scores."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

import torch

from blackbox_explain.box.activations import Activation, Ending, WatchedRange, choose_activation, said_activation
from blackbox_explain.box.adapter_tools.checks import guarded
from blackbox_explain.box.adapter_tools.description import plain_images
from blackbox_explain.box.adapter_tools.first_layers import FirstSteps
from blackbox_explain.box.adapter_tools.probing import TOLERANCE, Manner, manner_of_asking
from blackbox_explain.errors import BlackBoxExplainError, NoGradientError, OutOfMemoryError
from blackbox_explain_adapters._torch.activation.by_graph import ending_of
from blackbox_explain_adapters._torch.gradient import MENDED, gradient_by, no_gradient
from blackbox_explain_adapters._torch.layers import eagerly
from blackbox_explain_adapters._torch.network import Network

__all__ = ["Look", "first_steps_of", "look_at", "manner_of", "own_train"]

ROUGH = 3e-2
"""What counts as rounding where a module computes in half precision."""


def manner_of(network: Network) -> Manner:
    """Find out how many images a module takes at once, and whether its answers repeat."""

    def run(batch: torch.Tensor) -> tuple[torch.Tensor, ...]:
        # The first run shows which output is computed from which.
        with torch.set_grad_enabled(network.place is None):
            return (network.outputs(batch.detach().requires_grad_(network.place is None)).detach(),)

    def ask(images: torch.Tensor, size: int | None) -> torch.Tensor:
        if size is None and images.shape[0] == 1:
            # Truly alone, not as a pair, which would hide what a module does by the number of images.
            with suppress(BlackBoxExplainError):  # it may take no single image, and is never given one then
                return guarded(lambda rows: network.run(run, rows, size=1)[0], images)
        return guarded(lambda rows: network.run(run, rows, size=size)[0], images)

    tolerance = TOLERANCE if network.exact else ROUGH
    like = torch.zeros(0, device=network.device)
    return manner_of_asking(ask, network.spec, network.batch, like=like, tolerance=tolerance)


def first_steps_of(network: Network) -> FirstSteps:
    """Return what a module does to its pixels before anything else; nothing where it cannot be watched."""
    found: list[FirstSteps] = []

    def run(batch: torch.Tensor) -> tuple[torch.Tensor, ...]:
        with torch.no_grad(), eagerly():
            found.append(network.first_steps(batch))
        return (batch,)

    try:
        network.run(run, network.tensor(plain_images(network.spec)))
    except Exception:  # it ran before: what fails is the watching, and then nothing is told
        return FirstSteps()
    return found[0]


def own_train(module: torch.nn.Module) -> tuple[str, ...]:
    """Return what to tell where modules are in training mode that do more when their mode changes than PyTorch does."""
    own = {type(one).__name__ for one in module.modules() if getattr(one, "training", False) and _overrides_train(one)}
    if not own:
        return ()
    names = ", ".join(sorted(own))
    return (
        f"evaluation mode is set for each call, but train() of {names}, which does more, is not called: call eval()",
    )


def _overrides_train(module: torch.nn.Module) -> bool:
    kind = type(module)
    return kind.train is not torch.nn.Module.train and not kind.__module__.startswith("torch.")


@dataclass(frozen=True)
class Look:
    """What a module is, as its answer to plain images tells.

    Attributes
    ----------
    activation
        What is applied to its outputs.
    notes
        Sentences for the user.
    watched
        What later outputs are held against, where the activation is a guess by their range.
    refusal
        Why there is no gradient; None if there is one.
    mend
        Whether its gradient is not finite somewhere, though its outputs are.
    ends_in
        The module's own last operation; None where nothing tells.
    """

    activation: Activation
    notes: tuple[str, ...]
    watched: WatchedRange | None
    refusal: NoGradientError | None
    mend: bool
    ends_in: Ending | None


def look_at(network: Network, wanted: Activation) -> Look:
    """Run a module once on plain images, with its gradient.

    Raises
    ------
    ModelError
        If the module fails, or does not answer like a classifier.
    """
    images = network.tensor(plain_images(network.spec))
    endings: list[Ending | None] = []
    refusals: list[NoGradientError | None] = []
    broken: list[bool] = []

    def run(batch: torch.Tensor) -> tuple[torch.Tensor, ...]:
        with torch.enable_grad():
            leaf = batch.detach().requires_grad_()
            outputs = network.outputs(leaf)
            endings.append(ending_of(network.module, outputs))
            weights = torch.linspace(0.5, 1.5, outputs.shape[1], dtype=outputs.dtype, device=outputs.device)
            found: list[torch.Tensor | None] = []

            def gradient() -> torch.Tensor | None:
                found.append(gradient_by(outputs, weights.expand_as(outputs), leaf))
                return found[0]

            refusals.append(no_gradient(gradient, outputs))
            rows = torch.isfinite(outputs).all(dim=1)
            broken.append(bool(found and found[0] is not None and not torch.isfinite(found[0][rows]).all()))
        return (outputs.detach(),)

    try:
        (outputs,) = guarded(lambda rows: network.run(run, rows), images)
    except OutOfMemoryError:
        (outputs,) = guarded(lambda rows: network.run(run, rows, size=network.batch or 1), images)
    # A step of the images that is flat at all of some batch may be none in the next.
    refusal = None if None in refusals else refusals[-1]
    mend = any(broken) and refusal is None
    notes = (MENDED,) if mend else ()
    ends_in = endings[-1]
    if wanted != "auto":
        applied, said = said_activation(wanted, ends_in, outputs)
        return Look(applied, (*notes, *said), None, refusal, mend, ends_in)
    chosen, reason = choose_activation(outputs, ends_in)
    watched = WatchedRange.of(outputs, wanted, chosen, ends_in)
    return Look(chosen, (*notes, reason), watched, refusal, mend, ends_in)
