"""What strangers may send: files that would run code, read other files, fill the memory or write into a report."""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import tempfile
import time
import zipfile
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.audits.reliability.audits import BEGUN, command, make_photos, run
from blackbox_explain import Explanation, wrap
from blackbox_explain.auditing.report_page import write_report
from blackbox_explain.errors import BlackBoxExplainError
from blackbox_explain.samples import MODEL

__all__ = ["attacked"]

HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)"


def attacked(scale: float) -> dict[str, Any]:
    """Try each attack once; `scale` changes nothing."""
    cases: dict[str, Callable[[Path], dict[str, Any]]] = {
        "pickled models": _pickles,
        "weights outside of the model's folder": _outside,
        "zip bomb in .npz": _bomb,
        "markup in a file name": _injected,
        "two audits in one folder": _two,
    }
    found: dict[str, Any] = {}
    for name, case in cases.items():
        with tempfile.TemporaryDirectory() as folder:
            # What is stored tells nothing of the machine's folders.
            found[name] = json.loads(json.dumps(case(Path(folder))).replace(f"{folder}/", ""))
    return found


class _Armed:
    """Writes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


def _refused(load: Callable[[], Any]) -> dict[str, Any]:
    try:
        load()
    except BlackBoxExplainError as error:
        return {"refused": True, "message": str(error)[:300]}
    return {"refused": False}


def _pickles(folder: Path) -> dict[str, Any]:
    import torch

    mark = folder / "ran"
    for name in ("model.pkl", "model.joblib", "model.pickle"):
        (folder / name).write_bytes(pickle.dumps(_Armed(mark)))
    torch.save(_Armed(mark), folder / "model.pt")
    np.savez(folder / "result.npz", meta=np.asarray([_Armed(mark)], dtype=object))
    found: dict[str, Any] = {
        path.name: _refused(lambda path=path: wrap(path)) for path in sorted(folder.glob("model.*"))
    }
    found["result.npz"] = _refused(lambda: Explanation.load(folder / "result.npz"))
    return found | {"code_ran": mark.exists()}


def _outside(folder: Path) -> dict[str, Any]:
    import onnx

    inside = folder / "inside"
    inside.mkdir()
    given = onnx.load(MODEL)
    onnx.save_model(given, inside / "model.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    shutil.move(inside / "weights.bin", folder / "weights.bin")
    loose = onnx.load(inside / "model.onnx", load_external_data=False)
    found: dict[str, Any] = {}
    for place in ("../weights.bin", str(folder / "weights.bin")):
        for tensor in loose.graph.initializer:
            for one in tensor.external_data:
                one.value = place if one.key == "location" else one.value
        (inside / "model.onnx").write_bytes(loose.SerializeToString())
        found["absolute" if Path(place).is_absolute() else "relative"] = _refused(lambda: wrap(inside / "model.onnx"))
    return found


def _bomb(folder: Path) -> dict[str, Any]:
    path, gigabytes = folder / "bomb.npz", 2
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("saliency.npy", "w", force_zip64=True) as member,
    ):
        head = {"descr": "|u1", "fortran_order": False, "shape": (gigabytes * 2**30,)}
        np.lib.format.write_array_header_2_0(member, head)
        for _ in range(gigabytes * 64):
            member.write(bytes(2**24))
    return {"bytes": path.stat().st_size, "unpacked_gib": gigabytes, **_refused(lambda: Explanation.load(path))}


class _Tags(HTMLParser):
    """Collects what a page is made of that could run code."""

    def __init__(self) -> None:
        super().__init__()
        self.scripts = 0
        self.handlers: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"
        self.handlers += [name for name, _ in attrs if name.startswith("on")]


def _injected(folder: Path) -> dict[str, Any]:
    pages: list[_Tags] = []
    for name in ("plain", HOSTILE):
        photos = folder / f"photos {len(pages)}"
        make_photos(photos, 2)
        for place, path in enumerate(sorted(photos.iterdir())):
            path.rename(photos / f"{place} {name}.jpg")
        out = folder / f"out {len(pages)}"
        run(photos, out)
        seen = _Tags()
        seen.feed(write_report(out).read_text(encoding="utf-8"))
        pages.append(seen)
    plain, hostile = pages
    return {"scripts_added": hostile.scripts - plain.scripts, "handlers": hostile.handlers}


def _two(folder: Path) -> dict[str, Any]:
    make_photos(folder / "photos", 64)
    with subprocess.Popen(command(folder / "photos", folder / "out"), stdout=subprocess.PIPE, text=True) as first:
        if first.stdout is None or first.stdout.readline().strip() != BEGUN:
            raise SystemExit("the audit did not begin")
        while first.poll() is None and not list((folder / "out").glob("rows-*.parquet")):
            time.sleep(0.05)
        second = run(folder / "photos", folder / "out")
        status = first.wait()
    lines = second.stderr.strip().splitlines()
    told = {"first_exit_status": status, "second_exit_status": second.returncode}
    return told | {"message": lines[-1][:300] if lines else ""}
