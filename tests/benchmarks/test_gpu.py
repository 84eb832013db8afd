"""The benchmarks of a GPU, by their twins on the CPU; `make gpu-dry-run` runs the whole."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.common.markdown import NOT_YET
from benchmarks.common.photos import data_folder
from benchmarks.gpu import effects, onnx_runtime, rates, waits
from benchmarks.gpu.__main__ import main
from benchmarks.gpu.absent import COPIES
from benchmarks.gpu.device import Device, spread
from benchmarks.gpu.marked_tests import files_with_marked_tests, outcomes_of
from benchmarks.gpu.modes import FIRST, MODES, bare, box_of, network_of, rounding
from benchmarks.gpu.shown import gpu
from benchmarks.gpu.sizes import TINY, Budget
from benchmarks.models.efficientnet_lite0 import network
from benchmarks.models.onnx_weights import weights_of
from blackbox_explain.samples import MODEL

ROOT = Path(__file__).parents[2]
TWIN = Device("cpu")
SMALL = replace(TINY, batches=(1,), loop_batch=1, side=32, repeats=2, peak_side=16)
QUICK = ("fp32", "TF32, channels-last", "TF32, channels-last, CUDA graph")


@pytest.fixture
def quick_modes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in set(MODES) - set(QUICK):
        monkeypatch.delitem(MODES, name)


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


def test_rounding_is_put_back() -> None:
    flags: Any = (torch.backends.cuda.matmul, torch.backends.cudnn)
    before = [one.allow_tf32 for one in flags]
    with rounding(not before[0]):
        assert flags[0].allow_tf32 is not before[0]
    assert [one.allow_tf32 for one in flags] == before


@pytest.mark.usefixtures("quick_modes")
def test_rates_hold_all_repetitions_and_what_they_are_a_share_of() -> None:
    peak = rates.peaks(TWIN, SMALL)
    known = dict(rates.bare_rates(TWIN, FIRST, SMALL, Budget(999), peak))
    assert set(known) == set(QUICK)
    row = known["fp32"]["1"]
    assert len(row["all_ms"]) == SMALL.repeats
    assert row["images_per_s"] == pytest.approx(1e3 / row["median_ms"])
    assert row["of_peak"] == pytest.approx(row["tflops"] / peak["fp32"]["tflops"])
    loops = dict(rates.loop_rates(TWIN, FIRST, SMALL, Budget(999), known))
    step = loops["fp32"]["1"]
    assert 0 < step["share_in_model"] < 1
    assert step["of_bare_rate"] == pytest.approx(row["median_ms"] / step["median_ms"])


@pytest.mark.usefixtures("quick_modes")
def test_what_does_not_fit_in_the_time_is_named() -> None:
    found = dict(rates.bare_rates(TWIN, FIRST, SMALL, Budget(0), {}))
    assert found["fp32"] == {"1": {"skipped": "out of time"}}
    assert list(dict(effects.effects_of_modes(TWIN, SMALL, Budget(0))).values()) == [{"skipped": "out of time"}] * 3


def test_counts_of_operations_are_those_of_the_network() -> None:
    # The published count of EfficientNet-Lite0 is .407e9 multiply-adds forward; twice that of both, and both ways.
    assert rates.flops_of(FIRST) == pytest.approx(4 * 0.407e9, rel=0.1)


def test_waits_are_counted_by_step() -> None:
    def three_reads() -> None:
        for _ in range(3):
            torch.ones(1).item()

    assert waits.waits_of(TWIN, three_reads)["aten::_local_scalar_dense"] == 3
    found = waits.waits_of_the_loop(TWIN, SMALL)
    assert found["steps"] == [2, 4]
    assert found["none_in_the_loop"] == "not measured: this is the twin"


@pytest.mark.usefixtures("quick_modes")
def test_effects_of_modes_are_judged_by_one_model() -> None:
    found = dict(effects.effects_of_modes(TWIN, replace(SMALL, side=64), Budget(999)))
    assert set(found) == set(QUICK)
    assert found["fp32"]["alike_to_fp32"] == 1
    for row in found.values():
        # On a CPU these modes compute the same up to rounding.
        assert row["objective"] == pytest.approx(found["fp32"]["objective"], rel=1e-3)
        assert set(row["left"]) == {f"{share:.2f}" for share in effects.SHARES}


def test_onnx_runtime_binds_arrays() -> None:
    found = dict(onnx_runtime.onnx_runtime_rates(TWIN, SMALL, Budget(999)))
    assert found["provider"]["used"] == "CPUExecutionProvider"
    assert {"scores", "gradient"} == set(found["1"])
    assert len(found["1"]["gradient"]["all_ms"]) == SMALL.repeats
    scores, gradient = (found["1"][what]["images_per_s"] for what in ("scores", "gradient"))
    assert f"| 1 | {scores:.3g} | {gradient:.3g} |" in "".join(gpu(Path(), {"ONNX Runtime": found}))


def test_the_page_shows_what_the_card_can_do_and_what_is_missing() -> None:
    peak = rates.peaks(TWIN, SMALL)
    bare = {"fp32": {"8": {"images_per_s": 1234.5, "of_peak": 0.321, "peak_gib": 1.5}}}
    text = "\n".join(gpu(Path(), {"peaks": peak, "bare, a network": bare, "ONNX Runtime": {"skipped": "no package"}}))
    assert f"| copy | {peak['copy']['gb_per_s']:.4g} GB/s |" in text
    assert "| fp32 | 8 | 1.23e+03 | 0.321 |  |  | 1.5 |" in text
    assert "ONNX Runtime: no package" in text
    assert text.count(NOT_YET) == 3  # waits, whole calls, effects of modes


def test_tests_are_found_by_their_mark_and_their_outcomes_read() -> None:
    assert ROOT / "tests/adapters/torch/test_recurrent.py" in files_with_marked_tests()
    report = """<testsuites><testsuite><testcase classname="a" name="good" time="1.5"/>
    <testcase classname="a" name="bad"><failure message="assert 1 == 2&#10;more">E</failure></testcase>
    <testcase classname="a" name="left"><skipped message="no CUDA here"/></testcase>
    <testcase classname="" name="b"><error message="collection failure"/></testcase></testsuite></testsuites>"""
    found = outcomes_of(report)
    assert found["a::good"] == {"outcome": "passed", "seconds": 1.5}
    assert found["a::bad"] == {"outcome": "failed", "seconds": 0.0, "message": "assert 1 == 2"}
    assert found["a::left"]["outcome"] == "skipped"
    assert found["::b"]["outcome"] == "failed"


def test_spread_keeps_everything() -> None:
    assert spread([3.0, 1.0, 2.0]) == {"median_ms": 2.0, "quartiles_ms": [1.5, 2.5], "all_ms": [3.0, 1.0, 2.0]}


def test_without_a_gpu_the_command_says_so(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is one")
    assert main(["--results", str(tmp_path)]) == 2
    assert "no CUDA device" in capsys.readouterr().out


def test_packages_that_are_absent_are_named(tmp_path: Path) -> None:
    """The script begins with NumPy, PyTorch and ONNX Runtime alone, and measures the bare model."""
    blocked = ("array_api_compat", *COPIES, "PIL", "onnx", "pytest", "typer", "rich", "scipy", "matplotlib", "pandas")
    code = f"""
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name in {blocked}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
from benchmarks.gpu.__main__ import main
sys.exit(main(["--device", "cpu", "--tiny", "--seconds", "0", "--results", {str(tmp_path)!r}]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("array_api_compat", "PIL", "onnx", "pytest"):
        assert f"{name} is absent; skipped:" in done.stdout
    (path,) = tmp_path.glob("*/gpu-quick.json")
    stored = json.loads(path.read_text(encoding="utf-8"))
    assert stored["measured"]["peaks"]["copy"]["all_ms"]
    assert stored["measured"]["waits in the loop"] == {"skipped": "array_api_compat is absent"}
    assert {"machine", "settings", "date"} <= set(stored)


@pytest.mark.exhaustive
# What PyTorch's compiler looks at, and warns of; as an error it would end the compilation.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
def test_the_whole_script_runs_through(tmp_path: Path) -> None:
    if not (data_folder() / "googlenet").is_dir():
        pytest.skip("no weights of GoogLeNet")
    assert main(["--device", "cpu", "--tiny", "--seconds", "3600", "--results", str(tmp_path)]) == 0
