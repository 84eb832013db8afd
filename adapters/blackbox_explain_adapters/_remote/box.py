"""What endpoints and commands share: images into files, files into requests, answers into scores, in order."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from numbers import Integral, Real
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np

from blackbox_explain.arrays import Array, constant_like, to_numpy
from blackbox_explain.box.activations import Activation
from blackbox_explain.box.adapter_tools.description import Described
from blackbox_explain.box.class_names import check_own_names
from blackbox_explain.box.input_spec import InputSpec, Preprocessing
from blackbox_explain.errors import InputError, ModelError, UnsupportedModelError
from blackbox_explain_adapters._callable.box import CallableBlackBox
from blackbox_explain_adapters._remote.answer import Answer, read_answer
from blackbox_explain_adapters._remote.png import MODES, png_files

__all__ = ["RemoteBlackBox", "Transport", "check_options", "wrap_remote"]


class Transport(Protocol):
    """Carries files there and an answer back; used by several threads at once, and pickled by its settings."""

    origin: str
    """Who answers, for messages."""

    def send(self, files: Sequence[bytes], given_up: threading.Event) -> bytes:
        """Return what is answered to PNG files, or raise `ModelError`; soon, once nobody waits for the answer."""
        ...

    def close(self) -> None:
        """Let go of what is held open; it opens again when needed."""
        ...


def wrap_remote(
    transport: Transport, described: Described, *, images_per_request: int, concurrency: int
) -> RemoteBlackBox:
    """Wrap whoever answers PNG files with scores.

    Parameters
    ----------
    transport
        To them and back.
    described
        What the caller said; the shape is needed, (C, H, W) with C of 1, 3 or 4.  They see plain pixels and
        preprocess on their own, so that none is taken here.
    images_per_request
        At most.
    concurrency
        Requests under way at once, at most, over all threads.

    Raises
    ------
    InputError
        If the shape is missing, a preprocessing is given, or a setting is below 1.
    UnsupportedModelError
        If the images cannot be PNG files.
    ModelError
        If no activation was said, and the answer for plain images tells none; `UnreachableError` if there is no answer.
    """
    check_options(images_per_request=images_per_request, concurrency=concurrency)
    if described.preprocessing not in (None, Preprocessing()):
        raise InputError(
            f"{transport.origin} gets plain pixels and preprocesses them itself",
            got=str(described.preprocessing),
            expected="no preprocessing",
        )
    known = dataclasses.replace(described, preprocessing=Preprocessing(), preprocessing_assumed=False)
    spec, assumptions = known.spec()
    if len(spec.shape) != 3 or spec.shape[0] not in MODES:
        raise UnsupportedModelError(
            "Such images are no PNG files", got=f"shape={spec.shape}", expected="(1, H, W), (3, H, W) or (4, H, W)"
        )
    note = "pixels are rounded to bytes and sent as PNG files; whoever gets them preprocesses them"
    function = RemoteFunction(transport, spec.bounds, images_per_request, concurrency)
    try:
        return RemoteBlackBox(function, spec, described.activation, (*assumptions, note))
    except BaseException:
        function.close()
        raise


def check_options(**counts: int) -> None:
    """Raise `InputError` for a number of things that is below 1."""
    for name, value in counts.items():
        if not _is_whole(value) or value < 1:
            expected = "a whole number of at least 1"
            raise InputError("This is no number of things", got=f"{name}={value!r}", expected=expected)


def check_waiting(what: str, timeout: Any, retries: Any, backoff: Any = 0) -> None:
    """Raise `InputError` for times and numbers of tries that are none."""
    times = all(isinstance(one, Real) and np.isfinite(float(one)) for one in (timeout, backoff))
    if not times or timeout <= 0 or backoff < 0 or not _is_whole(retries) or retries < 0:
        got = f"timeout={timeout!r}, retries={retries!r}, backoff={backoff!r}"
        expected = "seconds above 0, a whole number of tries and seconds of at least 0"
        raise InputError(f"These settings do not fit {what}", got=got, expected=expected)


def _is_whole(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


class RemoteFunction:
    """Images to scores through a transport.

    Parameters
    ----------
    transport
        To whoever answers and back.
    bounds
        Of pixel space.
    images_per_request, concurrency
        As in `wrap_remote`.
    """

    def __init__(
        self, transport: Transport, bounds: tuple[float, float], images_per_request: int, concurrency: int
    ) -> None:
        self.transport = transport
        self.class_names: tuple[str, ...] | None = None
        self._bounds = bounds
        self._images_per_request = images_per_request
        self._concurrency = concurrency
        self._classes: int | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()

    def __call__(self, inputs: Array) -> Array:
        """Map images (N, C, H, W) to raw outputs (N, K), the rows in order whichever request is answered first."""
        images, size = to_numpy(inputs), self._images_per_request
        given_up = threading.Event()
        waiting = [
            self._workers().submit(self._ask, images[first : first + size], given_up)
            for first in range(0, len(images), size)
        ]
        try:
            answers = [self._checked(one.result()) for one in waiting]
        finally:
            # An interrupt reaches this thread alone, and the interpreter would wait for the others.
            given_up.set()
            for one in waiting:
                one.cancel()
        return constant_like(np.concatenate([one.scores for one in answers]), inputs)

    def close(self) -> None:
        """Wait for requests under way and let go of connections and threads; all opens again when needed."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown()
        self.transport.close()

    def _ask(self, images: np.ndarray[Any, Any], given_up: threading.Event) -> Answer:
        files = png_files(images, self._bounds)
        return read_answer(self.transport.send(files, given_up), len(files), self.transport.origin)

    def _checked(self, answer: Answer) -> Answer:
        """Hold an answer against those before: a model does not change its classes."""
        with self._lock:
            classes = answer.scores.shape[1]
            if self._classes not in (None, classes):
                raise ModelError(
                    f"{self.transport.origin} changes its number of classes",
                    got=f"{classes} scores after {self._classes}",
                    expected="as many each time",
                )
            if self.class_names is not None and answer.class_names not in (None, self.class_names):
                raise ModelError(
                    f"{self.transport.origin} changes the names of its classes",
                    got=f"{answer.class_names} after {self.class_names}"[:200],
                    expected="the same each time",
                )
            self._classes = classes
            self.class_names = self.class_names or answer.class_names
        return answer

    def _workers(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self._concurrency, "blackbox-explain-request")
            return self._pool

    def __reduce__(self) -> tuple[Any, ...]:
        return RemoteFunction, (self.transport, self._bounds, self._images_per_request, self._concurrency)


class RemoteBlackBox(CallableBlackBox):
    """A score-only black box that is somewhere else; a context manager that closes it.

    Its class names are known from the first answer on, where that tells them and the caller did not: at once, where
    plain images had to be asked for to choose an activation.
    """

    def __init__(
        self, function: RemoteFunction, spec: InputSpec, activation: Activation, assumptions: tuple[str, ...]
    ) -> None:
        super().__init__(function, spec, activation, assumptions)
        self._remote = function
        self._compared: tuple[str, ...] | None = None
        self._learn_names()

    def scores(self, images: Array) -> Array:
        """Map images ``(N, *shape)`` in pixel space to scores (N, K)."""
        found = super().scores(images)
        self._learn_names()
        return found

    def _learn_names(self) -> None:
        own = self._remote.class_names
        if own is None or own == self._compared:
            return
        self._compared = own
        if self.spec.class_names is None:
            self.spec = dataclasses.replace(self.spec, class_names=own)
        elif self.spec.class_names != own and (differ := check_own_names(self.spec.class_names, own)):
            self.assumptions = (*self.assumptions, differ)

    def close(self) -> None:
        """Let go of connections and threads; all opens again when needed."""
        self._remote.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
