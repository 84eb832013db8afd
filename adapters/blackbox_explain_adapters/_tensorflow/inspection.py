"""What can be said of a Keras file or a SavedModel folder before it is explained."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.framework import ops

from blackbox_explain.box.adapter_tools.description import Described
from blackbox_explain.box.inspection import Inspection, Verdict, judged, size_of
from blackbox_explain_adapters._tensorflow.box import TensorFlowBlackBox
from blackbox_explain_adapters._tensorflow.files import load_keras, load_saved_model
from blackbox_explain_adapters._tensorflow.graph.final_activation import ending_of
from blackbox_explain_adapters._tensorflow.graph.operations import Operations
from blackbox_explain_adapters._tensorflow.keras import wrap_keras
from blackbox_explain_adapters._tensorflow.wrapping import wrap_tensorflow

__all__ = ["inspect_keras", "inspect_saved_model"]

CUTTING = ("ArgMax", "ArgMin", "Ceil", "Floor", "Rint", "Round", "Sign")
"""Operations whose gradient TensorFlow knows, and which is none, or 0."""

Facts = list[tuple[str, str]]


def inspect_keras(
    path: Path,
    shape: Sequence[int] | None = None,
    *,
    output: str | int | None = None,
    reduce: Any = None,
    allow_lambda: bool = False,
) -> Inspection:
    """Read a ``.keras`` or HDF5 file, and try whether it can be differentiated.

    Parameters
    ----------
    path
        Of the model.
    shape
        Of one image, channels first, where the model does not tell.
    output, reduce
        As in `wrap_keras`.
    allow_lambda
        As in `load_keras`.
    """
    model = load_keras(path, allow_lambda=allow_lambda)
    layers = Counter(type(one).__name__ for one in model._flatten_layers(include_self=False))
    facts: Facts = [
        ("inputs", _listed(model.inputs or ())),
        ("outputs", _listed(model.outputs or ())),
        ("layers", ", ".join(f"{name} × {count}" for name, count in sorted(layers.items()))),
        ("parameters", f"{sum(int(np.prod(one.shape)) for one in model.weights):,}"),
        ("file", size_of(path)),
    ]
    described = Described(shape=None if shape is None else tuple(shape))
    return _report(judged(lambda: wrap_keras(model, described, output=output, reduce=reduce)), facts)


def inspect_saved_model(
    path: Path,
    shape: Sequence[int] | None = None,
    *,
    signature: str | None = None,
    output: str | int | None = None,
    reduce: Any = None,
) -> Inspection:
    """Read a SavedModel folder, and try whether it can be differentiated.

    Parameters
    ----------
    path
        Of the folder.
    shape
        Of one image, channels first, where the model does not tell.
    signature, output, reduce
        As in `wrap_tensorflow`.
    """
    model = load_saved_model(path)
    facts: Facts = []
    for name, one in sorted(model.signatures.items()):
        reads = _listed(tf.nest.flatten(one.structured_input_signature))
        facts.append((f"signature {name}", f"{reads} → {_listed(tf.nest.flatten(one.structured_outputs))}"))
    facts.append(("file", size_of(path)))
    described = Described(shape=None if shape is None else tuple(shape))
    verdict = judged(lambda: wrap_tensorflow(model, described, signature=signature, output=output, reduce=reduce))
    return _report(verdict, facts)


def _report(verdict: Verdict, facts: Facts) -> Inspection:
    if not isinstance(verdict.box, TensorFlowBlackBox):
        return verdict.inspection(tuple(facts), ())
    operations = verdict.box.operations()
    if (ending := ending_of(operations)) is not None:
        facts.append(("ends in", ending))
    return verdict.inspection(tuple(facts), _table(operations))


def _table(operations: Operations) -> tuple[tuple[str, int, str], ...]:
    kinds = Counter(one.kind for one in operations.steps.values() if one.kind not in ("Placeholder", "Const"))
    read = operations.kinds(list(kinds))
    return tuple(
        (kind, count, _standing(kind) if kind in read else "not needed: does not read pixels")
        for kind, count in sorted(kinds.items())
    )


def _standing(kind: str) -> str:
    try:
        return "no" if kind in CUTTING or ops.gradient_registry.lookup(kind) is None else "yes"
    except LookupError:
        return "no"


def _listed(tensors: Any) -> str:
    told = (one for one in tensors if hasattr(one, "shape"))
    return "; ".join(f"{one.name}: {tf.as_dtype(one.dtype).name} {_sizes(one.shape)}" for one in told) or "not told"


def _sizes(shape: Any) -> str:
    rank: Any = tf.TensorShape(shape).rank
    return "of any shape" if rank is None else " × ".join("?" if size is None else str(size) for size in shape)
