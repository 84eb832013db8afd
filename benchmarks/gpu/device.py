"""What is of CUDA in the measurements, and its twin on the CPU: timing, graphs, compiled modules, peak memory."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

__all__ = ["Device", "quartiles_of"]

SIDE_RUNS = 3
"""Runs on a side stream before a graph is captured, as PyTorch asks for."""


@dataclass(frozen=True)
class Device:
    """Where it is measured.

    Attributes
    ----------
    name
        ``"cuda"``, or ``"cpu"`` for the twins.
    """

    name: str

    @property
    def cuda(self) -> bool:
        """Whether this is no twin."""
        return self.name == "cuda"

    def timed(self, call: Callable[[], Any], repeats: int, warmup: int = 3) -> list[float]:
        """Return the milliseconds of each call, after some that warm up: between events, or by the clock."""
        for _ in range(warmup):
            call()
        if not self.cuda:
            return [_clocked(call) for _ in range(repeats)]
        pairs = [tuple(torch.cuda.Event(enable_timing=True) for _ in range(2)) for _ in range(repeats)]
        torch.cuda.synchronize()
        for before, after in pairs:
            before.record()
            call()
            after.record()
        torch.cuda.synchronize()
        return [before.elapsed_time(after) for before, after in pairs]

    def in_turns(self, calls: Sequence[Callable[[], Any]], repeats: int, warmup: int = 3) -> list[list[float]]:
        """Return the milliseconds of each repetition of several calls that are made in turns.

        Each begins with nothing queued, so that none hides behind the one before what the host does.
        """
        for _ in range(warmup):
            for call in calls:
                call()
        found: list[list[float]] = [[] for _ in calls]
        for _ in range(repeats):
            for times, call in zip(found, calls, strict=True):
                self.synchronize()
                times += self.timed(call, 1, warmup=0)
        return found

    def waited(self, call: Callable[[], Any], repeats: int, warmup: int = 1) -> list[float]:
        """Return the milliseconds of each call by the clock, the device having done everything: what a caller waits."""

        def whole() -> None:
            call()
            self.synchronize()

        for _ in range(warmup):
            whole()
        return [_clocked(whole) for _ in range(repeats)]

    def synchronize(self) -> None:
        """Wait for the device."""
        if self.cuda:
            torch.cuda.synchronize()

    def peak_gib(self, call: Callable[[], Any]) -> float:
        """Return the most memory that was allocated during a call; of the twin, the most that the process ever had.

        What is replayed allocates nothing: the call has to make and record it as well.
        """
        if not self.cuda:
            call()
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        call()
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated() / 2**30

    def replayed(self, call: Callable[..., Any], *arrays: torch.Tensor) -> Callable[..., Any]:
        """Return a function that is recorded once for arrays of these shapes, and replayed; the twin calls it.

        What it returns is overwritten by the next call.
        """
        if not self.cuda:
            return call
        held = [one.clone() for one in arrays]
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(SIDE_RUNS):
                call(*held)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            found = call(*held)

        def replay(*given: torch.Tensor) -> Any:
            for one, other in zip(held, given, strict=True):
                one.copy_(other)
            graph.replay()
            return found

        return replay

    def compile(self, module: torch.nn.Module) -> None:
        """Have a module compiled in place; the twin runs its traced code as it is."""
        module.compile(dynamic=False, **({} if self.cuda else {"backend": "eager"}))

    def free(self) -> None:
        """Give back what is cached."""
        if self.cuda:
            torch.cuda.empty_cache()


def quartiles_of(milliseconds: list[float]) -> dict[str, Any]:
    """Return median and quartiles, with all repetitions."""
    low, middle, high = np.percentile(milliseconds, (25, 50, 75))
    every = [round(one, 5) for one in milliseconds]
    return {"median_ms": float(middle), "quartiles_ms": [float(low), float(high)], "all_ms": every}


def _clocked(call: Callable[[], Any]) -> float:
    started = time.perf_counter()
    call()
    return (time.perf_counter() - started) * 1e3
