"""Extremal perturbations: the best mask of a given area (Fong, Patrick & Vedaldi 2019)."""

from blackbox_explain.methods.extremal.extremal_perturbation import ExtremalPerturbation

__all__ = ["ExtremalPerturbation"]
