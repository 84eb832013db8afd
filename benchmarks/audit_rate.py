"""How fast an audit goes on one core, and how much it writes: what estimates for large data sets are made from.

Run with ``python -m benchmarks.audit_rate``; each way explains the same photos of ILSVRC, which are decoded, explained,
checked and written as in any audit.
"""

from __future__ import annotations

import resource
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.common import RESULTS, data_folder, machine, store
from blackbox_explain import audit, wrap
from blackbox_explain.auditing.plan import AuditPlan

WAYS: dict[str, dict[str, dict[str, Any]]] = {
    "mask, fast": {"mask": {}},
    "mask, quick": {"mask": {"preset": "quick"}},
    "grad-cam": {"grad-cam": {}},
}

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


def main(limit: Annotated[int, typer.Option(help="Photos; results are stored for 64 and more.")] = 64) -> None:
    """Measure every way."""
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
        console.print(f"stored in {store('audit-rate', {'ways': rows}).relative_to(RESULTS.parent.parent)}")


if __name__ == "__main__":
    typer.run(main)
