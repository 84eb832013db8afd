"""The photos that a command is given, and how they are read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import typer

from blackbox_explain.data.images import Fit
from blackbox_explain.data.reading import PhotoReader

__all__ = ["Images", "PhotoOptions"]

Images = Annotated[
    list[Path],
    typer.Argument(
        metavar="IMAGE...",
        help="Photos (JPEG, PNG and other formats), folders of photos with all folders in them, or patterns such as "
        "'photos/*.jpg'.",
        show_default=False,
    ),
]


@dataclass(frozen=True)
class PhotoOptions:
    """How photos are read, as typed: `fit` and `white` of `load_images`."""

    panel: ClassVar[str] = "Photos"

    fit: Annotated[
        Fit,
        typer.Option(
            "--fit",
            metavar="NAME",
            help="How a photo meets the model's shape: crop (its centre), stretch, or pad (with a border).",
        ),
    ] = "crop"
    white: Annotated[
        float | None,
        typer.Option(
            metavar="NUMBER",
            help="The value of white in photos of more than 8 bits, such as 4095 for 12 bits. Default: as the file "
            "tells.",
        ),
    ] = None

    @property
    def reader(self) -> PhotoReader:
        """What reads the photos so."""
        return PhotoReader(self.fit, self.white)
