"""Class names of every form stand in the order of the scores; no two classes are shown alike; each is found."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import blackbox_explain as bx
from blackbox_explain.box.class_lookup import class_index
from blackbox_explain.box.class_names import check_own_names, display_names, read_class_names, shown_name, taken_names
from blackbox_explain.errors import InputError, TargetError

PEPPERS = ("Corn___healthy", "Pepper,_bell___Bacterial_spot", "Pepper,_bell___healthy")
SYNSETS = ("n02012849 crane", "n03372029 flute, transverse flute", "n03126707 crane")


@pytest.mark.parametrize(
    "names",
    [
        ["spot", "none"],
        ("spot", "none"),
        np.array(["spot", "none"]),
        {0: "spot", 1: "none"},
        {1: "none", 0: "spot"},
        {"1": "none", "0": "spot"},
        {np.int64(1): "none", np.int64(0): "spot"},
        {"none": 1, "spot": 0},
        {"none": "1", "spot": "0"},
        {"id2label": {"0": "spot", "1": "none"}, "model_type": "vit"},
        {0: "spot", 1: "none"}.values(),
    ],
)
def test_names_stand_in_the_order_of_the_scores(names: Any) -> None:
    box = bx.wrap(lambda images: images.mean(axis=(2, 3)), shape=(2, 8, 8), class_names=names)
    assert box.spec.class_names == ("spot", "none")
    assert bx.InputSpec((2, 8, 8), class_names=names).class_names == ("spot", "none")


def test_a_class_is_explained_under_its_own_name() -> None:
    def scores(images: np.ndarray) -> np.ndarray:
        bright = images[:, 0].mean(axis=(1, 2))
        return np.stack([bright, 1 - bright], axis=1)

    image = np.full((1, 1, 8, 8), 0.9, np.float32)
    for names in ({"dark": 1, "bright": 0}, {1: "dark", 0: "bright"}):
        box = bx.wrap(scores, shape=(1, 8, 8), class_names=names)
        result = bx.explain(box, image, queries=100, perturbation=bx.Constant(0.0), progress=False)
        assert result.target == ("bright",)


def test_digits_may_be_names() -> None:
    assert taken_names({"0": "7", "1": "3"}) == ("7", "3")
    assert taken_names({"7": 0, "3": 1}) == ("7", "3")
    assert taken_names({0: 1, 1: 3}) == ("1", "3")
    assert taken_names([7, 3]) == ("7", "3")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({"spot", "none"}, "set of class names has no order.*a list, in the order of the scores"),
        (frozenset({"spot"}), "set of class names has no order"),
        ("names.txt", "Class names are a list.*read_class_names"),
        (7, "Class names are a list"),
        ([], "no class names"),
        ({}, "no class names"),
        (["a", None], "Class 1 has no name.*'unused'"),
        (["a", " "], "Class 1 has no name"),
        ([["a", 1]], "Class 0 has no name"),
        ({0: "a", 2: "b"}, "Class 1 has no name.*2 names for indices from 0 to 2.*'unused'"),
        ({1: "a", 2: "b"}, "Class 0 has no name.*count from 0.*'background'"),
        ({"a": 0, "b": 0}, "Class 0 has two names.*'a' and 'b'"),
        ({"a": "b"}, "no indices of classes.*{0: 'cat'"),
        ({"0": "1", "1": "0"}, "Both sides"),
        ({0.5: "a"}, "no indices"),
        ({True: "a"}, "no indices"),
    ],
)
def test_names_that_are_in_no_order_or_missing(names: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        bx.wrap(lambda images: images.mean(axis=(2, 3)), shape=(2, 8, 8), class_names=names)


FILES: dict[str, str | bytes] = {
    "plain.txt": "red\nblue\n",
    "mark.txt": b"\xef\xbb\xbfred\nblue",
    "windows.txt": "red\r\nblue\r\n",
    "sixteen.txt": "red\nblue".encode("utf-16"),
    "trailing.txt": "red\nblue  \n\n \n",
    "comma.txt": "0,red\n1,blue\n",
    "turned.csv": "1,blue\n0,red\n",
    "colon.txt": "0: red\n1: blue",
    "tab.tsv": "0\tred\n1\tblue",
    "space.txt": "0 red\n1  blue",
    "behind.csv": "red,0\nblue,1\n",
    "header.csv": "index,name\n0,red\n1,blue\n",
    "behind_header.csv": "name;id\nblue;1\nred;0\n",
    "quoted.csv": '0,"red"\n1,"blue"',
    "list.json": '["red", "blue"]',
    "id2label.json": '{"1": "blue", "0": "red"}',
    "label2id.json": '{"blue": 1, "red": 0}',
    "config.json": '{"architectures": ["X"], "id2label": {"0": "red", "1": "blue"}, "label2id": {"red": 0, "blue": 1}}',
    "python.txt": "{0: 'red',\n 1: 'blue'}",
}


@pytest.mark.parametrize("name", FILES)
def test_class_files(name: str, tmp_path: Path) -> None:
    content = FILES[name]
    (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
    assert read_class_names(tmp_path / name) == ("red", "blue")


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ("n01440764 tench, Tinca tinca\nn03372029 flute", ("n01440764 tench, Tinca tinca", "n03372029 flute")),
        ("n01440764\ttench\nn03372029,flute", ("n01440764 tench", "n03372029 flute")),
        ("0,n01440764,tench\n1,n03372029,flute", ("n01440764 tench", "n03372029 flute")),
        ("n03372029 1 flute\nn01440764 0 tench", ("n01440764 tench", "n03372029 flute")),
        ('{"0": ["n01440764", "tench"], "1": ["n03372029", "flute"]}', ("n01440764 tench", "n03372029 flute")),
        ('1,"tench, Tinca tinca"\n0,"6"" gun"', ('6" gun', "tench, Tinca tinca")),
        ("0,Pepper, bell\n1,Corn", ("Pepper, bell", "Corn")),
        ("7 up\n3 musketeers", ("7 up", "3 musketeers")),
        ("Audi, 2012\nBMW, 2013", ("Audi, 2012", "BMW, 2013")),
        ("0\n1\n2", ("0", "1", "2")),
        ("7,0\n9,1", ("7", "9")),
        ("crane\nflute\ncrane", ("crane", "flute", "crane")),
    ],
)
def test_class_files_whose_names_are_longer(content: str, names: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text(content)
    assert read_class_names(tmp_path / "names.txt") == names


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("latin.txt", "Schnäpper\nMöwe".encode("latin-1"), r"no text file .* UTF-8.*line 1: .*iconv -f WINDOWS-1252"),
        ("hole.txt", b"red\n\nblue", "Line 2 is empty"),
        ("empty.txt", b"\n\n", "no class names.*empty"),
        ("bytes.txt", b"\0\1", "no text file"),
        ("one.csv", b"1,red\n2,blue", "Class 0 has no name.*count from 0"),
        ("gap.csv", b"0,red\n2,blue", "Class 1 has no name"),
        ("twice.csv", b"0,red\n0,blue", "Class 0 has two names.*'red' and 'blue'"),
        ("unclear.csv", b"0,1\n1,0", "Both columns"),
        ("twice.json", b'{"0": "a", "0": "b"}', "'0' stands 2 times"),
        ("broken.json", b'["a", "b"', "line 1.*delimiter"),
        ("null.json", b'["a", null]', "Class 1 has no name"),
        ("number.json", b"3", "list.*number.json"),
    ],
)
def test_class_files_that_are_none(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_class_names(tmp_path / name)
    assert name in str(caught.value)


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot be read.*no such file"):
        read_class_names(tmp_path / "names.txt")


def test_yaml_files_name_the_package_that_reads_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data.yaml").write_text("names: [a, b]")
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(InputError, match=r"PyYAML.*data\.yaml.*pip install pyyaml, or write"):
        read_class_names(tmp_path / "data.yaml")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("train: images\nnc: 2\nnames: [no, yes]\n", ("no", "yes")),
        ("names:\n  1: bicycle\n  0: person\n", ("person", "bicycle")),
        ("- a\n- 7\n", ("a", "7")),
        ("nc: 3\nnames: [a, b]", None),
        ("a: [", None),
        ("", None),
    ],
)
def test_yaml_files(text: str, names: tuple[str, ...] | None, tmp_path: Path) -> None:
    pytest.importorskip("yaml")
    (tmp_path / "data.yml").write_text(text)
    if names is not None:
        assert read_class_names(tmp_path / "data.yml") == names
        return
    with pytest.raises(InputError, match=r"as many class names|cannot be read|are a list"):
        read_class_names(tmp_path / "data.yml")


def test_names_are_shown_as_short_as_they_are_unique() -> None:
    assert display_names(("tabby, tabby cat", "tiger cat")) == ("tabby", "tiger cat")
    assert display_names(PEPPERS) == PEPPERS
    assert display_names(SYNSETS) == ("crane (0)", "flute", "crane (2)")
    assert display_names(("Pepper, bell, healthy", "Pepper, bell, spot", "Corn, x")) == (
        "Pepper, bell, healthy",
        "Pepper, bell, spot",
        "Corn",
    )
    assert display_names(("maillot", "maillot, tank suit")) == ("maillot (0)", "maillot, tank suit")
    assert display_names(("a (1)", "a", "a")) == ("a (1) (0)", "a (1) (1)", "a (2)")
    assert display_names(("a", "a", "a (0)", "a (0)")) == ("a (0) (0)", "a (1)", "a (0) (2)", "a (0) (3)")
    assert display_names(("Cardigan, corgi", "cardigan")) == ("Cardigan, corgi", "cardigan (1)")
    assert shown_name(1, SYNSETS) == "flute"
    assert shown_name(3, SYNSETS) == shown_name(3, None) == "class 3"


WORDS = st.lists(st.sampled_from(["a", "b", "a (0)", "n02012849 a", "a_b", "A", "7"]), min_size=1, max_size=3)


@given(st.lists(WORDS.map(", ".join), min_size=1, max_size=8))
def test_no_two_classes_are_shown_alike_and_each_is_found(names: list[str]) -> None:
    shown = display_names(tuple(names))
    assert len({one.casefold() for one in shown}) == len(names)
    for index, name in enumerate(names):
        assert class_index(shown[index], len(names), names) == index
        if names.count(name) == 1:
            assert class_index(name, len(names), names) == index


def test_every_class_of_imagenet_is_found_as_it_is_shown(default_box: bx.BlackBox) -> None:
    names = default_box.spec.class_names
    assert names is not None
    shown = display_names(names)
    assert [class_index(one, 1000, names) for one in shown] == list(range(1000))
    assert (shown[134], shown[517], shown[281], shown[2]) == (
        "crane (134)",
        "crane (517)",
        "tabby",
        "great white shark",
    )


@pytest.mark.parametrize(
    ("label", "index"),
    [
        ("Pepper,_bell___healthy", 2),
        ("pepper, bell healthy", 2),
        ("corn healthy", 0),
        ("Corn___healthy", 0),
    ],
)
def test_underscores_are_spaces(label: str, index: int) -> None:
    assert class_index(label, 3, PEPPERS) == index


def test_whole_names_win_and_synonyms_do_where_they_are_unique() -> None:
    names = ("missile", "projectile, missile", "tank, army tank", "n03126707 crane")
    assert class_index("missile", 4, names) == 0
    assert class_index("projectile", 4, names) == 1
    assert class_index("army tank", 4, names) == 2
    assert class_index("n03126707", 4, names) == class_index("n03126707 crane", 4, names) == 3
    assert class_index("CRANE", 4, names) == 3
    assert class_index("3", 4, names) == 3
    assert [class_index(one, 2, ("Crane", "crane")) for one in ("Crane", "crane")] == [0, 1]
    assert class_index("tabby", 2, ("tabby,tabby cat", "dog")) == 0


@pytest.mark.parametrize(
    ("label", "names", "message"),
    [
        ("crane", SYNSETS, r"share this name.*one of 0 \(crane \(0\)\), 2 \(crane \(2\)\)"),
        ("Pepper", PEPPERS, r"share.*1 \(Pepper,_bell___Bacterial_spot\), 2 \(Pepper,_bell___healthy\)"),
        ("bell", ("Pepper, bell, spot", "Pepper, bell, healthy"), r"0 \(Pepper, bell, spot\), 1 \(Pepper, bell, heal"),
        ("fluet", SYNSETS, "no such class.*flute"),
        ("cran", SYNSETS, r"no such class.*crane \(0\)"),
        ("healthy", PEPPERS, "no such class.*Pepper,_bell___healthy, Corn___healthy"),
        ("zebra", SYNSETS, "no such class.*lists the names"),
        ("flute", None, "no names.*class_names="),
    ],
)
def test_names_that_are_not_found(label: str, names: tuple[str, ...] | None, message: str) -> None:
    with pytest.raises(TargetError, match=message):
        class_index(label, 3, names)


def test_a_models_own_names() -> None:
    own = ("apple", "mango", "zebra")
    assert check_own_names(own, own) is None
    assert check_own_names(("Apple", "MANGO", "zebra"), own) is None
    with pytest.raises(InputError, match=r"another order.*'zebra' for class 0.*'apple'.*\['apple', 'mango', 'zebra'\]"):
        check_own_names(("zebra", "apple", "mango"), own)
    with pytest.raises(InputError, match=r"do not match the model's own.*2 names.*3: 'apple'"):
        check_own_names(("apple", "mango"), own)
    note = check_own_names(("apple", "mango", "horse"), own)
    assert note == "the model has other names for 1 of its 3 classes: class 2 is 'zebra' there and 'horse' here"
    note = check_own_names(("zebra", "mango", "pear"), own)
    assert note is not None
    assert "'zebra' is class 0 here and class 2 there: check the order" in note


def test_names_that_differ_by_a_number_keep_it(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("digit 0\ndigit 1\n")
    assert read_class_names(tmp_path / "names.txt") == ("digit 0", "digit 1")


@pytest.mark.parametrize(
    "text",
    [
        '"1","dog"\n"0","cat"\n',
        "dog 1\ncat 0\n",
        "1. dog\n0. cat",
        "1 - dog\n0 - cat",
        '"dog","1"\n"cat","0"',
        "1) dog\n0) cat",
    ],
)
def test_indices_in_rows_are_read_however_they_are_set_apart(text: str, tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text(text)
    assert read_class_names(tmp_path / "names.txt") == ("cat", "dog")
