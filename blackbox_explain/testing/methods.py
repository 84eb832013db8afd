"""The contract of methods as one check, for those here and for yours."""

from __future__ import annotations

import numpy as np

from blackbox_explain.box.info import BoxInfo
from blackbox_explain.box.protocols import BlackBox
from blackbox_explain.errors import BlackBoxExplainError
from blackbox_explain.explaining import explain
from blackbox_explain.methods.by_name import method_of
from blackbox_explain.methods.method import Method
from blackbox_explain.testing.case import Case, draw_images, require, require_frozen

__all__ = ["check_method"]


def check_method(method: str | Method, box: BlackBox, *, seed: int = 0, tolerance: float = 1e-6) -> None:
    """Check that a method keeps its promises on a box.

    It is a frozen dataclass; its maps are finite and of the size of the images; a row does not depend on its company
    or its place, and neither do its queries, of which there are no more than the budget says.

    Parameters
    ----------
    method
        Its name, or one with its settings.
    box
        A black box that has what the method needs.
    seed
        Of images and method.
    tolerance
        How far two maps of one image may be apart.

    Raises
    ------
    AssertionError
        If a promise is broken; it says which.
    """
    chosen = method_of(method, {})
    require_frozen(chosen)
    images = draw_images(Case(lambda: box, seed=seed), box, 3)
    try:
        together = explain(box, images, method=chosen, seed=seed, progress=False)
    except BlackBoxExplainError as error:
        raise AssertionError(f"explain() raised {error}") from error
    failed = [str(one) for one in together.outcome if one.failed]
    require(not failed, f"explain() {failed}")
    shape = (3, *box.spec.spatial)
    require(together.saliency.shape == shape, f"the saliency has shape {together.saliency.shape}, not {shape}")
    signed = together.attribution
    require(signed is None or signed.shape == images.shape, "the attribution has not the shape of the images")
    most = chosen.budget(BoxInfo.of(box)).with_region
    asked = int(together.queries.sum(axis=1).max())
    require(asked <= most, f"{asked} queries of a row, and the budget says {most} at most")
    turned = explain(box, images[::-1], method=chosen, seed=seed, batch_size=1, progress=False)
    for row in range(3):
        apart = float(np.abs(turned.saliency[2 - row] - together.saliency[row]).max())
        require(apart <= tolerance, f"row {row} depends on its company or its place: its maps differ by {apart:g}")
    require(
        (turned.queries[::-1] == together.queries).all(), "how often a row is asked depends on its company or its place"
    )
