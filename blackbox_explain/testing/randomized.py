"""What boxes of random parameters must be, for black boxes whose model can be had with them."""

from __future__ import annotations

from typing import Any

import numpy as np

from blackbox_explain.arrays import to_numpy
from blackbox_explain.box.protocols import Differentiable, Randomizable
from blackbox_explain.errors import UnsupportedModelError
from blackbox_explain.testing.case import Case, draw_images, promise, require, require_same

__all__ = ["check_randomized"]


@promise
def check_randomized(case: Case) -> None:
    """Check that ``randomized`` gives a box of another model by the seed alone, and leaves this one as it is.

    Notes
    -----
    A model may refuse, with a message.  Parameters that are all the same are not drawn, so that a single layer may stay
    what it is; of all layers together some has to change.
    """
    box: Any = case.make()
    if not isinstance(box, Randomizable):
        return
    images = draw_images(case, box)
    before = to_numpy(box.scores(images)), None if case.state is None else case.state()
    try:
        layers = box.parameter_layers()
    except UnsupportedModelError as refusal:
        require(str(refusal) != "", "random parameters are refused without a message")
        return
    require(len(set(layers)) == len(layers) > 0, "parameter_layers() names no layer, or one twice")
    one, other, same = box.randomized(layers, 0), box.randomized(layers, 1), box.randomized((), 0)
    require(one.spec == box.spec, "the box of random parameters has another spec")
    kept = isinstance(one, Differentiable) == isinstance(box, Differentiable)
    require(kept, f"the box of random parameters is a {type(one).__name__}, which has other capabilities")
    require_same(same.scores(images), before[0], case.tolerance, "scores where no layer has random parameters")
    again = box.randomized(layers, 0).scores(images)
    require_same(again, one.scores(images), case.repeat_tolerance, "scores of random parameters of one seed")
    after = to_numpy(box.scores(images)), None if case.state is None else case.state()
    require_same(after[0], before[0], case.repeat_tolerance, "scores after random parameters were drawn")
    require(after[1] == before[1], "the model changed while random parameters were drawn")
    for made in (one, other):
        changed = not np.allclose(to_numpy(made.scores(images)), before[0], rtol=case.tolerance, atol=0)
        require(changed, "random parameters in all layers leave the scores as they are")
    differ = not np.array_equal(to_numpy(one.scores(images)), to_numpy(other.scores(images)))
    require(differ, "random parameters do not depend on the seed")
