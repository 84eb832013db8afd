"""Settings of a framework that belong to the whole process, though several threads ask for them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

__all__ = ["ProcessWide"]


class ProcessWide:
    """Holds a setting for as long as a thread is inside: the first who enters sets it, the last who leaves restores it.

    Parameters
    ----------
    make
        Returns what sets and restores it.
    """

    def __init__(self, make: Callable[[], AbstractContextManager[Any]]) -> None:
        self._make, self._lock, self._inside = make, threading.Lock(), 0
        self._held: AbstractContextManager[Any] | None = None

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._held = self._make()
                self._held.__enter__()
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside and self._held is not None:
                self._held.__exit__(None, None, None)
                self._held = None
