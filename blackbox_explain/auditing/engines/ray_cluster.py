"""An audit on many processes or machines, by Ray Data: each worker holds the model, and one that dies is replaced."""

from __future__ import annotations

import importlib
import logging
import os
import pickle
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

from blackbox_explain.auditing.decoded_image import Decoder
from blackbox_explain.auditing.entries import Entry
from blackbox_explain.auditing.ledger.columns import Row
from blackbox_explain.auditing.plan import AuditPlan, differences
from blackbox_explain.auditing.row_maker import RowMaker
from blackbox_explain.box.adapter_tools.cores import THREADS
from blackbox_explain.box.protocols import BlackBox
from blackbox_explain.errors import BackendMissingError, InputError, ModelError, install_hint

__all__ = ["Worker", "run_on_ray", "sent_box"]

WORK, DONE = "work", "done"
"""Columns of what goes to a worker and what comes back: bytes that this package alone writes and reads."""


def run_on_ray(
    load: Callable[[], BlackBox],
    plan: AuditPlan,
    record: Mapping[str, Any],
    decoder: Decoder,
    entries: Iterable[Entry],
    workers: int | None = None,
    address: str | None = None,
    gpus: float = 0.0,
) -> Iterator[tuple[int, list[Row]]]:
    """Yield for each batch the number of its images, and the rows of those that were not finished before.

    Batches are those of the local engine, so that the rows are too; they come in the order in which they are done.

    Parameters
    ----------
    load
        Returns the model, on each worker.
    plan, decoder
        What is done with each image.
    record
        `AuditPlan.record` of the model that the audit is of, which workers compare with theirs.
    entries
        Of the images, in the order of the data set.
    workers
        How many hold the model; None is one for each core of the cluster, or each GPU where `gpus` is above 0.
    address
        Of a cluster that runs already, such as ``"auto"``; None starts one on this machine.
    gpus
        Of one worker.

    Raises
    ------
    BackendMissingError
        If Ray is not installed.
    InputError
        If the cluster has no GPU for a worker.
    ModelError
        If a worker loaded another model.
    """
    try:
        ray: Any = importlib.import_module("ray")
        data: Any = importlib.import_module("ray.data")
    except ImportError as error:
        raise BackendMissingError("This engine needs Ray", hint=install_hint("ray")) from error
    started = not ray.is_initialized()
    # Ray's own log would stand between the lines of the terminal.
    logging.getLogger("ray").setLevel(logging.ERROR)
    if started:
        ray.init(address=address or "local", include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    context = data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    try:
        have = ray.cluster_resources()
        if have.get("GPU", 0) < gpus:
            got = f"{gpus:g} for each worker, and {have.get('GPU', 0):g} in the cluster"
            raise InputError("There are too few GPUs", got=got, hint="without --gpus, workers take cores")
        count = workers or max(1, int(have.get("GPU", 0) / gpus if gpus else have.get("CPU", 1)))
        batches = [
            {WORK: pickle.dumps(list(group))}
            for _, group in groupby(map(_found_anywhere, entries), key=lambda one: one.position // plan.batch_size)
        ]
        actors = min(count, len(batches))
        # Where there is a worker for each core, each keeps to one.
        threads = 1 if not gpus and actors >= have.get("CPU", 1) else None
        made = data.from_items(batches, override_num_blocks=len(batches)).map_batches(
            Worker,
            fn_constructor_args=(load, plan, record, decoder, threads),
            batch_size=1,
            compute=data.ActorPoolStrategy(size=actors),
            num_cpus=0 if gpus else 1,
            num_gpus=gpus,
        )
        for row in made.iter_rows():
            found = pickle.loads(row[DONE])  # noqa: S301 - written by a worker of this run
            if isinstance(found, str):
                raise ModelError("A worker loaded another model than the audit is of", got=found)
            yield found
    finally:
        if started:
            ray.shutdown()


def sent_box(box: BlackBox) -> Callable[[], BlackBox]:
    """Return what hands a box to workers.

    Raises
    ------
    InputError
        If it cannot be sent.
    """
    try:
        pickle.dumps(box)
    except Exception as error:  # whatever pickle makes of what it does not know
        raise InputError(
            "This box cannot be sent to workers", got=f"{type(error).__name__}: {error}", hint="load=a function"
        ) from error
    return partial(_itself, box)


def _itself(box: BlackBox) -> BlackBox:
    return box


class Worker:
    """Holds the model in one process, and makes the rows of one batch after the other."""

    def __init__(
        self,
        load: Callable[[], BlackBox],
        plan: AuditPlan,
        record: Mapping[str, Any],
        decoder: Decoder,
        threads: int | None = None,
    ) -> None:
        if threads is not None and not os.environ.get(THREADS):
            # Ray tells PyTorch so, and knows nothing of ONNX Runtime.
            os.environ[THREADS] = str(threads)
        box = load()
        self._decoder, self._maker = decoder, RowMaker(box, plan)
        own = plan.record(box)
        # The driver's record also tells one file of labels from another, which is not the worker's to know.
        self._wrong = "; ".join(differences({name: record.get(name) for name in own}, own))

    def __call__(self, given: dict[str, Any]) -> dict[str, list[bytes]]:
        """Decode and explain batches of entries; return the rows of each, or what is wrong with the model."""
        # An error raised here would reach the driver as one of Ray's.
        return {DONE: [pickle.dumps(self._wrong or self._rows(pickle.loads(one))) for one in given[WORK]]}  # noqa: S301 - as above

    def _rows(self, entries: list[Entry]) -> tuple[int, list[Row]]:
        batch = [self._decoder.decode(one) for one in entries]
        wanted = [one for one in batch if one.pixels is not None or one.error is not None]
        return len(batch), self._maker.rows(wanted) if wanted else []


def _found_anywhere(entry: Entry) -> Entry:
    """Return an entry whose file is found from other working folders too."""
    return replace(entry, source=replace(entry.source, file=str(Path(entry.source.file).absolute())))
