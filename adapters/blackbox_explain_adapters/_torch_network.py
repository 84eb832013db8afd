"""How a PyTorch module is run: where, in which type and memory, how many images at a time; and left as it was."""

from __future__ import annotations

import copy
import io
import pickle
import threading
import warnings
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from blackbox_explain.adapting import check_batch, check_scores, in_batches, scores_among
from blackbox_explain.arrays import Array
from blackbox_explain.blackbox import InputSpec
from blackbox_explain.errors import InputError, ModelError, OutOfMemoryError
from blackbox_explain_adapters._torch_rows import LinearInBlocks

__all__ = ["Network"]

_FLAGS = threading.Lock()
_HELD: dict[int, int] = {}
"""How many runs hold a module in evaluation mode, by its id, where it has to train again afterwards."""


class Network:
    """A module, and how to run it.

    Parameters
    ----------
    module
        Left as it is.
    spec
        Of the black box.
    device
        Where to compute; None is where the parameters are.  Another device works on a copy.
    autocast
        Type to autocast to; None leaves types alone.
    channels_last
        Feed the module NHWC memory.
    batch
        The one number of images that it takes; None if any.
    exported
        Whether it was exported, and so has its mode built in.

    Raises
    ------
    InputError
        If the module cannot move to the device.
    """

    def __init__(
        self,
        module: torch.nn.Module,
        spec: InputSpec,
        *,
        device: str | torch.device | None,
        autocast: torch.dtype | None,
        channels_last: bool,
        batch: int | None,
        exported: bool,
    ) -> None:
        floating = next((p for p in _tensors(module) if p.is_floating_point()), torch.zeros(()))
        try:
            self.device = _device(device, floating.device)
            self.module = module if self.device == floating.device else copy.deepcopy(module).to(self.device)
        except (RuntimeError, AssertionError) as error:
            raise InputError("The model cannot move there", got=f"device={device!r}: {error}") from error
        self.spec = spec
        self.batch = batch
        self.notes: tuple[str, ...] = ()
        self._dtype = floating.dtype
        self._exported = exported
        self._autocast = autocast
        self._channels_last = channels_last and len(spec.shape) == 3

    def outputs(self, images: torch.Tensor) -> torch.Tensor:
        """Map images ``(N, *shape)`` in pixel space to raw outputs (N, K) in their type; called inside of `run`."""
        inputs = self.spec.preprocessing.forward(images).to(self._dtype)
        # A copy, so that a model that works in place does not write into the caller's images.
        inputs = inputs.clone(memory_format=torch.channels_last if self._channels_last else torch.preserve_format)
        if self._autocast is None:
            outputs = self.module(inputs)
        else:
            with torch.autocast(self.device.type, self._autocast):
                outputs = self.module(inputs)
        raw = self._scores_among(outputs).to(images.dtype)
        check_scores(raw, images.shape[0], "The model")
        return raw

    def run(
        self, call: Callable[..., tuple[torch.Tensor, ...]], *arrays: torch.Tensor, size: int | None = None
    ) -> tuple[torch.Tensor, ...]:
        """Call a function on as many rows as the module takes, or on `size` of them, the module in evaluation mode."""
        check_batch(arrays[0], self.spec, *arrays[1:])
        with torch.inference_mode(False), _evaluating(self.module, self._exported), LinearInBlocks():
            # Tensors made in inference mode cannot be saved for a gradient.
            safe = [array.clone() if array.is_inference() else array for array in arrays]
            try:
                # On a CPU an image alone gets other last bits than in company, which many steps turn into another mask.
                size = size or self.batch or (2 if safe[0].shape[0] == 1 and self.device.type == "cpu" else None)
                return in_batches(call, size, *safe)
            except torch.cuda.OutOfMemoryError as error:
                raise OutOfMemoryError("The device ran out of memory", got=f"a batch of {safe[0].shape[0]}") from error
            except RuntimeError as error:
                if "can't allocate memory" in str(error):
                    raise OutOfMemoryError("Memory ran out", got=f"a batch of {safe[0].shape[0]}") from error
                raise

    @property
    def exact(self) -> bool:
        """Whether the module computes in single precision or better, so that rounding stays small."""
        return self._autocast is None and self._dtype in (torch.float32, torch.float64)

    def tensor(self, array: Array) -> torch.Tensor:
        """Move an array to where the module computes."""
        if isinstance(array, torch.Tensor):
            return array.to(self.device)
        return torch.tensor(np.ascontiguousarray(array), device=self.device)

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
        self.notes = (f"the class scores are {place}",)
        return found

    def __getstate__(self) -> dict[str, Any]:
        scripts = [one for one in self.module.modules() if isinstance(one, torch.jit.ScriptModule)]
        return {**self.__dict__, "module": _pickled(self.module)} if scripts else self.__dict__

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if isinstance(state["module"], bytes):
            self.module = pickle.loads(state["module"])  # noqa: S301 - part of what is being unpickled


class _Pickler(pickle.Pickler):
    """Pickles TorchScript, which has no pickle of its own, as the content of a file of it."""

    def reducer_override(self, obj: Any) -> Any:
        if not isinstance(obj, torch.jit.ScriptModule):
            return NotImplemented
        file = io.BytesIO()
        torch.jit.save(obj, file)
        return _script_of, (file.getvalue(), obj.training)


def _pickled(module: torch.nn.Module) -> bytes:
    file = io.BytesIO()
    _Pickler(file).dump(module)
    return file.getvalue()


def _script_of(content: bytes, training: bool) -> torch.jit.ScriptModule:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*torch.jit.*", DeprecationWarning)
        return torch.jit.load(io.BytesIO(content)).train(training)


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
