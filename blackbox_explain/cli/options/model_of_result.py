"""The model that a saved result was made with, or the one that is typed in its place."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from blackbox_explain.box.protocols import BlackBox
from blackbox_explain.box.wrapping import wrap
from blackbox_explain.cli.options.model import ModelOptions
from blackbox_explain.cli.options.model_record import ModelRecord, completed
from blackbox_explain.errors import AlreadyDescribedError, ResultError
from blackbox_explain.explanation.explanation import Explanation

__all__ = ["options_for", "wrapped_for"]


def options_for(result: Explanation, path: Path, typed: ModelOptions, model: str | None) -> ModelOptions:
    """Return which model a result is to be asked about, and what is said of it.

    Parameters
    ----------
    result, path
        As loaded, and where from.
    typed
        What is said on the command line; it comes before what the result says.
    model
        As typed; None takes that of the result.

    Raises
    ------
    ResultError
        If no model is typed, and the result names none or it cannot be found.
    """
    kept = result.provenance.model
    record = None if kept is None else ModelRecord.from_dict(kept)
    if record is None and model is None:
        raise ResultError(
            "The result does not name its model: it was saved in Python",
            got=str(path),
            hint="--model with the file or the name of the model, and what else was said of it; in Python: "
            "blackbox_explain.verify(result, box), or evaluate(box, result)",
        )
    return completed(typed, model, record, path.parent)


def wrapped_for(result: Explanation, given: ModelOptions, typed: ModelOptions) -> BlackBox:
    """Wrap the model of `options_for`; where nothing says otherwise, it reads images of the result's shape."""
    shaped = given if given.shape else replace(given, shape=",".join(map(str, result.images.shape[1:])))
    try:
        return shaped.wrapped()
    except AlreadyDescribedError:
        # It describes itself: what the result says was of another, what is typed may be a mistake.
        return wrap(given.model, **typed.description(), **given.for_adapter())
