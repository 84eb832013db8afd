"""Keras files and SavedModel folders; no code that is stored in one is run unless the caller allows it."""

from __future__ import annotations

import json
import logging
import random
import re
import zipfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import keras
import tensorflow as tf

from blackbox_explain.errors import UnsupportedModelError
from blackbox_explain_adapters._tensorflow.source import short

__all__ = ["load_keras", "load_saved_model"]

CODE = ("Lambda", "__lambda__", "TFSMLayer")
"""Classes that hold Python bytecode, or run a graph from elsewhere."""

EXPORT_AGAIN = "copy it or save it again: model.save('model.keras')"


class _OldDepthwise(keras.layers.DepthwiseConv2D):
    """Reads what Keras 2 wrote of a depthwise convolution, and becomes the layer of today."""

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Drop the number of groups where it is one, which the layer no longer knows."""
        kept = {name: value for name, value in config.items() if not (name == "groups" and value == 1)}
        return keras.layers.DepthwiseConv2D.from_config(kept)


def load_keras(path: Path, *, allow_lambda: bool = False) -> Any:
    """Read a Keras model from a ``.keras`` or an HDF5 file.

    Parameters
    ----------
    path
        Of the file.
    allow_lambda
        Run the Python code of Lambda layers, and what the file refers to.  Only for files of a source that you trust.

    Raises
    ------
    UnsupportedModelError
        If the file is missing, damaged or something else, holds code that is not allowed, or layers that are not
        known.
    """
    if not path.is_file():
        raise UnsupportedModelError("There is no such model file", got=str(path))
    hdf5 = path.suffix.lower() in (".h5", ".hdf5")
    config = _hdf5_config(path) if hdf5 else _archive_config(path)
    found = next((name for name in _classes(config) if name in CODE), None)
    if found is not None and allow_lambda is not True:
        raise UnsupportedModelError(
            "This file holds code of its own, which is not run",
            got=f"{path}, with a {'TFSMLayer' if found == 'TFSMLayer' else 'Lambda'} layer",
            expected="layers of Keras",
            hint="wrap(path, allow_lambda=True) if you trust where it comes from",
        )
    custom = {"DepthwiseConv2D": _OldDepthwise} if hdf5 else None
    try:
        with _quiet():
            return keras.saving.load_model(
                path, custom_objects=custom, compile=False, safe_mode=allow_lambda is not True
            )
    except Exception as error:
        raise _refusal(path, error) from error


def load_saved_model(path: Path) -> Any:
    """Read a SavedModel folder; a graph is data, and none of its signatures runs Python.

    Raises
    ------
    UnsupportedModelError
        If the folder is incomplete or damaged.
    """
    try:
        with _quiet():
            return tf.saved_model.load(str(path))
    except Exception as error:
        raise UnsupportedModelError(
            "This SavedModel cannot be read",
            got=f"{path}: {short(error)}",
            expected="a folder with saved_model.pb and its variables",
            hint="copy the whole folder, or export it again",
        ) from error


def _hdf5_config(path: Path) -> Any:
    """Return what an HDF5 file says of its model."""
    try:
        with h5py.File(path, "r") as file:
            text = file.attrs.get("model_config")
            groups = sorted(file)
    except Exception as error:
        inside = "a .keras archive, by its content: rename it" if zipfile.is_zipfile(path) else short(error)
        raise UnsupportedModelError(
            "This is not an HDF5 file, or it is damaged", got=f"{path}: {inside}", hint=EXPORT_AGAIN
        ) from error
    if text is None:
        raise UnsupportedModelError(
            "The file holds no model, at most its weights",
            got=f"{path} with {', '.join(groups[:4]) or 'nothing'}",
            expected="a file of model.save(...)",
            hint="build the model, load_weights(...), and wrap it",
        )
    return _parsed(text, path)


def _archive_config(path: Path) -> Any:
    """Return what a .keras archive says of its model."""
    try:
        with zipfile.ZipFile(path) as archive:
            return _parsed(archive.read("config.json"), path)
    except (zipfile.BadZipFile, KeyError, OSError, RuntimeError, NotImplementedError) as error:
        inside = "an HDF5 file, by its content: rename it to .h5" if h5py.is_hdf5(path) else short(error)
        raise UnsupportedModelError(
            "This is not a Keras model, or it is damaged", got=f"{path}: {inside}", hint=EXPORT_AGAIN
        ) from error


def _parsed(text: str | bytes, path: Path) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise UnsupportedModelError(
            "The description of the model is damaged", got=f"{path}: {short(error)}", hint=EXPORT_AGAIN
        ) from error


def _classes(config: Any) -> Iterator[str]:
    """Yield the names of all classes in a description, however deep."""
    ahead = [config]
    while ahead:
        one = ahead.pop()
        if isinstance(one, dict):
            # Keras 2 names the kind of a function beside its code.
            yield str(one.get("class_name"))
            if "lambda" in (one.get("function_type"), one.get("output_shape_type")):
                yield "__lambda__"
            ahead += one.values()
        elif isinstance(one, list):
            ahead += one


def _refusal(path: Path, error: Exception) -> UnsupportedModelError:
    # Keras wraps errors in errors, with the whole description of the model between them.
    told = re.search(r"Could not locate [^.]*|Unknown \w+: [^.]*|Exception encountered: [^\n]*", str(error))
    got = f"{path}: {told.group() if told else short(error)}"
    if told and not told.group().startswith("Exception"):
        return UnsupportedModelError(
            "The file has a layer or function that Keras does not know",
            got=got,
            hint="import the module that registers it with keras.saving.register_keras_serializable, or give the model "
            "as module:function, which loads it with its custom_objects",
        )
    return UnsupportedModelError("Keras cannot read this file", got=got, hint=EXPORT_AGAIN)


@contextmanager
def _quiet() -> Generator[None]:
    """Keep to ourselves what the libraries log while they read, which is about training, and the numbers they draw."""

    def drop(_record: logging.LogRecord) -> bool:
        return False

    loggers = [logging.getLogger(name) for name in ("absl", "tensorflow")]
    for one in loggers:
        one.addFilter(drop)
    drawn = random.getstate()
    try:
        yield
    finally:
        # Layers draw a seed when they are made.
        random.setstate(drawn)
        for one in loggers:
            one.removeFilter(drop)
