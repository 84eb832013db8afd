"""Class names that are packed into TensorFlow Lite files."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import pytest

import blackbox_explain as bx
from blackbox_explain.errors import InputError
from tests.adapters.tflite.models import linear
from tests.adapters.tflite.test_tflite import WEIGHTS, stored


def test_class_names_are_said_or_packed_into_the_file(tmp_path: Path) -> None:
    content = linear(WEIGHTS, (4, 6, 3))
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("notes.txt", "not\nfive\nlines")
        packed.writestr("labels.txt", "a\nb\nc\nd\ne\n")
    assert bx.wrap(stored(tmp_path, content)).spec.class_names is None
    path = stored(tmp_path, content + archive.getvalue())
    box = bx.wrap(path)
    assert box.spec.class_names == ("a", "b", "c", "d", "e")
    assert "class names are those packed into the file" in box.assumptions
    other = bx.wrap(path, class_names=list("vwxyz"))
    assert other.spec.class_names == ("v", "w", "x", "y", "z")
    assert any("'a' there and 'v' here" in one for one in other.assumptions)
    with pytest.raises(InputError, match="another order than the model's own"):
        bx.wrap(path, class_names=list("bacde"))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (b"\xef\xbb\xbf4,a\n3,b\n2,c\n1,d\n0,e\n\n", ("e", "d", "c", "b", "a")),
        (b"\na\nb\nc\nd\n", None),
    ],
)
def test_packed_class_names_are_read_as_others(text: bytes, names: Any, tmp_path: Path) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("labels.txt", text)
    assert bx.wrap(stored(tmp_path, linear(WEIGHTS, (4, 6, 3)) + archive.getvalue())).spec.class_names == names
