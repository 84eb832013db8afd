"""Files inside a page: bytes as characters of HTML, seven bits in each."""

from __future__ import annotations

import numpy as np

__all__ = ["packed"]

BITS = 7
"""In a character.  Base64 holds six, and a page of 1,000 photos would be an eighth larger than it has to be."""

REPLACED = {"\0": "À", "\r": "Á", "</": "<Â", "<!": "<Ã"}
"""What a script element of HTML would change or end at, and what stands for it; `page/browser/data.js` undoes it."""


def packed(content: bytes) -> str:
    """Return bytes as text that HTML keeps as it is within a script element.

    The bits of all bytes, the highest of each first, are cut into sevens and filled up with zeros; each seven is an
    ASCII character, and four of them that would not survive are replaced (`REPLACED`).  Text in UTF-8 is 16 % longer
    than the bytes.
    """
    bits = np.unpackbits(np.frombuffer(content, dtype=np.uint8))
    sevens = np.pad(bits, (0, -len(bits) % BITS)).reshape(-1, BITS)
    # A byte of which the highest bit is 0: packbits fills up on the right.
    text = (np.packbits(sevens, axis=1).ravel() >> 1).tobytes().decode("ascii")
    for found, stand_in in REPLACED.items():
        text = text.replace(found, stand_in)
    return text
