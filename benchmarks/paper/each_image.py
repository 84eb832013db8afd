"""Goes through the images of an experiment, one after the other, and says how far it is."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np
from rich.console import Console

from benchmarks.paper.kept import Arrays
from benchmarks.paper.measured import Asked, Measurement
from benchmarks.paper.methods import make_maps
from benchmarks.paper.plan import Plan

__all__ = ["Measured", "console", "measured", "tried"]

Way = TypeVar("Way")

Measured = dict[str, dict[str, np.ndarray]]
"""By method, then by what was measured: (images, ...)."""

console = Console(width=120, highlight=False)


def measured(plan: Plan, names: Sequence[str], methods: Sequence[str], measurement: Measurement, what: str) -> Measured:
    """Measure the maps of methods in images; of a part of them where other processes do the rest.

    Parameters
    ----------
    plan
        The run.
    names
        Of validation images.
    methods
        Of `METHODS`.
    measurement
        What is measured of each map.
    what
        Is done, for people who wait.

    Returns
    -------
    dict
        The arrays of all images, stacked, in the order of `names`.
    """
    found: dict[str, list[Arrays]] = {method: [] for method in methods}
    started, done, share = time.process_time(), 0, plan.share(names)
    for some in plan.batches(names):
        images = [Asked(plan, plan.image(name)) for name in some]
        for method in methods:
            make_maps(plan, [asked.one for asked in images if not asked.has(measurement, method)], method)
        for asked in images:
            for method in methods:
                found[method].append(asked.measured(measurement, method))
        done += len(some)
        spent = time.process_time() - started
        console.print(f"  {what}: {done} of {len(share)}, {spent / 60:.1f} core-minutes")
    return {
        method: {key: np.stack([one[key] for one in rows]) for key in rows[0]} for method, rows in found.items() if rows
    }


def tried(
    plan: Plan, names: Sequence[str], methods: Sequence[str], ways: Mapping[Way, Measurement], what: str
) -> dict[Way, Measured] | None:
    """Measure held-out images in several ways, of which one is then chosen by all of them.

    Parameters
    ----------
    plan, names, methods, what
        As `measured` has them.
    ways
        Measurements.

    Returns
    -------
    dict or None
        What was measured in each way; None where other processes have not done their share of it yet.
    """
    found = {way: measured(plan, names, methods, one, f"{what}, {way}") for way, one in ways.items()}
    if not plan.is_part:
        return found
    images = [Asked(plan, plan.image(name)) for name in names]
    if not all(image.has(one, method) for image in images for method in methods for one in ways.values()):
        console.print("  run this part again once all parts are done with what is held out")
        return None
    whole = dataclasses.replace(plan, part=(0, 1))
    return {way: measured(whole, names, methods, one, f"{what}, {way}") for way, one in ways.items()}
