"""One run on plain images: what shape the outputs have, and what turns them into scores."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx

from blackbox_explain.activations import Activation, choose_activation
from blackbox_explain.adapting import in_batches, plain_images
from blackbox_explain.blackbox import InputSpec
from blackbox_explain.errors import ModelError, UnsupportedModelError
from blackbox_explain_adapters._onnx.pipeline import IMAGES, pixels_to_scores
from blackbox_explain_adapters._onnx.session import Provider, Session
from blackbox_explain_adapters._onnx.signature import Signature

__all__ = ["Probed", "probe"]


@dataclass(frozen=True)
class Probed:
    """A model that was run once.

    Attributes
    ----------
    signature
        With the batch size that works.
    model
        From pixels to the model's own outputs.
    session
        That ran it.
    outputs
        For a few plain images.
    """

    signature: Signature
    model: onnx.ModelProto
    session: Session
    outputs: np.ndarray[Any, Any]

    def activation(self, wanted: Activation) -> tuple[Activation, tuple[str, ...]]:
        """Return what to apply to the outputs, and what the user should know of it."""
        head = self.signature.head.activation if self.signature.head else None
        if wanted == head:
            # Applied twice it would flatten the scores; the one inside the graph is enough.
            return "none", ()
        if wanted != "auto":
            note = f"the {head} inside the graph gives way to the {wanted} asked for"
            return wanted, (note,) if head and wanted != "none" else ()
        if head in ("softmax", "log_softmax"):
            return "none", (f"the graph ends in a {head}, so its outputs are taken as they are",)
        chosen, reason = choose_activation(self.outputs.reshape(len(self.outputs), -1))
        return chosen, (reason,)


def probe(
    model: onnx.ModelProto,
    signature: Signature,
    spec: InputSpec,
    providers: Sequence[Provider],
    threads: int | None = None,
) -> Probed:
    """Run a model on black, grey, white and noise.

    A graph that only claims to take any batch, and works for one image, is taken one image at a time.

    Raises
    ------
    ModelError
        If ONNX Runtime cannot run it.
    UnsupportedModelError
        If the outputs are no class scores.
    """
    try:
        return _run(model, signature, spec, providers, threads)
    except (ModelError, UnsupportedModelError) as error:
        if signature.batch is not None:
            raise
        note = "the graph takes one image at a time, whatever its input says"
        single = dataclasses.replace(signature, batch=1, notes=(*signature.notes, note))
        try:
            return _run(model, single, spec, providers, threads)
        except (ModelError, UnsupportedModelError):
            raise error from None


def _run(
    model: onnx.ModelProto, signature: Signature, spec: InputSpec, providers: Sequence[Provider], threads: int | None
) -> Probed:
    raw = pixels_to_scores(model, signature, spec, "none")
    session = Session(raw.SerializeToString(), providers, threads)
    images = plain_images(spec)
    (outputs,) = in_batches(lambda rows: (session.run({IMAGES: rows})[0],), signature.batch, images)
    shape = tuple(outputs.shape)
    if len(shape) < 2 or shape[0] != len(images) or sum(axis != 1 for axis in shape[1:]) > 1:
        raise UnsupportedModelError(
            "The model does not answer with class scores",
            got=f"outputs of shape {shape} for {len(images)} images",
            expected="(N, K)",
            hint="pass output='name of the tensor that holds the scores'",
        )
    return Probed(signature, raw, session, outputs)
