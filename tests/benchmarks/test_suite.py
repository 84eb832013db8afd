"""Results of the suite: where they go, what became slower, the page that is drawn of them, and the peers' maps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from benchmarks import compare, memory, overhead, page
from benchmarks.common.hardware import folder_of, machine, record
from benchmarks.common.loops import paired
from benchmarks.compare import changes, timings_of
from benchmarks.peers.__main__ import add
from benchmarks.peers.asked import Asked
from benchmarks.peers.baseline import baseline_mask
from benchmarks.peers.methods import PEERS, absent, peer_maps
from benchmarks.peers.rows import LEFT
from benchmarks.peers.verdicts import PLAIN, REGION, verdicts
from tests.kinds import kept


def result(**timings: list[float]) -> dict[str, Any]:
    return {
        "benchmark": "speed",
        "settings": {},
        "machine": machine("1"),
        "measured": {name: {"all_s": values, "median_s": float(np.median(values))} for name, values in timings.items()},
    }


def test_a_result_says_all_that_it_must_be_read_with(tmp_path: Path) -> None:
    path = record("speed", {"repeats": 2}, {"one": {"all_s": [1.0, 2.0]}}, tmp_path, commit="abc")
    stored = json.loads(path.read_text(encoding="utf-8"))
    assert stored["measured"] == {"one": {"all_s": [1.0, 2.0]}}
    assert stored["settings"] == {"repeats": 2}
    assert stored["machine"]["commit"] == "abc"
    assert {"processor", "cores", "memory_gib", "versions"} <= set(stored["machine"])
    assert path == folder_of(stored["machine"], tmp_path) / "speed.json"
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize(
    ("known", "name"),
    [
        ({"processor": "AMD EPYC", "cores": 2}, "amd-epyc-2-cores"),
        ({"processor": "Intel(R) Xeon(R) CPU @ 2.20GHz", "cores": 8}, "intel-xeon-8-cores"),
        ({"processor": "x", "cores": 16, "gpu": {"name": "NVIDIA H200"}}, "nvidia-h200"),
    ],
)
def test_folders_are_named_by_the_machine(known: dict[str, Any], name: str) -> None:
    assert folder_of(known).name == name


def test_what_became_slower_is_told_from_noise() -> None:
    old = result(slow=[1.0, 1.1, 1.2], noisy=[1.0, 2.0, 3.0], same=[1.0, 1.0, 1.0], fast=[2.0, 2.1, 2.2], gone=[1.0])
    new = result(slow=[1.5, 1.6, 1.7], noisy=[1.5, 2.4, 3.5], same=[1.04, 1.04, 1.04], fast=[1.0, 1.1, 1.2])
    found = {one.name: one for one in changes(old, new)}
    assert {name: one.kind for name, one in found.items()} == {
        "slow": "slower",
        "noisy": "same",
        "same": "same",
        "fast": "faster",
    }
    assert found["slow"].ratio == pytest.approx(1.6 / 1.1)


def test_timings_are_found_wherever_they_stand() -> None:
    measured = {"a": {"b": [{"all_ms": [1, 2]}, {"all_ms": []}]}, "c": {"all_s": [3.0], "median_s": 3.0}}
    assert dict(timings_of(measured)) == {"a / b / 0": [1.0, 2.0], "c": [3.0]}


def test_compare_says_so_and_fails(tmp_path: Path) -> None:
    import typer

    app = typer.Typer()
    app.command()(compare.main)
    paths = [tmp_path / name for name in ("old.json", "new.json")]
    for path, seconds in zip(paths, ([1.0, 1.1], [2.0, 2.1]), strict=True):
        path.write_text(json.dumps(result(explain=seconds)), encoding="utf-8")
    done = CliRunner().invoke(app, [str(one) for one in paths])
    assert done.exit_code == 1
    assert "1 of 1 timings became slower" in done.output
    assert CliRunner().invoke(app, [str(paths[0]), str(paths[0])]).exit_code == 0


def test_the_page_says_what_is_not_measured(tmp_path: Path) -> None:
    text = page.page_of(tmp_path)
    assert text.count(page.NOT_YET) == len(page.SECTIONS)
    record("memory", {"quick": True}, {"onnx": {}}, tmp_path)
    assert page.page_of(tmp_path).count(page.NOT_YET) == len(page.SECTIONS)


def peer(seconds: list[float], value: float) -> dict[str, Any]:
    """Return a row of peers in which every metric is `value` in each photo."""
    quality = {name: [value] * len(seconds) for name in (REGION, *LEFT)}
    return {"all_s": seconds, "queries": [60] * len(seconds), "quality": quality}


def test_the_page_holds_what_the_files_hold(tmp_path: Path) -> None:
    row = {"batch": 4, "steps": 10, "images": 16, "peak_mib": 512.4, "seconds_per_image": 0.31}
    row["last_tenth_over_first"] = 0.987
    record("memory", {}, {"onnx": {"batch": [row]}}, tmp_path)
    ours, theirs = peer([2.0, 3.0], 0.1), peer([1.0, 1.0], 0.2)
    measured = {"ours, quick": ours, "Grad-CAM": theirs, "SHAP, partition": {"skipped": "shap: ModuleNotFoundError"}}
    record("peers-googlenet", {}, measured, tmp_path)
    once = {"median_s": 1.5, "all_s": [1.5]}
    single = {"gradients": 42, "scores": 18, "explain": once, "ratio": 1.034}
    together = {"batch": 4, "images": 16, "seconds_per_image": {"median_s": 0.25}}
    speed = {"PyTorch": {"one image": {"fast": single}, "together": {"4": together}}, "start": {"import": once}}
    record("speed", {}, speed, tmp_path)
    text = page.page_of(tmp_path)
    for line in (
        "| onnx | batch | 4 | 10 | 16 | 512 | 0.31 | 0.99 |",
        f"| ours, quick | 2.50 | 60 |{' 0.100 |' * (1 + len(LEFT))} 2 |",
        "- Smallest region: ours, quick, 0.100; of the peers Grad-CAM, 0.200 (p = 0.5).",
        "| PyTorch | fast | 42 + 18 | 1.50 | 1.034 |",
        "| PyTorch | 4 | 16 | 0.250 |",
        "Not measured: SHAP, partition: shap: ModuleNotFoundError.",
    ):
        assert line in text
    (picture,) = tmp_path.glob("*/peers-googlenet.png")
    assert f"({picture.parent.name}/peers-googlenet.png)" in text


def test_two_things_in_turns_are_told_with_all_repetitions() -> None:
    # A pair that warms up; then the second goes first, and then the first again.
    ticks = iter([tick for seconds in (5.0, 5.0, 3.0, 1.0, 3.0, 1.0) for tick in (0.0, seconds)])
    found = paired(lambda: None, lambda: None, 2, clock=lambda: next(ticks)).to_dict("ours", "theirs", calls=2)
    assert found["repetitions"] == {"ours": {"all_ms": [500.0, 1500.0]}, "theirs": {"all_ms": [1500.0, 500.0]}}
    assert (found["ours_ms"], found["theirs_ms"]) == (1000.0, 1000.0)
    assert found["ratio"] == pytest.approx((1 / 3 + 3) / 2)
    assert dict(timings_of({"row": found})) == {
        "row / repetitions / ours": [500.0, 1500.0],
        "row / repetitions / theirs": [1500.0, 500.0],
    }


@pytest.mark.parametrize("backend", kept(["onnx", "torch", "tensorflow"], "onnx"))
def test_the_loop_is_held_against_the_model_alone(backend: overhead.Backend, tmp_path: Path) -> None:
    overhead.main(backend, quick=True, results=tmp_path)
    (path,) = tmp_path.glob(f"*/overhead-{backend}.json")
    (row,) = json.loads(path.read_text(encoding="utf-8"))["measured"]["rows"]
    assert row["ratio"] > 0
    assert row["loop_ms"] > 0 < row["model_ms"]
    assert row["beside"] > 0


def test_memory_is_measured_in_a_process_of_its_own() -> None:
    found = memory.peak_of("onnx", 1, 1, 1)
    assert found["peak_mib"] > found["before_mib"] > 0
    assert found["seconds_per_image"] > 0 < found["last_tenth_over_first"]


class Corner(torch.nn.Module):
    """Sees the upper left quarter of 56 × 56 alone: the first class where it has contrast."""

    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Conv2d(3, 2, 1)
        self.first.weight.data = torch.tensor([2 / 3, -2 / 3]).reshape(2, 1, 1, 1).expand(2, 3, 1, 1).contiguous()
        self.first.bias.data = torch.tensor([-1.0, 1.0])
        self.relu = torch.nn.ReLU()

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        contrast = self.relu(self.first(given)).sum(dim=1)[:, :28, :28].mean(dim=(1, 2))
        return torch.stack([8 * contrast - 4, 4 - 8 * contrast], dim=1)


def texture() -> torch.Tensor:
    return (torch.rand(1, 1, 56, 56, generator=torch.Generator().manual_seed(0)) > 0.5).float().repeat(1, 3, 1, 1)


def test_the_plain_loop_deletes_what_the_model_sees() -> None:
    network = Corner()
    mask = baseline_mask(lambda given: torch.softmax(network(given), dim=1), texture(), 0, steps=60)
    assert mask.shape == (56, 56)
    assert mask[:20, :20].mean() < mask[36:, 36:].mean() - 0.1


@pytest.mark.filterwarnings("ignore:Setting backward hooks")  # as Captum tells each time
@pytest.mark.parametrize("name", ["Captum, occlusion", "Captum, integrated gradients", "Captum, guided backprop"])
def test_peers_find_what_the_model_sees(name: str) -> None:
    assert absent(name) is None
    network, image = Corner().eval(), texture()
    asked = Asked(network, image, image, torch.full_like(image, 0.5), 0, network.first, lambda given: given)
    found, queries = peer_maps(name, asked)
    assert found.shape == (56, 56)
    assert np.abs(found[:28, :28]).mean() > 2 * np.abs(found[28:, 28:]).mean()
    assert queries >= 1
    assert not network._forward_pre_hooks


def test_what_figures_of_peers_say() -> None:
    ours, better = peer([2.0] * 6, 0.1), peer([1.0] * 6, 0.2)
    better["quality"][LEFT[1]] = [0.05] * 6
    better["quality"][REGION] = [0.01] * 6
    measured = {"ours, quick": ours, "ours, fast": peer([3.0] * 6, 0.05), "other": better, PLAIN: peer([20.0] * 6, 0.1)}
    measured["ours, quick, 8 together"] = {"all_s": [0.5], "queries": [60]}
    told = "\n".join(verdicts(measured))
    assert "Smallest region: ours, fast, 0.050; of the peers other, 0.010 (p = 0.031)" in told
    assert "Peers with a smaller one: other." in told
    assert f"Faster than ours, quick, and better at some deleted share: other ({LEFT[1]})." in told
    assert f"ours, quick: 10.0 times as fast as the plain loop; not better at {', '.join(LEFT)}." in told
    assert "ours, fast: 6.7 times as fast as the plain loop; better at every deleted share." in told
    assert "ours, quick, 8 together: 40.0 times as fast as the plain loop." in told
    assert verdicts({"other": better}) == []
    # One that failed at a later photo is not compared.
    assert "other" not in "\n".join(verdicts({**measured, "other": {**better, "failed": "why"}}))


def test_rows_of_peers_grow_photo_by_photo_and_what_fails_is_told() -> None:
    row: dict[str, Any] = {}
    for seconds in (1.0, 2.0):
        add(row, {"seconds": seconds, "queries": 3, "quality": {"metric": seconds}}, "abc")
    assert row == {"all_s": [1, 2], "queries": [3, 3], "commits": ["abc"] * 2, "quality": {"metric": [1, 2]}}
    add(row, {"failed": "why"}, "abc")
    assert row["failed"] == "why"
    assert row["all_s"] == [1, 2]


def test_a_peer_that_is_absent_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PEERS, "none", ("no_such_package", lambda asked: asked.image))
    assert "no_such_package: ModuleNotFoundError" in str(absent("none"))
