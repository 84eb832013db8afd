"""Commands: what a program gets, what it may print, and what is said when it fails."""

from __future__ import annotations

import os
import pickle
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import blackbox_explain as bx
from blackbox_explain.errors import InputError, ModelError, UnreachableError

if os.environ.get("REQUIRE_BACKENDS") != "1":
    pytest.importorskip("httpx")
    pytest.importorskip("tenacity")

from tests.adapters.remote.server import CLASSES, scores_of

SHAPE = (3, 8, 8)
BYTES = np.random.default_rng(0).integers(0, 256, (5, *SHAPE), dtype=np.uint8)
IMAGES = (BYTES / 255).astype(np.float32)
EXPECTED = np.asarray([scores_of(np.moveaxis(one, 0, -1)) for one in BYTES])

PROGRAM = """
import json, sys
import numpy as np
from PIL import Image
assert sys.argv[1] == "two words; $HOME", sys.argv
scores = []
for path in sys.argv[2:]:
    middle = np.asarray(Image.open(path))[2:6, 2:6].mean() / 255
    scores.append([middle, 1 - middle])
print("read", len(scores), file=sys.stderr)
print(json.dumps({"scores": scores, "classes": ["bright middle", "dark middle"]}))
"""


def command(folder: Path, text: str, *arguments: str) -> str:
    program = folder / "a program.py"
    program.write_text(text)
    # Isolated, without site: it starts in a hundredth of a second.
    return "command:" + shlex.join([sys.executable, "-I", "-S", str(program), *arguments])


def wrapped(folder: Path, text: str, **options: Any) -> Any:
    # With the activation said, nothing is run before scores are asked for.
    known: dict[str, Any] = {"shape": SHAPE, "timeout": 10.0, "activation": "none", **options}
    return bx.wrap(command(folder, text), **known)


def test_a_program_gets_files_in_order_and_prints_scores(tmp_path: Path) -> None:
    program = tmp_path / "classify.py"
    program.write_text(PROGRAM)
    text = "command:" + shlex.join([sys.executable, str(program), "two words; $HOME"])
    box = bx.wrap(text, shape=SHAPE, images_per_request=3, concurrency=2)
    np.testing.assert_allclose(box.scores(IMAGES), EXPECTED, atol=1e-6)
    assert box.spec.class_names == tuple(CLASSES)
    again = pickle.loads(pickle.dumps(box))  # noqa: S301
    np.testing.assert_allclose(again.scores(IMAGES[:1]), EXPECTED[:1], atol=1e-6)


def test_files_are_gone_afterwards(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    box = wrapped(tmp_path, f"import sys; open({str(seen)!r}, 'w').write(sys.argv[1]); print('[[0.25, 0.75]]')")
    np.testing.assert_allclose(box.scores(IMAGES[:1]), [[0.25, 0.75]])
    path = Path(seen.read_text())
    assert path.name == "00000.png"
    assert not path.parent.exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("print('ready')", r"The command '\S+' answers with something that is not JSON.*ready"),
        ("", "not JSON.*nothing"),
        ("print('<html>')", "a page instead of JSON"),
        ("print('[[0.5, 0.5]]')", "another number of rows.*1 rows for 5 images"),
        ("print([[0.5, float('nan')]] * 5)", "not JSON"),
        (
            "import sys; print('x\\n' * 9 + 'out of luck', file=sys.stderr); sys.exit(3)",
            r"exit status 3, with 'x.*luck'",
        ),
        ("raise ValueError('no weights')", r"exit status 1, with .*no weights"),
        ("import os; os.kill(os.getpid(), 9)", r"exit status -9, with nothing on standard error"),
    ],
)
def test_what_a_program_gets_wrong_is_said(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        wrapped(tmp_path, text).scores(IMAGES)


def test_a_program_that_prints_without_end_is_stopped(tmp_path: Path) -> None:
    box = wrapped(tmp_path, "while True: print('0.5, ' * 100_000)")
    with pytest.raises(ModelError, match=r"prints too much.*16 MiB"):
        box.scores(IMAGES)


def test_complaints_without_end_do_not_stop_an_answer(tmp_path: Path) -> None:
    text = "import sys\nfor _ in range(3000): print('warning ' * 100, file=sys.stderr)\nprint([[0.5, 0.5]] * 5)"
    assert wrapped(tmp_path, text).scores(IMAGES).shape == (5, 2)


def test_what_a_slow_program_started_is_killed_with_it(tmp_path: Path) -> None:
    started = tmp_path / "started"
    text = f"""
import subprocess, sys
child = subprocess.Popen(["sleep", "30"])
with open({str(started)!r}, "a") as file: file.write(f"{{child.pid}}\\n")
print("loading", file=sys.stderr, flush=True)
child.wait()
"""
    box = wrapped(tmp_path, text, timeout=0.4, retries=1)
    begun = time.monotonic()
    with pytest.raises(ModelError, match=r"timed out.*after 0.4 seconds, with 'loading'.*timeout="):
        box.scores(IMAGES)
    assert time.monotonic() - begun < 5
    children = started.read_text().split()
    assert len(children) == 2
    for child in children:
        status = Path(f"/proc/{child}/stat")
        # Killed, perhaps not yet collected by who inherits it.
        assert not status.exists() or status.read_text().split(")")[1].split()[0] in "ZX"


def test_an_interrupt_kills_the_program_that_runs(tmp_path: Path) -> None:
    started = tmp_path / "started"
    text = f"""
import os, time
with open({str(started)!r}, "w") as file: file.write(str(os.getpid()))
time.sleep(60)
"""
    # Under nohup, or in the background of a script, interrupts are ignored, and what is started there inherits that.
    script = f"""
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
import numpy as np, blackbox_explain as bx
box = bx.wrap({command(tmp_path, text)!r}, shape={SHAPE}, timeout=60.0, retries=2)
print("asking", flush=True)
box.scores(np.zeros((5, *{SHAPE}), np.float32))
"""
    asking = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE, text=True)
    try:
        latest = time.monotonic() + 30
        while not (started.exists() and started.read_text()) and time.monotonic() < latest:
            time.sleep(0.02)
        begun = time.monotonic()
        asking.send_signal(signal.SIGINT)
        complaints = asking.communicate(timeout=20)[1]
    finally:
        asking.kill()
    assert time.monotonic() - begun < 5
    assert "KeyboardInterrupt" in complaints
    status = Path(f"/proc/{started.read_text()}/stat")
    assert not status.exists() or status.read_text().split(")")[1].split()[0] in "ZX"


def test_a_program_that_cannot_run_is_not_tried_for_every_image(tmp_path: Path) -> None:
    with pytest.raises(UnreachableError, match="cannot be started"):
        bx.explain(bx.wrap("command:no-such-program", shape=SHAPE), IMAGES, progress=False)
    been = tmp_path / "been"
    box = wrapped(tmp_path, f"import time; open({str(been)!r}, 'a').write('x'); time.sleep(60)", timeout=0.4)
    with pytest.raises(UnreachableError, match="timed out"):
        bx.explain(box, IMAGES, progress=False)
    assert been.read_text() == "x"


def test_a_program_that_fails_once_is_run_again(tmp_path: Path) -> None:
    been = tmp_path / "been"
    text = f"""
import os, sys
if not os.path.exists({str(been)!r}):
    open({str(been)!r}, "w").close()
    sys.exit("busy")
print([[0.5, 0.5]] * 5)
"""
    with pytest.raises(ModelError, match="exit status 1, with 'busy'"):
        wrapped(tmp_path, text).scores(IMAGES)
    been.unlink()
    assert wrapped(tmp_path, text, retries=1).scores(IMAGES).shape == (5, 2)


def test_a_program_that_is_missing_or_none(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"'no-such-program' cannot be started.*installed program"):
        bx.wrap("command:no-such-program --fast", shape=SHAPE).scores(IMAGES)
    plain = tmp_path / "plain.txt"
    plain.write_text("text")
    with pytest.raises(ModelError, match=r"cannot be started.*Permission denied"):
        bx.wrap(f"command:{plain}", shape=SHAPE).scores(IMAGES)


def test_what_is_no_command() -> None:
    for text in ("command:", "command:   "):
        with pytest.raises(InputError, match=r"no command.*python classify.py"):
            bx.wrap(text, shape=SHAPE)
    with pytest.raises(InputError, match="look at its quotes"):
        bx.wrap("command:python 'classify.py", shape=SHAPE)
    settings: list[dict[str, Any]] = [{"timeout": 0.0}, {"retries": -1}, {"concurrency": 0}, {"images_per_request": 0}]
    for setting in settings:
        with pytest.raises(InputError, match=f"{next(iter(setting))}="):
            bx.wrap("command:python classify.py", shape=SHAPE, **setting)
