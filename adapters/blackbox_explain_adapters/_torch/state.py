"""What a PyTorch module changes in itself when it runs, put back after each call: no answer depends on those before."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import torch

__all__ = ["CHANGES", "State"]

CHANGES = "the model changes its own state when it runs: that is put back after each call, so that answers repeat"

Place = tuple[dict[str, Any], str]
"""Where a module holds something: a dictionary of it, and a key."""

Copies = dict[int, tuple[torch.Tensor, torch.Tensor]]
"""Tensors and copies of them, by the identity of the former."""

ABSENT = object()
"""In place of what a module does not hold."""


_LOCKS: WeakKeyDictionary[torch.nn.Module, threading.RLock] = WeakKeyDictionary()
"""One for each module, which several boxes may hold."""

_MAKING = threading.Lock()


class State:
    """What a module holds besides its parameters, as far as a run changes it.

    That is buffers, and what its code keeps as attributes: tensors, and whatever other attributes change where tensors
    do, such as the size that a tensor was made for.  What changes inside of a list or a dictionary stays, and
    TorchScript keeps its own out of reach.
    """

    def __init__(self) -> None:
        self._changing: list[Place] | None = None

    @property
    def changes(self) -> bool:
        """Whether a run was seen to change something."""
        return bool(self._changing)

    @contextmanager
    def kept(self, module: torch.nn.Module) -> Generator[None]:
        """Put back at the end what the module changed inside; the first time, find out what it changes.

        A module that changes is run by one thread at a time.
        """
        if self._changing == []:
            yield
            return
        with _lock_of(module):
            if self._changing is None:
                with self._found_out(module):
                    yield
            else:
                with _put_back(self._changing):
                    yield

    @contextmanager
    def _found_out(self, module: torch.nn.Module) -> Generator[None]:
        holders = list(_holders(module))
        whole = [(holder, dict(holder)) for holder in holders]
        copies = _copies(one for _, copy in whole for one in copy.values())
        ended = False
        try:
            yield
            ended = True
        finally:
            changed = _changed(whole, copies)
            _restore(changed, copies)
            # A call that failed may have stopped before it changed anything.
            if ended:
                self._changing = [(holder, key) for holder, key, _ in changed]

    def __getstate__(self) -> dict[str, Any]:
        # The places are of this module, not of its copy.
        return {"_changing": None}


@contextmanager
def _put_back(places: Sequence[Place]) -> Generator[None]:
    before = [(holder, key, _at(holder, key)) for holder, key in places]
    copies = _copies(one for _, _, one in before)
    try:
        yield
    finally:
        _restore(before, copies)


def _lock_of(module: torch.nn.Module) -> threading.RLock:
    with _MAKING:
        return _LOCKS.setdefault(module, threading.RLock())


def _copies(held: Iterable[Any]) -> Copies:
    """Return tensors with copies of them, by their identity."""
    tensors = {id(one): one for one in held if isinstance(one, torch.Tensor) and _is_plain(one)}
    return {key: (one, one.detach().clone()) for key, one in tensors.items()}


def _restore(before: Iterable[tuple[dict[str, Any], str, Any]], copies: Copies) -> None:
    with torch.no_grad():
        for one, copy in copies.values():
            # Not told by a tensor's version: batch normalisation writes without raising it.
            if not _same(one, copy):
                one.copy_(copy)
    for holder, key, one in before:
        if one is ABSENT:
            holder.pop(key, None)
        elif _at(holder, key) is not one:
            holder[key] = one


def _changed(
    whole: Sequence[tuple[dict[str, Any], dict[str, Any]]], copies: Copies
) -> list[tuple[dict[str, Any], str, Any]]:
    """Return what was held before, `ABSENT` for nothing, where it is something else now; nothing if no tensor is."""
    written = {key for key, (one, copy) in copies.items() if not _same(one, copy)}
    changed = [
        (holder, key, _at(copy, key))
        for holder, copy in whole
        for key in {**copy, **holder}
        if key != "training" and (_at(holder, key) is not _at(copy, key) or id(_at(copy, key)) in written)
    ]
    either = [one for holder, key, old in changed for one in (old, _at(holder, key))]
    return changed if any(isinstance(one, torch.Tensor) for one in either) else []


def _is_plain(one: torch.Tensor) -> bool:
    # What is lazy has no values yet, nothing can write into a tensor of inference mode here, and sparse and quantised
    # ones cannot be compared.
    if torch.nn.parameter.is_lazy(one) or one.is_inference():
        return False
    return one.layout == torch.strided and not one.is_quantized


def _same(one: torch.Tensor, copy: torch.Tensor) -> bool:
    if torch.equal(one, copy):
        return True
    return one.is_floating_point() and one.shape == copy.shape and torch.equal(one.nan_to_num(), copy.nan_to_num())


def _at(holder: dict[str, Any], key: str) -> Any:
    return holder.get(key, ABSENT)


def _holders(module: torch.nn.Module) -> Iterator[dict[str, Any]]:
    """Return the dictionaries that the modules inside hold things in."""
    for one in module.modules():
        if not isinstance(one, torch.jit.ScriptModule):
            yield vars(one)["_buffers"]
            yield vars(one)
