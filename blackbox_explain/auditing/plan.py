"""What an audit does with each image: everything that its rows depend on, written down so that it can be resumed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from blackbox_explain.box.adapter_tools.description import plain_images
from blackbox_explain.box.info import BoxInfo, require
from blackbox_explain.box.input_spec import reading_of
from blackbox_explain.box.oracle import Oracle, check_call
from blackbox_explain.box.protocols import BlackBox
from blackbox_explain.box.targets import Target, resolve
from blackbox_explain.data.photos import Fit
from blackbox_explain.data.pixel_ranges import check_white
from blackbox_explain.errors import InputError, TargetError
from blackbox_explain.explanation.region import SHARES, SUPPRESS, check_suppress
from blackbox_explain.json_values import fields_of
from blackbox_explain.methods.by_name import method_of

__all__ = ["GRID", "AuditPlan", "differences", "top_classes"]

BOOKKEEPING = "given"
"""What earlier versions recorded of masks besides their settings."""

GRID = 28
"""Cells on each side of the maps that the table holds, if the images have as many pixels."""


@dataclass(frozen=True)
class AuditPlan:
    """How each image of a data set is explained.

    Attributes
    ----------
    target
        As in `explain`; None is the top class of each image.
    top
        The number of classes of each image that are explained, the best first; None explains `target`.
    methods
        Settings of each method, by its name.
    suppress, seed
        As in `explain`.
    batch_size
        Images explained together: those at the places 0 to N − 1, N to 2 N − 1, ... of the data set, so that a resumed
        audit asks the model about the same batches.  It may be resumed with another number: no row depends on its
        company, but for the last bits of TensorFlow's gradients on a CPU.
    fit, white
        As in `load_images`.
    """

    target: Target | None = None
    top: int | None = None
    methods: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: {"mask": {}})
    suppress: float = SUPPRESS
    seed: int = 0
    batch_size: int = 16
    fit: Fit = "crop"
    white: float | None = None

    def check(self, box: BlackBox) -> None:
        """Find out before any work whether a box can be audited so.

        Raises
        ------
        InputError
            If the box does not read photos, or a setting is wrong.
        NoGradientError
            If the box lacks what a method needs.
        TargetError
            If there is no such class.
        ModelError
            If the model cannot be asked about a plain image.
        """
        spec = box.spec
        check_call(box, self.batch_size, self.seed)
        check_suppress(self.suppress)
        check_white(self.white)
        if len(spec.shape) != 3 or spec.shape[0] not in (1, 3):
            got, expected = f"a model of images of shape {spec.shape}", "(1, H, W) or (3, H, W)"
            raise InputError("Data sets of photos are audited", got=got, expected=expected)
        if self.top is not None and (self.target is not None or self.top < 1):
            raise InputError("top stands alone, and is at least 1", got=f"top={self.top}, target={self.target!r}")
        if self.target is not None:
            # One mistyped class is one mistake, not one of every image.
            scores = np.asarray(Oracle.of(box).scores(plain_images(spec)[:1]))
            resolve([self.target], scores, spec.class_names)
        if not self.methods:
            raise InputError("An audit needs a method", got="none", expected="such as method='mask'")
        for name, settings in self.methods.items():
            require(box, method_of(name, dict(settings)).needs, f"the method {name!r}")
            if settings.get("preset") == "authors" and settings.get("perturbation", "blur") == "blur":
                raise InputError(
                    "The preset 'authors' blurs each photo at its own size, which an audit does not keep",
                    got="preset='authors'",
                    hint="preset='paper'",
                )

    def record(self, box: BlackBox) -> dict[str, Any]:
        """Return all that the rows depend on, for JSON."""
        info = BoxInfo.of(box)
        methods = {name: fields_of(method_of(name, dict(settings))) for name, settings in self.methods.items()}
        told = {
            "model": info.fingerprint or _answers(box),
            "classes": None if box.spec.class_names is None else list(box.spec.class_names),
            "shape": list(box.spec.shape),
            "preprocessing": reading_of(box.spec),
            "activation": info.activation,
            "target": None if self.target is None else repr(self.target),
            "top": self.top,
            "methods": methods,
            "suppress": self.suppress,
            "seed": self.seed,
            "fit": self.fit,
            "white": self.white,
            "curve_shares": list(SHARES),
            "grid": list(self.grid(box)),
        }
        return json.loads(json.dumps(told, default=str))

    @staticmethod
    def grid(box: BlackBox) -> tuple[int, int]:
        """Return rows and columns of the maps that the table holds."""
        height, width = box.spec.spatial
        return min(GRID, height), min(GRID, width)


def top_classes(box: BlackBox, images: np.ndarray[Any, Any], count: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return the classes (N, `count`) of the highest scores of images, the best first.

    Raises
    ------
    TargetError
        If there are not as many.
    """
    scores = Oracle.of(box).scores(images)
    if count > scores.shape[1]:
        raise TargetError("There are not as many classes", got=f"--top {count}", expected=f"1 to {scores.shape[1]}")
    return np.argsort(-scores, axis=1, kind="stable")[:, :count]


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return what differs between two records of plans, as words with both values."""
    found: list[str] = []
    for name in sorted({*before, *now}):
        first, second = before.get(name), now.get(name)
        if first == second or name == BOOKKEEPING:
            continue
        if isinstance(first, Mapping) and isinstance(second, Mapping):
            found += [f"{name}, {one}" for one in differences(first, second)]
        elif name == "classes":
            found.append("the names of the classes")
        else:
            found.append(f"{name}: {_short(first)} then, {_short(second)} now")
    return found


def _answers(box: BlackBox) -> str:
    """Return what a model without a fingerprint says of black, grey, white and noise, by which it is known again."""
    scores = Oracle.of(box).scores(plain_images(box.spec))
    return "; ".join(f"class {row.argmax()}: {row.max():.2f}" for row in np.asarray(scores))


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:39]}…"
