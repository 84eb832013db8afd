"""What a result keeps of the model it was made with, and how `verify` finds that model again."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit, urlunsplit

from blackbox_explain.box.entry_points import named_models
from blackbox_explain.cli.options.model import ModelOptions
from blackbox_explain.cli.options.parsing import adapter_options
from blackbox_explain.errors import ResultError

__all__ = ["ModelRecord", "completed"]

SECRET = ("headers",)
"""Options of adapters that may hold passwords: never written down."""

UNTRUSTED = ("allow_lambda",)
"""Options that let a model file run code: a result, which may come from anyone, does not give that permission."""

Kind = Literal["name", "file", "address", "code"]
"""A model of the package; a file or folder; http://...; a command, a function or something else that runs code."""

TEXTS = ("shape", "mean", "std", "activation", "output", "reduce")

PREPROCESSING = ("mean", "std", "largest", "bgr")
"""Options that mean something together alone."""


@dataclass(frozen=True)
class ModelRecord:
    """The model of a result and the options it was given, as kept in its settings under ``"model"``.

    Attributes
    ----------
    kind
        What `model` is.
    model
        As typed, without passwords.
    path
        The whole path, of a file or folder.
    options
        What was said on the command line: fields of `ModelOptions` by name.
    left_out
        What was said besides, and is not kept since it may be secret.
    """

    kind: Kind
    model: str
    path: str = ""
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    left_out: tuple[str, ...] = ()

    @classmethod
    def of(cls, given: ModelOptions) -> ModelRecord:
        """Record what was typed; the machine's own (device, no_cache) is not."""
        kind, left_out = _kind(given.model), [one for one in SECRET if one in adapter_options(given.option or ())]
        model = given.model
        if kind == "address":
            address = urlsplit(model)
            model = urlunsplit((address.scheme, address.netloc.rpartition("@")[2], address.path, "", ""))
            left_out += ["parts of the address"] if model != given.model else []
        kept = [text for text in given.option or () if text.partition("=")[0] not in SECRET]
        options = {name: getattr(given, name) for name in (*TEXTS, "largest", "bgr", "straight_through")}
        options |= {"option": kept or None, "classes": str(given.classes.absolute()) if given.classes else None}
        return cls(
            kind,
            model,
            str(Path(model).absolute()) if kind == "file" else "",
            {name: value for name, value in options.items() if value is not None},
            tuple(left_out),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return what fits in JSON."""
        return {**dataclasses.asdict(self), "left_out": list(self.left_out)}

    @classmethod
    def from_dict(cls, kept: Any) -> ModelRecord:
        """Read what `to_dict` returned.

        Raises
        ------
        ResultError
            If it is something else.
        """
        try:
            options = dict(kept["options"])
            texts = [kept["model"], kept["path"], *kept["left_out"], *options.get("option", [])]
            texts += [options[name] for name in (*TEXTS, "classes") if name in options]
            flags = [options[name] for name in ("bgr", "straight_through") if name in options]
            known = {one.name for one in dataclasses.fields(ModelOptions)} - {"model", "device", "no_cache"}
            sound = (
                kept["kind"] in ("name", "file", "address", "code")
                and all(isinstance(one, str) for one in texts)
                and all(isinstance(one, bool) for one in flags)
                and isinstance(options.get("largest", 1.0), (int, float))
                and not set(options) - known
            )
            if not sound:
                raise ValueError("values of other types")
            return cls(kept["kind"], kept["model"], kept["path"], options, tuple(kept["left_out"]))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            got = f"{type(error).__name__}: {error}"
            raise ResultError("What this result says of its model cannot be read", got=got) from error

    def found(self, beside: Path) -> str:
        """Return the model as `wrap` takes it.

        Parameters
        ----------
        beside
            Folder of the result, where the file is looked for too.

        Raises
        ------
        ResultError
            If the file is gone, if the model is code, which nobody's result may choose, or if a secret is missing.
        """
        if _kind(self.model) == "code" and self.kind != "file":
            raise ResultError(
                "This result was made with a program or function, and no result may choose what runs here",
                got=self.model,
                hint=f"--model {self.model!r}, if you trust it",
            )
        if self.left_out:
            raise ResultError(
                "This result does not keep what may be secret",
                got=f"a model with {' and '.join(self.left_out)}",
                hint=f"--model {self.model!r} with all that it needs",
            )
        if self.kind != "file":
            return self.model
        whole, typed = Path(self.path or self.model).absolute(), Path(self.model)
        places = (whole, typed, beside / typed, beside / whole.name)
        place = next((one for one in places if one.exists()), None)
        if place is None:
            raise ResultError(
                "The model of this result is not where it was",
                got=self.path or self.model,
                hint="--model with where it is now",
            )
        return str(place.absolute())


def completed(given: ModelOptions, model: str | None, record: ModelRecord | None, beside: Path) -> ModelOptions:
    """Return what was typed, and for what was not, what the result says.

    Parameters
    ----------
    given
        As typed, but for its model.
    model
        As typed; None where nothing was.
    record
        Of the result; None where it has none.
    beside
        Folder of the result.

    Raises
    ------
    ResultError
        If the model is not typed and cannot be found.
    """
    if record is None:
        return given if model is None else dataclasses.replace(given, model=model)
    said = dict(record.options)
    if "classes" in said:
        said["classes"] = _class_file(Path(said["classes"]), beside) if given.classes is None else given.classes
    # Of pixels from 0 to 255 in one and from 0 to 1 in the other nothing right would come.
    if any(getattr(given, name) is not None for name in PREPROCESSING):
        said = {name: value for name, value in said.items() if name not in PREPROCESSING}
    said["option"] = [text for text in said.get("option", ()) if text.partition("=")[0] not in UNTRUSTED]
    if model is not None and Path(model).suffix != Path(record.model).suffix:
        # Of another adapter.
        said = {
            name: one for name, one in said.items() if name not in ("option", "output", "reduce", "straight_through")
        }
    said["option"] = [*said.get("option", ()), *(given.option or ())] or None
    names = [one.name for one in dataclasses.fields(given) if one.name not in ("model", "option")]
    typed = {name: getattr(given, name) for name in names}
    said |= {name: value for name, value in typed.items() if value is not None}
    said["model"] = model or record.found(beside)
    return ModelOptions(**said)


def _class_file(path: Path, beside: Path) -> Path:
    places = (path, beside / path.name)
    place = next((one for one in places if one.exists()), None)
    if place is None:
        raise ResultError(
            "The class names of this result are not where they were",
            got=str(path),
            hint="--classes with where they are",
        )
    return place


def _kind(model: str) -> Kind:
    if model in named_models():
        return "name"
    if model.startswith(("http://", "https://")):
        return "address"
    return "code" if ":" in model and not Path(model).exists() else "file"
