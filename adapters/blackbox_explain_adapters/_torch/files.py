"""PyTorch model files: exported programs and TorchScript; never a pickle."""

from __future__ import annotations

import pickle
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from blackbox_explain.errors import UnsupportedModelError

__all__ = ["load_exported", "load_torchscript"]


def load_exported(path: Path) -> Any:
    """Read a ``torch.export`` program (.pt2).

    Torch itself would unpickle parts of such a file without limits; here whatever it loads is restricted to tensors
    and plain containers.
    """
    try:
        with _restricted_unpickling():
            return torch.export.load(path)
    except Exception as error:
        raise UnsupportedModelError(
            "This is not an exported program", got=str(path), expected="torch.export.save(...)"
        ) from error


def load_torchscript(path: Path) -> Any:
    """Read a TorchScript archive (.pt, .pth, .ts, .jit, .torchscript)."""
    try:
        return torch.jit.load(str(path), map_location="cpu")
    except Exception as error:
        raise UnsupportedModelError(
            "This is not a TorchScript file",
            got=f"{path}{_what_else(path)}",
            expected="torch.jit.save(torch.jit.script(model), path)",
            hint="in Python, make the model, load the file into it and wrap() it; on the command line, --model "
            "module:function, where the function does so and returns it",
        ) from error


def _what_else(path: Path) -> str:
    """Say what a file of PyTorch holds instead; no code in it is run."""
    try:
        held = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        return (
            ", which holds a pickled module: it is not loaded, for that would run code"
            if "GLOBAL" in str(error)
            else ""
        )
    except Exception:
        return ""
    weights = isinstance(held, dict) and any(isinstance(one, (torch.Tensor, dict)) for one in held.values())
    return ", which holds weights alone (a state_dict)" if weights else ""


@contextmanager
def _restricted_unpickling() -> Generator[None]:
    unrestricted = torch.load

    def restricted(*args: Any, **options: Any) -> Any:
        return unrestricted(*args, **{**options, "weights_only": True})

    torch.load = restricted
    try:
        yield
    finally:
        torch.load = unrestricted
