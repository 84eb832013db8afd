"""How fast an audit goes on one core, and how much it writes: what estimates for large data sets are made from.

Run with ``python -m benchmarks.audits.audit_rate``; each way explains the same photos of ILSVRC, which are decoded,
explained, checked and written as in any audit.  What is stored fills the estimates in docs/audits.md, which ``--docs``
alone does without measuring again.
"""

from __future__ import annotations

import resource
import tempfile
import time
import tracemalloc
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.common.hardware import RESULTS, documented, machine, record
from benchmarks.common.photos import data_folder
from blackbox_explain import audit, wrap
from blackbox_explain.auditing.auditor import MOST_ROWS, SECONDS
from blackbox_explain.auditing.entries import entries_of
from blackbox_explain.auditing.plan import AuditPlan
from blackbox_explain.data.image_sources import SourceImage

WAYS: dict[str, dict[str, dict[str, Any]]] = {
    "mask, fast": {"mask": {}},
    "mask, quick": {"mask": {"preset": "quick"}},
    "grad-cam": {"grad-cam": {}},
}

NAME = "audit-rate"

DOCS = RESULTS.parents[1] / "docs" / "audits.md"

BEGIN, END = "<!-- rates: begin -->", "<!-- rates: end -->"

console = Console(width=120, highlight=False)


def measure(folder: Path, methods: dict[str, dict[str, Any]], limit: int) -> dict[str, float]:
    """Audit some photos on one core; the first look is not counted."""
    box = wrap("efficientnet-lite0", threads=1)
    with tempfile.TemporaryDirectory() as temporary:
        started = [0.0]

        def looked(_: Any) -> None:
            started[0] = time.perf_counter()

        plan, out = AuditPlan(methods=methods), Path(temporary) / "out"
        done = audit(
            box, folder, out, plan=plan, limit=limit, workers=1, accept_doubts=True, progress=False, looked=looked
        )
        seconds = time.perf_counter() - started[0]
        written = sum(path.stat().st_size for path in out.glob("rows-*.parquet"))
    return {
        "images": done.done,
        "failed": done.failed,
        "images_per_second": done.done / seconds,
        "bytes_per_image": written / done.done,
        "peak_mib_so_far": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def listed(count: int = 20_000) -> float:
    """Return the bytes that one image takes in the list of a data set, which is held as a whole."""
    spec = wrap("efficientnet-lite0").spec
    tracemalloc.start()
    names = [f"/data/photos/{place // 1000:06d}/{place:012d}.jpg" for place in range(count)]
    # As of a folder: name and file are two texts.
    sources = [SourceImage(name, str(Path(name))) for name in names]
    del names
    entries = entries_of(sources, spec, classes=1000)
    used = tracemalloc.get_traced_memory()[0] / len(entries)
    tracemalloc.stop()
    return used


def section(stored: dict[str, Any] | None) -> str:
    """Return the estimates for docs/audits.md, as lines of Markdown."""
    if stored is None:
        return (
            "Not measured yet: `python -m benchmarks.audits.audit_rate` measures the rates and writes the table here."
        )
    lines = [
        f"Measured on one core ({stored['machine']['processor']}) with EfficientNet-Lite0; the rest is multiplied:",
        "",
        "| method | images a second and core | bytes a row | images in a shard | 1 million: core hours | shards | GB "
        "| 1 billion on 1,000 cores: days | TB |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, row in stored["measured"]["ways"].items():
        rate, size = row["images_per_second"], row["bytes_per_image"]
        shard = min(float(MOST_ROWS), SECONDS * rate)
        cells = (
            f"{rate:.2f}", f"{size:,.0f}", f"{shard:,.0f}", f"{1e6 / rate / 3600:,.0f}", f"{1e6 / shard:,.0f}",
            f"{1e6 * size / 1e9:.1f}", f"{1e9 / rate / 1000 / 86400:,.0f}", f"{1e9 * size / 1e12:.1f}",
        )  # fmt: skip
        lines.append(f"| {name} | {' | '.join(cells)} |")
    held = stored["measured"]["bytes_per_listed_image"]
    lines += [
        "",
        f"The list of images is held as a whole, {held:,.0f} bytes for each: {held / 1e3:.2f} GB of a million, and "
        f"{held:,.0f} GB of a billion, so audit a billion as a hundred audits of ten million "
        f"({held / 100:.1f} GB each), each with an `--out` of its own. Shards are larger with more workers (up to "
        f"{MOST_ROWS:,} rows, or {SECONDS:.0f} seconds of work). Findings and report read one shard at a time.",
    ]
    return "\n".join(lines)


def filled(page: str, stored: dict[str, Any] | None) -> str:
    """Return a page with the estimates between its marks."""
    before, rest = page.split(BEGIN)
    return f"{before}{BEGIN}\n{section(stored)}\n{END}{rest.split(END)[1]}"


def stored_rates() -> dict[str, Any] | None:
    """Return what was measured on the machine that the docs are about; None if nothing was."""
    return documented(NAME)


def main(
    limit: Annotated[int, typer.Option(help="Photos; results are stored for 64 and more.")] = 64,
    docs: Annotated[
        bool, typer.Option("--docs", help="Write what is stored into docs/audits.md; measure nothing.")
    ] = False,
) -> None:
    """Measure every way."""
    if not docs:
        measured(limit)
    if docs or limit >= 64:
        DOCS.write_text(filled(DOCS.read_text(encoding="utf-8"), stored_rates()), encoding="utf-8")
        console.print(f"written into {DOCS.relative_to(RESULTS.parent.parent)}")


def measured(limit: int) -> None:
    """Measure, print and store."""
    folder = data_folder() / "ilsvrc_val" / "images"
    rows = {name: measure(folder, methods, limit) for name, methods in WAYS.items()}
    table = Table("method", "images / s", "bytes / image", "peak MiB so far", "core hours / million", "GB / million")
    for name, row in rows.items():
        table.add_row(
            name,
            f"{row['images_per_second']:.2f}",
            f"{row['bytes_per_image']:.0f}",
            f"{row['peak_mib_so_far']:.0f}",
            f"{1e6 / row['images_per_second'] / 3600:,.0f}",
            f"{row['bytes_per_image'] / 1e3:.1f}",
        )
    console.print(machine()["processor"])
    console.print(table)
    if limit >= 64:
        path = record(NAME, {"photos": limit}, {"ways": rows, "bytes_per_listed_image": listed()})
        console.print(f"stored in {path.parent.name}/{path.name}")


if __name__ == "__main__":
    typer.run(main)
