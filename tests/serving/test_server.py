"""The page on which a photo is interrogated: its answers, who may ask, and how it is used in a browser."""

from __future__ import annotations

import io
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import blackbox_explain as bx
from blackbox_explain.errors import InputError
from blackbox_explain.serving.server import application, serve
from blackbox_explain.serving.session import Session
from tests.auditing.stamped import StampModel, make_photos

MODEL = "tests.auditing.stamped:model"


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a photo twice as large as the model reads, with a stamp, in the middle of a wider one."""
    folder = tmp_path_factory.mktemp("photos")
    with Image.open(make_photos(folder, 1)[0]) as stamped:
        wide = Image.new("RGB", (128, 64), "grey")
        wide.paste(stamped.resize((64, 64), Image.Resampling.NEAREST), (32, 0))
    wide.save(folder / "wide.png")
    return folder / "wide.png"


@pytest.fixture(scope="module")
def session(photo: Path) -> Session:
    box = StampModel()
    return Session(box, bx.load_images([photo], box.spec))


def drawn(left: int, top: int, right: int, bottom: int, size: tuple[int, int] = (128, 64)) -> bytes:
    picture = Image.new("L", size)
    picture.paste(255, (left, top, right, bottom))
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def test_what_is_drawn_on_the_photo_is_deleted_where_the_model_reads_it(session: Session) -> None:
    stamp = session.ask(drawn(32, 0, 48, 16), "constant")
    assert stamp["target"] == "stamped"
    assert stamp["score"] > 0.99
    assert stamp["row"]["without"] < 0.05
    assert stamp["row"]["alone"] > 0.95
    assert stamp["row"]["share"] == pytest.approx(8 * 8 / 32**2)
    assert stamp["row"]["leading_without"][0][0] == "nothing"
    # The same, drawn on a photo that is shown at half its size.
    half = session.ask(drawn(16, 0, 24, 8, (64, 32)), "constant")
    assert half["row"]["without"] == pytest.approx(stamp["row"]["without"], abs=0.02)
    elsewhere = session.ask(drawn(70, 30, 90, 60), "constant")
    assert elsewhere["row"]["without"] > 0.99
    assert all(address.startswith("data:image/jpeg;base64,") for address in stamp["pictures"].values())


def test_layers_are_methods_that_a_person_can_wait_for(session: Session) -> None:
    names = session.facts()["methods"]
    assert names[0] == "mask"
    assert "gradient" in names
    assert "grad-cam" not in names
    assert "extremal-perturbation" not in names or "rise" not in names
    layer = session.layer("gradient")
    assert layer is session.layer("gradient")
    assert 0 < layer["share"] <= 0.5
    assert layer["map"].startswith("data:image/png;base64,")


@pytest.fixture
def client(session: Session) -> Iterator[Any]:
    from starlette.testclient import TestClient

    with TestClient(application(session, "secret"), base_url="http://127.0.0.1") as found:
        yield found


@pytest.mark.filterwarnings("ignore")
def test_only_who_has_the_address_may_ask(client: Any) -> None:
    assert client.get("/secret/").status_code == 200
    for address in ("/", "/facts", "/wrong/facts", "/secre/photo.jpg", "/secret/files/../session.py"):
        assert client.get(address).status_code == 404, address
    assert client.get("/secret/facts", headers={"host": "evil.example"}).status_code == 400
    found = client.get("/secret/facts")
    assert found.json()["size"] == [128, 64]
    assert "default-src 'none'" in found.headers["content-security-policy"]
    assert found.headers["referrer-policy"] == "no-referrer"
    assert client.get("/secret/photo.jpg").content[:2] == b"\xff\xd8"


@pytest.mark.filterwarnings("ignore")
def test_wrong_questions_are_answered_with_what_is_wrong(client: Any) -> None:
    cases = [
        (b"no picture", "blur", "The drawing cannot be read"),
        (drawn(0, 0, 0, 0), "blur", "Nothing is drawn"),
        (drawn(0, 0, 20, 20), "blur", "Nothing is drawn"),
        (drawn(32, 0, 48, 16), "purple", "There is no such perturbation"),
        (b"x" * (9 * 2**20), "blur", "too large"),
    ]
    for body, perturbation, message in cases:
        found = client.post(f"/secret/ask?perturbation={perturbation}", content=body)
        assert found.status_code == 400
        assert message in found.json()["error"]
    assert client.get("/secret/ask").status_code == 405
    assert "There is no such method" in client.post("/secret/layers/none").json()["error"]


def test_one_photo_and_a_free_port(session: Session, photo: Path) -> None:
    import socket

    box = StampModel()
    with pytest.raises(InputError, match="One photo is interrogated at a time"):
        Session(box, bx.load_images([photo, photo], box.spec))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(InputError, match="This port cannot be used"):
            serve(session, taken.getsockname()[1])


@pytest.fixture
def address(photo: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "blackbox_explain", "interrogate", str(photo), "--model", MODEL]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as process:
        line = process.stdout.readline() if process.stdout else ""
        found = re.search(r"http://127\.0\.0\.1:\d+/[\w-]{20,}/", line)
        assert found, line
        yield found.group()
        process.send_signal(signal.SIGINT)
        process.wait(30)


def test_in_a_browser(address: str) -> None:
    browser_path = shutil.which("chromium")
    if browser_path is None:
        if os.environ.get("REQUIRE_BROWSER") == "1":
            pytest.fail("no chromium")
        pytest.skip("no chromium")
    from playwright.sync_api import sync_playwright

    complaints: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": 1200, "height": 800})
        tab.on("console", lambda message: complaints.append(message.text))
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.on("request", lambda request: request.url.startswith((address, "data:")) or complaints.append(request.url))
        tab.goto(address)
        tab.wait_for_selector("html[data-ready=yes]")
        around = tab.locator("#canvas").bounding_box()
        scale = around["width"] / 128

        def drag(left: float, top: float, right: float, bottom: float) -> None:
            tab.mouse.move(around["x"] + left * scale, around["y"] + top * scale)
            tab.mouse.down()
            tab.mouse.move(around["x"] + right * scale, around["y"] + bottom * scale, steps=4)
            tab.mouse.up()

        tab.locator("#perturbation").select_option("constant")
        drag(32, 0, 48, 16)
        tab.wait_for_selector("#scores:not([hidden])")
        assert "Without 6." in tab.locator("#message").inner_text()
        assert tab.locator("#without li").first.inner_text().startswith("nothing")
        assert tab.locator("#alone li").first.inner_text().startswith("stamped")
        before = tab.locator("#canvas").screenshot()
        tab.locator("#view").select_option("without")
        assert tab.locator("#canvas").screenshot() != before
        tab.locator("#view").select_option("photo")
        # A learned region takes the place of the drawing.
        tab.locator("#clear").click()
        assert tab.locator("#message").inner_text() == "Draw a box over something."
        tab.locator("#method").select_option("gradient")
        tab.locator("#learn").click()
        tab.wait_for_selector("#use:enabled")
        tab.locator("#use").click()
        tab.wait_for_selector("#scores:not([hidden])")
        share = re.search(r"Without ([\d.]+) %", tab.locator("#message").inner_text())
        told = re.search(r"region is ([\d.]+) %", tab.locator("#layer").inner_text())
        assert float(share.group(1)) == pytest.approx(float(told.group(1)), abs=1.0)
        # The keyboard draws too: by default a box in the middle.
        tab.locator("#clear").click()
        tab.locator("#canvas").focus()
        for key in ("ArrowLeft", "Shift+ArrowRight", "Enter"):
            tab.keyboard.press(key)
        tab.wait_for_selector("#scores:not([hidden])")
        browser.close()
    assert complaints == []


def test_the_photo_is_shown_as_it_is(session: Session) -> None:
    with Image.open(io.BytesIO(session.photo())) as shown:
        assert shown.size == (128, 64)
        assert np.asarray(shown)[32, 5].tolist() == pytest.approx([128, 128, 128], abs=3)
