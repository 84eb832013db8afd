"""Run from the sources alone: what an installation would register, and packages that others keep a copy of.

Both lie in a folder of their own, in front of everything that is imported, so that processes that are started from here
find them as well: ``PYTHONPATH`` brings them there.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

__all__ = ["COPIES", "WANTED", "Found", "from_sources"]

ROOT = Path(__file__).parents[2]

WANTED = {
    "array_api_compat": "everything but what the card can do: it is what the package needs to be imported",
    "PIL": "whole calls, and objective and deletions of each mode: nothing reads the two sample photos",
    "onnx": "gradients of ONNX models: only their scores are measured",
    "onnxruntime": "ONNX Runtime",
    "platformdirs": "gradients of ONNX models",
    "pytest": "the tests marked gpu",
}
"""What is skipped without a package."""

COPIES = {
    "array_api_compat": (
        ("scipy", "_lib/array_api_compat"),
        ("scipy", "_external/array_api_compat"),
        ("sklearn", "externals/array_api_compat"),
    ),
    "platformdirs": (("setuptools", "_vendor/platformdirs"), ("pip", "_vendor/platformdirs")),
}
"""Where others keep a copy of what is Python files alone: the other package, and the folder in it."""

VERSION = re.compile(r"^__version__[^\"'\n]*[\"'](\d+(?:\.\d+)*)", re.MULTILINE)


@dataclass(frozen=True)
class Found:
    """What the run is made with.

    Attributes
    ----------
    taken
        Packages that are copies kept by another package: whose, and their version.
    absent
        Packages of `WANTED` that cannot be had, with what is skipped without them.
    """

    taken: dict[str, str]
    absent: dict[str, str]


@contextmanager
def from_sources() -> Generator[Found]:
    """Make the package usable inside as if it were installed, here and in processes that are started."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    with tempfile.TemporaryDirectory() as folder:
        site = Path(folder)
        _register(site, project)
        taken, old = _take_copies(site, _least_versions(project))
        path = [str(site), str(ROOT), str(ROOT / "adapters"), *sys.path]
        with (
            patch.object(sys, "path", path),
            patch.dict(os.environ, {"PYTHONPATH": os.pathsep.join(one for one in path if one)}),
        ):
            importlib.invalidate_caches()
            yield Found(taken, _absent(old))


def _register(site: Path, project: dict[str, dict[str, dict[str, str]]]) -> None:
    """Write what an installation would leave of the entry points: the package finds its own parts by them."""
    version = _version_of(ROOT / "blackbox_explain")
    about = site / f"blackbox_explain-{version}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {version}\n", encoding="utf-8"
    )
    groups = (
        "\n".join([f"[{group}]", *(f"{name} = {what}" for name, what in points.items())])
        for group, points in project["entry-points"].items()
    )
    (about / "entry_points.txt").write_text("\n\n".join(groups) + "\n", encoding="utf-8")


def _take_copies(site: Path, least: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Copy the newest of each package that others keep; return whose were taken, and what is too old to be used."""
    taken, old = dict[str, str](), dict[str, str]()
    for name, places in COPIES.items():
        own = _folder_of(name)
        # Of equal versions the first is taken: what is installed by its own name needs no copy.
        known = [("its own", own)] if own else []
        for package, inside in places:
            folder = _folder_of(package)
            if folder and (folder / inside / "__init__.py").is_file():
                known.append((package, folder / inside))
        if not known:
            continue
        whose, newest = max(known, key=lambda one: _numbers(_version_of(one[1])))
        version = _version_of(newest)
        if _numbers(version) < _numbers(least.get(name, "0")):
            old[name] = f"the newest is {version} of {whose}, older than {least[name]}"
        elif newest != own:
            shutil.copytree(newest, site / name, ignore=shutil.ignore_patterns("__pycache__"))
            taken[name] = f"{version} of {whose}"
    return taken, old


def _absent(old: dict[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, skipped in WANTED.items():
        if name in old:
            found[name] = f"{skipped} ({old[name]})"
            continue
        try:
            importlib.import_module(name)
        except ImportError:
            found[name] = skipped
    return found


def _folder_of(package: str) -> Path | None:
    """Return where a package lies, without importing it; None where it is not installed."""
    try:
        spec = importlib.util.find_spec(package)
    except ModuleNotFoundError:
        return None
    return Path(spec.origin).parent if spec and spec.origin else None


def _version_of(folder: Path) -> str:
    """Read the version of a package from its files; "0" where they do not tell."""
    files = (folder / one for one in ("__init__.py", "version.py"))
    told = (VERSION.search(one.read_text(encoding="utf-8")) for one in files if one.is_file())
    return next((one.group(1) for one in told if one), "0")


def _least_versions(project: dict[str, dict[str, list[str]]]) -> dict[str, str]:
    """Return the least version of each package that the project says."""
    wanted = [*project["dependencies"], *(one for extra in project["optional-dependencies"].values() for one in extra)]
    told = (re.match(r"([\w-]+)>=([\d.]+)", one) for one in wanted)
    return {one.group(1).replace("-", "_"): one.group(2) for one in told if one}


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(one) for one in version.split("."))
