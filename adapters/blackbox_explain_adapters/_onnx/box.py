"""Boxes of ONNX models: scores, gradients, and inner tensors."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import onnx

from blackbox_explain.arrays import Array, namespace
from blackbox_explain.box.activations import Activation, WatchedRange
from blackbox_explain.box.adapter_tools.checks import check_batch, check_output, check_scores
from blackbox_explain.box.adapter_tools.fixed_batch_size import in_batches
from blackbox_explain.box.adapter_tools.random_parameters import note_on
from blackbox_explain.box.adapter_tools.shown import Shown
from blackbox_explain.box.input_spec import InputSpec
from blackbox_explain.box.protocols import Layer, Of
from blackbox_explain_adapters._onnx.backward.differentiation import WEIGHTS
from blackbox_explain_adapters._onnx.backward.gradient_graph import GradientGraph
from blackbox_explain_adapters._onnx.backward.named_rules import rules_called
from blackbox_explain_adapters._onnx.backward.operators import Rule
from blackbox_explain_adapters._onnx.graph.weights import Weights, serialized, together
from blackbox_explain_adapters._onnx.layers import layers_of
from blackbox_explain_adapters._onnx.parameters import Parameters
from blackbox_explain_adapters._onnx.pipeline import IMAGES, pixels_to_logits
from blackbox_explain_adapters._onnx.session import LazySession, Provider, Session

__all__ = ["DifferentiableOnnx", "OnnxBlackBox", "Parts"]

MOST_SESSIONS = 8
"""Kept for inner tensors."""

_CHOICE = threading.Lock()


@dataclasses.dataclass(frozen=True)
class Parts:
    """What the boxes of one model share.

    Attributes
    ----------
    model
        From images in pixel space to scores; its large weights are held apart.
    weights
        Those.
    spec, activation, assumptions
        As boxes have them.
    batch
        Fixed size of batches, or None.
    providers, threads
        For sessions.
    digest
        Of the model as it was given.
    classes
        Number of scores.
    place
        Torch device that arrays lie on, None for the host.
    watched
        Holds the scores against the guess that they need no activation; None where it is no guess.
    alone
        Whether each image fills a batch by itself.
    head
        Tensor before the activation that the model itself ends in; "" if it ends in none.
    """

    model: onnx.ModelProto
    weights: Weights
    spec: InputSpec
    activation: Activation
    assumptions: tuple[str, ...]
    batch: int | None
    providers: list[Provider]
    threads: int | None
    digest: str
    classes: int
    place: str | None
    watched: WatchedRange | None = None
    alone: bool = False
    head: str = ""

    def lazy(self, model: Any, made: Session | None = None) -> LazySession:
        return LazySession(model, self.providers, self.threads, self.weights, made)


class OnnxBlackBox(Shown):
    """An ONNX model that gives scores."""

    def __init__(self, parts: Parts, session: Session | None, refusal: Exception | None = None) -> None:
        self.spec = parts.spec
        self.activation: Activation = parts.activation
        self.assumptions = parts.assumptions
        self.no_gradient = refusal
        self._parts = parts
        self._scores = parts.lazy(parts.model, session)

    def native(self, array: np.ndarray[Any, Any]) -> Array:
        """Move a NumPy array to where the session computes: a torch tensor on CUDA, itself on a CPU."""
        if self._parts.place is None:
            return np.asarray(array)
        import torch

        return torch.tensor(array, device=self._parts.place)

    def scores(self, images: Array) -> Array:
        """Map images ``(N, *shape)`` in pixel space to scores (N, K)."""
        (scores,) = self._run(self._scores.get(), {IMAGES: images})
        return scores

    def fingerprint(self) -> str:
        """Return a digest of the model file's content."""
        return f"sha256:{self._parts.digest}"

    def parameter_layers(self) -> tuple[str, ...]:
        """Return the names of the operators' outputs that are made by parameters, from the output towards the input.

        The model is run, to see what is constant.

        Raises
        ------
        UnsupportedModelError
            If the model is quantised, has no parameters, or may hold some where they are out of reach.
        """
        return tuple(self._parameters().layers)

    def randomized(self, layers: Sequence[str], seed: int) -> OnnxBlackBox:
        """Return a box whose model has random parameters in some of its `parameter_layers`; this one stays as it is.

        Raises
        ------
        InputError
            If there is no such layer.
        UnsupportedModelError
            As `parameter_layers`.
        """
        return OnnxBlackBox(self._drawn(layers, seed), None, self.no_gradient)

    def _parameters(self) -> Parameters:
        return Parameters.of(self._parts.model, self._parts.weights)

    def _drawn(self, layers: Sequence[str], seed: int) -> Parts:
        model, weights = self._parameters().drawn(layers, seed)
        # The guess that the scores need no activation was made of the learned parameters.
        return dataclasses.replace(
            self._parts,
            model=model,
            weights=weights,
            digest=weights.digest(model),
            watched=None,
            assumptions=(*self.assumptions, note_on(layers, seed)),
        )

    def __getstate__(self) -> dict[str, Any]:
        error = self.no_gradient
        return {**self.__dict__, "no_gradient": None if error is None else (type(error), error.args)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if (told := state["no_gradient"]) is not None:
            kind, words = told
            self.no_gradient = kind.__new__(kind, *words)  # its text is whole: it must not be composed again

    def _run(self, session: Session, feeds: dict[str, Array]) -> tuple[Array, ...]:
        names, arrays = list(feeds), list(feeds.values())

        def call(*rows: Array) -> tuple[Array, ...]:
            return tuple(session.run(dict(zip(names, rows, strict=True))))

        check_batch(arrays[0], self.spec, *arrays[1:], classes=self._parts.classes)
        batch, count = self._parts.batch, arrays[0].shape[0]
        if self._parts.alone and batch not in (None, 1) and count > 1:
            # A batch is filled up with the last of its images.
            rows = [in_batches(call, batch, *(one[k : k + 1, ...] for one in arrays)) for k in range(count)]
            xp = namespace(rows[0][0])
            answers = tuple(xp.concat(list(parts), axis=0) for parts in zip(*rows, strict=True))
        else:
            answers = in_batches(call, batch, *arrays)
        check_scores(answers[0], arrays[0].shape[0], "The model")
        if self._parts.watched is not None:
            self._parts.watched.check(answers[0])
        given = arrays[0].dtype
        xp = namespace(answers[0])
        return tuple(one if one.dtype == given else xp.astype(one, given) for one in answers)


class DifferentiableOnnx(OnnxBlackBox):
    """An ONNX model that gives scores and gradients, both by ONNX Runtime."""

    def __init__(self, parts: Parts, session: Session | None, graph: onnx.ModelProto, build: GradientGraph) -> None:
        super().__init__(parts, session)
        self._graph = graph
        self._build = build
        self._gradient = parts.lazy(graph)
        self._inner: dict[tuple[str, ...], LazySession] = {}
        self._layers: tuple[Layer, ...] | None = None

    @property
    def surrogate(self) -> bool:
        """Whether the gradient is that of another function: as if nothing were rounded."""
        return self._build.surrogate

    def gradient_graph(self) -> bytes:
        """Return the serialized model that gives scores and gradient: any ONNX Runtime runs it.

        Raises
        ------
        UnsupportedModelError
            If it takes more than 2 GB, which no message does.
        """
        return serialized(together(self._graph, self._parts.weights))

    def scores_and_gradient(self, images: Array, weights: Array) -> tuple[Array, Array]:
        """Return scores (N, K) and d Σ(weights · scores) / d images ``(N, *shape)``."""
        scores, gradient = self._run(self._gradient.get(), {IMAGES: images, WEIGHTS: weights})
        return scores, gradient

    def layers(self) -> tuple[Layer, ...]:
        """Return the layers between images and scores, in order; `inner` takes their names.

        The model is run the first time, to see their shapes.
        """
        if self._layers is None:
            # Threads that come together do it twice, and find the same.
            self._layers = layers_of(self._parts.model, self._parts.weights)
        return self._layers

    def with_backward(
        self, rules: str | Mapping[str, Rule], of: Of = "scores", **settings: float
    ) -> DifferentiableOnnx:
        """Return a box whose gradient passes operators by other rules.

        Parameters
        ----------
        rules
            Rules by operator, where what they do not name keeps its own, or the name of a set.  ``"exact"``,
            ``"guided"`` and ``"deconvnet"`` pass a gradient.  ``"lrp-epsilon"``, ``"lrp-alpha-beta"``,
            ``"lrp-composite"``, ``"excitation"`` and ``"contrastive-excitation"`` pass relevance: what stands in the
            place of the gradient is the relevance of each pixel, and what stands in that of the weights is the
            relevance of each score to start from (the logit of the target, or 1).
        of
            ``"scores"``, or ``"logits"``: what the model's last activation is applied to.
        **settings
            Of the set: ``epsilon`` (1e-9) of those that begin with ``"lrp"``; ``alpha`` (1) and ``beta`` (0) of
            ``"lrp-alpha-beta"``.

        Raises
        ------
        InputError
            If there is no such set of rules or setting, or a rule is for no operator.
        UnsupportedModelError
            If an operator cannot be passed, or the rules would change nothing: a model without rectifiers has nothing
            to guide.
        """
        chosen = rules_called(rules, settings)
        check_output(of)
        parts = self._parts
        logits = pixels_to_logits(parts.model, parts.head) if of == "logits" else None
        if logits is not None:
            parts = dataclasses.replace(parts, model=logits, activation="none", watched=None)
        if chosen.rules or logits is not None:
            parts = dataclasses.replace(parts, digest=f"{parts.digest}, {chosen.label} of {of}")
        build = dataclasses.replace(self._build, model=parts.model, rules=chosen if chosen.rules else None)
        made = DifferentiableOnnx(parts, None, build(), build)
        if chosen.rules:
            made.assumptions = (*parts.assumptions, f"the gradient passes by other rules: {chosen.label}")
        return made

    def randomized(self, layers: Sequence[str], seed: int) -> DifferentiableOnnx:
        """Return a box whose model has random parameters in some of its `parameter_layers`; this one stays as it is.

        Raises
        ------
        InputError
            If there is no such layer.
        UnsupportedModelError
            As `parameter_layers`.
        """
        parts = self._drawn(layers, seed)
        build = dataclasses.replace(self._build, model=parts.model, weights=parts.weights)
        return DifferentiableOnnx(parts, None, build(), build)

    def inner(self, images: Array, weights: Array, names: Sequence[str]) -> dict[str, tuple[Array, Array]]:
        """Return for inner tensors of the graph their values and the gradients of Σ(weights · scores) by them.

        Parameters
        ----------
        images
            ``(N, *shape)`` in pixel space.
        weights
            (N, K).
        names
            Of tensors of the model's graph, between images and scores.

        Raises
        ------
        UnsupportedModelError
            If one is not on the way from images to scores.
        """
        key = tuple(names)
        with _CHOICE:
            lazy = self._inner.pop(key, None) or self._parts.lazy(partial(self._build, key))
            self._inner[key] = lazy  # the last used is the last
            for old in list(self._inner)[:-MOST_SESSIONS]:
                del self._inner[old]
        session = lazy.get()
        _, *found = self._run(session, {IMAGES: images, WEIGHTS: weights})
        return {name: (found[2 * k], found[2 * k + 1]) for k, name in enumerate(key)}
