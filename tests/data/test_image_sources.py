"""Images of a data set from folders, patterns, lists, Parquet files and WebDataset shards."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from blackbox_explain.data.image_sources import SourceImage, source_images
from blackbox_explain.errors import ImageError


def png(value: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((8, 9, 3), value, dtype=np.uint8)).save(file, "PNG")
    return file.getvalue()


def value_of(source: SourceImage) -> int:
    with Image.open(io.BytesIO(source.content())) as picture:
        return int(np.asarray(picture)[0, 0, 0])


def add(shard: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    shard.addfile(member, io.BytesIO(content))


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    path = tmp_path / "shards" / "train-0001.tar"
    path.parent.mkdir()
    with tarfile.open(path, "w") as file:
        for index in range(3):
            add(file, f"a/{index}.png", png(index))
            add(file, f"a/{index}.cls", str(index + 5).encode())
        add(file, "a/3.json", b"{}")
        add(file, "b/0.png", png(99))
    return path


def test_a_webdataset_shard_gives_images_and_classes(shard: Path) -> None:
    found = source_images([shard])
    assert [one.name for one in found] == [f"{shard}/{name}" for name in ("a/0.png", "a/1.png", "a/2.png", "b/0.png")]
    assert [one.label for one in found] == ["5", "6", "7", ""]
    assert [value_of(one) for one in found] == [0, 1, 2, 99]


@pytest.mark.parametrize("structured", [False, True])
def test_a_parquet_file_gives_images_and_classes(tmp_path: Path, structured: bool) -> None:
    images = [png(k) for k in range(5)]
    column = [{"bytes": one, "path": f"{k}.png"} for k, one in enumerate(images)] if structured else images
    path = tmp_path / "train.parquet"
    pq.write_table(pa.table({"image": column, "label": [4, 3, 2, 1, None]}), path, row_group_size=2)
    found = source_images([path])
    assert [value_of(one) for one in reversed(found)] == [4, 3, 2, 1, 0]
    assert [one.label for one in found] == ["4", "3", "2", "1", ""]
    assert found[3].name == f"{path}/1-1"


def test_folders_patterns_and_lists(shard: Path, tmp_path: Path) -> None:
    for k in range(3):
        (tmp_path / f"{k}.png").write_bytes(png(10 + k))
    everything = source_images([tmp_path])
    assert len(everything) == 4 + 3
    assert len(source_images([tmp_path / "*.png"])) == 3
    assert len(source_images([shard.parent / "*.tar"])) == 4
    (tmp_path / "some.txt").write_text("2.png\n\n0.png\n2.png\ngone.png\n")
    listed = source_images([tmp_path / "some.txt"])
    assert [Path(one.name).name for one in listed] == ["2.png", "0.png", "gone.png"]
    with pytest.raises(ImageError, match="cannot be read"):
        listed[2].content()
    assert len(source_images([tmp_path], out=shard.parent)) == 3


def test_a_damaged_shard_is_an_error_of_its_own(shard: Path, tmp_path: Path) -> None:
    whole = shard.read_bytes()
    shard.write_bytes(whole[:3000])
    found = source_images([shard])
    assert value_of(found[0]) == 0
    assert any(one.error for one in found)
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 nothing")
    pq.write_table(pa.table({"text": ["a"]}), tmp_path / "none.parquet")
    for name in ("bad.parquet", "none.parquet"):
        (broken,) = source_images([tmp_path / name])
        with pytest.raises(ImageError, match=name):
            broken.content()
    with pytest.raises(ImageError, match="There is no such file or folder"):
        source_images([tmp_path / "nothing"])


def test_what_an_audit_wrote_is_no_image_and_a_compressed_shard_is_told(shard: Path, tmp_path: Path) -> None:
    (tmp_path / "audit").mkdir()
    (tmp_path / "audit" / "audit.json").write_text("{}")
    pq.write_table(pa.table({"ranking": [png(1)]}), tmp_path / "audit" / "rows-0000-000000000.parquet")
    assert len(source_images([tmp_path])) == 4
    with tarfile.open(tmp_path / "packed.tar", "w:gz") as file:
        add(file, "0.png", png(0))
    (packed,) = source_images([tmp_path / "packed.tar"])
    with pytest.raises(ImageError, match="packed"):
        packed.content()


def test_a_parquet_file_that_is_replaced_is_read_again_and_one_that_breaks_fails_alone(tmp_path: Path) -> None:
    path = tmp_path / "train.parquet"
    pq.write_table(pa.table({"image": [png(7)]}), path)
    (one,) = source_images([path])
    assert value_of(one) == 7
    pq.write_table(pa.table({"image": [png(200)], "other": ["longer"]}), path)
    assert value_of(one) == 200
    path.write_bytes(b"PAR1 broken")
    with pytest.raises(ImageError, match="This shard is damaged"):
        one.content()


def test_captions_that_a_pattern_fits_are_no_lists(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    (tmp_path / "a.txt").write_text("a photo of a dog")
    assert [one.name for one in source_images([tmp_path / "a.*"])] == [str(tmp_path / "a.png")]
    assert [one.name for one in source_images([tmp_path / "a.txt"])] == [str(tmp_path / "a photo of a dog")]
