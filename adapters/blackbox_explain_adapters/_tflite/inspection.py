"""What can be said of a TensorFlow Lite file before it is explained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from blackbox_explain.box.adapter_tools.description import Described
from blackbox_explain.box.inspection import Inspection, judged, size_of
from blackbox_explain_adapters._tflite.contents import Contents
from blackbox_explain_adapters._tflite.wrapping import load_tflite, wrap_tflite

__all__ = ["inspect_tflite"]

NO_GRADIENT = "TensorFlow Lite computes no gradients: the model is explained from scores alone"


def inspect_tflite(
    path: Path, shape: Sequence[int] | None = None, *, output: str | int | None = None, reduce: Any = None
) -> Inspection:
    """Read a file, and try whether it can be explained.

    Parameters
    ----------
    path
        Of the model.
    shape
        Of one image, channels first, where the model does not tell.
    output, reduce
        As in `wrap_tflite`.
    """
    model = load_tflite(path)
    contents = Contents(model.content)
    facts = [
        ("inputs", "; ".join(_said(one) for one in model.get_input_details())),
        ("outputs", "; ".join(_said(one) for one in model.get_output_details())),
        ("parameters", f"{contents.parameters():,}"),
        ("file", size_of(path)),
    ]
    if contents.has_variables() or contents.writes_resources():
        facts.append(("state", "kept between calls"))
    endings = [contents.ending(one["index"]) for one in model.get_output_details()]
    if any(endings):
        facts.append(("ends in", ", ".join(one or "something else" for one in endings)))
    described = Described(shape=None if shape is None else tuple(shape))
    verdict = judged(lambda: wrap_tflite(model, described, output=output, reduce=reduce), NO_GRADIENT)
    table = tuple((name, count, "no") for name, count in sorted(contents.operators().items()))
    return verdict.inspection(tuple(facts), table)


def _said(tensor: dict[str, Any]) -> str:
    sizes = " × ".join(str(size) if size >= 0 else "?" for size in tensor["shape_signature"])
    scale, zero = tensor["quantization"]
    steps = f", real = {scale:.4g} · (number − {zero})" if scale else ""
    return f"{tensor['name']}: {np.dtype(tensor['dtype']).name} {sizes}{steps}"
