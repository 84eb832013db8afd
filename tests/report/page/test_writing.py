"""What stands in the file of a page; how it behaves is in `test_in_browser.py`."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from blackbox_explain.errors import BackendMissingError, ResultError
from blackbox_explain.report.page.card_data import card_data
from blackbox_explain.report.page.class_tiles import class_tiles, score_range
from blackbox_explain.report.page.content import Page
from blackbox_explain.report.page.writing import write_page
from tests.report.page.pages import CARD, HOSTILE, SHARES, hostile_page, large_page, levels, png, region, small_page


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.raw: dict[str, str] = {}
        self.inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.inside = (dict(attrs).get("id") or tag) if tag in ("script", "style") else ""

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.raw[self.inside] = data
        elif data.strip():
            self.texts.append(data.strip())


def _read(page: Page, folder: Path) -> _Reader:
    path = write_page(page, folder / "report.html")
    reader = _Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    return reader


def test_findings_come_before_images_and_classes_and_rules(tmp_path: Path) -> None:
    read = _read(small_page(), tmp_path)
    sections = [attributes["id"] for tag, attributes in read.tags if tag == "section" and "id" in attributes]
    assert sections[:5] == ["findings", "images", "classes", "rules", "again"]
    texts = "\n".join(read.texts)
    order = ["The model may be shown the wrong pixels.", "Few pixels decide", "Sure and wrong", "No place decides"]
    order += ["cat", "dog", "Rotation", "blackbox-explain audit photos --out audit", "blackbox_explain 0.2.0"]
    places = [texts.index(one) for one in order]
    assert places == sorted(places)
    assert "95 % interval: 7.0\N{NO-BREAK SPACE}% to 93.0\N{NO-BREAK SPACE}%" in texts


def test_nothing_is_fetched(tmp_path: Path) -> None:
    read = _read(small_page(), tmp_path)
    addresses = [
        value or "" for _, attributes in read.tags for name, value in attributes.items() if name in ("src", "href")
    ]
    assert addresses
    assert [one for one in addresses if not one.startswith(("#", "data:"))] == []
    assert not re.search(r"url\(|@import|https?://(?!www\.w3\.org/2000/svg)", read.raw["style"] + read.raw["script"])


def test_the_policy_names_the_style_and_the_script_of_the_page(tmp_path: Path) -> None:
    read = _read(small_page(), tmp_path)
    policy = next(attributes["content"] or "" for tag, attributes in read.tags if "http-equiv" in attributes)
    assert policy.startswith("default-src 'none'; ")
    for name in ("style", "script"):
        digest = base64.b64encode(hashlib.sha256(read.raw[name].encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in policy


def test_text_from_outside_stays_text(tmp_path: Path) -> None:
    hostile, plain = _read(hostile_page(), tmp_path), _read(replace(small_page(), cards=[CARD]), tmp_path)
    assert {tag for tag, _ in hostile.tags} <= {tag for tag, _ in plain.tags}
    assert sum(tag == "script" for tag, _ in hostile.tags) == 4  # facts, a photo, a map, and the page's own
    assert not [name for _, attributes in hostile.tags for name in attributes if name.startswith("on")]
    facts = json.loads(hostile.raw["page-data"])
    assert facts["cards"][0]["target"] == HOSTILE
    assert (tmp_path / "report.html").read_text(encoding="utf-8").count("</script>") == 4


def test_names_that_no_encoding_has_a_word_for(tmp_path: Path) -> None:
    name = "photos/\udcff.jpg"
    read = _read(replace(small_page(), title=name, cards=[replace(CARD, path=name)]), tmp_path)
    assert "photos/?.jpg" in read.texts
    assert json.loads(read.raw["page-data"])["cards"][0]["path"] == name


def test_a_map_holds_the_ranking_and_the_region() -> None:
    data = card_data(small_page())
    assert data.facts["cards"][0]["grid"] == [24, 24]
    with Image.open(io.BytesIO(data.maps[0])) as picture:
        found = np.asarray(picture.convert("L"))
    np.testing.assert_array_equal(found, 2 * levels() + ~region())


def test_a_photo_is_embedded_once_however_many_explain_it() -> None:
    cards = [CARD, replace(CARD, method="gradient"), replace(CARD, position=1, photo=None)]
    data = card_data(replace(small_page(), cards=cards))
    assert [card["photo"] for card in data.facts["cards"]] == [0, 0, None]
    assert data.photos == [CARD.photo]
    assert data.facts["cards"][0]["size"] == [48, 36]


def test_numbers_that_json_has_no_word_for_are_null() -> None:
    facts = card_data(small_page()).facts["cards"]
    assert facts[3]["score"] is None
    assert facts[3]["share"] is None
    assert facts[0]["curve"] == [0.6, 0.15, 0.1]


def test_classes_have_medians_and_bars() -> None:
    cat, dog = class_tiles(small_page())
    assert (cat.name, cat.count, dog.name) == ("cat", 2, "dog")
    assert cat.share == "10.8\N{NO-BREAK SPACE}%"  # between 1/6 and 0.05
    assert cat.score == "0.81"
    assert cat.shares == (0, 1, 0, 1, 0, 0, 0, 0, 0, 0)
    assert cat.scores == (0, 0, 0, 0, 0, 0, 0, 1, 0, 1)
    with Image.open(io.BytesIO(base64.b64decode(cat.mean))) as picture:
        np.testing.assert_array_equal(np.asarray(picture)[..., 3], 255 * np.eye(4))


@pytest.mark.parametrize(
    ("scores", "ends"),
    [([0.2, 0.9, float("nan")], (0, 1)), ([-3.0, 12.5], (-3, 12.5)), ([7.0], (7, 8)), ([], (0, 1))],
)
def test_the_axis_of_scores(scores: list[float], ends: tuple[float, float]) -> None:
    assert score_range(scores) == ends


def test_a_thousand_images_are_below_40_mb(tmp_path: Path) -> None:
    # A tenth of them, and a tenth of the bytes.
    path = write_page(large_page(100, 30_000), tmp_path / "report.html")
    fixed = write_page(replace(small_page(), cards=[]), tmp_path / "empty.html").stat().st_size
    assert 10 * (path.stat().st_size - fixed) + fixed < 40e6


def test_a_page_without_anything(tmp_path: Path) -> None:
    read = _read(Page("Empty", {}, [], SHARES), tmp_path)
    assert "Empty" in read.texts
    assert json.loads(read.raw["page-data"])["cards"] == []


def test_without_jinja(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(BackendMissingError, match=r"pip install .\.\[audit\]"):
        write_page(small_page(), tmp_path / "report.html")


def test_what_cannot_be_written_or_read(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match="cannot be written"):
        write_page(small_page(), tmp_path / "missing" / "report.html")
    for wrong in (replace(CARD, photo=b"none"), replace(CARD, ranking=CARD.photo[:50] if CARD.photo else b"")):
        with pytest.raises(ResultError, match=r"damaged.*photos/a\.jpg"):
            write_page(replace(small_page(), cards=[wrong]), tmp_path / "report.html")
    with pytest.raises(ResultError, match="different sizes"):
        card_data(replace(small_page(), cards=[replace(CARD, region=png(region(12)))]))
    assert list(tmp_path.iterdir()) == []
