"""The loop that a user would write: eq. 4 of the paper for one image, by PyTorch's autograd and Adam."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional

__all__ = ["baseline_mask"]

CELLS, SIGMA, BLUR, JITTER = 28, 5.0, 10.0, 4
LEARNING_RATE, AREA, TV, BETA = 0.1, 1e-4, 1e-2, 3


def baseline_mask(module: Any, image: torch.Tensor, target: int, steps: int = 300, seed: int = 0) -> torch.Tensor:
    """Learn the mask of one image, straightforwardly: mixed with one blurred copy, jittered, one step at a time.

    Parameters
    ----------
    module
        Images (1, 3, H, W) in [0, 1] to probabilities (1, K).
    image
        (1, 3, H, W) in [0, 1].
    target
        Class.
    steps
        Of Adam; the paper has 300.
    seed
        Of the jitter.

    Returns
    -------
    torch.Tensor
        (H, W), 1 where it is kept.
    """
    generator = torch.Generator().manual_seed(seed)
    height, width = image.shape[2:]
    padded = functional.pad(image, (0, JITTER, 0, JITTER), mode="reflect")
    blurred = _blurred(padded, BLUR)
    mask = torch.full((1, 1, CELLS, CELLS), 0.5, device=image.device, requires_grad=True)
    optimizer = torch.optim.Adam([mask], lr=LEARNING_RATE)
    for _ in range(steps):
        top, left = torch.randint(0, JITTER, (2,), generator=generator).tolist()
        shown, gone = (one[:, :, top : top + height, left : left + width] for one in (padded, blurred))
        whole = _upsampled(mask, height, width)
        score = module(gone + whole * (shown - gone))[0, target]
        across, down = mask[..., 1:] - mask[..., :-1], mask[:, :, 1:] - mask[:, :, :-1]
        variation = across.abs().pow(BETA).sum() + down.abs().pow(BETA).sum()
        loss = AREA * (1 - mask).abs().sum() + TV * variation + score
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            mask.clamp_(0, 1)
    return _upsampled(mask.detach(), height, width)[0, 0]


def _upsampled(mask: torch.Tensor, height: int, width: int) -> torch.Tensor:
    return _blurred(functional.interpolate(mask, (height, width), mode="nearest"), SIGMA)


def _blurred(images: torch.Tensor, sigma: float) -> torch.Tensor:
    """Blur (N, C, H, W) by a Gaussian, one axis after the other."""
    reach = int(3 * sigma)
    places = torch.arange(-reach, reach + 1, dtype=images.dtype, device=images.device)
    kernel = torch.exp(-0.5 * (places / sigma) ** 2)
    kernel = kernel / kernel.sum()
    channels = images.shape[1]
    for shape, sides in (((1, -1), (reach, reach, 0, 0)), ((-1, 1), (0, 0, reach, reach))):
        filters = kernel.reshape(1, 1, *shape).repeat(channels, 1, 1, 1)
        images = functional.conv2d(functional.pad(images, sides, mode="replicate"), filters, groups=channels)
    return images
