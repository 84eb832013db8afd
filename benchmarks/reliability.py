"""What audits bear: being killed, full disks, files that were tampered with.

Run with ``python -m benchmarks.reliability`` and, to run some parts alone, ``--only kill --only fuzz``.
"""

from __future__ import annotations

import io
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import typer
from rich.console import Console

from benchmarks.common import machine, store
from blackbox_explain import Explanation, explain, load_images, read_audit, wrap
from blackbox_explain.auditing.decoded_image import Decoder
from blackbox_explain.auditing.entries import Entry
from blackbox_explain.data.image_sources import SourceImage
from blackbox_explain.errors import BlackBoxExplainError
from blackbox_explain.samples import CAT, COFFEE, MODEL

Part = Literal["kill", "disk", "fuzz"]

KILLS = 20

IMAGES = 300

MUTATED_IMAGES, MUTATED_MODELS, MUTATED_RESULTS = 5000, 500, 500

SECONDS = 60
"""What one mutated file may take; longer is a hang."""

MEMORY = 2 * 2**30
"""Bytes that reading one may take beside what the process had before."""

AUDIT = """
import sys
import blackbox_explain as bx
from blackbox_explain.auditing import auditor
from blackbox_explain.auditing.plan import AuditPlan
auditor.SECONDS = 1.0
plan = AuditPlan(methods={"mask": {"preset": "quick", "steps": 2}}, batch_size=8)
bx.audit(bx.wrap("efficientnet-lite0"), sys.argv[1], sys.argv[2], plan=plan, resume=True, progress=False,
         accept_doubts=True)
"""
"""Two steps: what is measured is what is kept, not what is found."""

console = Console(width=100, highlight=False)


def main(
    only: Annotated[list[Part] | None, typer.Option(help="Parts to run; the results of others stay.")] = None,
) -> None:
    """Run the parts one after the other, and store what became of each."""
    parts: dict[Part, Callable[[], dict[str, Any]]] = {"kill": killed, "disk": full_disk, "fuzz": fuzzed}
    for name in only or list(parts):
        console.print(f"{name} ...")
        found = parts[name]()
        console.print(f"{name}: {found}")
        store(f"reliability-{name}", {"machine": machine(), **found})


def killed() -> dict[str, Any]:
    """Kill an audit at random moments, resume it each time, and compare its rows with one that was left alone."""
    draw = random.Random(0)  # noqa: S311 - moments, no secrets
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_photos(folder / "photos", IMAGES)
        started = time.monotonic()
        subprocess.run([sys.executable, "-c", AUDIT, str(folder / "photos"), str(folder / "whole")], check=True)
        whole = time.monotonic() - started
        moments: list[float] = []
        for _ in range(KILLS):
            moment = draw.uniform(0.05, 0.35) * whole
            with subprocess.Popen([sys.executable, "-c", AUDIT, str(folder / "photos"), str(folder / "out")]) as one:
                try:
                    one.wait(moment)
                except subprocess.TimeoutExpired:
                    one.send_signal(signal.SIGKILL)
                    moments.append(moment)
        subprocess.run([sys.executable, "-c", AUDIT, str(folder / "photos"), str(folder / "out")], check=True)
        same = read_audit(folder / "out", to="arrow").equals(read_audit(folder / "whole", to="arrow"))
        left = [path.name for path in (folder / "out").iterdir() if path.name.endswith(".partial")]
        shards = len(list((folder / "out").glob("*.parquet")))
    return {
        "images": IMAGES,
        "kills": len(moments),
        "seconds": moments,
        "uninterrupted_seconds": whole,
        "shards": shards,
        "rows_equal": same,
        "unfinished_files_left": left,
    }


def full_disk() -> dict[str, Any]:
    """Let an audit write to a disk that is soon full, make room, and resume."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_photos(folder / "photos", 120)
        disk = folder / "disk"
        disk.mkdir()
        try:
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(disk)], check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            return {"measured": False, "why": f"no small disk can be made here: {error}"}
        try:
            command = [sys.executable, "-c", AUDIT, str(folder / "photos"), str(disk / "out")]
            first = subprocess.run(command, capture_output=True, text=True, check=False)
            kept = len(read_audit(disk / "out", columns=["path"]))
            left = [path.name for path in (disk / "out").iterdir() if path.name.endswith(".partial")]
            subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
            subprocess.run(command, check=True)
            rows = len(read_audit(disk / "out", columns=["path"]))
        finally:
            subprocess.run(["umount", str(disk)], check=False)
    return {
        "measured": True,
        "exit_status": first.returncode,
        "message": first.stderr.strip().splitlines()[-1],
        "rows_kept": kept,
        "unfinished_files_left": left,
        "rows_after_resuming": rows,
    }


def fuzzed() -> dict[str, Any]:
    """Read files that were tampered with: each must be read, or refused by an error of the package."""
    return {
        "images": _fuzz(_read_image, [CAT.read_bytes(), COFFEE.read_bytes(), *_other_formats()], MUTATED_IMAGES),
        "models": _fuzz(_read_model, [MODEL.read_bytes()], MUTATED_MODELS),
        "results": _fuzz(_read_result, _results(), MUTATED_RESULTS),
    }


def make_photos(folder: Path, count: int) -> None:
    """Write photos that differ: parts of the two samples."""
    from PIL import Image

    folder.mkdir(parents=True)
    draw = np.random.default_rng(0)
    samples = [Image.open(path).convert("RGB") for path in (CAT, COFFEE)]
    for index in range(count):
        photo = samples[index % 2]
        left, top = (int(draw.integers(0, size // 3)) for size in photo.size)
        part = photo.crop((left, top, left + photo.width // 2, top + photo.height // 2))
        part.save(folder / f"{index:04d}.jpg", quality=85)


def mutated(content: bytes, draw: random.Random) -> bytes:
    """Return a file with bits turned, a part missing, or a part of its head replaced."""
    kind = draw.randrange(3)
    changed = bytearray(content)
    if kind == 0:
        for _ in range(draw.choice((1, 4, 16, 64))):
            place = draw.randrange(len(changed))
            changed[place] ^= 1 << draw.randrange(8)
    elif kind == 1:
        del changed[draw.randrange(len(changed)) :]
    else:
        place, length = draw.randrange(min(512, len(changed))), draw.randrange(1, 16)
        changed[place : place + length] = draw.randbytes(length)
    return bytes(changed)


def _fuzz(read: Callable[[bytes], None], originals: list[bytes], count: int) -> dict[str, Any]:
    """Read mutated files in processes of limited time and memory; return how often what became of them."""
    draw = random.Random(1)  # noqa: S311 - mutations, no secrets
    files = (mutated(originals[k % len(originals)], draw) for k in range(count))
    outcomes: Counter[str] = Counter()
    worst = 0.0
    for outcome, seconds in _isolated(read, files):
        outcomes[outcome] += 1
        worst = max(worst, seconds)
    return {"files": count, "outcomes": dict(outcomes.most_common()), "slowest_seconds": worst}


def _isolated(read: Callable[[bytes], None], files: Iterator[bytes]) -> Iterator[tuple[str, float]]:
    from concurrent.futures.process import BrokenProcessPool

    pool = ProcessPoolExecutor(1, initializer=_limit)
    for content in files:
        try:
            yield pool.submit(_outcome, read, content).result(timeout=SECONDS)
        except BrokenProcessPool:
            yield "crashed", 0.0
            pool = ProcessPoolExecutor(1, initializer=_limit)
        except TimeoutError:
            yield "hung", float(SECONDS)
            pool.shutdown(wait=False, cancel_futures=True)
            pool = ProcessPoolExecutor(1, initializer=_limit)
    pool.shutdown()


def _limit() -> None:
    wrap(MODEL)  # what is loaded now does not count
    used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))


def _outcome(read: Callable[[bytes], None], content: bytes) -> tuple[str, float]:
    started = time.monotonic()
    try:
        read(content)
        outcome = "read"
    except BlackBoxExplainError:
        outcome = "refused"
    except MemoryError:
        outcome = "out of memory"
    except Exception as error:  # what no user should ever see
        outcome = f"not ours: {type(error).__name__}: {str(error)[:80]}"
    return outcome, time.monotonic() - started


def _read_image(content: bytes) -> None:
    spec = wrap(MODEL).spec if not _SPEC else _SPEC[0]
    _SPEC[:] = [spec]
    with tempfile.NamedTemporaryFile(suffix=".jpg") as file:
        Path(file.name).write_bytes(content)
        source = SourceImage(file.name, file.name)
        found = Decoder(spec).decode(Entry(0, source))
    if found.error is not None:
        raise found.error


_SPEC: list[Any] = []


def _read_model(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "model.onnx"
        path.write_bytes(content)
        box = wrap(path, cache=False)
        box.scores(np.zeros((1, *box.spec.shape), np.float32))


def _read_result(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if content[:4] == b"PK\3\4":
            (folder / "result.npz").write_bytes(content)
            Explanation.load(folder / "result.npz").summary()
        elif content[:4] == b"PAR1":
            (folder / "rows-0000-000000000.parquet").write_bytes(content)
            read_audit(folder)
        else:
            from blackbox_explain.auditing.ledger.manifest import Manifest

            (folder / "audit.json").write_bytes(content)
            Manifest.read(folder)


def _other_formats() -> list[bytes]:
    from PIL import Image

    found: list[bytes] = []
    with Image.open(CAT) as photo:
        small = photo.convert("RGB").resize((160, 120))
    for kind in ("PNG", "WEBP", "GIF", "BMP", "TIFF"):
        file = io.BytesIO()
        small.save(file, kind)
        found.append(file.getvalue())
    return found


def _results() -> list[bytes]:
    """Return a result, a shard and a manifest."""
    box = wrap("efficientnet-lite0")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        result = explain(box, load_images([CAT], box.spec), preset="quick", steps=2, progress=False)
        saved = result.save(folder / "result.npz").read_bytes()
        make_photos(folder / "photos", 4)
        subprocess.run([sys.executable, "-c", AUDIT, str(folder / "photos"), str(folder / "out")], check=True)
        shard = next((folder / "out").glob("*.parquet")).read_bytes()
        return [saved, shard, (folder / "out" / "audit.json").read_bytes()]


if __name__ == "__main__":
    typer.run(main)
