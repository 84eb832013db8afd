"""An audit in this process: threads decode ahead while the model runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from blackbox_explain.auditing.decoded_image import DecodedImage, Decoder, decoded_ahead
from blackbox_explain.auditing.entries import Entry
from blackbox_explain.auditing.ledger.columns import Row
from blackbox_explain.auditing.row_maker import RowMaker
from blackbox_explain.box.adapter_tools.cores import cores

__all__ = ["run_here"]

AHEAD = 3
"""Batches that are held in memory: one with the model, others decoded or waiting."""


def run_here(
    maker: RowMaker, decoder: Decoder, entries: Iterable[Entry], threads: int | None = None
) -> Iterator[tuple[int, list[Row]]]:
    """Yield for each batch the number of its images, and the rows of those that were not finished before.

    Parameters
    ----------
    maker, decoder
        What is done with each image.
    entries
        Of the images, in the order of the data set.
    threads
        How many decode; None is one for each core, 8 at most.
    """
    size = maker.plan.batch_size
    read = decoded_ahead(decoder, entries, threads or min(8, cores()), AHEAD * size)
    for _, group in groupby(read, key=lambda one: one.entry.position // size):
        batch: list[DecodedImage] = list(group)
        wanted = [one for one in batch if one.pixels is not None or one.error is not None]
        yield len(batch), maker.rows(wanted) if wanted else []
