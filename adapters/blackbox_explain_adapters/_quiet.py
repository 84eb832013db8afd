"""Keep lines that say nothing about a model from standing between a user and the results."""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from collections.abc import Generator
from contextlib import contextmanager

__all__ = ["without_lines"]

STANDARD_ERROR = 2
"""Its number: libraries in C++ write there, past Python."""

_ONE_AT_A_TIME = threading.Lock()


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
