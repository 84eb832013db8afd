"""The embedded default classifier: EfficientNet-Lite0, 1,000 ImageNet classes, 224 × 224 RGB, run by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.resources import files

from blackbox_explain.box.adapter_tools.description import Described
from blackbox_explain.box.input_spec import Preprocessing
from blackbox_explain.box.protocols import BlackBox
from blackbox_explain.samples import MODEL
from blackbox_explain_adapters._onnx.backward.operators import Rule
from blackbox_explain_adapters._onnx.reading.files import read_model
from blackbox_explain_adapters._onnx.session import Provider
from blackbox_explain_adapters._onnx.wrapping import wrap_onnx

__all__ = ["load"]


def load(
    *,
    device: str | None = None,
    providers: Iterable[Provider] | None = None,
    threads: int | None = None,
    tf32: bool = False,
    rules: Mapping[str, Rule] | None = None,
    cache: bool = True,
) -> BlackBox:
    """EfficientNet-Lite0 trained on ImageNet (Apache-2.0); reads (RGB − 127) / 128.

    Parameters
    ----------
    device, providers, threads, tf32, rules, cache
        As for other ONNX models, see `wrap_onnx`.
    """
    data = files("blackbox_explain_adapters") / "data"
    described = Described(
        shape=(3, 224, 224),
        bounds=(0.0, 1.0),
        preprocessing=Preprocessing(mean=127 / 255, std=128 / 255),
        class_names=tuple((data / "imagenet_classes.txt").read_text(encoding="utf-8").splitlines()),
        activation="softmax",
    )
    return wrap_onnx(
        read_model(MODEL),
        described,
        device=device,
        providers=providers,
        threads=threads,
        tf32=tf32,
        rules=rules,
        cache=cache,
    )
