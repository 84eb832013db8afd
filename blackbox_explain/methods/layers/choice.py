"""Which layer a map is taken at."""

from __future__ import annotations

from blackbox_explain.box.info import require
from blackbox_explain.box.protocols import Layered
from blackbox_explain.errors import UnsupportedModelError


def spatial_layers(layers, spatial):
    out = []
    for l in layers:
        s = l.shape[1:]
        if len(s) != len(spatial) or any(n is None or n < 2 or n > size for n, size in zip(s, spatial)):
            continue
        r = [size / n for n, size in zip(s, spatial)]
        if max(r) <= 1.5 * min(r):
            out.append(l)
    return out


def chosen_layer(box, name=None):
    layers = require(box, Layered).layers()
    fit = spatial_layers(layers, box.spec.spatial)
    if name is None:
        if not fit:
            raise UnsupportedModelError("none")
        return fit[-1]
    return next(l for l in fit if l.name == name)
