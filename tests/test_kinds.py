"""The exhaustive tests are drawn in parts: each is in one of them."""

from __future__ import annotations

import pytest

from tests.kinds import is_drawn, kept

TESTS = [f"tests/test_of.py::test_of_{place}" for place in range(300)]


def test_each_test_is_in_one_part() -> None:
    parts = [{one for one in TESTS if is_drawn(one, f"{place}/3")} for place in range(3)]
    assert set.union(*parts) == set(TESTS)
    assert sum(map(len, parts)) == len(TESTS)
    assert min(map(len, parts)) > 70


@pytest.mark.parametrize("part", ["3/3", "-1/3", "0", "0/0"])
def test_a_part_that_is_none_is_refused(part: str) -> None:
    with pytest.raises(ValueError, match=r"no such part|not enough values"):
        is_drawn(TESTS[0], part)


def test_the_rest_of_a_kind_is_exhaustive() -> None:
    first, second = kept(["a", "b"], "a")
    assert not first.marks
    assert [one.name for one in second.marks] == ["exhaustive"]
    with pytest.raises(ValueError, match="no such cases"):
        kept(["a"], "z")
