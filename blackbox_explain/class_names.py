"""Names of classes: read from files and mappings, shown so that no two are alike."""

from __future__ import annotations
