"""The one way to ask a model: batches that are halved where memory runs out, failures by row, counted queries."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np

from blackbox_explain.arrays import Array, to_numpy
from blackbox_explain.box.adapter_tools.checks import check_scores, guarded
from blackbox_explain.box.batches.splitting import BATCH, BatchLimit, is_out_of_memory
from blackbox_explain.box.info import BoxInfo, require
from blackbox_explain.box.parts import ahead, joined, part_from, part_of
from blackbox_explain.box.protocols import BlackBox, Differentiable, Layered
from blackbox_explain.box.targets import target_scores
from blackbox_explain.errors import BlackBoxExplainError, InputError, ModelError, OutOfMemoryError, UnreachableError
from blackbox_explain.setting_ranges import is_whole

__all__ = ["BATCH", "Answers", "BatchLimit", "Counts", "Oracle", "check_call"]

Counts = np.ndarray[Any, np.dtype[np.int64]]
"""(N, 2): how many images the model was run on for each row, for scores alone and for scores with gradient."""

Rows = np.ndarray[Any, np.dtype[np.int64]]

SCORES, GRADIENT = 0, 1
"""Columns of `Counts`."""


@dataclass(frozen=True, eq=False)
class Answers:
    """What a model said of some images, where it may have failed on a few of them.

    Attributes
    ----------
    scores
        (m, K), NaN for images without an answer; (m, 0) if there is none at all, and the view has no `originals`.
    failures
        Why there is none, by row of the view, or by image where each image is a row.
    """

    scores: np.ndarray[Any, Any]
    failures: Mapping[int, BlackBoxExplainError]


@dataclass(frozen=True, eq=False)
class Oracle:
    """Asks one black box, on behalf of the rows of one call.

    Images and answers are of one kind: NumPy arrays get NumPy arrays, though the model may compute elsewhere; arrays of
    the box's own library stay on its device.

    Parameters
    ----------
    box
        The black box.
    counts
        (N, 2), counted on in place; a row for each image that is explained.  `Oracle.of` makes it.
    rows
        The rows of `counts` that this view is about.
    limit
        How many images the model is run on at once.
    advance
        Called with the number of images after each call of the model.
    originals
        (n, K) scores of the untouched images of these rows, where they were asked for already; in the library of the
        box.
    """

    box: BlackBox
    counts: Counts
    rows: Rows
    limit: BatchLimit
    advance: Callable[[int], None] = lambda _images: None
    originals: Array = None

    @classmethod
    def of(
        cls,
        box: BlackBox,
        rows: int = 1,
        *,
        batch_size: int = BATCH,
        advance: Callable[[int], None] = lambda _images: None,
    ) -> Oracle:
        """Begin to ask a box.

        Parameters
        ----------
        box
            The black box.
        rows
            Images whose questions are counted apart; with one, all are counted together.
        batch_size
            Most images in one call of the box.
        advance
            Called with the number of images after each call of the box.

        Raises
        ------
        InputError
            If this is no black box, or a batch holds no image.
        """
        check_call(box, batch_size)
        return cls(box, np.zeros((rows, 2), np.int64), np.arange(rows), BatchLimit(batch_size), advance)

    @cached_property
    def info(self) -> BoxInfo:
        """What the box says of itself."""
        return BoxInfo.of(self.box)

    @property
    def queries(self) -> Counts:
        """(n, 2): images that the model was run on so far for each row, for scores alone and with gradient."""
        return self.counts[self.rows]

    def take(self, rows: Rows | slice) -> Oracle:
        """Return a view on some of the rows; counts and limit stay shared."""
        return replace(self, rows=self.rows[rows], originals=None)

    def asking(self, box: BlackBox) -> Oracle:
        """Return the same, asking another form of the box: with other scores or other gradients."""
        return replace(self, box=box, originals=None)

    def native(self, array: np.ndarray[Any, Any]) -> Array:
        """Move a NumPy array to the library and device that the box computes on."""
        return self.info.native(array)

    def scores(self, images: Array, of: Rows | None = None) -> Array:
        """Return the scores (m, K) of images.

        Parameters
        ----------
        images
            (m, *shape) in pixel space.
        of
            (m,) the row of this view that each image belongs to; None is one image for each row in turn.

        Raises
        ------
        ModelError
            If the model raises, or does not answer with a row for each image.
        OutOfMemoryError
            If memory does not suffice for a single image.
        """
        return self.scores_of(partial(part_of, images), images.shape[0], of)

    def scores_of(
        self, make: Callable[[slice], Array], count: int, of: Rows | None = None, *, prefetch: bool = False
    ) -> Array:
        """Return the scores (count, K) of images that are made a batch at a time.

        Parameters
        ----------
        make
            A part of the `count` images, as a slice, to these images.
        count
            Number of images, at least 1.
        of
            As in `scores`.
        prefetch
            Whether the next batch is made while the model answers about this one.
        """
        rows = self._rows_of(count, of)
        return joined(list(self._scores_in_parts(make, rows, prefetch)))

    def gradient(self, images: Array, weights: Array, of: Rows | None = None) -> tuple[Array, Array]:
        """Return the scores (m, K) of images, and d Σ(weights · scores) / d images (m, *shape).

        Parameters
        ----------
        images
            (m, *shape) in pixel space.
        weights
            (m, K) over the scores.
        of
            As in `scores`.

        Raises
        ------
        NoGradientError
            If the box gives scores alone.
        ModelError
            As `scores`.
        """
        box = require(self.box, Differentiable)
        scores, slopes = self._in_parts(box.scores_and_gradient, images, weights, of)
        return scores, slopes

    def inner(
        self, images: Array, weights: Array, names: Sequence[str], of: Rows | None = None
    ) -> dict[str, tuple[Array, Array]]:
        """Return for layers their values and d Σ(weights · scores) / d values, both (m, *layer.shape).

        Parameters
        ----------
        images, weights, of
            As in `gradient`.
        names
            Of layers, as `Layered.layers` tells them.

        Raises
        ------
        NoGradientError
            If the box cannot be looked into.
        ModelError, UnsupportedModelError
            As `scores`, and if there is no such layer.
        """
        box = require(self.box, Layered)

        def call(some: Array, chosen: Array) -> tuple[Array, ...]:
            found = box.inner(some, chosen, names)
            return tuple(one for name in names for one in found[name])

        found = self._in_parts(call, images, weights, of, scored=False)
        return {name: (found[2 * place], found[2 * place + 1]) for place, name in enumerate(names)}

    def _in_parts(
        self, call: Callable[..., Any], images: Array, weights: Array, of: Rows | None, *, scored: bool = True
    ) -> tuple[Array, ...]:
        """Ask for something with gradients, as many images at a time as there may be; join each part of the answers."""
        rows = self._rows_of(images.shape[0], of)
        found: list[tuple[Array, ...]] = []
        first = 0
        while first < len(rows):
            part = slice(first, min(first + self.limit.images, len(rows)))
            some = part_of(images, part), part_of(weights, part)
            answer = self._asked(call, GRADIENT, rows[part], *some, scored=scored)
            if answer is not None:
                found.append(answer)
                first = part.stop
        return tuple(joined(parts) for parts in zip(*found, strict=True))

    def target_scores(self, images: Array, weights: Array, of: Rows | None = None) -> Array:
        """Return Σ(weights · scores) of images (m,); scores that a target does not name may be NaN or infinite.

        Parameters
        ----------
        images
            (m, *shape) in pixel space.
        weights
            (m, K) over the scores.
        of
            As in `scores`.

        Raises
        ------
        ModelError
            As `scores`, and if the model has another number of classes.
        """
        return target_scores(self.scores(images, of), weights)

    def answers(self, make: Callable[[slice], Array], count: int, of: Rows | None = None) -> Answers:
        """Return the scores of images, or why there are none, where the model may fail on a few of them.

        Where it fails on a batch, it is asked about its images one at a time: about none more than twice, and a model
        that takes no two images at once is explained too.

        Parameters
        ----------
        make, count
            As in `scores_of`.
        of
            (count,) the row of this view that each image belongs to; the images of a row stand and fall together.  None
            is one image for each row, or any number for the only one, where each is a row of the answers.

        Raises
        ------
        UnreachableError
            If the model cannot be asked at all.
        """
        self._rows_of(count, of)
        groups = np.arange(count) if of is None else of
        whose = groups if of is not None or len(self.rows) > 1 else np.zeros(count, np.int64)

        def ask(part: slice) -> np.ndarray[Any, Any]:
            return to_numpy(self.scores_of(partial(part_from, make, part.start), part.stop - part.start, whose[part]))

        good: dict[int, np.ndarray[Any, Any]] = {}
        failures: dict[int, BlackBoxExplainError] = {}
        waiting = deque(self._parts(count))
        while waiting:
            part = waiting.popleft()
            group = int(groups[part.start])
            if part.stop - part.start == 1 and group in failures:
                continue
            try:
                good |= dict(zip(range(part.start, part.stop), ask(part), strict=True))
            except UnreachableError:
                raise
            except (ModelError, OutOfMemoryError) as error:
                if part.stop - part.start == 1:
                    failures[group] = error.with_traceback(None)
                else:
                    waiting.extendleft(slice(place, place + 1) for place in reversed(range(part.start, part.stop)))
        known = self.originals if self.originals is not None else np.zeros((1, 0))
        like = next(iter(good.values())) if good else to_numpy(known)[0]
        scores = np.full((count, len(like)), np.nan, like.dtype)
        for place, one in good.items():
            if int(groups[place]) not in failures:
                scores[place] = one
        return Answers(scores, failures)

    def _scores_in_parts(self, make: Callable[[slice], Array], rows: Rows, prefetch: bool) -> Iterator[Array]:
        if prefetch:
            for part, made in ahead(make, self._parts(len(rows))):
                # Where memory did not suffice, they are made again, fewer at a time.
                images = self._made(made, rows[part])
                some_of = partial(part_from, make, part.start) if images is None else partial(part_of, images)
                yield from self._scores_in_parts(some_of, rows[part], prefetch=False)
            return
        first = 0
        while first < len(rows):
            part = slice(first, min(first + self.limit.images, len(rows)))
            images = self._made(partial(make, part), rows[part])
            answer = None if images is None else self._asked(self.box.scores, SCORES, rows[part], images)
            images = None  # free before fewer are made
            if answer is not None:
                yield answer
                first = part.stop

    def _parts(self, count: int) -> Iterator[slice]:
        first = 0
        while first < count:
            last = min(first + self.limit.images, count)
            yield slice(first, last)
            first = last

    def _made(self, make: Callable[[], Array], rows: Rows) -> Array | None:
        """Make images; None where memory ran out for more than one, after which fewer are made at once."""
        try:
            return make()
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        # Outside of the handler: what the failed attempt held is free again.
        self._runs_short(len(rows))
        return None

    def _runs_short(self, tried: int) -> None:
        if tried == 1:
            raise OutOfMemoryError("Memory ran out", got="a single image")
        self.limit.halve(tried)

    def _asked(
        self, call: Callable[..., Any], kind: int, rows: Rows, images: Array, *rest: Array, scored: bool = True
    ) -> Any:
        """Ask once; None where memory ran out for more than one image, after which fewer are asked about at once.

        Images count for whatever comes of it.  Only where memory ran out, the model gave nothing, and they do not: no
        result depends on memory.
        """
        on_host = isinstance(images, np.ndarray)
        counted = np.bincount(rows, minlength=len(self.counts))
        self.counts[:, kind] += counted
        answer: Any = None
        try:
            given = (self.native(images), *map(self.native, rest)) if on_host else (images, *rest)
            answer = guarded(call, *given)
            if scored:
                check_scores(answer[0] if rest else answer, len(rows), "The model")
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            self.counts[:, kind] -= counted
        if answer is None:
            # Outside of the handler: what the failed attempt held is free again.
            self._runs_short(len(rows))
            return None
        self.advance(len(rows))
        if not on_host:
            return answer
        return tuple(map(to_numpy, answer)) if isinstance(answer, tuple) else to_numpy(answer)

    def _rows_of(self, count: int, of: Rows | None) -> Rows:
        if of is not None:
            return self.rows[of]
        if len(self.rows) == 1:
            return np.repeat(self.rows, count)
        if len(self.rows) != count:
            raise InputError("Whose images are these?", got=f"{count} for {len(self.rows)} rows", expected="of=")
        return self.rows


def check_call(box: BlackBox, batch_size: int, seed: int = 0) -> None:
    """Raise `InputError` unless these are a black box, a size of batches and a seed."""
    BoxInfo.of(box)
    if not is_whole(batch_size) or batch_size < 1:
        expected = "a whole number of at least 1"
        raise InputError("A batch holds at least one image", got=f"batch_size={batch_size!r}", expected=expected)
    if not is_whole(seed) or seed < 0:
        raise InputError("This is no seed", got=f"seed={seed!r}", expected="a whole number of at least 0")
