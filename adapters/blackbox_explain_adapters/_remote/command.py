"""Commands: a program gets the paths of PNG files and prints scores."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, cast

from blackbox_explain.box.adapter_tools.description import Described
from blackbox_explain.errors import InputError, ModelError, UnreachableError
from blackbox_explain_adapters._remote.answer import EXPECTED, LONGEST
from blackbox_explain_adapters._remote.box import RemoteBlackBox, check_options, check_waiting, wrap_remote

__all__ = ["Command", "wrap_command"]

LOOK = 0.1
"""Seconds between two looks at whether the answer of a running program is still wanted."""

LAST = 2000
"""Characters of what a program complains about that are shown."""


def wrap_command(
    model: str,
    described: Described,
    *,
    timeout: float = 60.0,
    retries: int = 0,
    concurrency: int = 1,
    images_per_request: int = 32,
) -> RemoteBlackBox:
    """Wrap a command that answers images with scores.

    The paths of PNG files, 8 bits, lossless, are appended to its arguments; no shell reads them.  It prints
    ``{"scores": [[...], ...]}``, a row for each image, perhaps with ``"classes": [...]``, their names; or the bare list
    of rows.  It is run once when it is wrapped, on four plain images, to see whether it answers with probabilities;
    with any ``activation`` but ``"auto"`` it is not run before scores are asked for.

    Parameters
    ----------
    model
        "command:" and the command, such as "command:python classify.py --fast", quoted as for a shell.
    described
        What the caller said; the shape is needed.
    timeout
        Seconds after which the program, and all that it started, is killed.
    retries
        How often it is run again after it failed or timed out.
    concurrency
        Programs that run at once, at most.
    images_per_request
        Images of one run, at most.

    Raises
    ------
    InputError
        If there is no command, the shape is missing, a preprocessing is given, or a setting is out of range.
    UnsupportedModelError
        If the images cannot be PNG files.
    ModelError
        If the plain images get no answer, or a wrong one.
    """
    check_waiting("a command", timeout, retries)
    check_options(images_per_request=images_per_request, concurrency=concurrency)
    try:
        arguments = shlex.split(model.partition(":")[2])
    except ValueError as error:
        raise InputError("This is no command", got=f"{model!r}: {error}", hint="look at its quotes") from error
    if not arguments:
        raise InputError("This is no command", got=repr(model), expected="such as 'command:python classify.py'")
    transport = Command(arguments, timeout, retries)
    return wrap_remote(transport, described, images_per_request=images_per_request, concurrency=concurrency)


class _Failed(Exception):  # noqa: N818 - never leaves this module
    """A failure after which another run may do better; `error` is what to raise if none is left."""

    def __init__(self, error: ModelError) -> None:
        super().__init__(str(error))
        self.error = error


class _Reader:
    """Reads a stream in a thread: the whole of it up to `most` bytes, or without that the last `LAST`."""

    def __init__(self, stream: IO[bytes], most: int | None = None) -> None:
        self.kept = bytearray()
        self.full = False
        self._most = most
        self._thread = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self._thread.start()

    def ends(self, seconds: float) -> bool:
        """Tell whether the stream ends, or is left because it is too long, within some time."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def last_lines(self) -> str:
        """Return what to show of complaints."""
        lines = bytes(self.kept).decode("utf-8", "replace").strip().splitlines()
        return repr("\n".join(lines[-5:])) if lines else "nothing"

    def _read(self, stream: IO[bytes]) -> None:
        with stream:
            while not self.full and (part := os.read(stream.fileno(), 1 << 16)):
                self.kept += part
                if self._most is None:
                    del self.kept[:-LAST]
                else:
                    self.full = len(self.kept) > self._most


class Command:
    """A `Transport` to a program.

    Parameters
    ----------
    arguments
        The program and what it gets before the files.
    timeout, retries
        As in `wrap_command`.
    """

    def __init__(self, arguments: Sequence[str], timeout: float, retries: int) -> None:
        self.origin = f"The command {arguments[0]!r}"
        self._arguments = list(arguments)
        self._timeout = timeout
        self._retries = retries

    def send(self, files: Sequence[bytes], given_up: threading.Event) -> bytes:
        """Return what the program prints for PNG files, or raise `ModelError`, `UnreachableError` if it cannot run."""
        with tempfile.TemporaryDirectory(prefix="blackbox-explain-") as folder:
            paths = [Path(folder) / f"{index:05}.png" for index in range(len(files))]
            for path, file in zip(paths, files, strict=True):
                path.write_bytes(file)
            arguments = [*self._arguments, *map(str, paths)]
            for _ in range(self._retries):
                with contextlib.suppress(_Failed):
                    return self._printed(arguments, given_up)
            try:
                return self._printed(arguments, given_up)
            except _Failed as failure:
                raise failure.error from None

    def close(self) -> None:
        """Do nothing: no program outlives its answer."""

    def _printed(self, arguments: list[str], given_up: threading.Event) -> bytes:
        """Run the program once and return its standard output, unless the answer was given up."""
        latest = time.monotonic() + self._timeout
        if given_up.is_set():
            raise UnreachableError(f"{self.origin} was interrupted")
        try:
            process = subprocess.Popen(  # noqa: S603 - the command is the caller's, and no shell reads it
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise UnreachableError(
                f"{self.origin} cannot be started", got=str(error), expected="an installed program, or its path"
            ) from error
        printed = _Reader(cast("IO[bytes]", process.stdout), most=LONGEST)
        complaints = _Reader(cast("IO[bytes]", process.stderr))
        try:
            in_time = (
                _in_time(printed.ends, latest, given_up)
                and not printed.full
                and _in_time(complaints.ends, latest, given_up)
                and _in_time(lambda seconds: _ends(process, seconds), latest, given_up)
            )
        finally:
            # Before anything waits for the program, so that its number cannot have gone to another.
            if process.returncode is None:
                _kill(process)
                process.wait()
        if printed.full:
            raise ModelError(f"{self.origin} prints too much", got=f"more than {LONGEST >> 20} MiB", expected=EXPECTED)
        complaints.ends(1.0)
        said = complaints.last_lines()
        if not in_time:
            error = UnreachableError(
                f"{self.origin} timed out",
                got=f"no end after {self._timeout:g} seconds, with {said} on standard error",
                hint="a longer timeout=, or fewer images_per_request=",
            )
            raise _Failed(error)
        if process.returncode:
            error = ModelError(
                f"{self.origin} failed", got=f"exit status {process.returncode}, with {said} on standard error"
            )
            raise _Failed(error)
        return bytes(printed.kept)


def _in_time(ends: Callable[[float], bool], latest: float, given_up: threading.Event) -> bool:
    """Tell whether something ends before the clock shows `latest` and before its answer is given up."""
    while not given_up.is_set():
        left = latest - time.monotonic()
        if ends(min(max(0.0, left), LOOK)):
            return True
        if left <= 0:
            return False
    return False


def _ends(process: subprocess.Popen[bytes], seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a program and, where the system has groups of processes, all that it started."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
