"""Which commands there are; one is imported when it is called, so that ``explain`` does not wait for ``audit``."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

__all__ = ["COMMANDS", "Commands", "settings_of_help"]

COMMANDS = (
    "explain",
    "audit",
    "interrogate",
    "report",
    "methods",
    "metrics",
    "evaluate",
    "compare",
    "rules",
    "verify",
    "models",
)
"""In the order of the help.  Each is ``NAME_command`` of its module, or ``NAME_app`` where it has its own."""


class ImportedLater(MutableMapping[str, Any]):
    """Commands by name, each imported when it is first looked up; those that are added are kept as they are."""

    def __init__(self) -> None:
        self._known: dict[str, Any] = dict.fromkeys(COMMANDS)

    def __getitem__(self, name: str) -> Any:
        if self._known[name] is None:
            self._known[name] = _imported(name)
        return self._known[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._known[name] = command

    def __delitem__(self, name: str) -> None:
        del self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)


class Commands(TyperGroup):
    """The commands of ``blackbox-explain``."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands: MutableMapping[str, Any] = ImportedLater()


def settings_of_help() -> dict[str, Any]:
    """Return what every command is made with, so that ``-h`` shows its help."""
    return {"rich_markup_mode": "rich", "context_settings": {"help_option_names": ["-h", "--help"]}}


def _imported(name: str) -> Any:
    module = import_module(f"blackbox_explain.cli.{name}")
    application = getattr(module, f"{name}_app", None)
    if application is None:
        application = typer.Typer(add_completion=False, **settings_of_help())
        application.command(name)(getattr(module, f"{name}_command"))
    command = get_command(application)
    command.name = name
    return command
