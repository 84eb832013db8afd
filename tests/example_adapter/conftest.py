"""The tests are those of an installed distribution."""

from importlib.metadata import PackageNotFoundError, distribution

try:
    distribution("tiny-centroids")
except PackageNotFoundError:
    collect_ignore = ["tests"]
