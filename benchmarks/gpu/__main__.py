"""Run everything, a part at a time; what was measured is written after each, so that a run that is killed keeps it."""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.common.hardware import RESULTS, machine, record
from benchmarks.gpu.absent import Found, from_sources

SECONDS = 450.0
"""Of the 8 minutes; what begins within may run a little longer."""


def main(given: list[str] | None = None) -> int:
    """Measure; return 0, 1 where something failed, or 2 where there is nothing to measure with."""
    options = _parser().parse_args(given)
    if importlib.util.find_spec("torch") is None:
        print("PyTorch is not installed: there is nothing to measure with")
        return 2
    import torch

    if options.device == "cuda" and not torch.cuda.is_available():
        print("PyTorch sees no CUDA device; --device cpu runs everything by its twin on the CPU")
        return 2
    with from_sources() as found:
        for name, whose in found.taken.items():
            print(f"{name} is taken from elsewhere: {whose}", flush=True)
        for name, skipped in found.absent.items():
            print(f"{name} is absent; skipped: {skipped}", flush=True)
        return _Run(options, found).everything()


class _Run:
    """One run, with what it measured so far."""

    def __init__(self, options: argparse.Namespace, found: Found) -> None:
        from benchmarks.gpu.device import Device
        from benchmarks.gpu.sizes import FULL, TINY, Budget

        self.device = Device(options.device)
        self.sizes = TINY if options.tiny else FULL
        self.budget = Budget(options.seconds)
        self.absent = found.absent
        self.measured: dict[str, Any] = {}
        self._options = options
        self._machine = machine(options.commit)
        # What twins measured is of no card: it has a name of its own, which the page of results does not look for.
        self._name = "gpu" if self.device.cuda else "gpu-twin"
        self._settings = {
            "device": options.device,
            "tiny": options.tiny,
            "seconds": options.seconds,
            "sizes": vars(self.sizes),
            "absent": found.absent,
            "taken": found.taken,
        }

    def everything(self) -> int:
        """Run each part, the tests first and then what is worth most; what does not fit at the end is left out."""
        from benchmarks.gpu import effects, marked_tests, one_image, onnx_runtime, rates, waits
        from benchmarks.gpu.networks import FIRST, NETWORKS, googlenet_file, googlenet_files

        device, sizes, budget = self.device, self.sizes, self.budget
        package, photos = "array_api_compat", ("array_api_compat", "PIL")
        self._part("tests marked gpu", lambda: marked_tests.marked_tests(device, sizes, budget), "pytest", package)
        peak = self._rows("peaks", lambda: rates.peaks(device, sizes))
        self._rows("waits in the loop", lambda: waits.waits_of_the_loop(device, sizes), package)
        self._network(FIRST, peak)
        self._rows("against the plain loop", lambda: one_image.against_plain(device, sizes, budget), *photos)
        self._rows("effects of modes", lambda: effects.effects_of_modes(device, sizes, budget), *photos)
        looked = ", ".join(str(one.parent) for one in googlenet_files())
        for name in NETWORKS:
            if name != FIRST and googlenet_file().is_file():
                self._network(name, peak)
            elif name != FIRST:
                self._keep(f"bare, {name}", {"skipped": f"no {googlenet_file().name} in {looked}"})
        self._rows(
            "ONNX Runtime", lambda: onnx_runtime.onnx_runtime_rates(device, sizes, budget), "onnxruntime", package
        )
        self._rows("whole calls", lambda: one_image.whole_calls(device, sizes, budget), *photos)
        print(f"{budget.left:.0f} of {self._options.seconds:.0f} seconds are left")
        failed = [*_failures(self.measured)]
        for one in failed:
            print(f"failed: {one}")
        return int(bool(failed))

    def _network(self, name: str, peak: dict[str, Any]) -> None:
        from benchmarks.gpu import rates

        device, sizes, budget = self.device, self.sizes, self.budget
        needed = "array_api_compat"
        self._rows(f"bare, {name}", lambda: rates.bare_rates(device, name, sizes, budget, peak), needed)
        self._rows(f"loop, {name}", lambda: rates.loop_rates(device, name, sizes, budget), needed)

    def _part(self, name: str, measure: Callable[[], dict[str, Any]], *needed: str) -> None:
        from benchmarks.gpu.sizes import or_error

        lacking = self._lacking(needed)
        self._keep(name, {"skipped": lacking} if lacking else or_error(measure))

    def _rows(self, name: str, measure: Callable[[], Iterator[tuple[str, Any]]], *needed: str) -> dict[str, Any]:
        """Keep rows as they come; what was measured before an error stays, and the next part comes."""
        from benchmarks.gpu.sizes import or_error

        rows: dict[str, Any] = {}

        def all_rows() -> dict[str, Any]:
            for key, value in measure():
                rows[key] = value
                self._keep(name, rows)
            return {}

        lacking = self._lacking(needed)
        ended = {"skipped": lacking} if lacking else or_error(all_rows)
        if ended:
            rows.update(ended)
            self._keep(name, rows)
        return rows

    def _lacking(self, needed: tuple[str, ...]) -> str:
        lacking = [one for one in needed if one in self.absent]
        return f"{' and '.join(lacking)} {'is' if len(lacking) == 1 else 'are'} absent" if lacking else ""

    def _keep(self, name: str, value: dict[str, Any]) -> None:
        self.measured[name] = value
        path = record(self._name, self._settings, self.measured, self._options.results, known=self._machine)
        print(f"{time.strftime('%H:%M:%S')} {name}: {next(reversed(value), '')} -> {path.name}", flush=True)


def _failures(found: Any, where: str = "") -> Iterator[str]:
    """Return what failed, from wherever it stands in the results."""
    if isinstance(found, dict):
        if isinstance(found.get("failed"), str):
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
