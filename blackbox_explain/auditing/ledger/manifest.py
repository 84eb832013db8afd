"""The manifest of an audit: what was asked, of which model, by which versions; and the lock of its folder."""

from __future__ import annotations

import importlib
import json
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from blackbox_explain.errors import BackendMissingError, ResultError, install_hint
from blackbox_explain.explanation.archive import completed
from blackbox_explain.whole_files import written_whole

__all__ = ["MANIFEST", "Manifest", "locked"]

MANIFEST = "audit.json"

FORMAT = 2
"""Of manifest and rows: audits of other formats lack columns, and are refused whole."""

LOCK = ".lock"


@dataclass
class Manifest:
    """What is known of an audit beside its rows.

    Attributes
    ----------
    plan
        All that the rows depend on, as `AuditPlan.record` returns it.
    model
        How the command line was told to find the model; None if it was not asked.
    images, labels, boxes
        What was typed.
    folder
        The working folder, from which relative paths are seen.
    command
        A line that does the same again; "" from Python.
    count
        Images of the data set.
    runs
        Of each run the versions that it was made with, and how it ended.
    first_look
        What was found before the first image, for JSON.
    """

    plan: Mapping[str, Any]
    model: Mapping[str, Any] | None = None
    images: list[str] = field(default_factory=list[str])
    folder: str = ""
    labels: str = ""
    boxes: str = ""
    command: str = ""
    count: int = 0
    runs: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    first_look: dict[str, Any] = field(default_factory=dict[str, Any])

    def write(self, folder: Path) -> None:
        """Write it, whole or not at all.

        Raises
        ------
        ResultError
            If it cannot be written.
        """
        text = json.dumps({"format": FORMAT, **asdict(self)}, indent=2)
        with written_whole(folder / MANIFEST, "The manifest cannot be written") as partial:
            partial.write_text(text, encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Manifest | None:
        """Read that of a folder; None if it has none.

        Raises
        ------
        ResultError
            If it is damaged, or of another version.
        """
        path = folder / MANIFEST
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError) as error:
            raise ResultError("The manifest of this audit is damaged", got=f"{path}: {error}") from error
        known = {
            "plan": dict, "images": list, "folder": str, "labels": str, "boxes": str, "command": str, "count": int,
            "runs": list, "first_look": dict,
        }  # fmt: skip
        if not isinstance(found, dict) or "format" not in found:
            raise ResultError("This is no manifest of an audit", got=str(path), expected=f"format {FORMAT}")
        if found["format"] != FORMAT:
            raise ResultError(
                "This audit was written by another version of this package",
                got=f"{path}: format {found['format']}",
                expected=f"format {FORMAT}",
                hint="that version to read it, or the audit again into another folder",
            )
        wrong = [name for name, kind in known.items() if not isinstance(found.get(name), kind)]
        wrong += [name for name in ("model",) if not isinstance(found.get(name), (dict, type(None)))]
        wrong += ["runs"] if not wrong and not all(isinstance(one, dict) for one in found["runs"]) else []
        parts = {"methods": dict, "grid": list, "shape": list, "curve_shares": list, "fit": str, "white": (float, int)}
        if not wrong:
            plan = found["plan"]
            wrong += [f"plan: {name}" for name, kind in parts.items() if not _is(plan, name, kind)]
            wrong += [f"runs: {name}" for one in found["runs"] for name in ("versions", "ended") if name not in one]
        if wrong:
            raise ResultError("The manifest of this audit is damaged", got=f"{path}: {wrong[0]}")
        methods = found["plan"]["methods"]
        methods |= {name: completed(name, settings) for name, settings in methods.items()}
        return cls(**{name: found[name] for name in (*known, "model")})


def _is(plan: Mapping[str, Any], name: str, kind: type | tuple[type, ...]) -> bool:
    """Return whether a part of a plan is there and of its kind; white may be None."""
    return name in plan and (isinstance(plan[name], kind) or (name == "white" and plan[name] is None))


@contextmanager
def locked(folder: Path) -> Generator[None]:
    """Keep other audits out of a folder; a run that was killed leaves it open.

    Raises
    ------
    ResultError
        If another audit writes there.
    """
    try:
        filelock = importlib.import_module("filelock")
    except ImportError as error:
        raise BackendMissingError("An audit locks its folder with filelock", hint=install_hint("audit")) from error
    lock = filelock.FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout as error:
        raise ResultError(
            "Another audit writes to this folder", got=str(folder), hint="another folder, or wait until it has ended"
        ) from error
    except OSError as error:
        raise ResultError("The output folder cannot be written", got=f"{folder}: {error.strerror}") from error
    try:
        yield
    finally:
        lock.release()
