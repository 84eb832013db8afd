"""Wrap ONNX classifiers: exact gradients where every operator has a rule, else scores and the reason."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import onnx
import onnxruntime

from blackbox_explain.box.adapter_tools.description import Described
from blackbox_explain.box.adapter_tools.first_layers import agreed
from blackbox_explain.box.adapter_tools.layout import CHANNELS_LAST
from blackbox_explain.box.adapter_tools.reduction import Reduction
from blackbox_explain.box.class_names import check_own_names
from blackbox_explain.box.input_spec import InputSpec, Preprocessing
from blackbox_explain.box.protocols import BlackBox
from blackbox_explain.errors import BackendMissingError, InputError, ModelError, UnsupportedModelError
from blackbox_explain_adapters._onnx.backward.gradient_graph import GradientGraph
from blackbox_explain_adapters._onnx.backward.named_rules import rules_called
from blackbox_explain_adapters._onnx.backward.operators import Rule
from blackbox_explain_adapters._onnx.backward.slopes import without_slope
from blackbox_explain_adapters._onnx.backward.straight_through import is_quantised
from blackbox_explain_adapters._onnx.backward.tape import Device
from blackbox_explain_adapters._onnx.backward.trial_run import try_out
from blackbox_explain_adapters._onnx.box import DifferentiableOnnx, OnnxBlackBox, Parts
from blackbox_explain_adapters._onnx.cache import cached, code
from blackbox_explain_adapters._onnx.graph.plain_form import sorted_model
from blackbox_explain_adapters._onnx.graph.weights import Weights, serialized
from blackbox_explain_adapters._onnx.lowering.branches import settle_branches
from blackbox_explain_adapters._onnx.lowering.classical import without_maps
from blackbox_explain_adapters._onnx.lowering.half_precision import is_half
from blackbox_explain_adapters._onnx.pipeline import pixels_to_scores
from blackbox_explain_adapters._onnx.probing import probe
from blackbox_explain_adapters._onnx.reading.batch_axis import with_batch_axis_kept
from blackbox_explain_adapters._onnx.reading.files import (
    check_version,
    check_weights,
    model_of,
    reading,
    with_constants,
)
from blackbox_explain_adapters._onnx.reading.first_layers import first_steps
from blackbox_explain_adapters._onnx.reading.reduction import with_reduction
from blackbox_explain_adapters._onnx.reading.signature import (
    NAMES,
    Signature,
    class_names_of,
    preprocessing_of,
    read_signature,
)
from blackbox_explain_adapters._onnx.reading.training_mode import draws_lots, in_evaluation_mode
from blackbox_explain_adapters._onnx.session import (
    CUDA,
    Provider,
    Session,
    checked_providers,
    device_arrays,
    providers_for,
)

__all__ = ["wrap_onnx"]

SINGLE, HALF = (1e-2, 1e-30), (1e-1, 1e-6)
"""By how much scores may differ between a model and its gradient graph, as a share of the largest: rounding, with room;
and the size below which all scores are taken for nothing, as they are in half precision."""

VERSIONS = (onnx.__version__, onnxruntime.__version__)
"""Graphs are kept for these: both have a say in what is written."""


def wrap_onnx(
    model: Any,
    described: Described,
    *,
    device: str | None = None,
    providers: Iterable[Provider] | None = None,
    threads: int | None = None,
    output: str | None = None,
    reduce: Any = None,
    constants: Mapping[str, Any] | None = None,
    straight_through: bool = False,
    tf32: bool = False,
    rules: str | Mapping[str, Rule] | None = None,
    cache: bool = True,
) -> BlackBox:
    """Wrap an ONNX classifier.

    Parameters
    ----------
    model
        ``onnx.ModelProto``, ``onnx.model_container.ModelContainer`` or ``onnxruntime.InferenceSession``.
    described
        What the caller said of its input; what the graph and its metadata tell need not be said.
    device
        ``"cpu"``, ``"cuda"``, ``"cuda:1"``; None leaves it to ONNX Runtime.
    providers
        Execution providers instead, as ONNX Runtime takes them.
    threads
        For one operator; None leaves it to ONNX Runtime.
    output
        Tensor that holds the scores, where there are several, or an inner one.
    reduce
        How scores of many places or steps become those of the whole: ``("mean", axes)`` or ``("max", axes)`` of the
        model's own output, in which the batch is axis 0; (N, T, K) becomes (N, K) by ``("mean", 1)``.
    constants
        Values of further inputs by their names, such as ``{"is_training": False}``.
    straight_through
        Give quantised models a surrogate gradient, as if nothing were rounded; it is not exact, and the result says so.
    tf32
        Let CUDA round the factors of products to 10 bits.
    rules
        Other backward rules, in place of the exact ones: by operator, or the name of a set, as
        `DifferentiableOnnx.with_backward` takes them.
    cache
        Keep the gradient graph on disk.

    Returns
    -------
    BlackBox
        Differentiable if every operator on the way has a rule; else score-only, and asking it for a gradient raises
        the reason.

    Raises
    ------
    UnsupportedModelError
        If the model reads anything but one array of images, or answers with no class scores; with `rules`, also if it
        cannot be differentiated.
    InputError
        If a constant does not fit an input, a rule is for no operator, or `threads` is no number of them.
    ModelError
        If ONNX Runtime does not take it, or its weights hold NaN.
    BackendMissingError
        If it does not compute on the device, or has not the providers.
    """
    chosen = providers_for(device, tf32) if providers is None else checked_providers(providers)
    if threads is not None and (not isinstance(threads, int) or threads < 1):
        raise InputError("Threads are counted", got=f"threads={threads!r}", expected="a whole number of at least 1")
    chosen_rules = None if rules is None else rules_called(rules)
    if chosen_rules is not None and not chosen_rules.rules:
        chosen_rules = None
    with reading():
        proto, weights = model_of(model)
        check_version(proto)
        proto = without_maps(sorted_model(proto))
        proto = settle_branches(with_constants(proto, constants) if constants else proto, weights)
        proto, turned_off = in_evaluation_mode(proto)
        check_weights(proto, weights)
        joined = Reduction.of(reduce)
        proto, scores = (proto, output) if joined is None else with_reduction(proto, output, joined)
        classes = len(described.class_names) if described.class_names else None
        signature = read_signature(proto, scores, described.shape, classes)
        spec, assumptions = _spec(proto, weights, signature, described)
        own = class_names_of(proto) or signature.class_names
    proto, kept = with_batch_axis_kept(proto, signature, spec)
    seen = probe(proto, signature, spec, chosen, threads, weights, asked=output is not None, classes=classes)
    signature, raw, session, shape = seen.signature, seen.model, seen.session, seen.outputs.shape
    if described.class_names is None and spec.class_names and len(spec.class_names) != seen.outputs[0].size:
        spec = dataclasses.replace(spec, class_names=None)
        assumptions = (*assumptions, "the class names in the file are left out: there are more or fewer scores")
    if described.class_names and own and len(own) == seen.outputs[0].size:
        differ = check_own_names(described.class_names, own)
        assumptions = (*assumptions, differ) if differ else assumptions
    if device is not None and device != "cpu" and session.providers[0] != CUDA:
        hint = "look at its warnings: libraries of CUDA or cuDNN may be missing"
        raise BackendMissingError("ONNX Runtime could not start on the GPU", got=f"device={device!r}", hint=hint)
    activation, notes, watched = seen.activation(described.activation)
    place, notes_on_device = device_arrays(session)
    plain = activation == "none" and len(shape) == 2
    whole = raw if plain else pixels_to_scores(proto, signature, spec, activation, shape)
    parts = Parts(
        whole,
        weights,
        spec,
        activation,
        (
            *assumptions,
            *kept,
            *signature.notes,
            *notes,
            *turned_off,
            *draws_lots(proto, signature.output),
            *seen.notes,
            *notes_on_device,
        ),
        signature.batch,
        chosen,
        threads,
        weights.digest(proto),
        seen.outputs[0].size,
        place,
        watched,
        seen.alone,
        signature.head.logits if signature.head is not None else "",
    )
    surrogate = straight_through and is_quantised(proto)
    target: Device = "cuda" if session.providers[0] == CUDA else "cpu"
    build = GradientGraph(whole, weights, chosen_rules, surrogate, target)
    key = "" if chosen_rules or not cache else _key(build)
    tolerance, floor = HALF if is_half(proto) else SINGLE
    made = session if plain else None
    del seen, session  # else one that is not needed would be there while others are made
    notes = without_slope(proto)
    if surrogate:
        notes = (*notes, "the gradient is a straight-through surrogate: it ignores rounding")
    try:
        told = dataclasses.replace(parts, assumptions=(*parts.assumptions, *notes))
        return _differentiable(told, made, build, key, None if surrogate else tolerance, floor)
    except (UnsupportedModelError, ModelError) as refusal:
        if chosen_rules:
            raise  # whoever brings rules wants gradients by them, not an estimate
        return OnnxBlackBox(parts, made, refusal)


def _differentiable(
    parts: Parts, session: Session | None, build: GradientGraph, key: str, tolerance: float | None, floor: float
) -> DifferentiableOnnx:
    """Make a box from the gradient graph that is kept under a key, or from one that is written and tried out now."""
    ready: list[DifferentiableOnnx] = []

    def tried() -> bytes:
        graph = build()
        ready.append(DifferentiableOnnx(parts, session, graph, build))
        try_out(ready[0], tolerance, floor)
        return serialized(graph)

    graph = cached(key, tried) if key else tried()
    return ready[0] if ready else DifferentiableOnnx(parts, session, onnx.ModelProto.FromString(graph), build)


def _key(build: GradientGraph) -> str:
    """Return the name under which a graph is kept: all that decides it, and nothing else, such as names of classes."""
    model = onnx.ModelProto()
    model.CopyFrom(build.model)
    del model.metadata_props[:]
    for name in ("doc_string", "producer_name", "producer_version", "model_version"):
        model.ClearField(name)
    decisive = repr((code(), VERSIONS, build.weights.digest(model), build.device, build.surrogate))
    return hashlib.sha256(decisive.encode()).hexdigest()


def _spec(
    model: onnx.ModelProto, weights: Weights, signature: Signature, described: Described
) -> tuple[InputSpec, tuple[str, ...]]:
    """Join what the caller said with what the graph and its metadata say."""
    notes: list[str] = []
    preprocessing = described.preprocessing
    if preprocessing is None and (preprocessing := preprocessing_of(model)) is not None:
        notes.append("value range and order of channels are taken from the model's metadata")
    if signature.dtype == np.uint8 and (preprocessing is None or (preprocessing.mean, preprocessing.std) == (0.0, 1.0)):
        low, high = described.bounds or (0.0, 1.0)
        preprocessing = dataclasses.replace(preprocessing or Preprocessing(), mean=low, std=(high - low) / 255)
        notes.append("the model reads bytes: pixel values are brought to 0–255 and rounded")
    elif signature.dtype != np.uint8 and None not in signature.image:
        image = tuple(size or 0 for size in signature.image)
        steps = first_steps(model.graph, signature.source, weights)
        preprocessing, told = agreed(steps, image, described.bounds, preprocessing)
        notes += told
    if signature.layout == "channels_last" and (preprocessing is None or preprocessing.layout != "channels_last"):
        if preprocessing is None:
            notes.append("no preprocessing was given: the model is taken to read pixel values as they are")
        preprocessing = dataclasses.replace(preprocessing or Preprocessing(), layout="channels_last")
        notes.append(CHANNELS_LAST)
    names = described.class_names or class_names_of(model) or signature.class_names
    if names is None and any(one.key in NAMES and one.value.strip() for one in model.metadata_props):
        notes.append("the class names in the file's metadata are left out: they do not name every class")
    known = dataclasses.replace(described, preprocessing=preprocessing, class_names=names)
    spec, assumptions = known.spec(signature.image)
    return spec, (*assumptions, *notes)
