"""What stands in for a deleted pixel: blur, a constant, noise, or an image of the user's own (section 4.1)."""

from blackbox_explain.perturbations.deletion import deleted, level_set
from blackbox_explain.perturbations.named import NAMES, PerturbationName, named
from blackbox_explain.perturbations.perturbation import Blur, Constant, Game, Noise, Perturbation, Reference

__all__ = [
    "NAMES",
    "Blur",
    "Constant",
    "Game",
    "Noise",
    "Perturbation",
    "PerturbationName",
    "Reference",
    "deleted",
    "level_set",
    "named",
]
