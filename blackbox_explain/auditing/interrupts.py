"""Ctrl-C and SIGTERM, which wait until what is being written is written."""

from __future__ import annotations

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

__all__ = ["interrupts_wait", "terminations_as_interrupts"]


@contextmanager
def interrupts_wait() -> Generator[None]:
    """Let Ctrl-C, and SIGTERM where it is an interrupt, wait for the end of the block; a second Ctrl-C does not."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    # What ignores interrupts, such as nohup, goes on to do so; and only the main thread may decide this.
    ours = {number: handler for number, handler in before.items() if callable(handler)}
    if not ours or threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []

    def later(number: int, frame: Any) -> None:
        if number == signal.SIGINT and number in came:
            ours[signal.SIGINT](number, frame)
        came.append(number)

    for number in ours:
        signal.signal(number, later)
    try:
        yield
    finally:
        for number, handler in ours.items():
            signal.signal(number, handler)
    if came:
        raise KeyboardInterrupt


@contextmanager
def terminations_as_interrupts() -> Generator[None]:
    """Treat SIGTERM as Ctrl-C during the block, so that what is finished is written."""
    before = signal.getsignal(signal.SIGTERM)
    if before is None or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_number: int, _frame: Any) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
