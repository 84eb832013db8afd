"""What goes wrong around an audit: each finished row is kept, each failure is in the table, the exit status says so."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.audits.reliability.audits import CODE, command, left_over, make_photos, run, same_rows
from blackbox_explain import read_audit

__all__ = ["failing"]

IMAGES = 120

FAILS = """
model = box
class Box:
    spec, calls = model.spec, 0
    def fingerprint(self):
        return "the same model"
    def _asked(self):
        self.calls += 1
        if FAILS and self.calls >= AT:
            raise ERROR
    def scores(self, images):
        self._asked()
        return model.scores(images)
    def scores_and_gradient(self, images, weights):
        self._asked()
        return model.scores_and_gradient(images, weights)
box = Box()
"""
"""Stands between an audit and its model, which fails from the call AT on, or not at all."""


def failing(scale: float) -> dict[str, Any]:
    """Let each thing go wrong, mend it, resume, and compare the rows with those of an undisturbed audit."""
    count = max(24, round(scale * IMAGES))
    cases: dict[str, Callable[[Path, Path, Path], dict[str, Any]]] = {
        "full disk": _full_disk,
        "read-only folder": _read_only,
        "vanished images": _vanished,
        "model raises at the 100th call": lambda *at: _model(*at, call=100, error="ValueError('broken')"),
        "out of memory at the 100th call": lambda *at: _model(*at, call=100, error="MemoryError('injected')"),
        "SIGTERM": _terminated,
    }
    found: dict[str, Any] = {"images": count}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        photos, whole = folder / "photos", folder / "whole"
        make_photos(photos, count)
        run(photos, whole)
        for place, (name, case) in enumerate(cases.items()):
            own = folder / str(place)
            own.mkdir()
            # What is stored tells nothing of the machine's folders.
            found[name] = json.loads(json.dumps(case(photos, whole, own / "out")).replace(f"{own}/", ""))
    return found


def _told(first: subprocess.CompletedProcess[str], out: Path) -> dict[str, Any]:
    lines = first.stderr.strip().splitlines()
    told: dict[str, Any] = {"exit_status": first.returncode, "message": lines[-1][:300] if lines else ""}
    if any(out.glob("rows-*.parquet")):
        errors = read_audit(out, columns=["error"]).error
        told |= {"rows_kept": int(errors.isna().sum()), "failures_in_table": int(errors.notna().sum())}
        told["unfinished_files_left"] = left_over(out)
    return told


def _resumed(photos: Path, whole: Path, out: Path) -> dict[str, Any]:
    again = run(photos, out)
    return {"exit_status_resumed": again.returncode, "rows_equal_resumed": same_rows(out, whole)}


def _full_disk(photos: Path, whole: Path, out: Path) -> dict[str, Any]:
    disk = out.parent / "disk"
    disk.mkdir()
    # Room for the manifest and half of the rows.
    rows = sum(path.stat().st_size for path in whole.glob("rows-*.parquet"))
    try:
        size = f"size={8192 + rows // 2}"
        subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(disk)], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        return {"measured": False, "why": f"no small disk can be made here: {error}"}
    try:
        told = _told(run(photos, disk / "out"), disk / "out")
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        return told | _resumed(photos, whole, disk / "out")
    finally:
        subprocess.run(["umount", str(disk)], check=False)


def _read_only(photos: Path, whole: Path, out: Path) -> dict[str, Any]:
    out.mkdir()
    how = "permissions"
    out.chmod(0o555)
    if os.access(out, os.W_OK):
        # Permissions do not bind this user; a file system that is mounted read-only does.
        how = "a read-only file system"
        try:
            mount = ["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(out)]
            subprocess.run(mount, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            return {"measured": False, "why": f"no folder can be made read-only here: {error}"}
    try:
        told = _told(run(photos, out), out) | {"how": how}
    finally:
        if how == "permissions":
            out.chmod(0o755)
        else:
            subprocess.run(["umount", str(out)], check=False)
    out.chmod(0o755)
    return told | _resumed(photos, whole, out)


def _vanished(photos: Path, whole: Path, out: Path) -> dict[str, Any]:
    every = sorted(photos.iterdir())
    gone = {path: path.read_bytes() for path in every[::7]}
    # A list goes on to name files that are no longer there.
    listed = photos.parent / "list.txt"
    listed.write_text("".join(f"{path}\n" for path in every))
    for path in gone:
        path.unlink()
    told = _told(run(listed, out), out) | {"vanished": len(gone)}
    for path, content in gone.items():
        path.write_bytes(content)
    return told | _resumed(listed, whole, out)


def _model(photos: Path, whole: Path, out: Path, call: int, error: str) -> dict[str, Any]:
    first, second = (
        CODE.replace('print("begun"', f'FAILS, AT, ERROR = {fails}, {call}, {error}\n{FAILS}\nprint("begun"')
        for fails in (True, False)
    )
    told = _told(run(photos, out, first), out)
    again = run(photos, out, second)
    fine = read_audit(out, columns=["error"]).error.isna()
    return told | {"exit_status_resumed": again.returncode, "rows_resumed": int(fine.sum())}


def _terminated(photos: Path, whole: Path, out: Path) -> dict[str, Any]:
    with subprocess.Popen(command(photos, out), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as one:
        while one.poll() is None and not list(out.glob("rows-*.parquet")):
            time.sleep(0.05)
        one.send_signal(signal.SIGTERM)
        said, complained = one.communicate()
    stopped = subprocess.CompletedProcess(one.args, one.returncode, said, complained)
    return _told(stopped, out) | _resumed(photos, whole, out)
