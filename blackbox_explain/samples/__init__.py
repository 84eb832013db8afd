"""Two photos and a classifier to try things on (see NOTICE)."""

from pathlib import Path

__all__ = ["CAT", "COFFEE", "MODEL"]

CAT = Path(__file__).parent / "cat.jpg"
COFFEE = Path(__file__).parent / "coffee.jpg"

MODEL = Path(__file__).parent / "efficientnet_lite0.onnx"
"""The embedded default; reads (RGB − 127) / 128 and gives probabilities of the 1,000 ImageNet classes."""
