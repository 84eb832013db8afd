"""A PyTorch module as a box of its ONNX export, whose gradient can pass operators by other rules."""

from __future__ import annotations

import io
import logging
import threading
import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from blackbox_explain.arrays import Array
from blackbox_explain.box.activations import Activation
from blackbox_explain.box.adapter_tools.description import Described, plain_images
from blackbox_explain.errors import BackendMissingError, BlackBoxExplainError, UnsupportedModelError, install_hint
from blackbox_explain_adapters._torch.network import Network

if TYPE_CHECKING:
    from blackbox_explain_adapters._onnx.box import DifferentiableOnnx

__all__ = ["exported_to_onnx", "missing_packages", "note_on"]

NEEDED = ("onnx", "onnxruntime", "onnxscript", "platformdirs")

TOLERANCE = 1e-3
"""By how much scores of module and export may differ, as a share of the largest, or of 1 if all are smaller."""

COARSE = 0.05
"""The same where the module computes with the eight binary digits of bfloat16, and the export does not."""

HINT = "export it to ONNX yourself, and wrap the .onnx file: bx.wrap('net.onnx')"

_EXPORTING = threading.Lock()
"""Tracing replaces functions of PyTorch while it lasts."""


def missing_packages() -> list[str]:
    """Return what an export needs and is not installed."""
    return [name for name in NEEDED if find_spec(name) is None]


def exported_to_onnx(network: Network, activation: Activation, scores: Callable[[Array], Array]) -> DifferentiableOnnx:
    """Export a module, with the weights that it has now, and wrap the export; the module is left as it is.

    Parameters
    ----------
    network
        How the module is run; its preprocessing and its class names become those of the new box.
    activation
        What is applied to its raw outputs.
    scores
        Of the module, which those of the export are held against.

    Raises
    ------
    BackendMissingError
        If a package that the export needs is not installed.
    UnsupportedModelError
        If the module cannot be exported, its export has no gradient, or gives other scores.
    """
    if missing := missing_packages():
        raise BackendMissingError(
            "Other rules of the gradient need the module's ONNX export, and packages for that are not installed",
            got=f"no {', '.join(missing)}",
            hint=f"{install_hint('onnx')}, and pip install onnxscript",
        )
    from blackbox_explain_adapters._onnx.box import DifferentiableOnnx
    from blackbox_explain_adapters._onnx.wrapping import wrap_onnx

    coarse = network.dtype == torch.bfloat16
    network = network.in_single_precision()
    spec = network.spec
    described = Described(
        spec.shape, spec.bounds, spec.preprocessing, spec.class_names, activation, spec.preprocessing_assumed
    )
    # Elsewhere ONNX Runtime chooses: it may have no CUDA, and the answers are the same.
    device = "cpu" if network.device.type == "cpu" else None
    model = _exported(network)
    try:
        box = wrap_onnx(model, described, device=device)
    except BackendMissingError:
        raise
    except BlackBoxExplainError as error:
        raise UnsupportedModelError(
            "The ONNX export of this module cannot be used", got=str(error).removesuffix(".")
        ) from error
    if not isinstance(box, DifferentiableOnnx):
        why = getattr(box, "no_gradient", None)
        raise UnsupportedModelError(
            "The ONNX export of this module has no gradient", got=str(why).removesuffix(".")
        ) from why
    images = plain_images(spec)
    _check_scores(box, images, np.asarray(scores(images)), COARSE if coarse else TOLERANCE)
    return box


def note_on(box: DifferentiableOnnx, network: Network) -> str:
    """Say that a box is of the export of a network's module, and where it computes if that is elsewhere."""
    on_host = isinstance(box.native(np.zeros(1, np.float32)), np.ndarray)
    where = f", on the CPU instead of {network.device}" if on_host and network.device.type != "cpu" else ""
    single = ", in single precision" if network.dtype in (torch.float64, torch.bfloat16) else ""
    return f"the gradient is that of the module's ONNX export, run by ONNX Runtime{where}{single}"


class _Rows(torch.nn.Module):
    """From what a module reads to its raw outputs (N, K)."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.module = network.module
        self._network = network

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self._network.outputs_of(inputs)


def _exported(network: Network) -> Any:
    """Return the module as an ``onnx.ModelProto``: for any batch if it takes any and PyTorch can tell so."""
    failure: Exception | None = None
    for size in (None, 1) if network.batch is None else (network.batch,):
        try:
            return _exported_for(network, size)
        except Exception as error:  # PyTorch raises of all kinds
            failure = failure or error
    raise UnsupportedModelError(
        "This module cannot be exported to ONNX, which other rules of the gradient need",
        got=_said(failure or RuntimeError()),
        hint=HINT,
    ) from failure


def _exported_for(network: Network, size: int | None) -> Any:
    rows = np.resize(plain_images(network.spec), (size or 2, *network.spec.shape))
    inputs = network.inputs(network.tensor(rows)).contiguous()
    batch = {0: torch.export.Dim.DYNAMIC} if size is None else None
    whole = _Rows(network)
    # Not `eval()`, which would turn the flags of the user's module.
    whole.training = False
    with _EXPORTING, _without_chatter(), network.at_rest(), torch.no_grad():
        program = torch.export.export(whole, (inputs,), dynamic_shapes=None if batch is None else (batch,))
        exported: Any = torch.onnx.export(program, dynamo=True, verbose=False)
        return exported.model_proto


@contextmanager
def _without_chatter() -> Generator[None]:
    """Drop warnings and dumps of graphs: what matters of a failed export is in the error that it raises."""
    loggers = [logging.getLogger(name) for name in ("torch", "onnxscript")]
    levels = [one.level for one in loggers]
    with warnings.catch_warnings(), redirect_stderr(io.StringIO()), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            for one in loggers:
                one.setLevel(logging.CRITICAL)
            yield
        finally:
            for one, level in zip(loggers, levels, strict=True):
                one.setLevel(level)


def _check_scores(box: DifferentiableOnnx, images: Array, expected: Array, tolerance: float) -> None:
    found = np.asarray(box.scores(images))
    error, limit = np.abs(found - expected).max(), tolerance * max(1.0, float(np.abs(expected).max()))
    if not error <= limit:
        raise UnsupportedModelError(
            "The ONNX export of this module gives other scores than the module",
            got=f"a difference of {error:.2g} on plain images",
            expected=f"{limit:.2g} at most",
            hint=HINT,
        )


def _said(error: BaseException) -> str:
    """Return the kind of the first error and the line of its message that says what it is."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {next(iter(lines), '')[:300]}".removesuffix(": ")
