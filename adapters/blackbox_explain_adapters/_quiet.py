"""Keep lines that say nothing about a model from standing between a user and the results."""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Any

__all__ = ["quiet_tensorflow", "without_lines"]

STANDARD_ERROR = 2
"""Its number: libraries in C++ write there, past Python."""

LEVEL = "TF_CPP_MIN_LOG_LEVEL"

FATAL_ALONE = "3"
"""What TensorFlow calls an error in its log is raised as an exception too, or is about devices that are not there."""

AT_IMPORT = (b"oneDNN custom operations are on", b"All log messages before absl::InitializeLog()")
"""In what TensorFlow writes while it is imported, whatever the level, where a processor has what oneDNN needs."""

_ONE_AT_A_TIME = threading.Lock()


def quiet_tensorflow() -> None:
    """Import TensorFlow, if it is installed, without what it writes of processors and devices.

    It is left alone if it is there already, if the user set a level, or if Keras computes by something else.
    """
    if "tensorflow" in sys.modules or os.environ.setdefault(LEVEL, FATAL_ALONE) != FATAL_ALONE:
        return
    keras: Any = sys.modules.get("keras")
    if keras is not None and keras.config.backend() != "tensorflow":
        return
    with without_lines(*AT_IMPORT), suppress(ModuleNotFoundError):
        import_module("tensorflow")


@contextmanager
def without_lines(*parts: bytes) -> Generator[None]:
    """Pass on what is written to standard error in here, but for lines that hold one of these.

    Notes
    -----
    All threads of the process share standard error: what they write meanwhile appears when this ends.
    """
    with _ONE_AT_A_TIME, tempfile.TemporaryFile() as kept:
        try:
            sys.stderr.flush()
            original = os.dup(STANDARD_ERROR)
        except (OSError, AttributeError):
            # There is no standard error.
            yield
            return
        os.dup2(kept.fileno(), STANDARD_ERROR)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(original, STANDARD_ERROR)
            os.close(original)
            kept.seek(0)
            for line in kept:
                if not any(part in line for part in parts):
                    os.write(STANDARD_ERROR, line)
