"""A reader reads a photo in one way, whether the photo itself is kept or not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from blackbox_explain.box.input_spec import InputSpec
from blackbox_explain.data.reading import PhotoReader
from blackbox_explain.samples import COFFEE

SPEC = InputSpec((3, 56, 64))


@pytest.mark.parametrize("reader", [PhotoReader(), PhotoReader("pad"), PhotoReader("stretch", 4095)])
def test_an_image_alone_is_the_one_that_knows_its_photo(reader: PhotoReader, tmp_path: Path) -> None:
    deep = tmp_path / "deep.png"
    Image.fromarray(np.linspace(0, 4095, 60 * 80).reshape(60, 80).astype(np.uint16)).save(deep)
    for path in [COFFEE] if reader.white is None else [deep]:
        alone, kept = reader.read_image(path, SPEC), reader.read(path, SPEC)
        assert alone.tobytes() == np.asarray(kept[0]).tobytes()
        assert not hasattr(alone, "photos")


def test_what_a_reader_is_told_decides_what_it_reads() -> None:
    crop, pad = (PhotoReader(fit).read_image(COFFEE, SPEC) for fit in ("crop", "pad"))
    assert not np.array_equal(crop, pad)
