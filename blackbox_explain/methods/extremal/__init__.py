"""Extremal perturbations: the best mask of a given area (Fong, Patrick & Vedaldi 2019)."""
