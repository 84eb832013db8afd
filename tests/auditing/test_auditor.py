"""Audits: every image has its rows, whatever ends the run they are kept, and what is resumed equals what was not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import blackbox_explain as bx
from blackbox_explain.auditing import auditor, first_look
from blackbox_explain.auditing.auditor import Audit, audit, read_audit
from blackbox_explain.auditing.findings.audited import Audited
from blackbox_explain.auditing.findings.counting import Count, Question
from blackbox_explain.auditing.ledger import shards
from blackbox_explain.auditing.ledger.manifest import MANIFEST, Manifest, locked
from blackbox_explain.auditing.plan import AuditPlan, differences
from blackbox_explain.errors import ImageError, InputError, ModelError, ResultError
from blackbox_explain.methods.mask.settings import Settings
from blackbox_explain.report.picture_files import map_of
from tests.auditing.stamped import NAMES, StampModel, make_photos

METHODS = {"mask": {"preset": "quick", "perturbation": "constant"}}
PLAN = AuditPlan(methods=METHODS, batch_size=4)


def run(box: Any, photos: Any, out: Path, **options: Any) -> Audit:
    return audit(box, photos, out, **{"plan": PLAN, "progress": False, **options})


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    make_photos(folder / "photos")
    (folder / "labels.csv").write_text(
        "file,label\n" + "".join(f"{path.name},{path.stem[4:]}\n" for path in sorted((folder / "photos").iterdir()))
    )
    return folder / "photos"


@pytest.fixture(scope="module")
def whole(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of an audit that nothing interrupted."""
    out = tmp_path_factory.mktemp("whole") / "out"
    run(StampModel(), photos, out, labels=photos.parent / "labels.csv")
    return out


def test_each_image_has_a_row_with_what_was_measured(photos: Path, whole: Path) -> None:
    table = read_audit(whole)
    assert table.path.tolist() == [str(path) for path in sorted(photos.iterdir())]
    assert set(table.outcome) == {"ok"}
    assert table.label_name.tolist() == table.target.tolist() == [NAMES[k % 3] for k in range(24)]
    first = table.iloc[0]
    assert first["mask"].shape == (28 * 28,)
    assert first["mask"].dtype == np.float16
    region, ranking = map_of(first["region"]), map_of(first["ranking"])
    assert region.shape == ranking.shape == (32, 32)
    assert region.mean() == pytest.approx(first["share"])
    assert region[1:7, 1:7].mean() > 0.5
    shares = Manifest.read(whole).plan["curve_shares"]
    assert [(ranking <= k).mean() for k in range(len(shares))] == pytest.approx(shares, abs=1 / 1024)
    assert len(first["curve"]) == len(shares)
    assert first["suppression"] >= 0.95
    # The region was found with the mean colour, which then certifies nothing.
    assert np.isnan(first["transfer_constant"])
    assert np.isfinite(first[["transfer_blur", "transfer_noise"]].tolist()).all()
    assert first["top_predictions"][0]["name"] == "stamped"
    quick = Settings("quick")
    assert first["gradients"] == quick.start_points + quick.steps
    assert table["error"].isna().all()


def test_masks_of_an_audit_begun_before_the_stride_was_a_setting_had_one_cell_for_8_pixels(
    whole: Path, tmp_path: Path
) -> None:
    begun = json.loads((whole / MANIFEST).read_text(encoding="utf-8"))
    del begun["plan"]["methods"]["mask"]["stride"]
    (tmp_path / MANIFEST).write_text(json.dumps(begun), encoding="utf-8")
    now, then = Manifest.read(whole), Manifest.read(tmp_path)
    assert now is not None
    assert then is not None
    assert differences(then.plan, now.plan) == ["methods, mask, stride: 8 then, 6 now"]


def interrupted_after(calls: int) -> StampModel:
    class Stopped(StampModel):
        def scores(self, images: Any) -> Any:
            if self.calls >= calls:
                raise KeyboardInterrupt
            return super().scores(images)

    return Stopped()


@pytest.mark.parametrize("calls", [60, 85, 110, 145])
def test_a_resumed_audit_equals_one_that_was_not_interrupted(
    photos: Path, whole: Path, tmp_path: Path, calls: int
) -> None:
    labels = photos.parent / "labels.csv"
    with pytest.raises(KeyboardInterrupt):
        run(interrupted_after(calls), photos, tmp_path / "out", labels=labels)
    done = run(StampModel(), photos, tmp_path / "out", labels=labels, resume=True)
    assert 0 < done.done < 24
    assert done.done % PLAN.batch_size == 0
    told = done.to_dict()
    assert (told["before"] + told["done"], told["unexplained"]) == (24, 0)
    assert read_audit(tmp_path / "out", to="arrow").equals(read_audit(whole, to="arrow"))
    assert [one["ended"] for one in Manifest.read(tmp_path / "out").runs] == ["interrupted", "finished"]
    assert run(StampModel(), photos, tmp_path / "out", labels=labels, resume=True).done == 0


def test_another_model_or_other_settings_are_refused_by_name(photos: Path, whole: Path) -> None:
    labels = photos.parent / "labels.csv"
    with pytest.raises(ResultError, match="There is an audit in this folder already"):
        run(StampModel(), photos, whole, labels=labels)
    with pytest.raises(ResultError, match=r"labels: .* then, None now"):
        run(StampModel(), photos, whole, resume=True)
    with pytest.raises(ResultError, match=r"model: 'stamps 54\.000 18\.000' then, 'stamps 45\.000 15\.000' now"):
        run(StampModel(gain=15), photos, whole, resume=True, labels=labels)
    # No row depends on how many images are explained together.
    assert run(StampModel(), photos, whole, plan=replace(PLAN, batch_size=2), resume=True, labels=labels).done == 0
    other = AuditPlan(methods={"mask": {"preset": "quick", "perturbation": "noise"}}, batch_size=4, seed=3)
    with pytest.raises(
        ResultError, match=r"methods, mask, perturbation: 'constant' then, 'noise' now; seed: 0 then, 3"
    ):
        run(StampModel(), photos, whole, plan=other, resume=True, labels=labels)


def test_images_that_are_added_moved_or_taken_away(tmp_path: Path) -> None:
    paths = make_photos(tmp_path / "photos", 8)
    run(StampModel(), tmp_path / "photos", tmp_path / "out")
    # One before all others: every image is at another place, and the table is that of a new audit.
    (tmp_path / "photos" / "0.png").write_bytes(paths[1].read_bytes())
    assert run(StampModel(), tmp_path / "photos", tmp_path / "out", resume=True).done == 9
    run(StampModel(), tmp_path / "photos", tmp_path / "whole")
    assert read_audit(tmp_path / "out", to="arrow").equals(read_audit(tmp_path / "whole", to="arrow"))
    # One after all others: it alone is explained.
    (tmp_path / "photos" / "z.png").write_bytes(paths[2].read_bytes())
    assert run(StampModel(), tmp_path / "photos", tmp_path / "out", resume=True).done == 1
    paths[4].unlink()
    with pytest.raises(ResultError, match=r"not among those given.*1 of them, such as .*004_green\.png"):
        run(StampModel(), tmp_path / "photos", tmp_path / "out", resume=True)


def test_a_model_without_a_fingerprint_is_known_by_its_answers(photos: Path, tmp_path: Path) -> None:
    def function(turned: int) -> Any:
        return bx.wrap(
            lambda images: np.roll(StampModel().scores(images), turned, axis=1),
            spec=StampModel().spec,
            activation="none",
        )

    plan = AuditPlan(methods={"center": {}}, batch_size=4)
    run(function(0), photos, tmp_path / "out", plan=plan, limit=8)
    assert run(function(0), photos, tmp_path / "out", plan=plan, resume=True).done == 16
    with pytest.raises(ResultError, match="model: 'class 3"):
        run(function(1), photos, tmp_path / "out", plan=plan, resume=True)


def test_images_that_changed_vanished_or_are_damaged(tmp_path: Path) -> None:
    paths = make_photos(tmp_path / "photos", 9)
    paths[3].write_bytes(paths[3].read_bytes()[:150])
    (tmp_path / "list.txt").write_text("".join(f"photos/{path.name}\n" for path in paths) + "photos/gone.png\n")
    failed: list[str] = []
    done = run(StampModel(), tmp_path / "list.txt", tmp_path / "out", told=lambda row: failed.append(row["path"]))
    assert (done.images, done.done, done.failed) == (10, 10, 2)
    assert failed == [str(tmp_path / "photos" / name) for name in ("003_stamped.png", "gone.png")]
    before = read_audit(tmp_path / "out")
    assert before.outcome.tolist() == ["ok"] * 3 + ["failed"] + ["ok"] * 5 + ["failed"]
    assert "damaged" in before.error[3]
    assert "cannot be read" in before.error[9]
    # One changes, one comes back, and the damaged one is what it was.
    paths[5].write_bytes(paths[6].read_bytes())
    (tmp_path / "photos/gone.png").write_bytes(paths[7].read_bytes())
    done = run(StampModel(), tmp_path / "list.txt", tmp_path / "out", resume=True)
    assert (done.done, done.failed) == (2, 0)
    after = read_audit(tmp_path / "out")
    assert after.path.tolist() == before.path.tolist()
    assert after.target[5] == "stamped"
    assert after.outcome.tolist() == ["ok"] * 3 + ["failed"] + ["ok"] * 6


def test_a_model_that_fails_on_some_images_is_asked_about_them_again(photos: Path, tmp_path: Path) -> None:
    class Torn(StampModel):
        def scores(self, images: Any) -> Any:
            # Green photos of the third batch.
            if len(images) < 20 and self.calls > 60 and (images[:, 1, 10:22, 10:22].mean(axis=(1, 2)) > 0.5).any():
                raise ValueError("no green today")
            return super().scores(images)

    done = run(Torn(), photos, tmp_path / "out")
    assert 0 < done.failed < 9
    table = read_audit(tmp_path / "out")
    assert (table.outcome == "failed").sum() == done.failed
    assert "no green today" in table.error.dropna().iloc[0]
    assert run(StampModel(), photos, tmp_path / "out", resume=True).done == done.failed
    assert set(read_audit(tmp_path / "out").outcome) == {"ok"}


def test_a_full_disk_keeps_what_was_written(
    photos: Path, tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = photos.parent / "labels.csv"
    real = shards.write_table
    count = 0

    def full(*arguments: Any) -> None:
        nonlocal count
        count += 1
        if count > 2:
            raise ResultError("The results cannot be written", got="No space left on device")
        real(*arguments)

    monkeypatch.setattr(shards, "write_table", full)
    monkeypatch.setattr(auditor, "SECONDS", 0.0)
    with pytest.raises(ResultError, match="No space left"):
        run(StampModel(), photos, tmp_path / "out", labels=labels)
    monkeypatch.undo()
    assert len(read_audit(tmp_path / "out")) == 8
    assert run(StampModel(), photos, tmp_path / "out", labels=labels, resume=True).done == 16
    assert read_audit(tmp_path / "out", to="arrow").equals(read_audit(whole, to="arrow"))


def test_two_audits_do_not_share_a_folder(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with locked(tmp_path / "out"), pytest.raises(ResultError, match="Another audit writes to this folder"):
        run(StampModel(), photos, tmp_path / "out")


def test_swapped_channels_stop_an_audit_before_it_begins(photos: Path, tmp_path: Path) -> None:
    labels = photos.parent / "labels.csv"
    with pytest.raises(InputError, match=r"are classified right with channels in the other order.*--bgr"):
        run(StampModel(swapped=True), photos, tmp_path / "labels", labels=labels)
    assert not list((tmp_path / "labels").glob("*.parquet"))
    done = run(StampModel(swapped=True), photos, tmp_path / "yes", labels=labels, accept_doubts=True)
    assert "channels in the other order" in done.first_look.doubts[0]
    assert done.first_look.readings[0].accuracy < 0.5 < max(one.accuracy for one in done.first_look.readings)


def test_other_readings_are_what_their_options_say() -> None:
    box = StampModel()
    box.spec = replace(box.spec, preprocessing=bx.Preprocessing((0.2, 0.4, 0.6), (0.5, 0.25, 2.0)))
    image = np.random.default_rng(0).uniform(size=(1, 3, 32, 32))
    shown = {name: box.spec.preprocessing.forward(other) for name, _, other in first_look._others(box, image)}
    assert np.allclose(shown["pixels from 0 to 255"], image * 255)
    assert np.allclose(shown["pixels from -1 to 1, channels in the other order"], (2 * image - 1)[:, ::-1])
    assert np.allclose(shown["channels in the other order"], box.spec.preprocessing.forward(image)[:, ::-1])
    assert np.allclose(shown["mean and std of ImageNet"][0, 0], (image[0, 0] - 0.485) / 0.229)
    caffe = shown["bytes less the mean of Caffe's networks, channels in the other order"]
    assert np.allclose(caffe[0, 2], 255 * image[0, 0] - 123)
    # What is asked for already is not another way.
    box.spec = replace(box.spec, preprocessing=bx.Preprocessing())
    assert "pixels from 0 to 1" not in {name for name, _, _ in first_look._others(box, image)}


def test_wrong_input_is_named(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="There is no such file or folder"):
        run(StampModel(), tmp_path / "nothing", tmp_path / "out")
    with pytest.raises(InputError, match="top stands alone"):
        run(StampModel(), photos, tmp_path / "out", plan=AuditPlan(target="green", top=2))
    run(StampModel(), photos, tmp_path / "one", plan=PLAN, limit=4)
    with pytest.raises(InputError, match="no such column"):
        read_audit(tmp_path / "one", columns=["paht"])
    with pytest.raises(ResultError, match="There is no such folder"):
        read_audit(tmp_path / "elsewhere")
    (tmp_path / "labels.csv").write_text("file,label\nother.png,green\n")
    with pytest.raises(InputError, match="has no label of any of the images"):
        run(StampModel(), photos, tmp_path / "two", labels=tmp_path / "labels.csv")
    assert not (tmp_path / "two").exists()
    shard = next((tmp_path / "one").glob("*.parquet"))
    shard.write_bytes(shard.read_bytes()[:-40])
    with pytest.raises(ResultError, match="A shard of this audit is damaged"):
        read_audit(tmp_path / "one")
    (tmp_path / "one" / "audit.json").write_text("[1]")
    with pytest.raises(ResultError, match="no manifest"):
        run(StampModel(), photos, tmp_path / "one", resume=True)


def until(true: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_a_process_that_is_stopped_leaves_nothing_half_written(
    photos: Path, tmp_path: Path, whole: Path, number: int
) -> None:
    labels = photos.parent / "labels.csv"
    code = (
        "import signal, sys, time\n"
        # A shell that started this in the background made it ignore interrupts.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from blackbox_explain.auditing import auditor\n"
        "from tests.auditing.stamped import StampModel\n"
        "from tests.auditing.test_auditor import PLAN\n"
        "auditor.SECONDS = 0.0\n"
        "class Slow(StampModel):\n"
        "    def scores(self, images):\n"
        "        time.sleep(0.02)\n"
        "        return super().scores(images)\n"
        "auditor.audit(Slow(), sys.argv[1], sys.argv[2], plan=PLAN, labels=sys.argv[3], progress=False)\n"
    )
    command = [sys.executable, "-c", code, str(photos), str(tmp_path / "out"), str(labels)]
    with subprocess.Popen(command, env={**os.environ}, stderr=subprocess.DEVNULL) as process:
        until(lambda: len(list((tmp_path / "out").glob("rows-*.parquet"))) >= 2 or process.poll() is not None)
        process.send_signal(number)
        assert process.wait(60) != 0
    done = run(StampModel(), photos, tmp_path / "out", labels=labels, resume=True)
    assert 0 < done.done <= 16
    assert read_audit(tmp_path / "out", to="arrow").equals(read_audit(whole, to="arrow"))
    left = {path.name for path in (tmp_path / "out").iterdir() if path.suffix not in (".parquet", ".json")}
    assert left <= {".lock"}


def test_several_classes_and_methods_have_a_row_each(photos: Path, tmp_path: Path) -> None:
    methods = {"mask": METHODS["mask"], "gradient": {}}
    plan = AuditPlan(top=2, methods=methods, batch_size=4)
    run(StampModel(), photos, tmp_path / "out", plan=plan, limit=6)
    table = read_audit(tmp_path / "out", columns=["path", "method", "rank", "target_index"])
    assert len(table) == 6 * 2 * 2
    assert table[table["rank"] == 0].groupby("path").target_index.nunique().max() == 1
    assert set(table.method) == {"mask", "gradient"}
    # The command's first method is what findings are about, whatever comes first by name.
    everything = read_audit(tmp_path / "out", to="arrow")
    share = read_audit(tmp_path / "out").query("method == 'mask' and rank == 0").share
    assert Audited.of(everything, "mask").numbers("share") == pytest.approx(share.tolist())


def test_results_without_a_manifest_and_arguments_that_are_none_are_refused(photos: Path, tmp_path: Path) -> None:
    run(StampModel(), photos, tmp_path / "out", limit=4)
    (tmp_path / "out" / "audit.json").unlink()
    with pytest.raises(ResultError, match="no manifest that says of what"):
        run(StampModel(), photos, tmp_path / "out")
    for wrong in ({"engine": "rya"}, {"limit": 0}, {"workers": 0}):
        with pytest.raises(InputError, match="This cannot be audited so"):
            run(StampModel(), photos, tmp_path / "other", **wrong)


def test_names_that_are_no_text_and_classes_with_braces(tmp_path: Path) -> None:
    (path,) = make_photos(tmp_path / "photos", 1)
    path.rename(os.fsdecode(os.fsencode(tmp_path / "photos") + b"/caf\xe9.png"))
    done = run(StampModel(), tmp_path / "photos", tmp_path / "out")
    assert (done.done, done.failed) == (1, 0)
    assert read_audit(tmp_path / "out").path[0].endswith(r"caf\udce9.png")
    table = read_audit(tmp_path / "out", to="arrow")
    count = Count(
        Question("any", "In {count} of {total} of {x} and {", "", lambda _: (*[np.ones(1, bool)] * 2, np.ones(1)))
    )
    count.add(Audited.of(table))
    assert count.found().title == "In 1 of 1 of {x} and {"


def test_photos_of_other_sizes_fit_and_boxes_are_compared(tmp_path: Path) -> None:
    for path in make_photos(tmp_path / "photos", 6):
        with Image.open(path) as photo:
            photo.resize((64, 48)).save(path)
    # The stamp lies outside of the boxes, which are around the middle.
    lines = [f"{k:03d}_{NAMES[k % 3]}.png,20,12,44,36,{NAMES[k % 3]}" for k in range(6)]
    (tmp_path / "boxes.csv").write_text("file,x0,y0,x1,y1,label\n" + "\n".join(lines))
    plan = AuditPlan(methods=METHODS, batch_size=4, fit="stretch")
    done = run(StampModel(), tmp_path / "photos", tmp_path / "out", plan=plan, boxes=tmp_path / "boxes.csv")
    table = read_audit(tmp_path / "out")
    assert (table.width == 64).all()
    assert table.inside_boxes[table.target == "stamped"].max() < 0.1
    assert table.inside_boxes[table.target != "stamped"].min() > 0.5
    outside = next(one for one in done.findings() if one.name == "outside boxes")
    assert (outside.count, outside.total) == (2, 6)
    assert outside.positions == (0, 3) or outside.positions == (3, 0)
    assert "most often: stamped (2 of 2)" in outside.title


def test_a_model_that_cannot_be_asked_ends_the_audit(photos: Path, tmp_path: Path) -> None:
    class Broken(StampModel):
        def scores(self, images: Any) -> Any:
            raise ModelError("The model is broken")

    with pytest.raises(ModelError, match="broken"):
        run(Broken(), photos, tmp_path / "out")
