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

from blackbox_explain.arrays import Array
from blackbox_explain.box.adapter_tools.checks import check_batch
from blackbox_explain.box.adapter_tools.first_layers import FirstSteps
from blackbox_explain.box.adapter_tools.fixed_batch_size import in_batches
from blackbox_explain.box.adapter_tools.freed_memory import keep_freed_memory
from blackbox_explain.box.adapter_tools.outputs import Output, Wanted, choose_output, named_outputs, refuse_shape
from blackbox_explain.box.adapter_tools.reduction import is_row
from blackbox_explain.box.batches.splitting import is_out_of_memory
from blackbox_explain.box.input_spec import InputSpec
from blackbox_explain.errors import InputError, OutOfMemoryError, UnsupportedModelError
from blackbox_explain_adapters._torch.activation.by_graph import is_ranked, leads_to
from blackbox_explain_adapters._torch.activation.by_watching import LastActivation, LeftOut
from blackbox_explain_adapters._torch.alone.company import Company, Kind
from blackbox_explain_adapters._torch.alone.rows_alike import RowsAlike
from blackbox_explain_adapters._torch.first_layers import FirstStepsSeen
from blackbox_explain_adapters._torch.recurrent import holds_recurrent_layers, without_cudnn
from blackbox_explain_adapters._torch.state import State

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
    wanted
        What the caller said of its outputs.

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
        wanted: Wanted,
    ) -> None:
        if all([one.is_meta for one in _tensors(module)] or [False]):
            hint = "load them by load_state_dict(..., assign=True); of weights that are offloaded, wrap a function"
            raise InputError("The weights of this model are not loaded", got="tensors on the meta device", hint=hint)
        floating = next((p for p in _tensors(module) if p.is_floating_point()), torch.zeros(()))
        try:
            self.device = _device(device, floating.device)
            self.module = module if self.device == floating.device else copy.deepcopy(module).to(self.device)
        except (RuntimeError, AssertionError) as error:
            raise InputError("The model cannot move there", got=f"device={device!r}: {error}") from error
        self.spec = spec
        self.state = State()
        self.batch = batch
        self.notes: tuple[str, ...] = ()
        self.place: str | None = None
        self._left_out: LastActivation | None = None
        self._wanted = wanted
        self.dtype = floating.dtype
        self._exported = exported
        self._company = Company()
        self._recurrent = holds_recurrent_layers(self.module)
        self._autocast = autocast
        self._channels_last = channels_last and len(spec.shape) == 3

    def outputs(self, images: torch.Tensor) -> torch.Tensor:
        """Map images ``(N, *shape)`` in pixel space to raw outputs (N, K) in their type; called inside of `run`."""
        # A copy: the module may answer with a buffer of its own, which the next call writes into.
        return self.outputs_of(self.inputs(images)).to(images.dtype, copy=True)

    def outputs_of(self, inputs: torch.Tensor) -> torch.Tensor:
        """Map what the module reads to raw outputs (N, K) in its own type; called while the module is `at_rest`."""
        return self._rows(self._called(inputs), inputs.shape[0])

    def first_steps(self, images: torch.Tensor) -> FirstSteps:
        """Run the module on images, and return what it does to them first; called inside of `run`."""
        inputs = self.inputs(images)
        with FirstStepsSeen(inputs) as seen:
            self._called(inputs)
        return seen.found()

    def inputs(self, images: torch.Tensor) -> torch.Tensor:
        """Map images ``(N, *shape)`` in pixel space to what the module reads."""
        inputs = self.spec.preprocessing.forward(images).to(self.dtype)
        # A copy, so that a model that works in place does not write into the caller's images.
        return inputs.clone(memory_format=torch.channels_last if self._channels_last else torch.contiguous_format)

    def without(self, last: LastActivation) -> Network:
        """Return the same network with the last activation of its module left out whenever it runs."""
        made = Network.__new__(Network)  # `copy.copy` would go by way of the pickle
        vars(made).update(vars(self), _left_out=last, _company=Company())
        return made

    def copied(self) -> Network:
        """Return the same network around a copy of its module.

        Raises
        ------
        UnsupportedModelError
            If the module cannot be copied.
        """
        try:
            module = copy.deepcopy(self.module)
        except Exception as error:
            got = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
            raise UnsupportedModelError(
                "The module cannot be copied", got=got, expected="copy.deepcopy() of it"
            ) from error
        made = Network.__new__(Network)
        vars(made).update(vars(self), module=module, state=State(), _company=Company())
        return made

    def in_single_precision(self) -> Network:
        """Return the same network around a copy of its module in float32; itself if it is not of float64 or bfloat16.

        Raises
        ------
        UnsupportedModelError
            If the module cannot be copied.
        """
        if self.dtype not in (torch.float64, torch.bfloat16):
            return self
        made = self.copied()
        made.module.float()
        made.dtype = torch.float32
        return made

    @contextmanager
    def at_rest(self) -> Generator[None]:
        """Hold the module in evaluation mode; afterwards it is as it was."""
        with torch.inference_mode(False), _evaluating(self.module, self._exported), self.state.kept(self.module):
            yield

    def _called(self, inputs: torch.Tensor) -> Any:
        with without_cudnn(self._recurrent and torch.is_grad_enabled()):
            if self._left_out is None:
                return self._cast(inputs)
            with LeftOut(self._left_out) as mode:
                outputs = self._cast(inputs)
        mode.check()
        return outputs

    def _cast(self, inputs: torch.Tensor) -> Any:
        if self._autocast is None:
            return self.module(inputs)
        with torch.autocast(self.device.type, self._autocast):
            return self.module(inputs)

    def run(
        self,
        call: Callable[..., tuple[torch.Tensor, ...]],
        *arrays: torch.Tensor,
        size: int | None = None,
        kind: Kind | None = None,
    ) -> tuple[torch.Tensor, ...]:
        """Call a function on as many rows as the module takes, or on `size` of them, the module in evaluation mode.

        On a CPU an image alone may get other last bits than in company, which many steps turn into another mask: it is
        run as a pair, unless that was found to be the same for what is asked.

        Parameters
        ----------
        call, *arrays, size
            What is called, on how many rows at a time.
        kind
            What is asked, by `outputs` and its gradient alone; None of all else.
        """
        check_batch(arrays[0], self.spec, *arrays[1:])
        if self.device.type == "cpu":
            keep_freed_memory()

        def alone(*rows: torch.Tensor) -> tuple[torch.Tensor, ...]:
            with self.state.kept(self.module):
                return call(*rows)

        with (
            torch.inference_mode(False),
            _evaluating(self.module, self._exported),
            RowsAlike(self._company.differing()),
        ):
            # Tensors made in inference mode cannot be saved for a gradient.
            safe = [array.clone() if array.is_inference() else array for array in arrays]
            try:
                size = size or self.batch
                if size is None and self.device.type == "cpu" and safe[0].shape[0] == 1:
                    size = 2 if kind is None or self._company.needed(kind, self._on_noise) else None
                return in_batches(alone, size, *safe)
            except RuntimeError as error:
                if is_out_of_memory(error):
                    raise OutOfMemoryError("Memory ran out", got=f"a batch of {safe[0].shape[0]}") from error
                raise

    def _on_noise(self, rows: int, layers: RowsAlike) -> dict[Kind, tuple[torch.Tensor, ...]]:
        """Return the outputs (1, K) of noise, as one of so many equal rows, and with them the gradient of a mixture."""
        (low, high), draw = self.spec.bounds, torch.Generator().manual_seed(0)
        noise = torch.rand((1, *self.spec.shape), generator=draw) * (high - low) + low
        leaf = torch.cat([noise] * rows).requires_grad_()
        with torch.random.fork_rng(devices=[]), layers, self.state.kept(self.module):
            # Without a gradient some modules take another way.
            with torch.no_grad():
                found: dict[Kind, tuple[torch.Tensor, ...]] = {"scores": (self.outputs(leaf)[:1],)}
            with torch.enable_grad():
                outputs = self.outputs(leaf)
                if outputs.requires_grad:
                    mixture = torch.rand(outputs.shape[1:], generator=draw, dtype=outputs.dtype)
                    (slope,) = torch.autograd.grad((outputs * mixture).sum(), leaf)
                    found["gradient"] = outputs.detach()[:1], slope[:1]
        return found

    @property
    def exact(self) -> bool:
        """Whether the module computes in single precision or better, so that rounding stays small."""
        return self._autocast is None and self.dtype in (torch.float32, torch.float64)

    def tensor(self, array: Array) -> torch.Tensor:
        """Move an array to where the module computes."""
        if isinstance(array, torch.Tensor):
            return array.to(self.device)
        return torch.tensor(np.ascontiguousarray(array), device=self.device)

    def _rows(self, outputs: Any, count: int) -> torch.Tensor:
        """Return the class scores (N, K) among what the module returned; the first time decides which they are.

        The first time is when the module is wrapped, with gradients enabled, so that it shows what leads to what.
        """
        found = named_outputs(outputs, lambda one: isinstance(one, torch.Tensor))
        if self.place not in found:
            tracked = any(one.requires_grad for one in found.values())
            known = {
                name: Output(
                    tuple(one.shape),
                    one.is_floating_point(),
                    one.requires_grad or not tracked,
                    is_ranked(one),
                    one.numel() == count and one.dtype in (torch.int32, torch.int64),
                )
                for name, one in found.items()
            }
            self.place, note = choose_output(
                known, count, self._wanted, lambda first, second: leads_to(found[first], found[second])
            )
            self.notes = () if note is None else (note,)
        scores, reduction = found[self.place], self._wanted.reduction
        if reduction is not None:
            axes = reduction.axes_of(scores.shape, count)
            scores = scores.mean(axes) if reduction.kind == "mean" else scores.amax(axes)
        if scores.shape[:1] != (count,) or not is_row(scores.shape, self._wanted.classes) or not scores.numel():
            raise refuse_shape(scores.shape, count, self._wanted, len(found) - 1, "The model")
        return scores if scores.ndim == 2 else scores.reshape(count, -1)

    def __getstate__(self) -> dict[str, Any]:
        scripts = [one for one in self.module.modules() if isinstance(one, torch.jit.ScriptModule)]
        return {**self.__dict__, "module": _pickled(self.module)} if scripts else self.__dict__

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update({"_company": Company(), **state})  # which earlier versions did not have
        if isinstance(state["module"], bytes):
            self.module = pickle.loads(state["module"])  # noqa: S301 - part of what is being unpickled


class _Pickler(pickle.Pickler):
    """Pickles TorchScript, which has no pickle of its own, as the content of a file of it."""

    def reducer_override(self, obj: Any) -> Any:
        if not isinstance(obj, torch.jit.ScriptModule):
            return NotImplemented
        file = io.BytesIO()
        torch.jit.save(obj, file)
        # What is frozen has no mode any more.
        return _script_of, (file.getvalue(), getattr(obj, "training", None))


def _pickled(module: torch.nn.Module) -> bytes:
    file = io.BytesIO()
    _Pickler(file).dump(module)
    return file.getvalue()


def _script_of(content: bytes, training: bool | None) -> torch.jit.ScriptModule:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*torch.jit.*", DeprecationWarning)
        loaded = torch.jit.load(io.BytesIO(content))
        return loaded if training is None else loaded.train(training)


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
