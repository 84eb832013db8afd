"""The layers of a PyTorch module: its submodules, watched while it runs."""

from __future__ import annotations

import difflib
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch

from blackbox_explain.box.adapter_tools.process_wide import ProcessWide
from blackbox_explain.box.protocols import Layer
from blackbox_explain.errors import UnsupportedModelError

__all__ = ["LayersSeen", "can_be_watched", "check_names", "eagerly"]


def can_be_watched(module: torch.nn.Module) -> bool:
    """Tell whether submodules can be watched: those of TorchScript and of exported programs have none that run."""
    return not any(isinstance(one, (torch.jit.ScriptModule, torch.fx.GraphModule)) for one in module.modules())


def check_names(module: torch.nn.Module, names: Sequence[str]) -> None:
    """Raise `UnsupportedModelError` unless these are submodules."""
    known = [name for name, _ in module.named_modules() if name]
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, 3)
            expected = " or ".join(map(repr, near)) or "a name from named_modules()"
            raise UnsupportedModelError("The model has no such layer", got=repr(name), expected=expected)


class LayersSeen:
    """Context manager that keeps what submodules return while a module runs.

    Parameters
    ----------
    module
        The whole; it is as it was once the context is left.
    names
        Of the submodules; None is all of them.

    Attributes
    ----------
    found
        What each returned, in the order of execution; of one that is called several times, the last.
    """

    def __init__(self, module: torch.nn.Module, names: Sequence[str] | None = None) -> None:
        self._modules = {name: one for name, one in module.named_modules() if name and (names is None or name in names)}
        self._handles: list[Any] = []
        self._thread = threading.get_ident()
        self.found: dict[str, torch.Tensor] = {}

    def __enter__(self) -> LayersSeen:
        self._handles = [one.register_forward_hook(self._keep(name)) for name, one in self._modules.items()]
        return self

    def __exit__(self, *_error: object) -> None:
        for handle in self._handles:
            handle.remove()

    def layers(self, count: int) -> tuple[Layer, ...]:
        """Return those that gave floats with a row for each of `count` images."""
        return tuple(
            Layer(name, type(self._modules[name]).__name__, tuple(value.shape[1:]))
            for name, value in self.found.items()
            if value.ndim > 1 and value.shape[0] == count
        )

    def _keep(self, name: str) -> Callable[[Any, Any, Any], Any]:
        def keep(_module: Any, _inputs: Any, output: Any) -> Any:
            if threading.get_ident() != self._thread:
                return None  # another thread asks the same module about something else
            if not isinstance(output, torch.Tensor) or not output.is_floating_point():
                return None
            self.found.pop(name, None)
            self.found[name] = output
            # What comes next may work in place, and must not change what is kept.
            return output.clone()

        return keep


_EAGER = ProcessWide(lambda: torch.compiler.set_stance("force_eager"))


def eagerly() -> AbstractContextManager[None]:
    """Let no compiled code run inside, in any thread of the process; afterwards as before."""
    return _EAGER
