"""Memory that is freed stays with the process, for frameworks that keep none for the next run by themselves."""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress
from functools import cache

__all__ = ["keep_freed_memory"]

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
"""Of ``malloc.h``."""


@cache
def keep_freed_memory() -> None:
    """Have the C library keep what is freed for the next allocations of the main thread.

    The GNU C library hands a block above 32 MiB back to the system at once.  A network frees a few of those in every
    run, and the next run waits while the system clears them again, page by page: PyTorch spends up to half of its time
    so on a CPU, from a batch of 8 on.  The process then holds what it needed most at any time.

    It is of the whole process, and once.  Where the user has set how memory is handed out, by a variable of the
    environment (``MALLOC_...`` or ``GLIBC_TUNABLES``), or the C library is another one, nothing is done.
    """
    if any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ):
        return
    with suppress(AttributeError, OSError, TypeError):
        library = ctypes.CDLL(None)
        library.gnu_get_libc_version  # noqa: B018 - others have a `mallopt` whose numbers mean something else
        library.mallopt(M_MMAP_MAX, 0)
        library.mallopt(M_TRIM_THRESHOLD, -1)
