"""Classify images by the nearest of a few others."""

from tiny_centroids.model import Centroids, load

__all__ = ["Centroids", "load"]
