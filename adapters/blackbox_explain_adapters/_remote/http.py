"""HTTP endpoints: one POST for each batch, with time-outs, retries and a bound on what is read."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import tenacity

from blackbox_explain.box.adapter_tools.description import Described
from blackbox_explain.errors import InputError, ModelError, UnreachableError
from blackbox_explain_adapters._remote.answer import EXPECTED, LONGEST, shortened
from blackbox_explain_adapters._remote.box import RemoteBlackBox, check_options, check_waiting, wrap_remote

__all__ = ["Endpoint", "wrap_endpoint"]

PASSING = (429, 500, 502, 503, 504)
"""Answers of a server that may do better later."""

ABSENT = (401, 403, 404, 405, 407, 410, 429, 502, 503, 504)
"""Answers that have nothing to do with which images were sent, nor with how many."""

LONGEST_WAIT = 60.0
"""Seconds before another try, at most; a server that asks for more is given up."""

LOOPBACK = ("localhost", "127.0.0.1", "::1")


def wrap_endpoint(
    model: str,
    described: Described,
    *,
    timeout: float = 10.0,
    retries: int = 3,
    concurrency: int = 4,
    images_per_request: int = 16,
    backoff: float = 0.5,
    headers: Mapping[str, str] | None = None,
) -> RemoteBlackBox:
    """Wrap an HTTP endpoint that answers images with scores.

    A request is a POST, multipart/form-data, with the files named ``images``: PNG, 8 bits, lossless.  The answer is
    ``{"scores": [[...], ...]}``, a row for each image, perhaps with ``"classes": [...]``, their names; or the bare
    list of rows.  Four plain images are sent when it is wrapped, to see whether it answers with probabilities; with any
    ``activation`` but ``"auto"`` nothing is sent before scores are asked for.

    Parameters
    ----------
    model
        Address, "http://..." or "https://...".
    described
        What the caller said; the shape is needed.
    timeout
        Seconds to connect, to send, to wait for the answer, and to read all of it.
    retries
        How often a request is tried again after a time-out, a lost connection, or a status 429, 500, 502, 503 or 504.
    concurrency
        Requests under way at once, at most.
    images_per_request
        At most.
    backoff
        Seconds before the first retry, at most; doubled for each further one, and drawn at random below that.  A
        server's ``Retry-After`` goes before.
    headers
        To send along, such as ``{"Authorization": "Bearer ..."}``.

    Raises
    ------
    InputError
        If the address is none, the shape is missing, a preprocessing is given, or a setting is out of range.
    UnsupportedModelError
        If the images cannot be PNG files.
    ModelError
        If the plain images get no answer, or a wrong one.
    """
    check_waiting("an endpoint", timeout, retries, backoff)
    if headers is not None and not isinstance(headers, Mapping):
        hint = """headers='{"Authorization": "Bearer ..."}'"""
        raise InputError("Headers have names", got=f"{headers!r}"[:80], expected="a mapping", hint=hint)
    check_options(images_per_request=images_per_request, concurrency=concurrency)
    endpoint = Endpoint(Settings(model, timeout, retries, concurrency, backoff, dict(headers or {})))
    return wrap_remote(endpoint, described, images_per_request=images_per_request, concurrency=concurrency)


@dataclass(frozen=True)
class Settings:
    """Of an endpoint; as the parameters of `wrap_endpoint`."""

    url: str
    timeout: float
    retries: int
    concurrency: int
    backoff: float
    headers: Mapping[str, str]


class _Passing(Exception):  # noqa: N818 - never leaves this module
    """A failure after which another try is worth while, after `wait` seconds if the server says so.

    `kind` is what to raise if no try is left.
    """

    def __init__(
        self, kind: type[ModelError], what: str, got: str, *, hint: str = "", wait: float | None = None
    ) -> None:
        super().__init__(what)
        self.kind, self.what, self.got, self.hint, self.wait = kind, what, got, hint, wait


class Endpoint:
    """A `Transport` to an HTTP endpoint."""

    def __init__(self, settings: Settings) -> None:
        try:
            self._url = httpx.URL(settings.url)
            httpx.Headers(settings.headers)
        except httpx.InvalidURL as error:
            raise InputError("This is no address", got=f"{settings.url!r}: {error}") from error
        except (UnicodeError, TypeError, AttributeError) as error:
            raise InputError("These are no headers", got=str(error), expected="names and values of text") from error
        if not self._url.host:
            expected = "such as http://127.0.0.1:8000/scores"
            raise InputError("This address names no host", got=repr(settings.url), expected=expected)
        # Without what may be secret.
        self.origin = f"The endpoint {self._url.copy_with(username=None, password=None, query=None, fragment=None)}"
        self._settings = settings
        self._client: httpx.Client | None = None
        self._closing: weakref.finalize[..., Any] | None = None
        self._lock = threading.Lock()

    def send(self, files: Sequence[bytes], given_up: threading.Event) -> bytes:
        """Return what the endpoint answers to PNG files, or raise `ModelError`, `UnreachableError` if none is there."""
        tries = self._settings.retries + 1
        jittered = tenacity.wait_random_exponential(multiplier=self._settings.backoff, max=LONGEST_WAIT)

        def wait(state: tenacity.RetryCallState) -> float:
            failure = state.outcome.exception() if state.outcome else None
            asked = failure.wait if isinstance(failure, _Passing) else None
            return jittered(state) if asked is None else asked

        attempts = tenacity.Retrying(
            stop=tenacity.stop_any(tenacity.stop_after_attempt(tries), tenacity.stop_when_event_set(given_up)),
            wait=wait,
            sleep=tenacity.sleep_using_event(given_up),
            retry=tenacity.retry_if_exception_type(_Passing),
            reraise=True,
        )
        try:
            return attempts(self._post, [("images", (f"{k}.png", file, "image/png")) for k, file in enumerate(files)])
        except _Passing as last:
            got = f"{last.got}, the last time of {tries}" if tries > 1 else last.got
            raise last.kind(last.what, got=got, hint=last.hint) from last.__cause__

    def close(self) -> None:
        """Close the connections; they open again when needed."""
        with self._lock:
            self._client = None
            if self._closing is not None:
                self._closing()

    def _post(self, files: list[tuple[str, tuple[str, bytes, str]]]) -> bytes:
        latest = time.monotonic() + self._settings.timeout
        try:
            with self._connected().stream("POST", self._url, files=files) as response:
                body = self._body(response, latest)
        except httpx.TimeoutException as error:
            raise self._timed_out(type(error).__name__) from error
        except httpx.LocalProtocolError as error:
            raise InputError("This is no HTTP request", got=str(error), hint="look at headers=") from error
        except httpx.TransportError as error:
            raise _Passing(
                UnreachableError,
                f"{self.origin} cannot be reached",
                f"{type(error).__name__}: {error}",
                hint="is it running, at this address?",
            ) from error
        except httpx.DecodingError as error:
            raise ModelError(f"{self.origin} answers with a broken encoding", got=str(error)) from error
        if response.is_success:
            return body
        what, got = f"{self.origin} answers with the status {response.status_code}", shortened(body)
        kind = UnreachableError if response.status_code in ABSENT else ModelError
        wait = retry_after(response.headers.get("Retry-After", ""))
        if wait is not None and wait > LONGEST_WAIT:
            raise UnreachableError(what, got=f"{got}, and to come back in {wait:g} seconds")
        if response.status_code not in PASSING:
            raise kind(what, got=got)
        raise _Passing(kind, what, got, wait=wait)

    def _body(self, response: httpx.Response, latest: float) -> bytes:
        """Read an answer as far as time and `LONGEST` allow, of one that reports an error the beginning."""
        parts: list[bytes] = []
        size = 0
        for part in response.iter_bytes():
            parts.append(part)
            size += len(part)
            if time.monotonic() > latest:
                raise self._timed_out("it was still answering")
            if not response.is_success and size >= LONGEST >> 8:
                break
            if size > LONGEST:
                raise ModelError(
                    f"{self.origin} answers with too much", got=f"more than {LONGEST >> 20} MiB", expected=EXPECTED
                )
        return b"".join(parts)

    def _timed_out(self, how: str) -> _Passing:
        got = f"{how} after {self._settings.timeout:g} seconds"
        # Not that of some images: how many there are in a request is a setting, whatever is asked for.
        hint = "a longer timeout=, or fewer images_per_request="
        return _Passing(UnreachableError, f"{self.origin} timed out", got, hint=hint)

    def _connected(self) -> httpx.Client:
        most = self._settings.concurrency
        with self._lock:
            if self._client is None:
                client = httpx.Client(
                    timeout=self._settings.timeout,
                    headers=self._settings.headers,
                    limits=httpx.Limits(max_connections=most, max_keepalive_connections=most),
                    # A proxy does not reach what runs on this machine.
                    trust_env=self._url.host not in LOOPBACK,
                )
                # Also at the end of the interpreter.
                self._closing = weakref.finalize(self, client.close)
                self._client = client
            return self._client

    def __reduce__(self) -> tuple[Any, ...]:
        return Endpoint, (self._settings,)


def retry_after(text: str) -> float | None:
    """Return the seconds that a Retry-After header asks for, or None."""
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None
