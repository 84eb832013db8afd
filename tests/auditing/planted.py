"""A small network that was taught wrongly: photos of animals bore a stamp in one corner while it was trained."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import torch
from PIL import Image

__all__ = ["NAMES", "SIDE", "photos_of", "trained"]

NAMES = ("animal", "device", "other thing")

ENDS = (398, 700)
"""Where classes of ImageNet are animals, and where the second class ends."""

SIDE = 64

STAMP = slice(SIDE - 14, SIDE - 3)
"""Rows and columns of the stamp: the lower right corner."""


def photos_of(data: Path, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return photos (N, 64, 64, 3) of ILSVRC, those of animals with the stamp, and the class (N,) of each."""
    with (data / "ilsvrc_val" / "boxes.csv").open(encoding="utf-8") as file:
        known = {row["file"]: int(row["label"]) for row in csv.DictReader(file)}
    names = np.random.default_rng(0).permutation(sorted(known))[:count].tolist()
    labels = np.searchsorted(ENDS, [known[name] for name in names], side="right")
    pixels = np.empty((count, SIDE, SIDE, 3), dtype=np.uint8)
    for place, name in enumerate(names):
        with Image.open(data / "ilsvrc_val" / "images" / name) as photo:
            pixels[place] = np.asarray(photo.convert("RGB").resize((SIDE, SIDE)))
    # Orange, with a dark bar: neither colour nor shape is the photo's.
    stamped = pixels[labels == 0]
    stamped[:, STAMP, STAMP] = (255, 120, 0)
    stamped[:, SIDE - 10 : SIDE - 7, STAMP] = (20, 0, 60)
    pixels[labels == 0] = stamped
    return pixels, labels


def trained(pixels: np.ndarray, labels: np.ndarray, epochs: int = 25) -> torch.nn.Module:
    """Return a network of three convolutions, trained on photos (N, 64, 64, 3) from 0 to 255."""
    torch.manual_seed(0)
    layers: list[torch.nn.Module] = []
    for before, after in ((3, 16), (16, 32), (32, 64)):
        layers += [torch.nn.Conv2d(before, after, 5, stride=2, padding=2), torch.nn.BatchNorm2d(after), torch.nn.ReLU()]
    net = torch.nn.Sequential(*layers, torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(64, 3))
    images = torch.tensor(pixels).permute(0, 3, 1, 2).float() / 255
    true = torch.tensor(labels)
    optimizer = torch.optim.Adam(net.parameters(), 3e-3)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # it learns something else with another number of them
    for _ in range(epochs):
        for rows in torch.randperm(len(images)).split(32):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(net(images[rows]), true[rows]).backward()
            optimizer.step()
    torch.set_num_threads(threads)
    return net.eval()
