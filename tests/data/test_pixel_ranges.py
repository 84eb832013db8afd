"""Pixel values of any type and range: shown as they are meant, or refused; never black in silence."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import blackbox_explain as bx
from blackbox_explain.box.input_spec import InputSpec
from blackbox_explain.errors import ImageError

RAMP = np.linspace(0, 1, 64)[:, None] * np.ones((1, 64))
GREY = InputSpec((1, 64, 64))


def read(given: Any, **options: Any) -> np.ndarray:
    """Return grey pixels as the model reads them."""
    return np.asarray(bx.load_images(given, GREY, **options)[0, 0])


def tiff(values: np.ndarray, tags: dict[int, int] | None = None) -> bytes:
    file = io.BytesIO()
    Image.fromarray(values).save(file, "TIFF", tiffinfo=tags or {})
    return file.getvalue()


KNOWN = {
    "float 0 to 1": tiff(RAMP.astype(np.float32)),
    "float 0 to 255": tiff((RAMP * 255).astype(np.float32)),
    "float 0 to 65535": tiff((RAMP * 65535).astype(np.float32)),
    "int32 0 to 255": tiff((RAMP * 255).round().astype(np.int32)),
    "int32 0 to 65535": tiff((RAMP * 65535).astype(np.int32)),
    "16 bits": tiff((RAMP * 65535).astype(np.uint16)),
    "12 bits, SMaxSampleValue": tiff((RAMP * 4095).round().astype(np.uint16), {341: 4095}),
    "16 bits, white is zero": tiff(((1 - RAMP) * 65535).astype(np.uint16), {262: 0}),
}


@pytest.mark.parametrize("name", KNOWN)
def test_every_range_that_is_known_shows_the_same(name: str) -> None:
    np.testing.assert_allclose(read(KNOWN[name]), RAMP, atol=1 / 255)


def png(values: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(values).save(file, "PNG")
    return file.getvalue()


UNKNOWN = {
    "12 bits in a PNG of 16": (png((RAMP * 4095).round().astype(np.uint16)), 4095),
    "12 bits in 16": (tiff((RAMP * 4095).round().astype(np.uint16)), 4095),
    "14 bits in 16": (tiff((RAMP * 16383).round().astype(np.uint16)), 16383),
    "8 bits in 16": (tiff((RAMP * 255).round().astype(np.uint16)), 255),
    "12 bits in 32": (tiff((RAMP * 4095).round().astype(np.int32)), 4095),
    "0 to 16": ((RAMP * 16).round().astype(np.int64), 16),
    "floats a little over 1": ((RAMP * 1.5).astype(np.float32), 2),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_a_range_in_doubt_is_asked_for(name: str) -> None:
    content, white = UNKNOWN[name]
    with pytest.raises(ImageError, match=rf"Nothing tells .* load_images\(..., white={white}\), or --white {white}"):
        read(content)
    if name != "floats a little over 1":
        np.testing.assert_allclose(read(content, white=white), RAMP, atol=0.5 / white + 1 / 255)


def twelve_bits(values: np.ndarray) -> bytes:
    """Return a TIFF that packs two pixels into three bytes, as BitsPerSample tells."""
    height, width = values.shape
    pairs = values.astype(np.uint32).reshape(-1, 2)
    packed = np.stack([pairs[:, 0] >> 4, (pairs[:, 0] & 15) << 4 | pairs[:, 1] >> 8, pairs[:, 1] & 255], axis=1)
    tags = [(256, width), (257, height), (258, 12), (259, 1), (262, 1), (273, 8 + 2 + 9 * 12 + 4), (277, 1)]
    tags += [(278, height), (279, packed.size)]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + b"\0" * 4 + packed.astype(np.uint8).tobytes()


def test_bits_per_sample_tell_white() -> None:
    np.testing.assert_allclose(read(twelve_bits((RAMP * 4095).round())), RAMP, atol=1 / 255)
    np.testing.assert_allclose(read(twelve_bits((RAMP * 1000).round())), RAMP * 1000 / 4095, atol=1 / 255)


def sixteen_bit_colours(values: np.ndarray) -> bytes:
    """Return a PNG (H, W, 3) of 16 bits, which Pillow reads and does not write."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width, _ = values.shape
    lines = b"".join(b"\0" + line.astype(">u2").tobytes() for line in values)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


def test_colours_of_sixteen_bits() -> None:
    colours = np.stack([RAMP, RAMP, RAMP], axis=-1)
    np.testing.assert_allclose(read(sixteen_bit_colours(colours * 65535)), RAMP, atol=1 / 255)
    with pytest.raises(ImageError, match=r"8 of the 16 bits.*at most 6% of white.*white=65535.*tifffile"):
        read(sixteen_bit_colours(colours * 4095))
    dark = read(sixteen_bit_colours(colours * 4095), white=65535)
    np.testing.assert_allclose(dark, RAMP * 4095 / 65535, atol=1 / 255)
    np.testing.assert_allclose(read((colours * 4095).astype(np.uint16), white=4095), RAMP, atol=1 / 255)


def test_a_pgm_tells_white() -> None:
    values = (RAMP * 4095).round()
    for white, shown in ((4095, RAMP), (16383, RAMP / 4)):
        content = f"P5 64 64 {white}\n".encode() + values.astype(">u2").tobytes()
        np.testing.assert_allclose(read(content), shown, atol=1 / 255)


def test_black_is_black_whatever_white_is() -> None:
    for kind in (np.uint16, np.int32, np.float32):
        assert read(tiff(np.zeros((8, 8), kind))).max() == 0


def test_values_that_no_photo_has() -> None:
    hole = RAMP.astype(np.float32)
    hole[3, 3] = np.nan
    for white in (None, 1):
        with pytest.raises(ImageError, match=r"not finite.*in 1 of 4096 values.*nan_to_num"):
            read(tiff(hole), white=white)
    with pytest.raises(ImageError, match=r"negative values.*from -1 to 1"):
        read(tiff((RAMP * 2 - 1).astype(np.float32)))
    with pytest.raises(ImageError, match=r"leave its range.*white=255; expected 0 to 255"):
        read(tiff((RAMP * 4095).astype(np.int32)), white=255)
    with pytest.raises(ImageError, match="complex128"):
        read(RAMP * 1j)
    hot = RAMP * 4095
    hot[5, 5] = 60000
    np.testing.assert_allclose(read(tiff(hot.astype(np.uint16)), white=4095)[0], RAMP[0], atol=1 / 255)


def test_one_bit_is_black_and_white(tmp_path: Path) -> None:
    Image.fromarray(RAMP > 0.5).save(tmp_path / "line.png")
    np.testing.assert_array_equal(read(tmp_path / "line.png"), RAMP > 0.5)


def test_eight_bits_are_never_asked_for_white() -> None:
    dark = np.full((64, 64), 3, np.uint8)
    np.testing.assert_allclose(read(dark, white=4095), 3 / 255)
    np.testing.assert_allclose(read(dark), 3 / 255)
