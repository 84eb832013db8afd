"""Pages whose pictures are known by hand."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
from PIL import Image

from blackbox_explain.report.page.content import Card, Finding, Page

SHARES = (0.1, 0.25, 0.5)

SIDE = 24
"""Pixels of the toy model's input, which reads the middle of photos of 48 × 36."""


def photo_of(seed: int, size: tuple[int, int] = (48, 36), quality: int = 90) -> bytes:
    """Return noise as a JPEG file: its blur looks like nothing in it."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return file.getvalue()


def png(values: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(values).save(file, "PNG")
    return file.getvalue()


def levels(side: int = SIDE) -> np.ndarray:
    """Return a ranking from left to right: columns go at 10, 25 and 50 %, and the right half stays."""
    place = (np.arange(side) + 0.5) / side
    return np.tile(np.searchsorted(SHARES, place), (side, 1)).astype(np.uint8)


def region(side: int = SIDE) -> np.ndarray:
    """Return the left sixth."""
    return np.arange(side * side).reshape(side, side) % side < side // 6


CARD = Card(
    position=0,
    path="photos/a.jpg",
    photo=photo_of(0),
    box=(1 / 8, 0.0, 7 / 8, 1.0),
    method="mask",
    target="cat",
    label="cat",
    score=0.9,
    score_region=0.2,
    score_perturbed=0.05,
    share=1 / 6,
    curve=np.array([0.6, 0.15, 0.1], np.float32),
    ranking=png(levels()),
    region=png(region()),
    leading=(("cat", 0.9), ("dog", 0.1)),
    certificate=(("kept with noise", 0.8),),
    findings=("tiny region",),
)

HOSTILE = (
    "<img src=x onerror=\"document.title='taken'\"></script><script>document.title='taken'</script>&amp;{{ 7 * 7 }}"
)


def small_page() -> Page:
    """Return three images that differ in all that the gallery sorts and filters by, and one that failed."""
    cards = [
        CARD,
        replace(CARD, position=1, path="photos/c.jpg", photo=photo_of(1), target="dog", label="cat", score=0.5,
                share=0.4, outcome="weak", message="no region was found", leading=(("dog", 0.5), ("cat", 0.4)),
                findings=("confident mistake",)),
        replace(CARD, position=2, path="photos/b.jpg", photo=photo_of(2), score=0.72, share=0.05,
                findings=("tiny region",)),
        Card(3, "photos/d.jpg", None, (0, 0, 1, 1), "mask", "", outcome="failed", message="The image is damaged."),
    ]  # fmt: skip
    findings = (
        Finding("tiny region", "Few pixels decide", "Look at them.", "problem", 2, 4, 0.07, 0.93, (2, 0)),
        Finding("confident mistake", "Sure and wrong", "Look at it.", "notice", 1, 4, 0.01, 0.8, (1,)),
        Finding("fixed place", "No place decides", "A stamp would.", "none", 0, 4, 0.0, 0.6),
    )
    return Page(
        "Audit",
        {"images": "4"},
        cards,
        SHARES,
        warnings=("The model may be shown the wrong pixels.",),
        findings=findings,
        classes=(("dog", 1, np.zeros((4, 4))), ("cat", 2, np.eye(4) / 2)),
        rules=(("Rotation", "12°", "1.6 %", "0.4 to 4.2 %"),),
        command="blackbox-explain audit photos --out audit",
        versions={"blackbox_explain": "0.2.0"},
    )


def hostile_page() -> Page:
    """Return a page whose every text is HTML."""
    card = replace(
        CARD, path=f"photos/{HOSTILE}.jpg", target=HOSTILE, label=HOSTILE + "!", method=HOSTILE, message=HOSTILE,
        outcome="weak", leading=((HOSTILE, 0.9),), certificate=((HOSTILE, 0.5),), findings=(HOSTILE,),
    )  # fmt: skip
    return Page(
        HOSTILE,
        {HOSTILE: HOSTILE},
        [card],
        SHARES,
        warnings=(HOSTILE,),
        findings=(Finding(HOSTILE, HOSTILE, HOSTILE, "problem", 1, 1, 0.1, 1.0, (0,)),),
        classes=((HOSTILE, 1, np.eye(4)),),
        rules=((HOSTILE,) * 4,),
        command=HOSTILE,
        versions={HOSTILE: HOSTILE},
    )


def large_page(count: int, photo_bytes: int) -> Page:
    """Return so many images with photos of so many bytes, and with maps and texts as long as those of real ones."""
    draw = np.random.default_rng(0)
    base = photo_of(0, (500, 375), quality=4)
    shares = (0.01, 0.02, 0.03, 0.06, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5)
    maps: list[tuple[bytes, bytes]] = []
    for _ in range(20):
        cells = Image.fromarray(draw.random((10, 10)).astype(np.float32))
        values = np.asarray(cells.resize((224, 224), Image.Resampling.BICUBIC))
        place = np.argsort(np.argsort(-values, axis=None)).reshape(values.shape) / values.size
        maps.append((png(np.searchsorted(shares, place, side="right").astype(np.uint8)), png(place < 0.12)))
    cards = [
        replace(
            CARD,
            position=place,
            path=f"/data/validation/photographs/n01558993/ILSVRC2012_val_{place:08}.JPEG",
            # After a photo's end, decoders read nothing.
            photo=base + draw.bytes(photo_bytes - len(base)),
            target=f"class {place % 50}",
            score=place / count,
            share=0.12,
            curve=draw.random(10),
            ranking=maps[place % 20][0],
            region=maps[place % 20][1],
            leading=tuple((f"a class of some length {k}", float(draw.random())) for k in range(5)),
            certificate=(("kept with the mean colour instead of blur", 0.801234), ("kept with noise", 0.751234)),
        )
        for place in range(count)
    ]
    return Page("Large", {"images": str(count)}, cards, shares)
