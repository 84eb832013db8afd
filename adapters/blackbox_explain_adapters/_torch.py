"""PyTorch: modules, TorchScript and exported programs, left exactly as they were."""

from __future__ import annotations

import copy
import hashlib
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from blackbox_explain.activations import Activation, choose_activation
from blackbox_explain.adapting import Described, check_batch, check_scores, check_weights, in_batches, scores_among
from blackbox_explain.arrays import Array
from blackbox_explain.blackbox import InputSpec
from blackbox_explain.errors import InputError, ModelError, NoGradientError, OutOfMemoryError, UnsupportedModelError
from blackbox_explain_adapters._torch_rows import LinearInBlocks

__all__ = ["TorchBlackBox", "wrap_torch"]

# Torch's own, because a sum over one row alone is not bit for bit the sum over that row in a batch.
ACTIVATE: dict[Activation, Callable[[torch.Tensor], torch.Tensor]] = {
    "softmax": lambda outputs: torch.softmax(outputs, dim=1),
    "log_softmax": lambda outputs: torch.log_softmax(outputs, dim=1),
    "sigmoid": torch.sigmoid,
    "none": lambda outputs: outputs,
}


_FLAGS = threading.Lock()
_HELD: dict[int, int] = {}
"""How many runs hold a module in evaluation mode, by its id, where it has to train again afterwards."""

_CHOICE = threading.Lock()
"""Held while the first outputs decide on the activation: of several threads, one decides."""


def wrap_torch(
    model: Any,
    described: Described,
    *,
    device: str | torch.device | None = None,
    autocast: torch.dtype | str | None = None,
    channels_last: bool = False,
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

    Raises
    ------
    InputError
        If shape, device or type do not fit.
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
    return TorchBlackBox(
        module,
        spec,
        described.activation,
        assumptions,
        device=device,
        autocast=dtype,
        channels_last=channels_last,
        fixed_batch=fixed,
        exported=isinstance(model, torch.export.ExportedProgram),
    )


class TorchBlackBox:
    """A PyTorch module as a differentiable black box."""

    def __init__(
        self,
        module: torch.nn.Module,
        spec: InputSpec,
        activation: Activation = "auto",
        assumptions: tuple[str, ...] = (),
        *,
        device: str | torch.device | None = None,
        autocast: torch.dtype | None = None,
        channels_last: bool = False,
        fixed_batch: int | None = None,
        exported: bool = False,
    ) -> None:
        self.spec = spec
        self.activation: Activation = activation
        self.assumptions = assumptions
        floating = next((p for p in _tensors(module) if p.is_floating_point()), torch.zeros(()))
        try:
            self.device = _device(device, floating.device)
            self.module = module if self.device == floating.device else copy.deepcopy(module).to(self.device)
        except (RuntimeError, AssertionError) as error:
            raise InputError("The model cannot move there", got=f"device={device!r}: {error}") from error
        self._dtype = floating.dtype
        self._exported = exported
        self._autocast = autocast
        self._fixed_batch = fixed_batch
        self._memory = torch.channels_last if channels_last and len(spec.shape) == 3 else torch.preserve_format

    def native(self, array: np.ndarray[Any, Any]) -> torch.Tensor:
        """Move a NumPy array to the model's device."""
        return torch.tensor(array, device=self.device)

    def scores(self, images: Array) -> Array:
        """Map images ``(N, *shape)`` in pixel space to scores (N, K)."""

        def run(batch: torch.Tensor) -> tuple[torch.Tensor, ...]:
            with torch.no_grad():
                return (self._forward(batch),)

        return self._as_given(images, self._run(run, self._tensor(images)))[0]

    def scores_and_gradient(self, images: Array, weights: Array) -> tuple[Array, Array]:
        """Return scores (N, K) and d Σ(weights · scores) / d images ``(N, *shape)``."""

        def run(batch: torch.Tensor, chosen: torch.Tensor) -> tuple[torch.Tensor, ...]:
            with torch.enable_grad():
                leaf = batch.detach().requires_grad_()
                scores = self._forward(leaf)
                if not scores.requires_grad:
                    raise NoGradientError(
                        "The scores do not depend on the images by a gradient",
                        got="outputs that are detached, or computed under no_grad",
                        hint="export or script the model with gradients enabled",
                    )
                check_weights(chosen, *scores.shape)
                (gradient,) = torch.autograd.grad((scores * chosen).sum(), leaf)
            return scores.detach(), gradient

        scores, gradient = self._as_given(images, self._run(run, self._tensor(images), self._tensor(weights)))
        return scores, gradient

    def fingerprint(self) -> str:
        """Return a digest of the parameters and buffers."""
        digest = hashlib.sha256(type(self.module).__qualname__.encode())
        for name, tensor in self.module.state_dict().items():
            if isinstance(tensor, torch.Tensor):
                digest.update(f"{name}{tensor.dtype}{tuple(tensor.shape)}".encode())
                digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
        return f"sha256:{digest.hexdigest()}"

    def __getstate__(self) -> dict[str, Any]:
        if any(isinstance(one, torch.jit.ScriptModule) for one in self.module.modules()):
            raise UnsupportedModelError("TorchScript is not pickled", hint="wrap the file again where it is needed")
        return self.__dict__

    def _run(self, call: Callable[..., tuple[torch.Tensor, ...]], *arrays: torch.Tensor) -> tuple[torch.Tensor, ...]:
        check_batch(arrays[0], self.spec, *arrays[1:])
        with torch.inference_mode(False), _evaluating(self.module, self._exported), LinearInBlocks():
            # Tensors made in inference mode cannot be saved for a gradient.
            safe = [array.clone() if array.is_inference() else array for array in arrays]
            try:
                # On a CPU an image alone gets other last bits than in company, which many steps turn into another mask.
                size = self._fixed_batch or (2 if safe[0].shape[0] == 1 and self.device.type == "cpu" else None)
                return in_batches(call, size, *safe)
            except torch.cuda.OutOfMemoryError as error:
                raise OutOfMemoryError("The device ran out of memory", got=f"a batch of {safe[0].shape[0]}") from error
            except RuntimeError as error:
                if "can't allocate memory" in str(error):
                    raise OutOfMemoryError("Memory ran out", got=f"a batch of {safe[0].shape[0]}") from error
                raise

    def _forward(self, images: torch.Tensor) -> torch.Tensor:
        inputs = self.spec.preprocessing.forward(images).to(self._dtype)
        # A copy, so that a model that works in place does not write into the caller's images.
        inputs = inputs.clone(memory_format=self._memory)
        if self._autocast is None:
            outputs = self.module(inputs)
        else:
            with torch.autocast(self.device.type, self._autocast):
                outputs = self.module(inputs)
        raw = self._scores_among(outputs).to(images.dtype)
        check_scores(raw, images.shape[0], "The model")
        with _CHOICE:
            if self.activation == "auto":
                self.activation, reason = choose_activation(raw)
                self.assumptions = (*self.assumptions, reason)
        return ACTIVATE[self.activation](raw)

    def _scores_among(self, outputs: Any) -> torch.Tensor:
        """Find the class scores in what the model returns, and record the guess if it is one."""
        if isinstance(outputs, torch.Tensor):
            return outputs
        found, place = scores_among(outputs)
        if not isinstance(found, torch.Tensor):
            raise ModelError(
                "The class scores are not among the outputs",
                got=f"a {type(outputs).__name__}",
                expected="a tensor, a tuple that begins with one, or logits",
                hint="wrap a module that returns the scores alone",
            )
        note = f"the class scores are {place}"
        if note not in self.assumptions:
            self.assumptions = (*self.assumptions, note)
        return found

    def _tensor(self, array: Array) -> torch.Tensor:
        if isinstance(array, torch.Tensor):
            return array.to(self.device)
        return torch.tensor(np.ascontiguousarray(array), device=self.device)

    @staticmethod
    def _as_given(given: Array, answers: tuple[torch.Tensor, ...]) -> tuple[Array, ...]:
        if isinstance(given, torch.Tensor):
            return tuple(answer.to(given.device) for answer in answers)
        return tuple(answer.cpu().numpy() for answer in answers)


@contextmanager
def _evaluating(module: torch.nn.Module, exported: bool) -> Generator[None]:
    """Set evaluation mode on the modules that train, and give each its flag back whatever happens.

    Boxes in other threads may run the same modules: the first to come sets the flag, the last to go restores it.
    """
    # An exported program has its mode built in, and its flags mean nothing.
    modules = [] if exported else list(module.modules())
    held: list[torch.nn.Module] = []
    try:
        with _FLAGS:
            for one in modules:
                if id(one) in _HELD or getattr(one, "training", False):
                    one.training = False
                    _HELD[id(one)] = _HELD.get(id(one), 0) + 1
                    held.append(one)
        yield
    finally:
        with _FLAGS:
            for one in held:
                _HELD[id(one)] -= 1
                if not _HELD[id(one)]:
                    del _HELD[id(one)]
                    one.training = True


def _device(wanted: str | torch.device | None, present: torch.device) -> torch.device:
    """Return the device to compute on; "cuda" means the one where the model is, if that is one."""
    if wanted is None or str(wanted) == present.type:
        return present
    return torch.device(wanted)


def _tensors(module: torch.nn.Module) -> Iterator[torch.Tensor]:
    yield from module.parameters()
    yield from module.buffers()


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
    found = getattr(torch, name, None)
    if not isinstance(found, torch.dtype):
        raise InputError("There is no such type", got=f"autocast={name!r}", expected="'bfloat16' or 'float16'")
    return found
