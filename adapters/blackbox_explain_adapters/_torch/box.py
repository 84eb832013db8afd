"""PyTorch: modules, TorchScript and exported programs, left exactly as they were."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from blackbox_explain.arrays import Array
from blackbox_explain.box.activations import SCORES_ARE_LOGITS, Activation
from blackbox_explain.box.adapter_tools.checks import check_output, check_weights
from blackbox_explain.box.adapter_tools.description import Described, plain_images
from blackbox_explain.box.adapter_tools.first_layers import joined
from blackbox_explain.box.adapter_tools.outputs import Wanted
from blackbox_explain.box.adapter_tools.random_parameters import note_on as random_note
from blackbox_explain.box.adapter_tools.reduction import Reduction
from blackbox_explain.box.adapter_tools.shown import Shown
from blackbox_explain.box.protocols import Differentiable, Layer, Of
from blackbox_explain.errors import InputError, NoGradientError, UnsupportedModelError
from blackbox_explain_adapters._torch.alone.company import Kind
from blackbox_explain_adapters._torch.exporting import exported_to_onnx, missing_packages, note_on
from blackbox_explain_adapters._torch.gradient import MENDED, gradient_by, mended_gradient_by
from blackbox_explain_adapters._torch.layers import LayersSeen, can_be_watched, check_names, eagerly
from blackbox_explain_adapters._torch.logits import without_own_activation
from blackbox_explain_adapters._torch.network import Network
from blackbox_explain_adapters._torch.parameters import (
    digest_of,
    digest_of_attributes,
    parameter_layers,
    with_random_parameters,
)
from blackbox_explain_adapters._torch.probing import Look, first_steps_of, look_at, manner_of, own_train
from blackbox_explain_adapters._torch.state import CHANGES

if TYPE_CHECKING:
    from blackbox_explain_adapters._onnx.box import DifferentiableOnnx

__all__ = ["TorchBlackBox", "wrap_torch"]

# Torch's own, because a sum over one row alone is not bit for bit the sum over that row in a batch.
ACTIVATE: dict[Activation, Callable[[torch.Tensor], torch.Tensor]] = {
    "softmax": lambda outputs: torch.softmax(outputs, dim=1),
    "log_softmax": lambda outputs: torch.log_softmax(outputs, dim=1),
    "sigmoid": torch.sigmoid,
    "none": lambda outputs: outputs,
}


def wrap_torch(
    model: Any,
    described: Described,
    *,
    device: str | torch.device | None = None,
    autocast: torch.dtype | str | None = None,
    channels_last: bool = False,
    output: str | int | None = None,
    reduce: Any = None,
) -> TorchBlackBox:
    """Wrap a PyTorch classifier.

    Parameters
    ----------
    model
        ``torch.nn.Module``, TorchScript module or ``torch.export.ExportedProgram``.
    described
        What the caller said of its input; a module needs a shape, an exported program tells it.
    device
        Where to compute; None is where the parameters are.  Another device works on a copy.
    autocast
        Type to autocast to, such as ``torch.bfloat16`` or its name; None leaves types alone.
    channels_last
        Feed the model NHWC memory, which is faster for many convolutions.
    output
        Name, or place from 0 on, of the output that holds the class scores, where the model has several.
    reduce
        How further axes of it are joined, such as ``("mean", 1)`` or ``("max", (2, 3))``; the batch is axis 0.

    Raises
    ------
    InputError
        If shape, device or type do not fit, there is no such output, or the model ends in another activation than
        the one that was said.
    ModelError
        If the model fails on plain images, or its class scores are not found.
    """
    dtype = _dtype(autocast)
    if isinstance(model, torch.export.ExportedProgram):
        shape = _exported_shape(model)
        spec, assumptions = described.spec(tuple(size if isinstance(size, int) else None for size in shape[1:]))
        fixed = int(shape[0]) if isinstance(shape[0], int) else None
        module = model.module()
        assumptions = (*assumptions, "the program computes in the mode it was exported in")
    elif isinstance(model, torch.nn.Module):
        spec, assumptions = described.spec()
        module, fixed = model, None
    else:
        raise UnsupportedModelError(
            "This is no PyTorch classifier", got=f"a {type(model).__name__}", expected="a torch.nn.Module"
        )
    network = Network(
        module,
        spec,
        device=device,
        autocast=dtype,
        channels_last=channels_last,
        batch=fixed,
        exported=isinstance(model, torch.export.ExportedProgram),
        wanted=Wanted(output, Reduction.of(reduce), None if spec.class_names is None else len(spec.class_names)),
    )
    manner = manner_of(network)
    network.batch = manner.batch
    network.spec, assumptions = joined(first_steps_of(network), described, spec, assumptions)
    look = look_at(network, described.activation)
    notes = (
        *assumptions,
        *own_train(network.module),
        *network.notes,
        *manner.notes,
        *look.notes,
        *((CHANGES,) if network.state.changes else ()),
    )
    if look.refusal:
        return TorchBlackBox(network, look, notes)
    return (LayeredTorch if can_be_watched(network.module) else DifferentiableTorch)(network, look, notes)


class TorchBlackBox(Shown):
    """A PyTorch module that gives scores."""

    def __init__(self, network: Network, look: Look, assumptions: tuple[str, ...] = ()) -> None:
        self.spec = network.spec
        self.activation: Activation = look.activation
        self.assumptions = assumptions
        self.no_gradient = look.refusal
        self._look = look
        self._network = network
        self._watched = look.watched

    @property
    def module(self) -> torch.nn.Module:
        """The module that computes: the caller's, or a copy on another device."""
        return self._network.module

    def native(self, array: np.ndarray[Any, Any]) -> torch.Tensor:
        """Move a NumPy array to the model's device."""
        return torch.tensor(array, device=self._network.device)

    def scores(self, images: Array) -> Array:
        """Map images ``(N, *shape)`` in pixel space to scores (N, K)."""

        def run(batch: torch.Tensor) -> tuple[torch.Tensor, ...]:
            with torch.no_grad():
                outputs = self._network.outputs(batch)
                if self._watched is not None:
                    self._watched.check(outputs)
                return (ACTIVATE[self.activation](outputs),)

        return self._as_given(images, self._network.run(run, self._network.tensor(images), kind="scores"))[0]

    def fingerprint(self) -> str:
        """Return a digest of the parameters and buffers, and of what TorchScript holds as constants."""
        return f"sha256:{digest_of(self.module)}"

    def revision(self) -> str:
        """Return a digest of all that what is made of the module, such as an export, hangs on: attributes, too."""
        return f"{self.fingerprint()}, {digest_of_attributes(self.module)}"

    @staticmethod
    def _as_given(given: Array, answers: tuple[torch.Tensor, ...]) -> tuple[Array, ...]:
        if isinstance(given, torch.Tensor):
            return tuple(answer.to(given.device) for answer in answers)
        return tuple(answer.cpu().numpy() for answer in answers)


class DifferentiableTorch(TorchBlackBox):
    """A PyTorch module that gives scores and gradients."""

    def __init__(self, network: Network, look: Look, assumptions: tuple[str, ...] = ()) -> None:
        super().__init__(network, look, assumptions)
        self._mend = look.mend
        self._of: Of = "scores"
        self._exported: tuple[str, DifferentiableOnnx] | None = None

    def scores_and_gradient(self, images: Array, weights: Array) -> tuple[Array, Array]:
        """Return scores (N, K) and d Σ(weights · scores) / d images ``(N, *shape)``."""

        def run(batch: torch.Tensor, chosen: torch.Tensor) -> tuple[torch.Tensor, ...]:
            scores, gradient = self._once(batch, chosen, self._mend)
            # On a GPU plain images alone tell: to look at values here would make the CPU wait for it at each step.
            if not self._mend and gradient.device.type == "cpu":
                torn = ~torch.isfinite(gradient).flatten(1).all(dim=1)
                if bool((torn & torch.isfinite(scores).all(dim=1)).any()):
                    mended = self._once(batch, chosen, True)
                    if bool(torch.isfinite(mended[1][torn]).all()):
                        self._mend = True
                        self.assumptions = (*self.assumptions, MENDED)
                        return mended
            return scores, gradient

        tensor = self._network.tensor
        kind: Kind | None = None if self._mend else "gradient"
        scores, gradient = self._as_given(images, self._network.run(run, tensor(images), tensor(weights), kind=kind))
        return scores, gradient

    @property
    def backward_rules(self) -> tuple[str, ...] | None:
        """The exact ones alone where packages are missing that others need; None: as many as an export has."""
        return ("exact",) if missing_packages() else None

    def with_backward(self, rules: str | Mapping[str, Any], of: Of = "scores", **settings: Any) -> Differentiable:
        """Return a box with another gradient, of its scores or of its logits.

        Parameters
        ----------
        rules
            ``"exact"`` leaves the gradient to PyTorch.  Any other set, such as ``"guided"``, is an ONNX adapter's:
            the module is exported as it is now, and ONNX Runtime computes the gradient of the export.  The layers of
            that box are the tensors of the export.
        of
            ``"scores"``, or ``"logits"``: what the last activation is applied to, also where the module itself ends in
            one.
        **settings
            Of the set of rules.

        Raises
        ------
        InputError
            If there is no such set of rules, setting or output.
        UnsupportedModelError
            If the module's own activation cannot be left out, or the module cannot be exported.
        BackendMissingError
            If a package that the export needs is not installed.
        """
        check_output(of)
        if rules == "exact":
            if settings:
                raise InputError("The exact rules have no settings", got=", ".join(settings), expected="none")
            return self if of == "scores" else self._of_logits()
        made: Any = self._as_onnx().with_backward(rules, of, **settings)
        note = note_on(made, self._network)
        made.assumptions = tuple(dict.fromkeys((*self.assumptions, *made.assumptions, note)))
        return made

    def fingerprint(self) -> str:
        """Return a digest of the parameters and buffers, and of what its scores are."""
        return super().fingerprint() + ("" if self._of == "scores" else f", exact of {self._of}")

    def _of_logits(self) -> DifferentiableTorch:
        look = dataclasses.replace(self._look, activation="none", watched=None, mend=self._mend, ends_in="linear")
        untold = self.activation == "none" and self._look.ends_in is None
        network = without_own_activation(self._network, self._look.ends_in)
        made = type(self)(network, look, (*self.assumptions, SCORES_ARE_LOGITS) if untold else self.assumptions)
        made._of = "logits"
        return made

    def _as_onnx(self) -> DifferentiableOnnx:
        weights = self.revision()
        if self._exported is None or self._exported[0] != weights:
            # Threads that come together do it twice, and find the same.
            self._exported = weights, exported_to_onnx(self._network, self.activation, self.scores)
        return self._exported[1]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_exported": None}

    def _once(self, batch: torch.Tensor, chosen: torch.Tensor, mend: bool) -> tuple[torch.Tensor, torch.Tensor]:
        with torch.enable_grad():
            leaf = batch.detach().requires_grad_()
            outputs = self._network.outputs(leaf)
            if self._watched is not None and outputs.device.type == "cpu":
                self._watched.check(outputs)
            scores = ACTIVATE[self.activation](outputs)
            check_weights(chosen, *scores.shape)
            gradient = (mended_gradient_by if mend else gradient_by)(scores, chosen, leaf)
        if gradient is None:
            raise NoGradientError("The gradient that the model had for plain images does not reach these images")
        return scores.detach(), gradient


class LayeredTorch(DifferentiableTorch):
    """A PyTorch module whose layers can be asked for."""

    def layers(self) -> tuple[Layer, ...]:
        """Return the submodules that give floats with a row for each image, in the order in which they are done."""
        images = self._network.tensor(plain_images(self.spec)[:2])
        seen = LayersSeen(self.module)

        def run(batch: torch.Tensor) -> tuple[torch.Tensor, ...]:
            # Compiled code does not run the hooks of the layers inside of it.
            with torch.no_grad(), eagerly(), seen:
                return (self._network.outputs(batch),)

        self._network.run(run, images)
        return seen.layers(self._network.batch or len(images))

    def inner(self, images: Array, weights: Array, names: Sequence[str]) -> dict[str, tuple[Array, Array]]:
        """Return for submodules what they give, and the gradients of Σ(weights · scores) by that.

        Parameters
        ----------
        images
            ``(N, *shape)`` in pixel space.
        weights
            (N, K).
        names
            As in `layers`, or of any submodule that gives floats with a row for each image.

        Raises
        ------
        UnsupportedModelError
            If there is no such submodule, it does not run, or no gradient reaches it.
        """
        check_names(self.module, names)

        def run(batch: torch.Tensor, chosen: torch.Tensor) -> tuple[torch.Tensor, ...]:
            eager = eagerly()
            with torch.enable_grad(), eager, LayersSeen(self.module, names) as seen:
                scores = ACTIVATE[self.activation](self._network.outputs(batch.detach().requires_grad_()))
                check_weights(chosen, *scores.shape)
                values = [seen.found.get(name) for name in names]
                present = [one for one in values if one is not None and one.requires_grad]
                slopes = dict(zip(map(id, present), self._slopes(scores, chosen, present), strict=True))
            found: list[torch.Tensor] = []
            for name, value in zip(names, values, strict=True):
                slope = None if value is None else slopes.get(id(value))
                if value is None or slope is None:
                    raise UnsupportedModelError(
                        "This layer has no gradient", got=repr(name), expected="one between the images and the scores"
                    )
                found += [value.detach(), slope]
            return tuple(found)

        tensor = self._network.tensor
        found = self._as_given(images, self._network.run(run, tensor(images), tensor(weights)))
        return {name: (found[2 * place], found[2 * place + 1]) for place, name in enumerate(names)}

    def parameter_layers(self) -> tuple[str, ...]:
        """Return the names of the submodules whose parameters the scores are computed with, from output to input.

        The module is run, to see which those are.

        Raises
        ------
        UnsupportedModelError
            If it was not seen to compute with any.
        """
        return tuple(parameter_layers(self._network))

    def randomized(self, layers: Sequence[str], seed: int) -> LayeredTorch:
        """Return a box around a copy of the module, with random parameters in some of its `parameter_layers`.

        Raises
        ------
        InputError
            If there is no such layer.
        UnsupportedModelError
            As `parameter_layers`, and if the module cannot be copied.
        """
        # The guess that the scores need no activation was made of the learned parameters.
        look = dataclasses.replace(self._look, watched=None, mend=self._mend)
        network = with_random_parameters(self._network, layers, seed)
        made = LayeredTorch(network, look, (*self.assumptions, random_note(layers, seed)))
        made.activation, made._of = self.activation, self._of
        return made

    @staticmethod
    def _slopes(
        scores: torch.Tensor, chosen: torch.Tensor, values: Sequence[torch.Tensor]
    ) -> Sequence[torch.Tensor | None]:
        if not values:
            return ()
        return torch.autograd.grad((scores * chosen.to(scores.dtype)).sum(), list(values), allow_unused=True)


def _exported_shape(program: torch.export.ExportedProgram) -> tuple[Any, ...]:
    names = program.graph_signature.user_inputs
    nodes = [node for node in program.graph.nodes if node.op == "placeholder" and node.name in names]
    if len(nodes) != 1:
        raise UnsupportedModelError(
            "The program does not read one array of images", got=f"{len(nodes)} inputs", expected="1"
        )
    return tuple(nodes[0].meta["val"].shape)


def _dtype(name: torch.dtype | str | None) -> torch.dtype | None:
    if name is None or isinstance(name, torch.dtype):
        return name
    found = getattr(torch, name, None) if isinstance(name, str) else None
    if not isinstance(found, torch.dtype) or not found.is_floating_point:
        raise InputError("There is no such type", got=f"autocast={name!r}", expected="'bfloat16' or 'float16'")
    return found
