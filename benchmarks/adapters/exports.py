"""Exports of one model, compared: EfficientNet-Lite0 in PyTorch, ONNX and Keras, GoogLeNet in PyTorch, ONNX and bytes.

The shipped ONNX file has its weights in half precision; an export in single precision shows what rounding alone does to
the masks of each preset.

Run with ``python -m benchmarks.adapters.exports``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.common.hardware import machine, record
from benchmarks.common.photos import confident_photos, data_folder
from benchmarks.models import networks
from benchmarks.models.efficientnet_lite0 import network, pytorch_box
from benchmarks.models.efficientnet_lite0_keras import keras_box
from blackbox_explain import BlackBox, InputSpec, Preprocessing, wrap
from blackbox_explain.comparing.models import Comparison, Tolerances, compare
from blackbox_explain.methods.mask.settings import PRESETS

CORRELATION = 0.98
"""The least mean correlation of the masks of exports that are not quantised."""

console = Console(width=120, highlight=False)


def onnx_box() -> BlackBox:
    """Return the classifier that is shipped."""
    return wrap("efficientnet-lite0")


def onnx_box_in_single_precision() -> BlackBox:
    """Return a fresh export of the same network."""
    spec = onnx_box().spec
    return wrap(networks.exported(network(), spec.shape), spec=spec, activation="softmax")


def googlenet(file: str, module: bool = False, **options: Any) -> BlackBox:
    """Return the paper's network from an ONNX file, or the PyTorch module with the file's weights."""
    mean = tuple(one / 255 for one in (123, 117, 104))
    spec = InputSpec((3, 224, 224), preprocessing=Preprocessing(mean=mean, std=1 / 255, channels="BGR"))
    path = data_folder() / file
    return wrap(networks.googlenet(path), spec=spec, activation="none") if module else wrap(path, spec=spec, **options)


BVLC, BVLC_IN_BYTES = "googlenet/googlenet_bvlc.onnx", "quantised/googlenet_bvlc_qdq.onnx"

PAIRS: dict[str, tuple[Callable[[], BlackBox], Callable[[], BlackBox]]] = {
    "EfficientNet-Lite0: PyTorch, ONNX": (pytorch_box, onnx_box),
    "EfficientNet-Lite0: ONNX, Keras": (onnx_box, keras_box),
    "EfficientNet-Lite0: PyTorch, Keras": (pytorch_box, keras_box),
    "GoogLeNet: PyTorch, ONNX": (lambda: googlenet(BVLC, module=True), lambda: googlenet(BVLC)),
    "GoogLeNet: ONNX, quantised": (
        lambda: googlenet(BVLC),
        lambda: googlenet(BVLC_IN_BYTES, straight_through=True),
    ),
}

ROUNDED = "EfficientNet-Lite0: PyTorch, ONNX in float32, preset "
"""The same weights: gradients differ by rounding, by some 1e-6."""


def summarise(found: Comparison) -> dict[str, Any]:
    """Return means and extremes of one comparison."""
    return {
        "score_difference": float(found.score_difference.max()),
        "same_top": float(np.mean(found.top[:, 0] == found.top[:, 1])),
        "correlation": float(found.correlation.mean()),
        "correlation_least": float(found.correlation.min()),
        "iou": float(found.iou.mean()),
        "effect": np.round(found.effect.mean(axis=0), 3).tolist(),
        "kept": bool(all(kept for _, _, kept in found.verdicts(Tolerances()).values())),
    }


def main(photos: Annotated[int, typer.Option(help="How many photos.")] = 8) -> None:
    """Compare the pairs on photos that the default classifier gets right with p > 0.5."""
    images = confident_photos(onnx_box(), "crop", limit=photos).images
    rows: dict[str, Any] = {}
    table = Table("exports", "largest Δ", "same top", "mask corr.", "least", "IoU", "A on B", "B on A", "all kept")
    every = [(name, *pair, "fast") for name, pair in PAIRS.items()]
    every += [(ROUNDED + preset, pytorch_box, onnx_box_in_single_precision, preset) for preset in PRESETS]
    for name, first, second, preset in every:
        row = rows[name] = summarise(compare(first(), second(), images, preset=preset))
        effect = (f"{row['effect'][0][1]:.2f}", f"{row['effect'][1][0]:.2f}")
        figures = (
            f"{row[key]:.4f}" for key in ("score_difference", "same_top", "correlation", "correlation_least", "iou")
        )
        table.add_row(name, *figures, *effect, "yes" if row["kept"] else "no")
    console.print(machine()["processor"])
    console.print(table)
    judged = [name for name in PAIRS if "quantised" not in name]
    met = all(rows[name]["correlation"] >= CORRELATION for name in [*judged, f"{ROUNDED}fast"])
    console.print(f"{'met' if met else 'MISSED'}: masks of exports correlate by at least {CORRELATION} on average")
    path = record("exports", {"photos": photos}, {"pairs": rows})
    console.print(f"stored in {path.parent.name}/{path.name}")


if __name__ == "__main__":
    typer.run(main)
