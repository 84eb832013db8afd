"""An audit that is killed at random moments and resumed each time finds what one that was left alone finds."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.audits.reliability.audits import BEGUN, command, left_over, make_photos, run, same_rows

__all__ = ["killed"]

KILLS, IMAGES = 20, 300


def killed(scale: float) -> dict[str, Any]:
    """Kill an audit at random moments after its start, resume it each time, and compare its rows.

    The moments are drawn so that about `KILLS` of them fall within the work; where an audit ends before it is killed,
    another one is begun.
    """
    kills, images = max(2, round(scale * KILLS)), max(32, round(scale * IMAGES))
    draw = random.Random(0)  # noqa: S311 - moments, no secrets
    moments: list[float] = []
    equal: list[bool] = []
    left: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        photos, whole, out = (Path(name) / one for one in ("photos", "whole", "out"))
        make_photos(photos, images)
        alone = _until_killed(photos, whole, None)
        if alone is None:
            raise RuntimeError("an audit that nobody kills did not end")
        while len(moments) < kills:
            moment = draw.uniform(0, 2 * alone / kills)
            if _until_killed(photos, out, moment) is None:
                moments.append(moment)
            else:
                equal.append(same_rows(out, whole))
                left += left_over(out)
                shutil.rmtree(out)
        last = run(photos, out)
        equal.append(same_rows(out, whole))
        left += left_over(out)
        shards = len(list(out.glob("*.parquet")))
    return {
        "images": images,
        "kills": len(moments),
        "kill_after_seconds": moments,
        "uninterrupted_seconds": alone,
        "audits": len(equal),
        "shards_of_the_last": shards,
        "exit_status": last.returncode,
        "rows_equal": all(equal),
        "unfinished_files_left": left,
    }


def _until_killed(photos: Path, out: Path, moment: float | None) -> float | None:
    """Run an audit and kill it so many seconds after its beginning; return how long it took, None if it was killed."""
    with subprocess.Popen(command(photos, out), stdout=subprocess.PIPE, text=True) as one:
        said = one.stdout.readline() if one.stdout else ""
        if said.strip() != BEGUN:
            raise SystemExit(f"the audit did not begin: {said!r}")
        started = time.monotonic()
        try:
            status = one.wait(moment)
        except subprocess.TimeoutExpired:
            one.send_signal(signal.SIGKILL)
            one.wait()
            return None
        if status:
            raise SystemExit(f"the audit ended with exit status {status}")
        return time.monotonic() - started
