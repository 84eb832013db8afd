"""Ctrl-C that waits until what is being written is written."""

from __future__ import annotations

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

__all__ = ["interrupts_wait"]


@contextmanager
def interrupts_wait() -> Generator[None]:
    """Let Ctrl-C wait for the end of the block; pressed a second time, it does not wait."""
    before = signal.getsignal(signal.SIGINT)
    # What ignores interrupts, such as nohup, goes on to do so; and only the main thread may decide this.
    if not callable(before) or threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []

    def later(number: int, frame: Any) -> None:
        if came:
            before(number, frame)
        came.append(number)

    signal.signal(signal.SIGINT, later)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if came:
        raise KeyboardInterrupt
