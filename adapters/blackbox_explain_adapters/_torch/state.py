"""What a PyTorch module changes in itself when it runs, put back after each call: no answer depends on those before."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

import torch

__all__ = ["CHANGES", "State"]

CHANGES = "the model changes its own state when it runs: that is put back after each call, so that answers repeat"

Place = tuple[dict[str, Any], str]
"""Where a module holds a tensor: a dictionary of it, and a key."""


class State:
    """The tensors that a module holds besides its parameters: buffers, and what its code keeps as attributes.

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
        """Put back at the end what the module changed inside; the first time, find out what it changes."""
        if self._changing == []:
            yield
            return
        places = list(_places(module)) if self._changing is None else self._changing
        before = [(holder, key, holder.get(key)) for holder, key in places]
        tensors = [one for _, _, one in before if isinstance(one, torch.Tensor) and _is_plain(one)]
        copies = [(one, one.detach().clone()) for one in tensors]
        try:
            yield
        finally:
            # Not told by a tensor's version: batch normalisation writes without raising it.
            changed = {id(one) for one, copy in copies if self._changing or not _same(one, copy)}
            if self._changing is None:
                known = {(id(holder), key) for holder, key in places}
                new = [(holder, key) for holder, key in _places(module) if (id(holder), key) not in known]
                found = [
                    (holder, key) for holder, key, one in before if holder.get(key) is not one or id(one) in changed
                ]
                self._changing = found + new
                before += [(holder, key, None) for holder, key in new]
            with torch.no_grad():
                for one, copy in copies:
                    if id(one) in changed:
                        one.copy_(copy)
            for holder, key, one in before:
                if one is None:
                    holder.pop(key, None)
                elif holder.get(key) is not one:
                    holder[key] = one

    def __getstate__(self) -> dict[str, Any]:
        # The places are of this module, not of its copy.
        return {"_changing": None}


def _is_plain(one: torch.Tensor) -> bool:
    # Nothing can write into a tensor of inference mode here; sparse and quantised ones cannot be compared.
    return not one.is_inference() and one.layout == torch.strided and not one.is_quantized


def _same(one: torch.Tensor, copy: torch.Tensor) -> bool:
    if torch.equal(one, copy):
        return True
    return one.is_floating_point() and one.shape == copy.shape and torch.equal(one.nan_to_num(), copy.nan_to_num())


def _places(module: torch.nn.Module) -> Iterator[Place]:
    for one in module.modules():
        if isinstance(one, torch.jit.ScriptModule):
            continue
        for holder in (vars(one)["_buffers"], vars(one)):
            for key, value in list(holder.items()):
                if isinstance(value, torch.Tensor) and not torch.nn.parameter.is_lazy(value):
                    yield holder, key
