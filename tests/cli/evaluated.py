"""A model, results and files that tests of ``blackbox-explain evaluate`` share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from typer.testing import CliRunner, Result

import blackbox_explain as bx
from blackbox_explain.cli import app
from blackbox_explain.data.photos import LoadedImages, Photo
from tests.toys import Linear

MODEL = "tests.cli.evaluated:model"
WEIGHTS = np.random.default_rng(0).normal(size=(3, 12, 12))
PHOTOS = ("a.jpg", "b.jpg", "c.jpg")


def model() -> bx.BlackBox:
    """Return a model whose score falls whatever its images are replaced by."""
    return named(WEIGHTS, "bird", "fish")


def named(weights: np.ndarray, *names: str) -> bx.BlackBox:
    box = Linear(weights)
    object.__setattr__(box.spec, "class_names", names)
    return box


def other() -> bx.BlackBox:
    return Linear(-WEIGHTS)


def explained(method: str, row: int) -> bx.Explanation:
    """Explain one image that comes from a photo of 24 by 24 pixels."""
    noise = 0.3 * np.random.default_rng(row).random((1, 3, 12, 12))
    photo = Photo(PHOTOS[row], np.full((24, 24, 3), row, np.uint8), (0.0, 0.0, 24.0, 24.0))
    images = LoadedImages((0.4 + 0.2 * np.sign(WEIGHTS) + noise).astype(np.float32), [photo])
    return bx.explain(model(), images, 0, method=method, progress=False)


def saved(folder: Path) -> Path:
    """Write results to a folder: three images by one method, two of them by another."""
    for method, rows in (("gradient", 3), ("gradient-times-input", 2)):
        (folder / method).mkdir()
        for row in range(rows):
            explained(method, row).save(folder / method / PHOTOS[row].replace("jpg", "npz"))
    return folder


def boxes_file(folder: Path, *rows: str) -> Path:
    path = folder / "boxes.csv"
    path.write_text("\n".join(("file,x0,y0,x1,y1,label", *rows)), encoding="utf-8")
    return path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["evaluate", *map(str, arguments)])
