"""Pictures of results: photo, mask over it, perturbed photo and scores, as in Fig. 1 of the paper."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from blackbox_explain.errors import InputError, ResultError
from blackbox_explain.explanation import Explanation, Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["figure", "save_figure"]

COLOURS = "inferno"

Limits = tuple[float, float]
"""Values drawn black and white."""


def figure(result: Explanation, row: int = 0) -> Figure:
    """Draw one row of a result.

    Parameters
    ----------
    result
        Of images (grey or colour), signals, or volumes, of which the middle slice is shown.
    row
        Which one.

    Returns
    -------
    matplotlib.figure.Figure
        Three panels: what went in with its score, what matters, what the mask leaves with its score.

    Raises
    ------
    InputError
        If there is no such row, or it failed.
    """
    from matplotlib.figure import Figure

    if not -len(result) <= row < len(result):
        raise InputError("There is no such row", got=f"row {row}", expected=f"0 to {len(result) - 1}")
    if result.status[row].startswith("failed"):
        raise InputError("A row that failed cannot be drawn", got=result.status[row])
    before, after, fully = result.scores[row]
    region = result.score_region[row]
    deletion = result.settings.get("game", "deletion") == "deletion"
    verb, short = ("deleted", "without it") if deletion else ("kept", "with it alone")
    *_, tall, wide = (1, 1, *result.saliency.shape[1:])
    shown = 3.4 * min(max(tall / wide, 0.2), 2.0) if result.saliency.ndim > 2 else 3.4
    drawing = Figure(figsize=(10.5, shown + 1.05), layout="constrained", facecolor="white")
    left, middle, right = drawing.subplots(1, 3)
    draw = _draw_signal if result.saliency.ndim == 2 else _draw_image
    limits = (float(result.images[row].min()), float(result.images[row].max()))
    limits = (min(limits[0], 0.0), max(limits[1], 1.0))
    draw(left, result.images[row], None, limits)
    draw(middle, result.images[row], result.saliency[row], limits)
    draw(right, result.masked_images[row], None, limits)
    name = textwrap.shorten(result.target[row], 34, placeholder="…")
    left.set_title(f"{name}\nscore {before:.4f}", fontsize=11, parse_math=False)
    middle.set_title(f"learned mask\n{result.area[row]:.1%} of the image {verb}", fontsize=11, parse_math=False)
    right.set_title(f"{short}\nscore {after:.4f}", fontsize=11, parse_math=False)
    setting = result.settings
    others = (
        f"outlined region fully perturbed {region:.4f}"
        if deletion
        else f"all but the outlined region fully perturbed {region:.4f}"
    )
    if not (result.saliency[row] > 0.5).any():
        others = "no region stands out by more than half"
    drawing.supxlabel(
        f"{setting.get('game', '')} by {setting.get('perturbation', '')}, preset {setting.get('preset', '')}: "
        f"{others}, whole image {fully:.4f}; {result.status[row].partition(':')[0]}",
        fontsize=8.5,
        color="#555555",
        parse_math=False,
    )
    return drawing


def save_figure(result: Explanation, row: int, path: Path) -> Path:
    """Draw one row into a PNG file.

    Raises
    ------
    ResultError
        If the file cannot be written.
    """
    try:
        figure(result, row).savefig(path, dpi=110, bbox_inches="tight", pad_inches=0.1)
    except OSError as error:
        raise ResultError("The picture cannot be written", got=f"{path}: {error.strerror}") from error
    return path


def _draw_image(axes: Axes, image: Floats, saliency: Floats | None, limits: Limits) -> None:
    while image.ndim > 3:
        image = image[:, image.shape[1] // 2]
        saliency = None if saliency is None else saliency[saliency.shape[0] // 2]
    shown = np.clip((image - limits[0]) / (limits[1] - limits[0]), 0, 1)
    shown = np.moveaxis(shown, 0, -1) if image.shape[0] == 3 else np.repeat(shown.mean(axis=0)[..., None], 3, axis=-1)
    if saliency is not None:
        from matplotlib import colormaps

        grey = np.repeat(shown.mean(axis=-1, keepdims=True), 3, axis=-1) * 0.75
        strength = saliency[..., None]
        colour = colormaps[COLOURS](0.25 + 0.7 * saliency)[..., :3]
        shown = grey * (1 - 0.75 * strength) + colour * 0.75 * strength
    axes.imshow(shown, interpolation="nearest")
    if saliency is not None and saliency.min() < 0.5 < saliency.max():
        axes.contour(saliency, levels=[0.5], colors="white", linewidths=1.0)
    axes.set_axis_off()


def _draw_signal(axes: Axes, signal: Floats, saliency: Floats | None, limits: Limits) -> None:
    time = np.arange(signal.shape[-1])
    axes.plot(time, signal.T, linewidth=0.9)
    axes.set_ylim(*limits)
    if saliency is not None:
        low, high = axes.get_ylim()
        axes.imshow(
            saliency[None],
            extent=(-0.5, time.size - 0.5, low, high),
            aspect="auto",
            cmap=COLOURS,
            alpha=0.45,
            vmin=0,
            vmax=1,
        )
    axes.set_yticks([])
