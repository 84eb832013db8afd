"""Words in pictures: measured and wrapped so that nothing is cut, in fonts that have their letters."""

from __future__ import annotations

import io
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from matplotlib import rc_context, rcParams
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font
from matplotlib.text import Text
from matplotlib.textpath import text_to_path

__all__ = ["DOTS", "INK", "WARNING", "Picture", "families_for", "width_of", "wrapped", "write"]

DOTS = 160
"""Per inch, of pictures in files that do not say otherwise."""

SCREEN = 80
"""Per inch, of pictures in notebooks."""

QUICK = 3
"""How hard PNG files are compressed: twice as fast as by default, for files a twelfth larger."""

INK, WARNING = "#222222", "#a33b00"

SPARE = 1.04
"""Letters that are moved to whole dots take up to so much more room than their outlines."""

POINTS = 72
"""In an inch."""

LAST_RESORT = "Last Resort"
"""A font that has a sign for every letter, and no letters."""


class Picture(Figure):
    """A figure of matplotlib that shows itself in notebooks, and whose text stays text in PDF and SVG files."""

    def savefig(self, fname: Any, **options: Any) -> None:
        """Write to a file or a stream, as `matplotlib.figure.Figure.savefig` does, with 160 dots per inch."""
        chosen: dict[str, Any] = {"dpi": DOTS, **options}
        if (chosen.get("format") or str(fname).rpartition(".")[2]).lower() == "png":
            chosen.setdefault("pil_kwargs", {"compress_level": QUICK})
        with rc_context({"svg.fonttype": "none", "pdf.fonttype": 42, "ps.fonttype": 42}), _quiet():
            super().savefig(fname, **chosen)

    def add_axes(self, *given: Any, **options: Any) -> Any:
        """Add axes whose title, which is empty, is not moved out of the way of labels: measuring them takes long."""
        axes = super().add_axes(*given, **options)
        axes.set_title("", y=1.0)
        return axes

    def draw(self, renderer: Any) -> None:
        """Draw everything; letters that no font has become boxes, without a warning for each."""
        with _quiet():
            super().draw(renderer)

    def get_tightbbox(self, *given: Any, **options: Any) -> Any:
        """Return the room that everything takes, as notebooks ask for it."""
        with _quiet():
            return super().get_tightbbox(*given, **options)

    def png(self) -> bytes:
        """Return a PNG file of the size of a notebook."""
        stream = io.BytesIO()
        self.savefig(stream, format="png", dpi=SCREEN)
        return stream.getvalue()

    def _repr_png_(self) -> bytes:
        return self.png()


@contextmanager
def _quiet() -> Generator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def write(place: Figure | Axes, x: float, y: float, text: str, *, size: float, **options: Any) -> Text:
    """Write text as it is, never as a formula; `options` are those of `matplotlib.axes.Axes.text`."""
    options = {"color": INK, "fontfamily": families_for(text), "parse_math": False, "usetex": False, **options}
    return place.text(x, y, text, fontsize=size, **options)


def width_of(text: str, size: float, weight: str = "normal") -> float:
    """Return the width of one line in inches; `size` is in points."""
    font = FontProperties(family=families_for(text), size=size, weight=weight)
    with _quiet():
        width, _, _ = text_to_path.get_text_width_height_descent(text, font, ismath=False)
    return SPARE * width / POINTS


def wrapped(text: str, width: float, size: float, weight: str = "normal") -> list[str]:
    """Break text into lines of at most `width` inches, between words where that is possible; at least one line."""
    lines: list[str] = []
    line = ""
    for word in text.split():
        longer = f"{line} {word}" if line else word
        if width_of(longer, size, weight) <= width:
            line = longer
            continue
        if line:
            lines.append(line)
        *full, line = _pieces(word, width, size, weight)
        lines += full
    return [*lines, line]


def _pieces(word: str, width: float, size: float, weight: str) -> list[str]:
    pieces: list[str] = []
    while len(word) > 1 and width_of(word, size, weight) > width:
        fits, too_long = 1, len(word)
        while too_long - fits > 1:
            middle = (fits + too_long) // 2
            if width_of(word[:middle], size, weight) <= width:
                fits = middle
            else:
                too_long = middle
        pieces.append(word[:fits])
        word = word[fits:]
    return [*pieces, word]


def families_for(text: str) -> tuple[str, ...]:
    """Return the fonts to write a text in: those of matplotlib's settings, then installed ones for what these lack."""
    return _families(tuple(rcParams["font.family"]), frozenset(text))


@lru_cache(maxsize=1024)
def _families(usual: tuple[str, ...], letters: frozenset[str]) -> tuple[str, ...]:
    found = list(usual)
    missing = _missing(findfont(FontProperties(family=usual)), letters)
    if missing:
        found += _families_with(missing)
    return tuple(found)


@lru_cache(maxsize=256)
def _families_with(letters: frozenset[str]) -> tuple[str, ...]:
    """Return as few installed fonts as have these letters, or as many of them as any font has."""
    plain = [one for one in fontManager.ttflist if one.style == "normal" and one.weight in (400, "normal", "regular")]
    missing, found = letters, list[str]()
    lacking = {one.name: _missing(one.fname, letters) for one in plain if not one.name.startswith(LAST_RESORT)}
    while missing and lacking:
        best = min(lacking, key=lambda name: len(missing & lacking[name]))
        if missing <= lacking[best]:
            break
        found.append(best)
        missing &= lacking[best]
    return tuple(found)


def _missing(path: str, letters: frozenset[str]) -> frozenset[str]:
    try:
        font = get_font(path)
        return frozenset(one for one in letters if not one.isspace() and not font.get_char_index(ord(one)))
    except (OSError, RuntimeError):
        return letters
