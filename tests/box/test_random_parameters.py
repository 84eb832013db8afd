"""What is drawn in the place of a parameter."""

from __future__ import annotations

import numpy as np
import pytest

from blackbox_explain.box.adapter_tools.random_parameters import check_layers, drawn_like, note_on
from blackbox_explain.errors import InputError

VALUES = (3 + 2 * np.random.default_rng(0).normal(size=(40, 50))).astype(np.float32)


def test_the_mean_and_the_spread_are_those_of_the_parameter() -> None:
    found = drawn_like(VALUES, 0, "weight")
    assert (found.dtype, found.shape) == (VALUES.dtype, VALUES.shape)
    assert found.mean() == pytest.approx(VALUES.mean(), abs=0.2)
    assert found.std() == pytest.approx(VALUES.std(), rel=0.1)
    assert abs(np.corrcoef(found.ravel(), VALUES.ravel())[0, 1]) < 0.1


def test_the_seed_and_the_name_decide_and_nothing_else() -> None:
    np.testing.assert_array_equal(drawn_like(VALUES, 1, "weight"), drawn_like(VALUES, 1, "weight"))
    assert not np.array_equal(drawn_like(VALUES, 1, "weight"), drawn_like(VALUES, 2, "weight"))
    assert not np.array_equal(drawn_like(VALUES, 1, "weight"), drawn_like(VALUES, 1, "bias"))


@pytest.mark.parametrize("values", [np.zeros(5), np.full((2, 3), 0.1, np.float16), np.zeros((0, 3))])
def test_what_does_not_vary_stays(values: np.ndarray) -> None:
    np.testing.assert_array_equal(drawn_like(values, 0, "bias"), values)


def test_layers_that_are_not_there() -> None:
    with pytest.raises(InputError, match=r"No layer with parameters.*'conv3'; expected 'conv"):
        check_layers(["conv1", "conv3"], ("conv1", "conv2"))
    with pytest.raises(InputError, match="a sequence of names"):
        check_layers("conv1", ("conv1",))


def test_the_note_does_not_name_every_layer() -> None:
    assert note_on(["a", "b"], 3) == "the parameters of some layers are random (a, b; seed 3)"
    assert "(a, b, c and 7 more; seed 0)" in note_on(list("abcdefghij"), 0)
