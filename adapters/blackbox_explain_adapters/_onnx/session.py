"""One ONNX Runtime session: arrays of any library in, arrays of the same library out."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime

from blackbox_explain.arrays import Array, constant_like, namespace, on_host, to_numpy
from blackbox_explain.errors import BackendMissingError, ModelError, OutOfMemoryError, install_hint
from blackbox_explain_adapters._cuda_arrays import torch_device
from blackbox_explain_adapters._onnx.graph.observation import session_options
from blackbox_explain_adapters._onnx.graph.weights import NO_WEIGHTS, Weights

__all__ = ["CUDA", "LazySession", "Provider", "Session", "checked_providers", "device_arrays", "providers_for"]

Provider = str | tuple[str, dict[str, Any]]

CUDA = "CUDAExecutionProvider"

MEMORY = ("failed to allocate memory", "bad_alloc", "out of memory", "available memory")

MANY = 1 << 25
"""Bytes of weights from which on a session does not pack them anew: that is a copy, and makes it a little faster."""

# fmt: off
SIZES = {
    "Add", "Cast", "Concat", "ConstantOfShape", "Div", "Equal", "Expand", "Flatten", "Gather", "Greater", "Identity",
    "Less", "Mod", "Mul", "Not", "Range", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceSum", "Reshape", "Shape",
    "Size", "Slice", "Split", "Squeeze", "Sub", "Tile", "Transpose", "Unsqueeze", "Where",
}
# fmt: on
"""ONNX Runtime computes sizes and places on the host by design; on images all of these run on CUDA."""


def providers_for(device: str | None, tf32: bool = False) -> list[Provider]:
    """Return execution providers: those that ONNX Runtime has, in its order, or those of one device.

    Parameters
    ----------
    device
        ``"cpu"``, ``"cuda"``, ``"cuda:1"``, or None for what ONNX Runtime chooses.
    tf32
        Let CUDA round the factors of products to 10 bits, which is faster and less exact.

    Raises
    ------
    BackendMissingError
        If this ONNX Runtime has no CUDA.
    """
    available = onnxruntime.get_available_providers()
    if device == "cpu":
        return ["CPUExecutionProvider"]
    options = {"use_tf32": int(tf32)}
    if device is not None:
        name, _, index = device.partition(":")
        if name != "cuda" or "CUDAExecutionProvider" not in available:
            raise BackendMissingError(
                f"This ONNX Runtime does not compute on {device!r}",
                got=", ".join(available),
                hint=f"{install_hint('onnx-gpu')}, or device='cpu'",
            )
        return [("CUDAExecutionProvider", {**options, "device_id": int(index or 0)}), "CPUExecutionProvider"]
    usable = [one for one in available if one in ("CUDAExecutionProvider", "CPUExecutionProvider")] or available
    return [(one, options) if one == "CUDAExecutionProvider" else one for one in usable]


def checked_providers(providers: Iterable[Provider]) -> list[Provider]:
    """Return the providers that a caller named.

    Raises
    ------
    BackendMissingError
        If this ONNX Runtime has not all of them.
    """
    available = onnxruntime.get_available_providers()
    chosen: list[Provider] = [providers] if isinstance(providers, str) else list(providers)
    for one in chosen:
        name = one if isinstance(one, str) else next(iter(one), "")
        if name not in available:
            problem = "This ONNX Runtime has no such execution provider"
            raise BackendMissingError(problem, got=repr(name), expected=", ".join(available))
    return chosen


class Session:
    """A session, made once and run many times.

    Parameters
    ----------
    model
        Graph whose large weights may be held apart.
    providers, threads
        For ONNX Runtime.
    weights
        Those large ones.  If there are `MANY`, a session on the CPU takes them as they are.

    Attributes
    ----------
    outputs
        Their names.
    providers
        Those that ONNX Runtime could start, the first one preferred.
    device_id
        Of the CUDA device.
    on_host
        Operators that a session on CUDA leaves to the CPU for want of a kernel; arithmetic on sizes is not counted.
    """

    def __init__(
        self,
        model: onnx.ModelProto,
        providers: Sequence[Provider],
        threads: int | None = None,
        weights: Weights = NO_WEIGHTS,
    ) -> None:
        chosen = session_options(threads)
        self._weights = weights  # which ONNX Runtime reads where they lie
        shared = weights.nbytes >= MANY and list(providers) == ["CPUExecutionProvider"]
        content = weights.message(model, chosen, shared)
        chosen.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
        try:
            self._session = onnxruntime.InferenceSession(content, chosen, providers=list(providers), enable_fallback=0)
        except Exception as error:
            raise ModelError("ONNX Runtime does not take the model", got=_first_line(error)) from error
        self.outputs = [one.name for one in self._session.get_outputs()]
        self.providers: Sequence[str] = self._session.get_providers()
        options: Mapping[str, Mapping[str, str]] = self._session.get_provider_options()
        self.device_id = int(options.get(CUDA, {}).get("device_id", 0))
        self.on_host = self._left_to_the_host() if self.providers[0] == CUDA else ()

    def _left_to_the_host(self) -> tuple[str, ...]:
        parts = self._session.get_provider_graph_assignment_info()
        nodes = [node for part in parts if part.ep_name != CUDA for node in part.get_nodes()]
        return tuple(sorted({node.op_type for node in nodes} - SIZES))

    def run(self, feeds: Mapping[str, Array]) -> list[Array]:
        """Return all outputs, in the library and on the device of the first input.

        Raises
        ------
        OutOfMemoryError
            If there was too little memory for the batch.
        ModelError
            If the model cannot be run on it.
        """
        first = next(iter(feeds.values()))
        try:
            if isinstance(first, np.ndarray):
                return list(self._session.run(None, {name: _host(one) for name, one in feeds.items()}))
            if getattr(first, "is_cuda", False) and self.providers[0] == CUDA:
                return self._run_bound(feeds)
            answers = self._session.run(None, {name: _host(to_numpy(one)) for name, one in feeds.items()})
            return [_like(np.asarray(one), first) for one in answers]
        except Exception as error:
            text = str(error)
            if any(sign in text.lower() for sign in MEMORY):
                raise OutOfMemoryError("The device ran out of memory", got=f"a batch of {first.shape[0]}") from error
            raise ModelError("ONNX Runtime cannot run the model", got=_first_line(error)) from error

    def _run_bound(self, feeds: Mapping[str, Array]) -> list[Array]:
        """Run on arrays of a GPU where they lie: pointers in, DLPack out, nothing through the host."""
        import torch

        binding = self._session.io_binding()
        index, given = self.device_id, next(iter(feeds.values())).device
        held = [one.to(f"cuda:{index}", torch.float32).contiguous() for one in feeds.values()]
        for name, one in zip(feeds, held, strict=True):
            binding.bind_input(name, "cuda", index, np.float32, tuple(one.shape), one.data_ptr())
        for name in self.outputs:
            binding.bind_output(name, "cuda", index)
        # What torch has queued must be there before ONNX Runtime, on its own stream, reads it.
        torch.cuda.current_stream(held[0].device).synchronize()
        self._session.run_with_iobinding(binding)
        answers = (torch.from_dlpack(one._ortvalue.to_dlpack()) for one in binding.get_outputs())
        return [one.to(given) for one in answers]


class LazySession:
    """A session that is made when it is first asked for, once however many threads ask; pickled, it is made again.

    Parameters
    ----------
    model
        The graph, or what makes it.
    providers, threads, weights
        As for `Session`.
    made
        The session, if there is one already.
    """

    def __init__(
        self,
        model: onnx.ModelProto | Callable[[], onnx.ModelProto],
        providers: Sequence[Provider],
        threads: int | None,
        weights: Weights,
        made: Session | None = None,
    ) -> None:
        self._model, self._providers, self._threads = model, providers, threads
        self._weights = weights
        self._made, self._lock = made, threading.Lock()

    def get(self) -> Session:
        """Return the session."""
        with self._lock:
            if self._made is None:
                model = self._model() if callable(self._model) else self._model
                self._made = Session(model, self._providers, self._threads, self._weights)
            return self._made

    def __getstate__(self) -> tuple[Any, ...]:
        return self._model, self._providers, self._threads, self._weights

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.__init__(*state)


def device_arrays(session: Session) -> tuple[str | None, tuple[str, ...]]:
    """Return the torch device on which a session reads and writes without a way through the host, None for the host.

    Returns
    -------
    device
        Such as ``"cuda:0"``.
    notes
        What the user should know: what CUDA leaves to the CPU; a session on CUDA without PyTorch is fed from the host.
    """
    if session.providers[0] != CUDA:
        return None, ()
    left = ", ".join(session.on_host)
    notes = (f"the CPU runs what ONNX Runtime has no CUDA kernel for: {left}",) if left else ()
    device, way = torch_device(session.device_id)
    return device, (*notes, *way)


def _host(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.ascontiguousarray(array, dtype=np.float32)


def _like(answer: np.ndarray[Any, Any], given: Array) -> Array:
    return namespace(given).from_dlpack(answer) if on_host(given) else constant_like(answer, given)


def _first_line(error: Exception) -> str:
    # What ONNX Runtime says may repeat names of a damaged file, which are no text.
    text = error.object.decode(errors="replace") if isinstance(error, UnicodeDecodeError) else str(error)
    return next((line for line in text.strip().splitlines() if line), type(error).__name__)
