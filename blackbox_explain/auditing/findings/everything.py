"""All that an audit looks for, the worst first."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from blackbox_explain.auditing.findings.audited import Audited
from blackbox_explain.auditing.findings.counting import Count
from blackbox_explain.auditing.findings.images import CONFIDENT_MISTAKE, FAILED, NearDuplicates
from blackbox_explain.auditing.findings.places import FixedPlaces
from blackbox_explain.auditing.findings.regions import ARTEFACT, AT_BORDER, BOXES_UNREAD, NO_REGION, OUTSIDE_BOXES, TINY
from blackbox_explain.report.page.content import Finding

if TYPE_CHECKING:
    import pyarrow

__all__ = ["findings_of"]

ORDER = ("problem", "notice", "none")

QUESTIONS = (OUTSIDE_BOXES, CONFIDENT_MISTAKE, ARTEFACT, AT_BORDER, TINY, NO_REGION, BOXES_UNREAD)


def findings_of(tables: Callable[[], Iterable[pyarrow.Table]], method: str = "") -> list[Finding]:
    """Return what an audit found and what it did not find, the worst first.

    Parameters
    ----------
    tables
        Returns the table of an audit in parts, such as its shards, of which one is held at a time; it has the columns
        `COLUMNS`.  It is called twice where images are at one fixed place.
    method
        Of several, whose regions are looked at; "" is the only one.
    """
    places, duplicates = FixedPlaces(), NearDuplicates()
    counts = [Count(one) for one in QUESTIONS]
    failed = Count(FAILED)
    for table in tables():
        images = Audited.of(table, method)
        for one in (places, *counts, duplicates, failed):
            one.add(images)
    if places.wants_more():
        for table in tables():
            places.name(Audited.of(table, method))
    found = [*places.found(), *(one.found() for one in counts), duplicates.found(), failed.found()]
    return sorted(found, key=lambda one: ORDER.index(one.severity))
