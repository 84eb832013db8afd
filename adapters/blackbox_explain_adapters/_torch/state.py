"""What a PyTorch module changes in itself when it runs, put back after each call: no answer depends on those before."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

__all__ = ["CHANGES", "State"]

CHANGES = "the model changes its own state when it runs: that is put back after each call, so that answers repeat"

Place = tuple[dict[str, Any], str]
"""Where a module holds something: a dictionary of it, and a key."""

ABSENT = object()
"""In place of what a module does not hold."""


class State:
    """What a module holds besides its parameters, as far as a run changes it.

    That is buffers, and what its code keeps as attributes: tensors, and whatever else changes in a module whose tensors
    do, such as the size that a tensor was made for.  TorchScript keeps its own out of reach.
    """

    def __init__(self) -> None:
        self._changing: list[Place] | None = None

    @property
    def changes(self) -> bool:
        """Whether a run was seen to change something."""
        return bool(self._changing)

    @contextmanager
    def kept(self, module: torch.nn.Module) -> Generator[None]:
        """Put back at the end what the module changed inside; the first time, find out what it changes."""
        if self._changing == []:
            yield
            return
        first = self._changing is None
        whole = [[(holder, dict(holder)) for holder in one] for one in _holders(module)] if first else []
        before = [(holder, key, _at(holder, key)) for holder, key in self._changing or ()]
        held = [one for each in whole for _, copy in each for one in copy.values()] + [one for _, _, one in before]
        tensors = {id(one): one for one in held if isinstance(one, torch.Tensor) and _is_plain(one)}
        copies = {key: one.detach().clone() for key, one in tensors.items()}
        try:
            yield
        finally:
            # Not told by a tensor's version: batch normalisation writes without raising it.
            written = {key for key, copy in copies.items() if not first or not _same(tensors[key], copy)}
            if first:
                before = [place for each in whole for place in _changed(each, written)]
                self._changing = [(holder, key) for holder, key, _ in before]
            with torch.no_grad():
                for key in written:
                    tensors[key].copy_(copies[key])
            for holder, key, one in before:
                if one is ABSENT:
                    holder.pop(key, None)
                elif _at(holder, key) is not one:
                    holder[key] = one

    def __getstate__(self) -> dict[str, Any]:
        # The places are of this module, not of its copy.
        return {"_changing": None}


def _is_plain(one: torch.Tensor) -> bool:
    # Nothing can write into a tensor of inference mode here; sparse and quantised ones cannot be compared.
    return (
        not one.is_inference()
        and not torch.nn.parameter.is_lazy(one)
        and one.layout == torch.strided
        and not one.is_quantized
    )


def _same(one: torch.Tensor, copy: torch.Tensor) -> bool:
    if torch.equal(one, copy):
        return True
    return one.is_floating_point() and one.shape == copy.shape and torch.equal(one.nan_to_num(), copy.nan_to_num())


def _at(holder: dict[str, Any], key: str) -> Any:
    return holder.get(key, ABSENT)


def _holders(module: torch.nn.Module) -> Iterator[tuple[dict[str, Any], ...]]:
    """Return, for each module inside, the dictionaries that it holds things in."""
    for one in module.modules():
        if not isinstance(one, torch.jit.ScriptModule):
            yield vars(one)["_buffers"], vars(one)


def _changed(
    held: Sequence[tuple[dict[str, Any], dict[str, Any]]], written: set[int]
) -> list[tuple[dict[str, Any], str, Any]]:
    """Return what a module held before, `ABSENT` for nothing, where it holds something else; if its tensors changed."""
    changed = [
        (holder, key, _at(copy, key))
        for holder, copy in held
        for key in {**copy, **holder}
        if key != "training" and (_at(holder, key) is not _at(copy, key) or id(_at(copy, key)) in written)
    ]
    either = [one for holder, key, old in changed for one in (old, _at(holder, key))]
    return changed if any(isinstance(one, torch.Tensor) for one in either) else []
