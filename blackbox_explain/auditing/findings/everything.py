"""All that an audit looks for, the worst first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from blackbox_explain.auditing.findings.audited import Audited
from blackbox_explain.auditing.findings.images import confident_mistakes, failures, near_duplicates
from blackbox_explain.auditing.findings.places import fixed_places
from blackbox_explain.auditing.findings.regions import artefacts, at_border, outside_boxes, tiny, unexplained
from blackbox_explain.report.page.content import Finding

if TYPE_CHECKING:
    import pyarrow

__all__ = ["findings_of"]

ORDER = ("problem", "notice", "none")


def findings_of(table: pyarrow.Table, method: str = "") -> list[Finding]:
    """Return what an audit found and what it did not find, the worst first.

    Parameters
    ----------
    table
        From `read_audit`, of pyarrow, with all columns.
    method
        Of several, whose regions are looked at; "" is the mask, or the first by name.
    """
    audited = Audited.of(table, method)
    found = [*fixed_places(audited)]
    found += [look(audited) for look in (outside_boxes, confident_mistakes, artefacts, at_border, tiny, unexplained)]
    found += [near_duplicates(audited), failures(audited)]
    return sorted(found, key=lambda one: ORDER.index(one.severity))
