"""Images of a data set, decoded ahead in threads while the model runs."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from blackbox_explain.auditing.entries import Entry
from blackbox_explain.auditing.ledger.columns import as_text
from blackbox_explain.box.input_spec import InputSpec
from blackbox_explain.data.decoding import decoded
from blackbox_explain.data.images import fitted_image
from blackbox_explain.data.photos import Fit
from blackbox_explain.errors import BlackBoxExplainError, ImageError, OutOfMemoryError

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["DecodedImage", "Decoder", "decoded_ahead", "difference_hash"]

HASH = 8
"""Rows and columns of differences in a hash of how an image looks."""


@dataclass(frozen=True, eq=False)
class DecodedImage:
    """One image of a data set, as the model reads it, or why it cannot be read.

    Attributes
    ----------
    entry
        Which image of the data set it is.
    digest
        SHA-256 of its file; "" where that could not be read.
    size
        Width and height of the upright photo; (0, 0) where it could not be decoded.
    look
        A hash that photos share which look alike; 0 where it could not be decoded.
    pixels
        (C, H, W) in pixel space; None where there is an error, or nobody needs them.
    error
        Why it cannot be read.
    """

    entry: Entry
    digest: str = ""
    size: tuple[int, int] = (0, 0)
    look: int = 0
    pixels: np.ndarray[Any, np.dtype[np.float32]] | None = None
    error: BlackBoxExplainError | None = None


@dataclass(frozen=True)
class Decoder:
    """Reads images of a data set for a model.

    Attributes
    ----------
    spec
        What the model reads.
    fit, white
        As in `load_images`.
    finished
        Name, digest of the file and place in the data set of each image that needs no decoding; one that is now at
        another place is explained again, because its row says where it is.
    """

    spec: InputSpec
    fit: Fit = "crop"
    white: float | None = None
    finished: frozenset[tuple[str, str, int]] = frozenset()

    def decode(self, entry: Entry) -> DecodedImage:
        """Read one image; what is wrong with it is in what is returned."""
        source, digest = entry.source, ""
        try:
            content = source.content()
            digest = hashlib.sha256(content).hexdigest()
            if (as_text(source.name), digest, entry.position) in self.finished:
                return DecodedImage(entry, digest)
            picture = decoded(content, source.name, self.white)
            pixels = fitted_image(picture, self.spec, self.fit)
            return DecodedImage(entry, digest, picture.size, difference_hash(picture), pixels)
        except MemoryError:
            lack = OutOfMemoryError("There is too little memory to decode this image", got=source.name)
            # Without a digest it is tried again by the next run: the file is not what is wrong.
            return DecodedImage(entry, error=lack)
        except BlackBoxExplainError as error:
            return DecodedImage(entry, digest, error=error)
        except Exception as error:  # a decoder of a library met what its authors did not foresee
            told = ImageError("The image is damaged", got=f"{source.name}: {type(error).__name__}: {error}")
            return DecodedImage(entry, digest, error=told)


def decoded_ahead(decoder: Decoder, entries: Iterable[Entry], threads: int, ahead: int) -> Iterator[DecodedImage]:
    """Yield images in order, while threads read the next ones.

    Parameters
    ----------
    decoder
        Reads them.
    entries
        Of the images.
    threads
        How many read at a time.
    ahead
        Most images that are held in advance, so that memory does not grow with the data set.
    """
    waiting: deque[Future[DecodedImage]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="decode") as pool:
        try:
            for entry in entries:
                waiting.append(pool.submit(decoder.decode, entry))
                if len(waiting) >= ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for one in waiting:
                one.cancel()


def difference_hash(picture: Image.Image) -> int:
    """Return 64 bits that tell how a picture looks: whether each cell of a coarse grid is brighter than the next.

    Pictures that were scaled or compressed again differ in few bits, others in about half of them.
    """
    from PIL import Image

    grid = np.asarray(picture.convert("L").resize((HASH + 1, HASH), Image.Resampling.BOX), dtype=np.int16)
    bits = (grid[:, 1:] > grid[:, :-1]).ravel()
    return int(np.packbits(bits).view(">u8")[0])
