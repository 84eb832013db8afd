"""Audits on Ray: row for row what the local engine finds, also where a worker dies."""

from __future__ import annotations

import os
import signal
import warnings
from collections.abc import Generator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from blackbox_explain.auditing.auditor import audit, read_audit
from blackbox_explain.errors import InputError, ModelError
from tests.auditing.stamped import StampModel, make_photos
from tests.auditing.test_auditor import PLAN

ray = pytest.importorskip("ray")


class Mortal(StampModel):
    """Kills its process once, in the middle of the audit."""

    def __init__(self, mark: Path) -> None:
        super().__init__()
        self.mark = mark

    def scores(self, images: Any) -> Any:
        if self.calls == 30:
            try:
                self.mark.touch(exist_ok=False)
            except FileExistsError:
                pass
            else:
                os.kill(os.getpid(), signal.SIGKILL)
        return super().scores(images)


class Load:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __call__(self) -> StampModel:
        return Mortal(self.mark)


@pytest.fixture
def cluster() -> Generator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
        yield
        ray.shutdown()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("cluster")
def test_a_worker_with_another_model_and_gpus_that_are_not_there_are_told(tmp_path: Path) -> None:
    make_photos(tmp_path / "photos")
    options: dict[str, Any] = {"plan": PLAN, "progress": False, "engine": "ray", "workers": 1}
    told = "A worker loaded another model than the audit is of. Got model: 'stamps 54.000"
    with pytest.raises(ModelError, match=told):
        audit(StampModel(), tmp_path / "photos", tmp_path / "one", load=partial(StampModel, 17.0), **options)
    with pytest.raises(InputError, match=r"There are too few GPUs. Got 1 for each worker, and 0 in the cluster"):
        audit(StampModel(), tmp_path / "photos", tmp_path / "two", gpus=1, **options)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("cluster")
def test_two_workers_of_which_one_dies_find_what_one_process_finds(tmp_path: Path) -> None:
    make_photos(tmp_path / "photos")
    options: dict[str, Any] = {"plan": PLAN, "progress": False}
    audit(StampModel(), tmp_path / "photos", tmp_path / "here", **options)
    load = Load(tmp_path / "died")
    done = audit(StampModel(), tmp_path / "photos", tmp_path / "ray", engine="ray", workers=2, load=load, **options)
    assert (tmp_path / "died").exists()
    assert (done.done, done.failed) == (24, 0)
    assert read_audit(tmp_path / "ray", to="arrow").equals(read_audit(tmp_path / "here", to="arrow"))
