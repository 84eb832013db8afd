"""Files inside a page: bytes as characters of HTML, seven bits in each."""

from __future__ import annotations

import re

import numpy as np

__all__ = ["packed"]

BITS = 7
"""In a byte of text.  Base64 holds six, and a page of 1,000 photos would be a sixth larger."""

CHANGED = "\0\r<"
"""Characters that HTML replaces, or that may end a script element."""

FIRST_PAIR = 0x80
"""The first character that is two bytes of UTF-8; `browser/scripts/data.js` knows it too."""


def packed(content: bytes) -> str:
    """Return bytes as text that HTML keeps as it is within a script element.

    The bits of all bytes, the highest of each first, are cut into sevens and filled up with zeros; each seven is an
    ASCII character.  One of `CHANGED` and the seven after it (0 at the end) become a character of two bytes together:
    text in UTF-8 is a seventh longer than the bytes.
    """
    bits = np.unpackbits(np.frombuffer(content, dtype=np.uint8))
    sevens = np.pad(bits, (0, -len(bits) % BITS)).reshape(-1, BITS)
    # A byte of which the highest bit is 0: packbits fills up on the right.
    text = (np.packbits(sevens, axis=1).ravel() >> 1).tobytes().decode("ascii")
    return re.sub(f"([{CHANGED}])(.?)", _pair, text, flags=re.DOTALL)


def _pair(found: re.Match[str]) -> str:
    changed, after = found.groups()
    return chr(FIRST_PAIR + (CHANGED.index(changed) << BITS | ord(after or "\0")))
