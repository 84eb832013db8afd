"""The options that say by which method, shared by the commands that explain."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import typer

from blackbox_explain.box.entry_points import settings_of
from blackbox_explain.box.info import BoxInfo
from blackbox_explain.box.protocols import BlackBox
from blackbox_explain.cli.options.mask import MaskOptions
from blackbox_explain.cli.options.parsing import dealt_out, settings
from blackbox_explain.errors import InputError
from blackbox_explain.methods.by_name import kind_of, method_of, methods_for
from blackbox_explain.methods.method import Method
from blackbox_explain.methods.with_region import OF_REGION

__all__ = ["MOST_TOLD", "AskedMethods", "MethodOptions"]

ALL = "all"

BACKWARD = 3
"""Scores that take as long as a gradient."""

MOST_TOLD = 3
"""Methods that are named as those that cost most."""

SHARED = ("seed", "suppress")
"""Options that every method takes."""


@dataclass(frozen=True)
class AskedMethods:
    """What is to be done, with one box.

    Attributes
    ----------
    methods
        Further arguments of `explain`, by the name of each method.
    runs
        Images that the model is run on for one explanation, at most, by method, the dearest first.
    refused
        Methods that the box does not allow, and why.
    """

    methods: dict[str, dict[str, Any]]
    runs: dict[str, int]
    refused: dict[str, str]

    @property
    def queries(self) -> int:
        """Return what progress counts for one explanation by all methods."""
        return sum(self.runs.values())

    @property
    def cost(self) -> str:
        """Return what several methods cost, and which of them most of it: some take a thousand times as long."""
        most = ", ".join(f"{name} ({runs:,})" for name, runs in [*self.runs.items()][:MOST_TOLD])
        return f"{len(self.runs)} methods, up to {self.queries:,} runs of the model for a photo; the slowest: {most}"


@dataclass(frozen=True)
class MethodOptions:
    """By which methods, as typed."""

    panel: ClassVar[str] = "Method"

    method: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="How to explain: mask, the default, or another of 'blackbox-explain methods'; repeat it, or say all, "
            "for one picture of several.",
        ),
    ] = None
    setting: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="A setting of the methods that have it, such as masks=2000; 'blackbox-explain methods' lists them.",
        ),
    ] = None

    def check(self, mask: MaskOptions) -> None:
        """Raise what is wrong whatever the model, before one is loaded.

        Raises
        ------
        InputError
            As `of`.
        """
        names = self._names()
        if ALL not in names:
            self._made(names, mask)
            return
        # Which settings all methods have together is known with the model; names beside "all" are not dropped unread.
        for name in names:
            if name != ALL:
                kind_of(name)

    def of(self, box: BlackBox, mask: MaskOptions) -> AskedMethods:
        """Return what to do with a box.

        Raises
        ------
        InputError
            If there is no such method or setting, or a value is out of range.
        NoGradientError
            If the box lacks what the only method needs.
        """
        names = self._names()
        # One alone is refused by itself, without a look at all others.
        available = methods_for(box) if len(names) > 1 or ALL in names else {}
        refused: dict[str, str] = {}
        if ALL in names:
            # The mask first: it is what the others are compared with.
            names = sorted((name for name, why in available.items() if why is None), key=lambda name: name != "mask")
            refused = {name: why for name, why in available.items() if why is not None}
        elif len(names) > 1:
            refused = {name: why for name in names if (why := available.get(name)) is not None}
            names = [name for name in names if name not in refused]
            if not names:
                raise InputError("This model allows none of these methods", got="; ".join(refused.values()))
        methods, made = self._made(names, mask)
        info = BoxInfo.of(box)
        runs = {one.name: one.budget(info).with_region for one in made}
        weight = {one.name: 1 if one.needs is BlackBox else BACKWARD for one in made}
        dearest = sorted(runs, key=lambda name: -weight[name] * runs[name])
        return AskedMethods(methods, {name: runs[name] for name in dearest}, refused)

    def _names(self) -> list[str]:
        """Return the names that were typed, each once."""
        return list(dict.fromkeys(self.method or ["mask"]))

    def _made(self, names: list[str], mask: MaskOptions) -> tuple[dict[str, dict[str, Any]], list[Method]]:
        """Return further arguments of `explain` by method, and the methods, which check their settings."""
        typed = {**dataclasses.asdict(mask)}
        common = {name: typed.pop(name) for name in SHARED}
        changed = {name: value for name, value in typed.items() if value != getattr(MaskOptions, name)}
        given = settings(self.setting or (), "masks=2000")
        if changed.get("game") == "both" and "mask" in names:
            # The mask has it from what was typed; of others the region is that of deletion, as the mask's is then.
            del changed["game"]
        region = dict.fromkeys(OF_REGION, "str")
        own = {name: {**region, **settings_of(kind_of(name))} for name in names}
        dealt = dealt_out({**changed, **given}, own, "methods")
        methods = {name: {**common, **(typed if name == "mask" else {}), **mine} for name, mine in dealt.items()}
        made = [
            method_of(name, {key: value for key, value in options.items() if key not in SHARED})
            for name, options in methods.items()
        ]
        return methods, made
