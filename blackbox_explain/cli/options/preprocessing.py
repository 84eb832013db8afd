"""``--mean``, ``--std``, ``--range`` and ``--bgr``: read, and refused where they are no such numbers."""

from __future__ import annotations

from blackbox_explain.box.input_spec import Preprocessing
from blackbox_explain.errors import InputError

__all__ = ["preprocessing_from"]

WIDE = 10.0
"""So many times the value of white is too much to divide by."""


def preprocessing_from(mean: str | None, std: str | None, largest: float | None, bgr: bool) -> Preprocessing | None:
    """Read what is done to pixels before the network sees them; None where nothing was said.

    Parameters
    ----------
    mean, std
        One number, or one for each channel in the order R, G, B, such as "123,117,104".
    largest
        The pixel value of white in both; 1 if None.
    bgr
        Whether the network reads blue first.

    Raises
    ------
    InputError
        If these are no numbers, or lie beyond the value of white.
    """
    if mean is None and std is None and largest is None and not bgr:
        return None
    white = 1.0 if largest is None else largest
    if not white > 0:
        raise InputError("--range is no pixel value of white", got=f"{white:g}", expected="such as 1 or 255")
    means, stds = _numbers("--mean", mean or "0"), _numbers("--std", std or "1")
    _check_scale(mean, means, std, stds, white)
    return Preprocessing(
        mean=tuple(one / white for one in means),
        std=tuple(one / white for one in stds),
        channels="BGR" if bgr else "RGB",
    )


def _check_scale(
    mean: str | None, means: tuple[float, ...], std: str | None, stds: tuple[float, ...], white: float
) -> None:
    """Refuse numbers of pixels from 0 to 255 beside a white of 1."""
    for name, text, values, most in (("--mean", mean, means, white), ("--std", std, stds, WIDE * white)):
        if text is not None and max(map(abs, values)) > most:
            hint = f"{name} {text} --range 255" if white < 255 else f"the pixel value of white in {name} as --range"
            raise InputError(
                f"{name} is larger than the pixels are", got=f"{name} {text}, and white is {white:g}", hint=hint
            )


def _numbers(option: str, text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(
            f"{option} is not a list of numbers", got=repr(text), expected="such as 0.5,0.5,0.5"
        ) from error
