"""What a peer is given: one image, and the network in the forms in which packages take it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

__all__ = ["Asked", "Map"]

Map = np.ndarray[Any, Any]
"""(H, W), high where it matters."""


@dataclass
class Asked:
    """One image and the module that is asked about it, which counts how many images it was run on.

    Attributes
    ----------
    module
        What the network reads to logits.
    image
        (1, 3, H, W) in pixel space.
    inputs
        The same as the network reads it.
    grey
        A grey image as the network reads it.
    target
        Class.
    last
        The last layer with a spatial extent.
    pixels
        Pixel space to what the network reads.
    onnx
        The same network as a file, for those that read no other.
    classes
        That the network tells apart.
    seed
        Of what is drawn.
    queries
        Images that the network was run on.
    """

    module: torch.nn.Module
    image: torch.Tensor
    inputs: torch.Tensor
    grey: torch.Tensor
    target: int
    last: torch.nn.Module
    pixels: Callable[[torch.Tensor], torch.Tensor]
    onnx: Path | None = None
    classes: int = 1000
    seed: int = 0
    queries: int = field(default=0)

    def probabilities(self, inputs: torch.Tensor) -> torch.Tensor:
        """Map what the network reads (n, 3, H, W) to probabilities (n, K)."""
        return torch.softmax(self.module(inputs), dim=1)

    def by_lines(self, images: Any) -> Map:
        """Map images (n, H, W, 3) in pixel space, as LIME and SHAP hand them, to probabilities (n, K)."""
        given = torch.tensor(np.asarray(images, np.float32), device=self.image.device).permute(0, 3, 1, 2)
        with torch.no_grad():
            return self.probabilities(self.pixels(given)).cpu().numpy()

    def by_places(self) -> Map:
        """Return the image as those packages take it: (H, W, 3), in pixel space."""
        return self.image[0].permute(1, 2, 0).cpu().numpy()
