"""Write the report as one HTML file that needs nothing beside it, and asks nothing of any network."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blackbox_explain.errors import BackendMissingError, install_hint
from blackbox_explain.report.page.card_data import card_data
from blackbox_explain.report.page.class_tiles import class_tiles
from blackbox_explain.report.page.content import Page
from blackbox_explain.report.page.packing import packed
from blackbox_explain.whole_files import written_whole

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["STYLE_FOLDER", "write_page"]

BROWSER = Path(__file__).parent / "browser"

STYLE_FOLDER = BROWSER / "styles"

STYLES = ("base", "findings", "gallery", "detail", "classes", "print")
SCRIPTS = ("data", "words", "region", "gallery", "histograms", "stage", "curve", "detail", "start")
"""Files of the page, in the order in which they are put together."""


def write_page(page: Page, path: Path) -> Path:
    """Write a page.

    Parameters
    ----------
    page
        What it shows.
    path
        The file to write; one that is there is replaced, when the new one is finished.

    Returns
    -------
    Path
        Where it is.

    Raises
    ------
    BackendMissingError
        If Jinja2 is not installed.
    ResultError
        If the file cannot be written, or a photo or a map is damaged.
    """
    environment = _environment()
    data = card_data(page)
    style, script = _joined("styles", STYLES, ".css"), _script()
    stream = environment.get_template("page.html").stream(
        page=page,
        tiles=class_tiles(page),
        outcomes=sorted({card.outcome for card in page.cards}),
        style=style,
        script=script,
        policy=_policy(style, script),
        facts=_json(data.facts),
        photos=((len(one), packed(one)) for one in data.photos),
        maps=((len(one), packed(one)) for one in data.maps),
    )
    with written_whole(path, "The report cannot be written") as partial:
        # A file's name may hold what no encoding has a word for; it becomes a question mark.
        stream.dump(str(partial), encoding="utf-8", errors="replace")
    return path


def _environment() -> Environment:
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
    except ImportError as error:
        raise BackendMissingError(
            "A report is written with Jinja2, which is not installed", hint=install_hint("audit")
        ) from error
    environment = Environment(
        loader=FileSystemLoader(BROWSER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = _percent
    return environment


def _percent(share: float) -> str:
    """Return a share in words; the space within is one that no line is broken at."""
    return f"{100 * share:.1f}\N{NO-BREAK SPACE}%"


def _joined(folder: str, names: tuple[str, ...], kind: str) -> str:
    return "\n".join((BROWSER / folder / f"{name}{kind}").read_text(encoding="utf-8") for name in names)


def _script() -> str:
    return f'(() => {{\n"use strict";\n{_joined("scripts", SCRIPTS, ".js")}}})();\n'


def _policy(style: str, script: str) -> str:
    """Return a content security policy: this style, this script, pictures of the page itself, and nothing else."""
    return (
        f"default-src 'none'; img-src data: blob:; style-src {_hash(style)}; script-src {_hash(script)}; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _json(facts: dict[str, Any]) -> str:
    """Return JSON that cannot end the element that it stands in, whatever text it holds."""
    text = json.dumps(facts, separators=(",", ":"), allow_nan=False)
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text
