"""The networks that are measured on a GPU, and the ways to run them, by their twins on the CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.gpu.device import Device
from benchmarks.gpu.modes import MODES, OtherGradient, bare, box_of, compilation, rounding
from benchmarks.gpu.networks import FIRST, flops_of, googlenet_file, googlenet_files, network_of
from benchmarks.models.efficientnet_lite0 import network
from benchmarks.models.onnx_weights import weights_of
from blackbox_explain import BlackBox, Differentiable
from blackbox_explain.samples import MODEL

TWIN = Device("cpu")
QUICK = ("fp32", "TF32, channels-last", "TF32, channels-last, CUDA graph")
COMPILED = "TF32, channels-last, compiled"


def test_weights_are_read_without_the_package_onnx() -> None:
    import onnx
    from onnx import numpy_helper

    wanted = {one.name: numpy_helper.to_array(one) for one in onnx.load(MODEL).graph.initializer}
    found = weights_of(MODEL)
    assert list(found) == list(wanted)
    for name, array in wanted.items():
        np.testing.assert_array_equal(found[name], array.astype(found[name].dtype))


def test_the_network_of_the_file_alone_is_the_published_one() -> None:
    images = torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(0)) * 2 - 1
    found, wanted = network_of(FIRST)[0](images), network()(images)
    # The file has weights in half precision.
    torch.testing.assert_close(found, wanted, atol=0.02, rtol=0)
    assert (found.argmax(1) == wanted.argmax(1)).all()


def test_modes_on_the_twin_give_the_gradient_of_the_plain_module() -> None:
    images, weights = np.random.default_rng(0).random((2, 3, 32, 32), np.float32), np.eye(1000, dtype=np.float32)[:2]
    plain = box_of(TWIN, FIRST, MODES["fp32"], 32).scores_and_gradient(images, weights)
    for name in QUICK:
        box = box_of(TWIN, FIRST, MODES[name], 32)
        for found, wanted in zip(box.scores_and_gradient(images, weights), plain, strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-6)
    assert bare(TWIN, FIRST, MODES["fp32"], 2, 32)().shape == (2, 3, 32, 32)


@pytest.mark.parametrize("mode", [QUICK[-1], COMPILED])
def test_boxes_of_other_gradients_are_black_boxes(mode: str) -> None:
    box = box_of(TWIN, FIRST, MODES[mode], 32, batch=1)
    assert isinstance(box, OtherGradient)
    for protocol in (BlackBox, Differentiable):
        assert isinstance(box, protocol)
    # What a box may say besides is that of the box inside.
    plain = box_of(TWIN, FIRST, MODES["fp32"], 32)
    assert (box.activation, box.assumptions, box.fingerprint()) == (
        plain.activation,
        plain.assumptions,
        plain.fingerprint(),
    )


# What PyTorch's compiler looks at, and warns of; as an error it would end the compilation.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
def test_one_size_of_batches_is_compiled_and_no_other() -> None:
    images, weights = np.random.default_rng(0).random((3, 3, 32, 32), np.float32), np.eye(1000, dtype=np.float32)[:3]
    plain = box_of(TWIN, FIRST, MODES["fp32"], 32)
    with compilation(MODES[COMPILED]) as told:
        box = box_of(TWIN, FIRST, MODES[COMPILED], 32, batch=2)
        box.scores(images)
        box.scores_and_gradient(images, weights)
        with pytest.raises(RuntimeError, match="captured nothing"):
            told()
        for found, wanted in zip(
            box.scores_and_gradient(images[:2], weights[:2]),
            plain.scores_and_gradient(images[:2], weights[:2]),
            strict=True,
        ):
            np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-6)
        box.scores_and_gradient(images[:1], weights[:1])
        assert told()["compiled"]["graphs"] == 1
        assert torch._dynamo.config.fail_on_recompile_limit_hit
    assert not torch._dynamo.config.fail_on_recompile_limit_hit


def test_other_modes_have_nothing_to_tell_of_the_compiler() -> None:
    with compilation(MODES["fp32"]) as told:
        assert told() == {}


def test_the_weights_of_googlenet_may_come_along(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BLACKBOX_EXPLAIN_DATA", str(tmp_path))
    file = tmp_path / "googlenet" / "googlenet_bvlc.onnx"
    file.parent.mkdir()
    file.touch()
    assert googlenet_file() == file
    file.unlink()
    # Of those that are left the first is the one that may come along, and is told where there is none.
    others = [one for one in googlenet_files() if one.is_file()]
    assert googlenet_files()[0] == file
    assert googlenet_file() == (others[0] if others else file)


def test_rounding_is_put_back() -> None:
    flags: Any = (torch.backends.cuda.matmul, torch.backends.cudnn)
    before = [one.allow_tf32 for one in flags]
    with rounding(not before[0]):
        assert flags[0].allow_tf32 is not before[0]
    assert [one.allow_tf32 for one in flags] == before


def test_counts_of_operations_are_those_of_the_network() -> None:
    # The published count of EfficientNet-Lite0 is .407e9 multiply-adds forward; twice that of both, and both ways.
    assert flops_of(FIRST) == pytest.approx(4 * 0.407e9, rel=0.1)
