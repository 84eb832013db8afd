"""Measurements: speed, quality, the paper's experiments; what was measured lies in ``results/``."""
