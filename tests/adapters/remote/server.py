"""A demonstration of an endpoint, and of every way in which one can be wrong.

``python -m tests.remote.server`` serves on this machine until it is interrupted; its scores say how bright the middle
of each image is.
"""

from __future__ import annotations

import argparse
import io
import json
import threading
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

import numpy as np
from PIL import Image

CLASSES = ["bright middle", "dark middle"]

FAULTS = {
    "rows": lambda scores: {"scores": scores[1:]},
    "ragged": lambda scores: {"scores": [*scores[:-1], scores[-1][:1]]},
    "strings": lambda scores: {"scores": [[str(one) for one in row] for row in scores]},
    "null": lambda scores: {"scores": [[None for _ in row] for row in scores]},
    "truth": lambda scores: {"scores": [[True, False] for _ in scores]},
    "nan": lambda scores: {"scores": [[float("nan"), 0.5] for _ in scores]},
    "infinity": lambda scores: {"scores": [[float("-inf"), 0.5] for _ in scores]},
    "flat": lambda scores: {"scores": scores[0]},
    "empty": lambda scores: {"scores": [[] for _ in scores]},
    "nothing": lambda _: {"error": "no scores today"},
    "number": lambda _: 7,
    "names": lambda scores: {"scores": scores, "classes": ["only one"]},
    "no names": lambda scores: {"scores": scores, "classes": [1, 2]},
    "bare": lambda scores: scores,
    "unnamed": lambda scores: {"scores": scores},
}
"""Answers in JSON, by mode."""

TEXTS = {
    "malformed": b'{"scores": [[0.5, 0.5',
    "html": b"<!DOCTYPE html>\n<title>Sign in</title>",
    "huge number": b'{"scores": [[1e999, 0.5]]}',
    "huge integer": b'{"scores": [[1%s, 0.5]]}' % (b"0" * 400),
    "deep": b"[" * 100_000,
    "binary": b"\xff\xfe\x00",
    "silent": b"",
}
"""Answers that are other texts, by mode."""


def scores_of(pixels: np.ndarray[Any, Any]) -> list[float]:
    """How bright the middle of an image (H, W) or (H, W, C) of bytes is, and how dark."""
    height, width = pixels.shape[:2]
    middle = pixels[height // 4 : height - height // 4, width // 4 : width - width // 4]
    bright = float(middle.mean()) / 255
    return [bright, 1 - bright]


class DemonstrationServer(ThreadingHTTPServer):
    """Serves on a free port of the loopback device while it is open.

    `mode` names what is wrong with it; `statuses` are answered first, one for each request.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, mode: str = "good", statuses: list[int] | None = None, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.mode = mode
        self.statuses = list(statuses or [])
        self.retry_after = ""
        self.requests: list[dict[str, Any]] = []
        self.images: list[np.ndarray[Any, Any]] = []
        self.at_once = self.most_at_once = self.answered = 0
        self.changed = threading.Condition()
        self.stopping = threading.Event()
        self.pair = threading.Barrier(2)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/scores"

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stopping.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A client that hangs up is what some tests are about.
        return


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: DemonstrationServer  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_POST(self) -> None:
        server = self.server
        images = self.read_images()
        with server.changed:
            server.requests.append({"path": self.path, "headers": dict(self.headers), "images": len(images)})
            server.images += images
            server.at_once += 1
            server.most_at_once = max(server.most_at_once, server.at_once)
            status = server.statuses.pop(0) if server.statuses else 200
            number = len(server.requests)
        try:
            if status != 200:
                self.answer(f"status {status} of a test".encode(), status)
            else:
                self.scored(images, number)
        finally:
            with server.changed:
                server.at_once -= 1

    def read_images(self) -> list[np.ndarray[Any, Any]]:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        form = BytesParser().parsebytes(b"Content-Type: %s\r\n\r\n%s" % (self.headers["Content-Type"].encode(), body))
        images: list[np.ndarray[Any, Any]] = []
        for part in form.walk():
            if part.get_param("name", header="content-disposition") == "images":
                content = part.get_payload(decode=True)
                assert isinstance(content, bytes)
                with Image.open(io.BytesIO(content)) as image:
                    assert image.format == "PNG"
                    images.append(np.asarray(image))
        return images

    def scored(self, images: list[np.ndarray[Any, Any]], number: int) -> None:
        server, mode = self.server, self.server.mode
        scores = [scores_of(one) for one in images]
        if mode in TEXTS:
            self.answer(TEXTS[mode])
        elif mode in FAULTS:
            self.answer(json.dumps(FAULTS[mode](scores)).encode())
        elif mode == "hangs":
            server.stopping.wait(10)
        elif mode == "drips":
            self.start(200, 1000)
            while not server.stopping.wait(0.01):
                self.wfile.write(b" ")
        elif mode == "hangs up":
            self.close_connection = True
        elif mode == "huge":
            self.start(200, 1 << 30)
            while not server.stopping.is_set():
                self.wfile.write(b" " * (1 << 20))
        elif mode == "other classes":
            self.answer(json.dumps([row * number for row in scores]).encode())
        elif mode == "other names":
            self.answer(json.dumps({"scores": scores, "classes": [f"{k} {number}" for k in range(2)]}).encode())
        elif mode == "pairs":
            # Goes on only if two requests are under way together.
            server.pair.wait(5)
            self.answer(json.dumps(scores).encode())
        elif mode == "last first":
            # Image k, of the constant value k, is answered after image k + 1; there are four.
            turn = 3 - int(images[0].flat[0])
            with server.changed:
                assert server.changed.wait_for(lambda: server.answered == turn, 5)
                server.answered += 1
                server.changed.notify_all()
            self.answer(json.dumps(scores).encode())
        else:
            self.answer(json.dumps({"scores": scores, "classes": CLASSES}).encode())

    def start(self, status: int, length: int) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(length))
        if self.server.retry_after:
            self.send_header("Retry-After", self.server.retry_after)
        self.end_headers()

    def answer(self, text: bytes, status: int = 200) -> None:
        self.start(status, len(text))
        self.wfile.write(text)

    def log_message(self, format: str, *args: Any) -> None:
        # Tests say enough.
        return


def main() -> None:
    parser = argparse.ArgumentParser(description="Serve scores of images on this machine.")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--mode", default="good", help="what is wrong with the answers")
    options = parser.parse_args()
    with DemonstrationServer(options.mode, port=options.port) as server:
        print(f"scores at {server.address}, until interrupted")
        try:
            server.stopping.wait()
        except KeyboardInterrupt:
            print("stopped")


if __name__ == "__main__":
    main()
