"""Files that were tampered with: each is read or refused; nothing crashes, hangs or fills the memory."""

from __future__ import annotations

import io
import os
import random
import resource
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.audits.reliability.audits import make_photos, run
from blackbox_explain import Explanation, explain, load_images, read_audit, wrap
from blackbox_explain.auditing.decoded_image import Decoder
from blackbox_explain.auditing.entries import Entry
from blackbox_explain.data.image_sources import SourceImage
from blackbox_explain.errors import BlackBoxExplainError
from blackbox_explain.samples import CAT, COFFEE, MODEL

MUTATED_IMAGES, MUTATED_MODELS, MUTATED_RESULTS = 5000, 500, 500

SECONDS = 60
"""What one mutated file may take; longer is a hang."""

MEMORY = 2 * 2**30
"""Bytes that reading one may take beside what the process had before."""


def fuzzed(scale: float) -> dict[str, Any]:
    """Read mutated images, models and results, a share `scale` of the full number of each."""
    images, models, results = (round(scale * one) for one in (MUTATED_IMAGES, MUTATED_MODELS, MUTATED_RESULTS))
    return {
        "images": _fuzz(_read_image, [CAT.read_bytes(), COFFEE.read_bytes(), *_other_formats()], images),
        "models": _fuzz(_read_model, [MODEL.read_bytes()], models),
        "results": _fuzz(_read_result, _results(), results),
    }


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
        run(folder / "photos", folder / "out")
        shard = next((folder / "out").glob("*.parquet")).read_bytes()
        return [saved, shard, (folder / "out" / "audit.json").read_bytes()]
