"""Endpoints on the loopback device: what they get, what they may answer, and what is said when they fail."""

from __future__ import annotations

import gc
import os
import pickle
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from typing import Any

import numpy as np
import pytest

import blackbox_explain as bx
from blackbox_explain.errors import InputError, ModelError, UnreachableError, UnsupportedModelError

if os.environ.get("REQUIRE_BACKENDS") != "1":
    pytest.importorskip("httpx")
    pytest.importorskip("tenacity")

from blackbox_explain_adapters._remote import http
from tests.adapters.remote.server import CLASSES, FAULTS, TEXTS, DemonstrationServer, scores_of

SHAPE = (3, 8, 8)
BYTES = np.random.default_rng(0).integers(0, 256, (10, *SHAPE), dtype=np.uint8)
IMAGES = (BYTES / 255).astype(np.float32)
EXPECTED = np.asarray([scores_of(np.moveaxis(one, 0, -1)) for one in BYTES])


def box_of(server: DemonstrationServer, **options: Any) -> Any:
    # With the activation said, nothing is sent before scores are asked for.
    known: dict[str, Any] = {"shape": SHAPE, "timeout": 5.0, "backoff": 0.001, "activation": "none", **options}
    return bx.wrap(server.address, **known)


@pytest.fixture
def good() -> Iterator[DemonstrationServer]:
    with DemonstrationServer() as server:
        yield server


def test_scores_come_back_in_order_from_lossless_files(good: DemonstrationServer) -> None:
    with box_of(good, images_per_request=4, headers={"Authorization": "Bearer of good news"}) as box:
        assert good.requests == []
        scores = box.scores(IMAGES)
        np.testing.assert_allclose(scores, EXPECTED, atol=1e-6)
        assert scores.dtype == np.float32
        assert box.activation == "none"
        assert box.spec.class_names == tuple(CLASSES)
        assert box.scores(IMAGES[:0]).shape == (0, 2)
        assert any("rounded to bytes" in one for one in box.assumptions)
        assert not any("preprocessing was given" in one for one in box.assumptions)
        assert not isinstance(box, bx.Differentiable)
    assert sorted(one["images"] for one in good.requests) == [1, 2, 4, 4]
    assert {one["headers"]["Authorization"] for one in good.requests} == {"Bearer of good news"}
    sent = {one.tobytes() for one in good.images}
    assert sent >= {np.moveaxis(one, 0, -1).tobytes() for one in BYTES}


def test_one_request_at_wrap_tells_activation_and_names(good: DemonstrationServer) -> None:
    with box_of(good, activation="auto") as box:
        assert [one["images"] for one in good.requests] == [4]
        assert box.activation == "none"
        assert box.spec.class_names == tuple(CLASSES)
        assert "the outputs sum to one, so they are probabilities already" in box.assumptions
        np.testing.assert_allclose(box.scores(IMAGES), EXPECTED, atol=1e-6)


def test_without_an_activation_what_is_wrong_is_said_at_wrap() -> None:
    with DemonstrationServer("html") as server, pytest.raises(ModelError, match="a page instead of JSON"):
        box_of(server, activation="auto")
    with DemonstrationServer(statuses=[404]) as server, pytest.raises(UnreachableError, match="status 404"):
        box_of(server, activation="auto")


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_grey_colour_and_transparent_images(good: DemonstrationServer, channels: int) -> None:
    rng = np.random.default_rng(1)
    images = rng.uniform(-1.1, 3.1, (3, channels, 6, 4))
    with box_of(good, shape=(channels, 6, 4), bounds=(-1.0, 3.0), images_per_request=3) as box:
        box.scores(images)
    expected = np.clip(np.rint((images + 1) / 4 * 255), 0, 255).astype(np.uint8)
    for found, one in zip(good.images, expected, strict=True):
        np.testing.assert_array_equal(found, one[0] if channels == 1 else np.moveaxis(one, 0, -1))


def test_what_an_endpoint_is_not_given(good: DemonstrationServer) -> None:
    with pytest.raises(InputError, match="preprocesses them itself"):
        box_of(good, preprocessing=bx.Preprocessing(mean=0.5))
    for shape in ((2, 8, 8), (3, 8), (3, 8, 8, 8)):
        with pytest.raises(UnsupportedModelError, match="no PNG files"):
            box_of(good, shape=shape)
    with pytest.raises(InputError, match="does not tell the shape"):
        bx.wrap(good.address)
    for setting in (
        {"timeout": 0.0},
        {"retries": -1},
        {"backoff": -1.0},
        {"concurrency": 0},
        {"concurrency": 2.5},
        {"images_per_request": 2.5},
        {"timeout": "5s"},
        {"timeout": float("nan")},
        {"retries": "two"},
        {"backoff": float("inf")},
        {"headers": "Authorization: Bearer x"},
        {"images_per_request": 0},
    ):
        with pytest.raises(InputError, match=f"{next(iter(setting))}="):
            box_of(good, **setting)
    with pytest.raises(InputError, match=r"no such option.*timeout"):
        box_of(good, retry=3)
    with pytest.raises(InputError, match="names and values of text"):
        box_of(good, headers={"X-Name": "\N{SNOWMAN}"})
    with pytest.raises(InputError, match="no HTTP request"):
        box_of(good, headers={"X-Name": "two\r\nlines"}).scores(IMAGES)
    with pytest.raises(InputError, match="not finite"):
        box_of(good).scores(np.full_like(IMAGES, np.nan))
    assert good.requests == []


@pytest.mark.parametrize(
    ("address", "message"),
    [("http://", "names no host"), ("http:scores", "names no host"), ("http://127.0.0.1:x/scores", "no address")],
)
def test_what_is_no_address(address: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        bx.wrap(address, shape=SHAPE)


WRONG = {
    "rows": "another number of rows.*9 rows for 10 images",
    "ragged": "rows of different lengths.*2 scores in row 0, 1 in row 9",
    "strings": "something that is no number.*a string in row 0",
    "null": "something that is no number.*null in row 0",
    "truth": "something that is no number.*a truth value in row 0",
    "nan": "not finite.*NaN",
    "infinity": "not finite.*-Infinity",
    "huge number": "another number of rows.*1 rows for 10 images",
    "huge integer": "another number of rows",
    "flat": "another number of rows.*2 rows for 10 images",
    "empty": "no row of scores.*a list as row 0",
    "nothing": "without scores.*'error'",
    "number": "without a list of scores.*a number",
    "names": "another number of class names.*1 names for 2 scores",
    "no names": "class names that are none.*a list as classes",
    "malformed": "not JSON.*0.5, 0.5",
    "html": "a page instead of JSON.*Sign in",
    "deep": "not JSON",
    "binary": "not JSON",
    "silent": "not JSON.*nothing",
    "huge": "too much.*16 MiB",
}


@pytest.mark.parametrize("mode", WRONG)
def test_each_wrong_answer_has_its_words_and_is_not_asked_for_again(mode: str) -> None:
    with DemonstrationServer(mode) as server, box_of(server) as box, pytest.raises(ModelError, match=WRONG[mode]):
        box.scores(IMAGES)
    assert len(server.requests) == 1


@pytest.mark.parametrize("mode", ["huge number", "huge integer"])
def test_numbers_beyond_the_largest_float(mode: str) -> None:
    with (
        DemonstrationServer(mode) as server,
        box_of(server) as box,
        pytest.raises(ModelError, match=r"not finite.*beyond the largest float"),
    ):
        box.scores(IMAGES[:1])


def test_every_mode_of_the_server_is_tried() -> None:
    assert {*TEXTS, *FAULTS} - {"bare", "unnamed"} <= set(WRONG)


@pytest.mark.parametrize("mode", ["bare", "unnamed"])
def test_answers_may_leave_out_names(mode: str) -> None:
    with DemonstrationServer(mode) as server, box_of(server) as box:
        np.testing.assert_allclose(box.scores(IMAGES), EXPECTED, atol=1e-6)
        assert box.spec.class_names is None


def test_names_that_were_said_go_before_those_of_the_endpoint(good: DemonstrationServer) -> None:
    with box_of(good, class_names=["a", "b"]) as box:
        box.scores(IMAGES)
        assert box.spec.class_names == ("a", "b")
        assert any("other names" in one or "differ" in one or "names" in one for one in box.assumptions)


def test_names_in_another_order_than_those_of_the_endpoint_are_refused(good: DemonstrationServer) -> None:
    with box_of(good, class_names=list(reversed(CLASSES))) as box, pytest.raises(InputError, match="another order"):
        box.scores(IMAGES)
    with pytest.raises(InputError, match="another order"):
        box_of(good, class_names=list(reversed(CLASSES)), activation="auto")


@pytest.mark.parametrize(
    ("mode", "message"), [("other classes", "changes its number of classes"), ("other names", "changes the names")]
)
def test_classes_that_change_between_requests(mode: str, message: str) -> None:
    with (
        DemonstrationServer(mode) as server,
        box_of(server, images_per_request=5, concurrency=1) as box,
        pytest.raises(ModelError, match=message),
    ):
        box.scores(IMAGES)


@pytest.mark.parametrize("mode", ["hangs", "drips"])
def test_a_time_out_is_tried_again_and_then_said(mode: str) -> None:
    with (
        DemonstrationServer(mode) as server,
        box_of(server, timeout=0.1, retries=1) as box,
        pytest.raises(ModelError, match=r"timed out.*after 0.1 seconds, the last time of 2.*timeout="),
    ):
        box.scores(IMAGES)
    assert len(server.requests) == 2


def test_a_connection_that_is_hung_up_is_tried_again() -> None:
    with (
        DemonstrationServer("hangs up") as server,
        box_of(server, retries=2) as box,
        pytest.raises(ModelError, match=r"cannot be reached.*RemoteProtocolError"),
    ):
        box.scores(IMAGES)
    assert len(server.requests) == 3


def test_a_connection_that_is_refused() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://user:secret@127.0.0.1:{free.getsockname()[1]}/scores?key=secret"
    with pytest.raises(ModelError, match=r"cannot be reached.*ConnectError") as caught:
        bx.wrap(address, shape=SHAPE, retries=1, backoff=0.001).scores(IMAGES)
    assert "secret" not in str(caught.value)


def test_a_dead_endpoint_is_not_asked_for_every_image() -> None:
    images = np.random.default_rng(0).random((16, *SHAPE))
    for statuses, mode in (([503] * 999, "good"), ([404] * 999, "good"), ([], "hangs"), ([], "hangs up")):
        with DemonstrationServer(mode, statuses) as server, box_of(server, retries=1, timeout=0.2) as box:
            with pytest.raises(UnreachableError):
                bx.explain(box, images, progress=False)
            # One request of 16 images, and its second try.
            assert len(server.requests) == (1 if statuses[:1] == [404] else 2)


def test_an_endpoint_that_goes_away_takes_its_batch_and_no_more() -> None:
    images = np.random.default_rng(0).random((4, *SHAPE))
    one_at_a_time: dict[str, Any] = {"retries": 0, "concurrency": 1, "images_per_request": 64}
    with DemonstrationServer(statuses=[200] * 5 + [503]) as server, box_of(server, **one_at_a_time) as box:
        result = bx.explain(box, images, 0, batch_size=2, progress=False, queries=100)
    failed = [str(one).startswith("failed: The endpoint") for one in result.outcome]
    assert failed == [True, True, False, False]
    assert sum(one["images"] for one in server.requests) == result.queries.sum()


def test_an_answer_that_depends_on_the_images_is_asked_for_again() -> None:
    images = np.random.default_rng(0).random((2, *SHAPE))
    with DemonstrationServer(statuses=[500]) as server, box_of(server, retries=0) as box:
        result = bx.explain(box, images, 0, progress=False, queries=100)
    assert not any(one.failed for one in result.outcome)
    assert "split" in result.provenance.notes[0]
    assert sum(one["images"] for one in server.requests) == result.queries.sum()


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_passing_failure_is_got_over(status: int) -> None:
    with DemonstrationServer(statuses=[status, status]) as server, box_of(server, retries=2) as box:
        np.testing.assert_allclose(box.scores(IMAGES), EXPECTED, atol=1e-6)
    assert len(server.requests) == 3


def test_a_failure_for_ever_is_said() -> None:
    with (
        DemonstrationServer(statuses=[500] * 9) as server,
        box_of(server, retries=3) as box,
        pytest.raises(ModelError, match=r"the status 500\. Got 'status 500 of a test', the last time of 4"),
    ):
        box.scores(IMAGES)
    assert len(server.requests) == 4


@pytest.mark.parametrize("status", [302, 400, 401, 404, 413])
def test_other_failures_are_said_at_once(status: int) -> None:
    with (
        DemonstrationServer(statuses=[status]) as server,
        box_of(server) as box,
        pytest.raises(ModelError, match=f"the status {status}. Got 'status {status} of a test'"),
    ):
        box.scores(IMAGES)
    assert len(server.requests) == 1


def test_the_wait_that_a_server_asks_for_is_kept() -> None:
    with DemonstrationServer(statuses=[429, 503]) as server, box_of(server) as box:
        server.retry_after = "0.1"
        begun = time.monotonic()
        box.scores(IMAGES)
        assert time.monotonic() - begun >= 0.2
    with DemonstrationServer(statuses=[503]) as server, box_of(server) as box:
        server.retry_after = "3600"
        with pytest.raises(ModelError, match=r"status 503.*come back in 3600 seconds"):
            box.scores(IMAGES)


def test_waits_are_read_as_seconds_or_dates() -> None:
    assert http.retry_after("7") == 7
    assert http.retry_after("-7") == 0
    assert http.retry_after("soon") is None
    assert http.retry_after("") is None
    assert http.retry_after(formatdate(time.time() + 30, usegmt=True)) == pytest.approx(30, abs=2)


def test_rows_are_in_order_though_the_last_is_answered_first() -> None:
    images = np.stack([np.full(SHAPE, k / 255) for k in range(4)])
    with DemonstrationServer("last first") as server, box_of(server, images_per_request=1, concurrency=4) as box:
        np.testing.assert_allclose(box.scores(images)[:, 0], np.arange(4) / 255)
    assert server.answered == 4


def test_as_many_requests_are_under_way_as_allowed_over_all_threads() -> None:
    with DemonstrationServer("pairs") as server, box_of(server, images_per_request=1, concurrency=2) as box:
        with ThreadPoolExecutor(3) as pool:
            found = list(pool.map(box.scores, [IMAGES[:4]] * 3))
        for scores in found:
            np.testing.assert_allclose(scores, EXPECTED[:4], atol=1e-6)
    assert server.most_at_once == 2


def test_a_closed_box_opens_again(good: DemonstrationServer) -> None:
    box = box_of(good)
    box.close()
    scores = box.scores(IMAGES)
    box.close()
    box.close()
    np.testing.assert_array_equal(box.scores(IMAGES), scores)
    box.close()


def test_a_box_that_is_forgotten_closes_its_connections(good: DemonstrationServer) -> None:
    box = box_of(good)
    box.scores(IMAGES)
    client = box._remote.transport._client
    assert not client.is_closed
    del box
    gc.collect()
    assert client.is_closed


def test_connections_are_closed_at_the_end_of_the_interpreter(good: DemonstrationServer) -> None:
    program = f"""
import atexit, numpy as np, blackbox_explain as bx
def closed():
    assert box._remote.transport._client is None or box._remote.transport._client.is_closed
    print("closed")
atexit.register(closed)
box = bx.wrap({good.address!r}, shape={SHAPE})
print(box.scores(np.zeros((20, *{SHAPE}), np.float32)).shape)
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.split("\n"), done.stderr) == (0, ["(20, 2)", "closed", ""], "")


def test_a_pickled_box_asks_the_same_endpoint(good: DemonstrationServer) -> None:
    with box_of(good) as box:
        scores = box.scores(IMAGES)
        with pickle.loads(pickle.dumps(box)) as again:  # noqa: S301
            np.testing.assert_array_equal(again.scores(IMAGES), scores)
            assert again.spec == box.spec


def test_a_proxy_is_not_asked_for_this_machine(good: DemonstrationServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with box_of(good, retries=0) as box:
        np.testing.assert_allclose(box.scores(IMAGES), EXPECTED, atol=1e-6)
