"""`audit`: explain a whole data set, so that nothing finished is ever lost; `read_audit` reads what was found."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

from blackbox_explain.auditing.decoded_image import Decoder
from blackbox_explain.auditing.engines.local import run_here
from blackbox_explain.auditing.engines.ray_cluster import run_on_ray, sent_box
from blackbox_explain.auditing.entries import Entry, entries_of
from blackbox_explain.auditing.findings.audited import COLUMNS
from blackbox_explain.auditing.findings.everything import findings_of
from blackbox_explain.auditing.findings.sampled_rules import SAMPLE, check_sample, learn_rules
from blackbox_explain.auditing.first_look import FirstLook, look_at
from blackbox_explain.auditing.interrupts import interrupts_wait, terminations_as_interrupts
from blackbox_explain.auditing.ledger.columns import CERTIFICATES, Row, as_text, schema_of
from blackbox_explain.auditing.ledger.manifest import Manifest, locked
from blackbox_explain.auditing.ledger.shards import (
    ShardWriter,
    finished_images,
    read_shards,
    remove_unfinished,
    shard_paths,
    shard_tables,
)
from blackbox_explain.auditing.output_folder import OutputFolder
from blackbox_explain.auditing.plan import AuditPlan, differences
from blackbox_explain.auditing.row_maker import RowMaker
from blackbox_explain.box.oracle import Oracle
from blackbox_explain.box.protocols import BlackBox
from blackbox_explain.data.image_sources import SourceImage, source_images
from blackbox_explain.errors import BackendMissingError, InputError, ResultError
from blackbox_explain.explanation.archive import finite
from blackbox_explain.explanation.provenance import versions
from blackbox_explain.explanation.region import SHARES
from blackbox_explain.progress import progress_bar
from blackbox_explain.report.page.content import Finding

__all__ = ["Audit", "Engine", "audit", "read_audit"]

Engine = Literal["local", "ray"]

SECONDS = 60.0
"""How long rows may wait to be written: what a machine that goes down costs at most, beside the batch at work."""

MOST_ROWS = 1000
"""And how many rows may."""


@dataclass(frozen=True)
class Audit:
    """What became of an audit.

    Attributes
    ----------
    folder
        Where its results are.
    images
        Of the data set.
    done
        How many of them were explained in this run; the others had been before.
    failed
        How many of these have no explanation.
    first_look
        What was found before the first image; None of a run that was resumed.
    seconds
        How long this run took.
    """

    folder: Path
    images: int
    done: int
    failed: int
    first_look: FirstLook | None
    seconds: float

    def table(self) -> Any:
        """Return all rows as a pandas DataFrame; see `read_audit`."""
        return read_audit(self.folder)

    @property
    def methods(self) -> tuple[str, ...]:
        """Names of the methods that the images were explained by."""
        manifest = Manifest.read(self.folder)
        return () if manifest is None else tuple(manifest.plan["methods"])

    def findings(self) -> list[Finding]:
        """Return what was found by the first method of what audits look for, the worst first."""
        return findings_of(partial(shard_tables, self.folder, COLUMNS), next(iter(self.methods), ""))

    def unexplained(self) -> int:
        """Return how many images of the table have no explanation, of all runs."""
        tables = shard_tables(self.folder, ["position", "error"])
        return len({row["position"] for table in tables for row in table.to_pylist() if row["error"] is not None})

    def to_dict(self) -> dict[str, Any]:
        """Return the same for JSON, with the findings."""
        look = None if self.first_look is None else self.first_look.to_dict()
        told = {"folder": str(self.folder), "images": self.images, "done": self.done, "failed": self.failed}
        # Of all runs: what ended before this one, and what a later one has to do again.
        told |= {"before": self.images - self.done, "unexplained": self.unexplained()}
        found = [asdict(one) for one in self.findings()]
        return finite({**told, "seconds": self.seconds, "first_look": look, "findings": found})


def audit(
    box: BlackBox,
    images: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    plan: AuditPlan | None = None,
    labels: str | Path | None = None,
    boxes: str | Path | None = None,
    limit: int | None = None,
    resume: bool = False,
    accept_doubts: bool = False,
    engine: Engine = "local",
    workers: int | None = None,
    ray_address: str | None = None,
    gpus: float = 0.0,
    load: Callable[[], BlackBox] | None = None,
    rules: int = SAMPLE,
    model: Mapping[str, Any] | None = None,
    command: str = "",
    progress: bool | None = None,
    told: Callable[[Row], None] = lambda _row: None,
    looked: Callable[[FirstLook], None] = lambda _look: None,
) -> Audit:
    """Explain every image of a data set, check each region, and keep what was found in Parquet files.

    Parameters
    ----------
    box
        From `wrap`.
    images
        Photos, folders, patterns, lists (.txt), Parquet files and WebDataset shards (.tar); see `source_images`.
    out
        Folder for the results; `read_audit` reads them.
    plan
        How each image is explained; None learns a mask for the top class of each.
    labels
        CSV file of true classes, with the columns ``file`` and ``label``.
    boxes
        CSV file of objects, with the columns ``file``, ``x0``, ``y0``, ``x1``, ``y1`` and ``label``.
    limit
        Take the first so many images.
    resume
        Go on with an audit that was begun in `out`: images that it finished are skipped, as long as their files are
        the same.
    accept_doubts
        Go on where the first look finds that the model may be shown the wrong pixels.
    engine
        ``"local"``: this process.  ``"ray"``: workers here or on a Ray cluster, each of which holds the model;
        the rows are the same.
    workers
        Locally, how many threads decode images; on Ray, how many workers there are.  None is one for each core, or GPU.
    ray_address
        Of a Ray cluster that runs already, such as ``"auto"``; None starts one on this machine.
    gpus
        Of one worker on Ray.
    load
        Returns the model on each worker on Ray; None sends the box, which must then be one that can be pickled.
    rules
        Images, drawn at random, that rules with measured errors are learned on once all are explained: at
        least 30, or 0 for none.
    model, command
        What the manifest says of the model and of how to do the same again.
    progress
        True or False; None shows a bar on a terminal.
    told
        Called with each row of an image that has no explanation.
    looked
        Called with what was found before the first image.

    Returns
    -------
    Audit
        What became of it; images that failed are in the table with their errors.

    Raises
    ------
    ImageError
        If there are no images.
    InputError
        If a setting, a label or a box does not fit, or the first look finds that the model may be shown the wrong
        pixels.
    ResultError
        If the folder cannot be written, holds another audit, or holds one of another model or of other settings.
    UnreachableError
        If the model cannot be asked at all; what was finished is kept.
    """
    started = time.monotonic()
    asked = AuditPlan() if plan is None else plan
    asked.check(box)
    if engine not in get_args(Engine) or (limit is not None and limit < 1) or (workers is not None and workers < 1):
        got = f"engine={engine!r}, limit={limit}, workers={workers}"
        raise InputError("This cannot be audited so", got=got, expected="'local' or 'ray', and numbers from 1 up")
    check_sample(rules)
    where = OutputFolder(Path(out))
    given = [Path(one) for one in ([images] if isinstance(images, (str, Path)) else images)]
    sources = source_images(given, where.path)[:limit]
    classes = _classes(box, sources, asked)
    entries = entries_of(sources, box.spec, classes=classes, labels=labels, boxes=boxes)
    folder = where.made()
    with locked(folder):
        begun = Manifest.read(folder)
        manifest = Manifest(
            plan=asked.record(box)
            | {"labels": _digest(labels), "boxes": _digest(boxes), "certified_by": list(CERTIFICATES)},
            model=model,
            images=[str(one) for one in given],
            folder=str(Path.cwd()),
            labels=str(labels or ""),
            boxes=str(boxes or ""),
            command=command,
            count=len(entries),
        )
        _check_resumed(folder, begun, manifest, resume)
        done = finished_images(folder)
        _check_listed(folder, {name for name, _, _ in done}, {as_text(one.name) for one in sources})
        remove_unfinished(folder)
        decoder = Decoder(box.spec, asked.fit, asked.white)
        first = None
        if begun is None:
            first = look_at(box, decoder, entries, asked.seed)
            looked(first)
            if first.suspicious and not accept_doubts:
                raise InputError(
                    "The model may be shown the wrong pixels",
                    got="; ".join(first.doubts),
                    hint="the audit with these options, or with --yes (accept_doubts=True) as it is",
                )
            manifest.first_look = first.to_dict()
        else:
            manifest.first_look, manifest.runs = begun.first_look, begun.runs
        run = len(manifest.runs)
        manifest.runs.append({"versions": versions(), "ended": "", "images": 0})
        manifest.write(folder)
        plain, decoder = decoder, replace(decoder, finished=done)
        writer = ShardWriter(folder, schema_of(asked.grid(box), len(SHARES)), run)
        work = _Work(manifest, folder, writer, told)
        if engine == "ray":
            give = sent_box(box) if load is None else load
            batches = run_on_ray(give, asked, manifest.plan, decoder, entries, workers, ray_address, gpus)
        else:
            batches = run_here(RowMaker(box, asked), decoder, entries, workers)
        with progress_bar(len(entries), "auditing", progress) as advance, terminations_as_interrupts():
            work.all(batches, advance)
        learn_rules(box, plain, entries, folder, most=rules, seed=asked.seed, progress=progress)
    return Audit(folder, len(entries), work.done, work.failed, first, time.monotonic() - started)


def read_audit(
    folder: str | Path, *, columns: Sequence[str] | None = None, to: Literal["pandas", "arrow"] = "pandas"
) -> Any:
    """Read what an audit found, also while it runs.

    Parameters
    ----------
    folder
        The `out` of `audit`.
    columns
        Names of the columns that are wanted (see `schema_of`); None takes all.
    to
        ``"pandas"``: a DataFrame.  ``"arrow"``: a table of pyarrow.

    Returns
    -------
    pandas.DataFrame or pyarrow.Table
        A row for each image, method and class, in the order of the data set.

    Raises
    ------
    ResultError
        If there is no audit, or it is damaged.
    InputError
        If there is no such column or kind of table.
    BackendMissingError
        If pyarrow or pandas is not installed.
    """
    path = Path(folder)
    if not path.is_dir():
        raise ResultError("There is no such folder", got=str(path), expected="the --out of an audit")
    if to not in ("pandas", "arrow"):
        raise InputError("There is no such kind of table", got=f"to={to!r}", expected="'pandas' or 'arrow'")
    known = schema_of((1,), 1).names
    if columns is not None and (wrong := [name for name in columns if name not in known]):
        raise InputError("An audit has no such column", got=wrong[0], expected=", ".join(known))
    table = read_shards(path, columns)
    if to == "arrow":
        return table
    try:
        return table.to_pandas()
    except ImportError as error:
        hint = 'pip install pandas, or to="arrow"'
        raise BackendMissingError("A DataFrame needs pandas", hint=hint) from error


@dataclass
class _Work:
    """Writes what an engine finds, and counts it."""

    manifest: Manifest
    folder: Path
    writer: ShardWriter
    told: Callable[[Row], None]
    done: int = 0
    failed: int = 0

    def all(self, batches: Iterator[tuple[int, list[Row]]], advance: Callable[[int], None]) -> None:
        """Write all batches; whatever ends the run, what is finished is written."""
        ended, last = "interrupted", time.monotonic()
        try:
            for count, rows in batches:
                self.writer.add(rows)
                self.done += len({row["position"] for row in rows})
                self.failed += len({row["position"] for row in rows if row.get("error")})
                if len(self.writer) >= MOST_ROWS or time.monotonic() - last >= SECONDS:
                    with interrupts_wait():
                        self.writer.flush()
                    last = time.monotonic()
                for row in rows:
                    if row.get("error"):
                        self.told(row)
                advance(count)
            ended = "finished"
        finally:
            with interrupts_wait():
                self.writer.flush()
                self.manifest.runs[-1] |= {"ended": ended, "images": self.done}
                self.manifest.write(self.folder)


def _classes(box: BlackBox, sources: Sequence[SourceImage], plan: AuditPlan) -> int:
    """Return K: of the names, or else of the answer about the first image that can be read."""
    if box.spec.class_names is not None:
        return len(box.spec.class_names)
    decoder = Decoder(box.spec, plan.fit, plan.white)
    for place, source in enumerate(sources):
        pixels = decoder.decode(Entry(place, source)).pixels
        if pixels is not None:
            return int(Oracle.of(box).scores(pixels[None]).shape[1])
    return 1


def _digest(path: str | Path | None) -> str | None:
    """Return what tells one file of labels or boxes from another; None of none."""
    return None if path is None else hashlib.sha256(Path(path).read_bytes()).hexdigest()


def _check_listed(folder: Path, before: set[str], now: set[str]) -> None:
    """Refuse a data set without images that are in the table: nobody could say what the table is of."""
    if gone := sorted(before - now):
        raise ResultError(
            "The audit in this folder is of images that are not among those given",
            got=f"{len(gone)} of them, such as {gone[0]}",
            expected=f"all {len(before)}, by the same paths, and others besides if you like",
            hint=f"the same images as then, or another --out than {folder}",
        )


def _check_resumed(folder: Path, begun: Manifest | None, now: Manifest, resume: bool) -> None:
    if begun is None:
        if shard_paths(folder):
            raise ResultError(
                "There are results in this folder, and no manifest that says of what",
                got=str(folder),
                hint="another --out, or remove them",
            )
        return
    if not resume:
        raise ResultError(
            "There is an audit in this folder already",
            got=str(folder),
            hint="--resume (resume=True) to go on with it, or another --out",
        )
    if changed := differences(begun.plan, now.plan):
        raise ResultError(
            "The audit in this folder was begun with another model or other settings",
            got="; ".join(changed),
            hint="the same as then, or another --out",
        )
