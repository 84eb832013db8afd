"""Bytes as characters of HTML."""

from __future__ import annotations

import numpy as np

from blackbox_explain.report.page.packing import packed


def test_seven_bits_are_a_character() -> None:
    # 01000001 01000010 is 0100000 1010000 10·····, filled up with zeros.
    assert packed(b"AB") == chr(0b0100000) + chr(0b1010000) + chr(0b1000000)
    assert packed(b"") == ""


def test_what_html_would_change_is_one_character_with_the_next() -> None:
    # Fourteen bits of each; the two that are left of sixteen, filled up with zeros, are "\\0" with nothing after it.
    end = chr(0x80)
    for pair, place in (("</", 2 << 7 | 0x2F), ("\r\r", 1 << 7 | 0x0D), ("\0A", 0x41)):
        bits = "".join(f"{ord(one):07b}" for one in pair).ljust(16, "0")
        assert packed(int(bits, 2).to_bytes(2, "big")) == chr(0x80 + place) + end


def test_text_is_a_seventh_longer_than_the_bytes() -> None:
    text = packed(np.random.default_rng(0).bytes(70_000))
    assert not set("\0\r<") & set(text)
    assert len(text.encode()) in (80_000, 80_001)
