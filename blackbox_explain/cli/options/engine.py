"""The options that say where an audit runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import typer

from blackbox_explain.auditing.auditor import Engine

__all__ = ["EngineOptions"]


@dataclass(frozen=True)
class EngineOptions:
    """Where an audit runs, as typed."""

    panel: ClassVar[str] = "Where it runs"

    engine: Annotated[
        Engine, typer.Option(metavar="NAME", help="local: this process; ray: many, on this machine or a Ray cluster.")
    ] = "local"
    num_workers: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="local: threads that read images; ray: processes that hold the model. Default: one for each core.",
            min=1,
        ),
    ] = None
    ray_address: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="A Ray cluster that runs already, such as auto.")
    ] = None
    gpus: Annotated[float, typer.Option("--gpus-per-worker", metavar="N", help="ray: GPUs of each worker.", min=0)] = 0
