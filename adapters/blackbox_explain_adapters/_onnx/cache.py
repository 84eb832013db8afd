"""Gradient graphs kept on disk, so that a model is differentiated once."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from platformdirs import user_cache_path

__all__ = ["LIMIT", "cached", "code", "folder"]

LIMIT = 2 << 30
"""Bytes kept; the least recently used graphs go first."""

UNFINISHED, STALE = ".unfinished", 3600
"""Ending of files that are being written, and the seconds after which nobody is writing them any more."""

DIGEST = hashlib.sha256().digest_size


def folder() -> Path:
    """Return where graphs are kept: ``BLACKBOX_EXPLAIN_CACHE``, or the user's cache folder."""
    return Path(os.environ.get("BLACKBOX_EXPLAIN_CACHE") or user_cache_path("blackbox-explain")) / "gradients"


@lru_cache
def code() -> str:
    """Return a digest of what writes the graphs, so that none outlives a change of a rule."""
    digest = hashlib.sha256()
    for source in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()


def cached(key: str, make: Callable[[], bytes], limit: int = LIMIT) -> bytes:
    """Return what is kept under a key, or make and keep it.

    A file that is damaged is made again: its digest is against damage, not against people who may write there.  A
    folder that cannot be written is done without.
    """
    path = folder() / f"{key}.onnx"
    with contextlib.suppress(OSError):
        stored = path.read_bytes()
        digest, content = stored[:DIGEST], stored[DIGEST:]
        if hashlib.sha256(content).digest() == digest:
            with contextlib.suppress(OSError):
                path.touch()
            return content
    content = make()
    with contextlib.suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=UNFINISHED, delete=False) as file:
            unfinished = Path(file.name)
            try:
                file.write(hashlib.sha256(content).digest() + content)
                file.flush()
            except OSError:  # such as a full disk
                unfinished.unlink(missing_ok=True)
                raise
        unfinished.replace(path)
    with contextlib.suppress(OSError):
        _shrink(path.parent, limit)
    return content


def _shrink(place: Path, limit: int) -> None:
    """Drop the graphs that were used least recently until the rest fits, and what was never finished."""
    for left in place.glob(f"*{UNFINISHED}"):
        if time.time() - left.stat().st_mtime > STALE:
            left.unlink(missing_ok=True)
    kept = sorted(place.glob("*.onnx"), key=lambda one: one.stat().st_mtime, reverse=True)
    total = 0
    for path in kept:
        total += path.stat().st_size
        if total > limit and path != kept[0]:
            path.unlink(missing_ok=True)
