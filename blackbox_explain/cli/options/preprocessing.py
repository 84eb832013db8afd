"""``--mean``, ``--std``, ``--range`` and ``--bgr``: read, and questioned where they contradict each other."""

from __future__ import annotations

from blackbox_explain.box.input_spec import Preprocessing
from blackbox_explain.errors import InputError

__all__ = ["preprocessing_from", "questions_about"]

MEANS = (0.485, 0.457, 0.407)
"""Mean R, G and B of photos on a scale from 0 to 1, which most networks for photos subtract, and how far theirs are."""

NEAR = 0.01

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


def questions_about(mean: str | None, largest: float | None, bgr: bool) -> tuple[str, ...]:
    """Return what is to be doubted about a mean: its scale, and the order of its channels.

    Parameters
    ----------
    mean, largest, bgr
        As `preprocessing_from` takes them.
    """
    if mean is None:
        return ()
    means, white = _numbers("--mean", mean), 1.0 if largest is None else largest
    if white >= 100 and 0 < max(map(abs, means)) <= 1:
        return (
            f"--mean {mean} is almost nothing where white is {white:g}: if pixels go from 0 to 1, leave --range out",
        )
    scaled = [one / white for one in means]
    if len(means) != 3 or any(abs(one - known) > NEAR for one, known in zip(scaled, reversed(MEANS), strict=True)):
        return ()
    right = f"Most probably right: --mean {','.join(reversed(mean.split(',')))} --bgr"
    if bgr:
        order = "in the order B, G, R; --mean is always in the order R, G, B, also with --bgr"
    else:
        order = "in the order B, G, R, as of a model that reads blue first"
    return (f"--mean {mean} looks as if it were {order}. {right}",)


def _numbers(option: str, text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(
            f"{option} is not a list of numbers", got=repr(text), expected="such as 0.5,0.5,0.5"
        ) from error
