"""Every exception a user can meet.

One base class, so that ``except BlackBoxExplainError`` is enough.  A message says what went wrong, what was
given, what was expected and what to do next.
"""

from __future__ import annotations

__all__ = [
    "AlreadyDescribedError",
    "BackendMissingError",
    "BlackBoxExplainError",
    "ImageError",
    "InputError",
    "ModelError",
    "NoGradientError",
    "NotMeasurableError",
    "OutOfMemoryError",
    "PreprocessingWarning",
    "ResultError",
    "TargetError",
    "UnreachableError",
    "UnsupportedModelError",
    "install_hint",
]


def install_hint(extra: str) -> str:
    """Return how to install what an optional part needs: from the sources, as the README does."""
    return f'pip install ".[{extra}]" in the clone of blackbox_explain'


class BlackBoxExplainError(Exception):
    """Base class of all errors raised on purpose by this package.

    Parameters
    ----------
    message
        What went wrong, without a closing full stop.
    got
        What was given.
    expected
        What would have been right.
    hint
        What to do next, as an order ("pass shape=..."), or a question ("did you mean 'espresso'?").
    """

    def __init__(self, message: str, *, got: str = "", expected: str = "", hint: str = "") -> None:
        parts = [
            f"Got {got}" if got else "",
            f"expected {expected}" if expected else "",
            hint if hint.endswith("?") else f"try: {hint}" if hint else "",
        ]
        tail = "; ".join(part for part in parts if part)
        end = "" if tail.endswith("?") else "."
        super().__init__(f"{message}. {tail[:1].upper()}{tail[1:]}{end}" if tail else f"{message}.")

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle the whole message, which `__init__` would dress a second time."""
        return type(self).__new__, (type(self), *self.args)


class ImageError(BlackBoxExplainError):
    """A file that cannot be read as an image."""


class InputError(BlackBoxExplainError):
    """Arrays or settings that do not fit the model or each other."""


class AlreadyDescribedError(InputError):
    """A description beside a model that brings its own."""


class TargetError(BlackBoxExplainError):
    """A class that the model does not have, or a name that means several."""


class ModelError(BlackBoxExplainError):
    """The model raised, or answered with something that is not (N, K) finite scores."""


class UnreachableError(ModelError):
    """The model did not answer at all, so that asking for fewer images, or for others, does not help."""


class UnsupportedModelError(BlackBoxExplainError):
    """No adapter fits the model, or the adapter lacks what the model needs."""


class BackendMissingError(BlackBoxExplainError):
    """The framework that the model needs is not installed."""


class NoGradientError(BlackBoxExplainError):
    """A gradient was asked of a black box that has none."""


class NotMeasurableError(BlackBoxExplainError):
    """Explanations that lack what a metric measures."""


class OutOfMemoryError(BlackBoxExplainError):
    """The device has too little memory for the batch; `explain` answers it by halving the batch."""


class ResultError(BlackBoxExplainError):
    """A result file that cannot be written or read."""


class PreprocessingWarning(UserWarning):
    """A preprocessing whose parts do not fit together."""
