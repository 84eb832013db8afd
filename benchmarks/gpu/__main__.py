"""Run everything, a part at a time; what was measured is written after each, so that a run that is killed keeps it."""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parents[2] / "adapters")]

from benchmarks.common.hardware import RESULTS, machine, record  # noqa: E402 - the sources need not be installed
from benchmarks.gpu.absent import missing, take_array_api_compat  # noqa: E402 - the sources need not be installed

SECONDS = 450.0
"""Of the 8 minutes; what begins within may run a little longer."""


def main(given: list[str] | None = None) -> int:
    """Measure; return 0, or 1 where a test marked gpu failed."""
    options = _parser().parse_args(given)
    if importlib.util.find_spec("torch") is None:
        print("PyTorch is not installed: there is nothing to measure with")
        return 2
    import torch

    if options.device == "cuda" and not torch.cuda.is_available():
        print("PyTorch sees no CUDA device; --device cpu runs everything by its twin on the CPU")
        return 2
    copy = take_array_api_compat()
    absent = missing()
    for name, skipped in absent.items():
        print(f"{name} is absent; skipped: {skipped}", flush=True)
    return _Run(options, copy, absent).everything()


class _Run:
    """One run, with what it measured so far."""

    def __init__(self, options: argparse.Namespace, copy: str | None, absent: dict[str, str]) -> None:
        from benchmarks.gpu.device import Device
        from benchmarks.gpu.sizes import FULL, TINY, Budget

        self.device = Device(options.device)
        self.sizes = TINY if options.tiny else FULL
        self.budget = Budget(options.seconds)
        self.absent = absent
        self.measured: dict[str, Any] = {}
        self._options = options
        self._machine = machine(options.commit)
        self._settings = {
            "device": options.device,
            "tiny": options.tiny,
            "seconds": options.seconds,
            "sizes": vars(self.sizes),
            "absent": absent,
            "array_api_compat": copy or "its own",
        }

    def everything(self) -> int:
        """Run each part, the tests first."""
        from benchmarks.gpu import effects, marked_tests, one_image, onnx_runtime, rates, waits
        from benchmarks.gpu.files import googlenet_file, has_googlenet
        from benchmarks.gpu.modes import FIRST, NETWORKS

        device, sizes, budget = self.device, self.sizes, self.budget
        ours = "array_api_compat" not in self.absent
        nothing = {"skipped": "array_api_compat is absent"}
        if "pytest" in self.absent or not ours:
            self._keep("tests marked gpu", {"skipped": "pytest or array_api_compat is absent"})
        else:
            self._keep("tests marked gpu", marked_tests.marked_tests(device, sizes, budget))
        peak = rates.peaks(device, sizes)
        self._keep("peaks", peak)
        self._part("waits in the loop", lambda: waits.waits_of_the_loop(device, sizes) if ours else nothing)
        self._part("one image by a plain loop", lambda: one_image.baseline_rate(device, sizes, budget))
        for name in NETWORKS:
            if name != FIRST and not has_googlenet():
                self._keep(f"bare, {name}", {"skipped": f"{googlenet_file().name} is not there"})
                continue
            bare = self._rows(f"bare, {name}", rates.bare_rates(device, name, sizes, budget, peak))
            if ours:
                self._rows(f"loop, {name}", rates.loop_rates(device, name, sizes, budget, bare))
            if name == FIRST and ours:
                self._rows("whole calls", one_image.whole_calls(device, sizes, budget))
                if "PIL" in self.absent:
                    self._keep("effects of modes", {"skipped": "pillow is absent"})
                else:
                    self._rows("effects of modes", effects.effects_of_modes(device, sizes, budget))
        if "onnxruntime" in self.absent:
            self._keep("ONNX Runtime", {"skipped": "onnxruntime is absent"})
        else:
            self._rows("ONNX Runtime", onnx_runtime.onnx_runtime_rates(device, sizes, budget))
        print(f"{budget.left:.0f} of {self._options.seconds:.0f} seconds are left")
        failed = [*_failures(self.measured)]
        for one in failed:
            print(f"failed: {one}")
        return int(bool(failed))

    def _part(self, name: str, measure: Callable[[], Any]) -> None:
        from benchmarks.gpu.rates import or_error

        self._keep(name, or_error(measure))

    def _rows(self, name: str, found: Any) -> dict[str, Any]:
        rows: dict[str, Any] = {}
        try:
            for key, value in found:
                rows[key] = value
                self._keep(name, rows)
        except Exception as error:  # what was measured before is kept, and the next part comes
            rows["failed"] = f"{type(error).__name__}: {error}"[:300]
            self._keep(name, rows)
        return rows

    def _keep(self, name: str, value: Any) -> None:
        self.measured[name] = value
        path = record("gpu", self._settings, self.measured, self._options.results, known=self._machine)
        last = next(reversed(value), "") if isinstance(value, dict) else ""
        print(f"{time.strftime('%H:%M:%S')} {name}: {last} -> {path.parent.name}/{path.name}", flush=True)


def _failures(found: Any, where: str = "") -> Iterator[str]:
    """Return what failed, from wherever it stands in the results."""
    if isinstance(found, dict):
        if found.get("failed"):
            yield f"{where}: {found['failed']}"
        for name, inner in found.items():
            yield from _failures(inner, f"{where} / {name}" if where else str(name))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu runs the twins")
    parser.add_argument("--tiny", action="store_true", help="as little as shows that everything runs")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="that it may take")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the folders of machines")
    parser.add_argument("--commit", help="of the sources, where they are no repository")
    return parser


if __name__ == "__main__":
    sys.exit(main())
