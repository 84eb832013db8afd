"""Excitation backpropagation: where the units lie that excite a class (Zhang et al. 2016)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from blackbox_explain.arrays import Array, to_numpy
from blackbox_explain.box.info import BoxInfo, require
from blackbox_explain.box.oracle import Oracle
from blackbox_explain.box.protocols import Layered, Rewritable
from blackbox_explain.methods.forms import check_rules, form_of
from blackbox_explain.methods.layers.choice import chosen_layer, spatial_layers
from blackbox_explain.methods.method import Attribution, Budget
from blackbox_explain.methods.upsampling import at_pixels
from blackbox_explain.setting_ranges import check_name

__all__ = ["ContrastiveExcitationBackprop", "ExcitationBackprop"]

FINENESS = 8
"""The layer that maps are taken at has a cell for every so many pixels, or more: 28 × 28 of 224 × 224 in the paper."""


@dataclass(frozen=True)
class ExcitationBackprop:
    """Walk from the class down the connections that excite it, and count where the walk comes by.

    P(a_j) = Σ_i P(a_j | a_i) P(a_i), P(a_j | a_i) in proportion to a_j w_ji where w_ji > 0.

    Zhang et al., *Top-down Neural Attention by Excitation Backprop* (2016): the chance that a walk from the class down
    the excitatory connections comes by a unit.

    Attributes
    ----------
    layer
        Where the map is taken, summed over the channels and upsampled linearly; None is the last layer of at least a
        cell for 8 pixels, such as the 28 × 28 cells of the paper, or the pooling that first has these cells, as in the
        paper: behind the last such layer the walk has just left a pooling, which sends it to every other cell.  It is
        the image if there is no such layer.
    """

    layer: str | None = None

    name: ClassVar[str] = "excitation-backprop"
    needs: ClassVar[type[Any]] = Rewritable
    rules: ClassVar[str] = "excitation"

    def __post_init__(self) -> None:
        check_name(self, "layer")

    @classmethod
    def check_box(cls, box: Rewritable) -> None:
        """Raise why a box has no such rules."""
        check_rules(box, cls.rules)

    def budget(self, info: BoxInfo) -> Budget:
        """Return one run for the score and one for the walk."""
        del info
        return Budget(2)

    def explain(self, oracle: Oracle, images: Array, weights: Array, seed: int) -> Attribution:
        """Return the chances, summed over the channels."""
        del seed
        spatial = oracle.box.spec.spatial
        asked = oracle.asking(form_of(oracle.box, self.rules))
        name = self._layer(asked)
        if name is None:
            chances = to_numpy(asked.gradient(images, weights)[1])
            return Attribution(saliency=chances.sum(axis=1), attribution=chances)
        chances = to_numpy(asked.inner(images, weights, [name])[name][1])
        return Attribution(saliency=at_pixels(chances.sum(axis=1), spatial))

    def _layer(self, asked: Oracle) -> str | None:
        """Return the layer that the map is taken at; None is the image."""
        box, spatial = asked.box, asked.box.spec.spatial
        if self.layer is not None:
            return chosen_layer(require(box, Layered), self.layer).name
        if not isinstance(box, Layered):
            return None
        fine = [
            one
            for one in spatial_layers(box.layers(), spatial)
            if all(FINENESS * int(n or 0) >= size for n, size in zip(one.shape[1:], spatial, strict=True))
        ]
        if not fine:
            return None
        first = next(one for one in fine if one.shape[1:] == fine[-1].shape[1:])
        return first.name if first.kind.endswith("Pool") else fine[-1].name


@dataclass(frozen=True)
class ContrastiveExcitationBackprop(ExcitationBackprop):
    """Walk down from the class, and subtract the walk from what speaks against it.

    Against it speaks the same classifier with the weights negated.

    Zhang et al. (2016), contrastive marginal winning probability.

    Attributes
    ----------
    layer
        As in `ExcitationBackprop`.
    """

    name: ClassVar[str] = "contrastive-excitation-backprop"
    rules: ClassVar[str] = "contrastive-excitation"
