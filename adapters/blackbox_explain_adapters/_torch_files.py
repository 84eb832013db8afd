"""PyTorch model files: exported programs and TorchScript; never a pickle."""

from __future__ import annotations

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
    """Read a TorchScript archive (.pt, .pth, .ts, .torchscript)."""
    try:
        return torch.jit.load(str(path), map_location="cpu")
    except Exception as error:
        raise UnsupportedModelError(
            "This is not a TorchScript file",
            got=str(path),
            expected="torch.jit.save(torch.jit.script(model), path)",
            hint="a file of weights alone (a pickle) is not loaded: give the model as module:function",
        ) from error


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
