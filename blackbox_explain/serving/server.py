"""The web side of a session: one page, for this machine alone, behind an address that nobody can guess."""

from __future__ import annotations

import importlib
import secrets
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from blackbox_explain.errors import BackendMissingError, BlackBoxExplainError, InputError, install_hint
from blackbox_explain.report.page.writing import STYLE_FOLDER
from blackbox_explain.serving.session import Session

__all__ = ["application", "serve"]

BROWSER = Path(__file__).parent / "browser"

HOST = "127.0.0.1"

FILES = {
    # Colours and letters are those of the report.
    "base.css": (STYLE_FOLDER / "base.css", "text/css"),
    "page.css": (BROWSER / "page.css", "text/css"),
    "page.js": (BROWSER / "page.js", "text/javascript"),
}

MOST_BYTES = 8 * 2**20
"""Of one drawing."""

POLICY = "default-src 'none'; img-src 'self' data:; style-src 'self'; script-src 'self'; connect-src 'self'"


def application(session: Session, token: str) -> Any:
    """Return the ASGI application of a session.

    Parameters
    ----------
    session
        What is asked.
    token
        Without it as the first part of the path, every address is unknown.

    Raises
    ------
    BackendMissingError
        If Starlette is not installed.
    """
    starlette = _starlette()

    async def page(_request: Any) -> Any:
        return starlette["FileResponse"](BROWSER / "page.html", media_type="text/html")

    async def file(request: Any) -> Any:
        name = request.path_params["name"]
        if name not in FILES:
            return starlette["Response"](status_code=404)
        path, kind = FILES[name]
        return starlette["FileResponse"](path, media_type=kind)

    async def photo(_request: Any) -> Any:
        return starlette["Response"](session.photo(), media_type="image/jpeg")

    async def facts(_request: Any) -> Any:
        return starlette["JSONResponse"](await starlette["run_in_threadpool"](session.facts))

    async def ask(request: Any) -> Any:
        length = request.headers.get("content-length", "")
        if not length.isdigit() or int(length) > MOST_BYTES:
            return _refused(InputError("The drawing is too large", got="more than 8 MB"))
        drawn = await request.body()
        return await answered(session.ask, drawn, request.query_params.get("perturbation", "blur"))

    async def layer(request: Any) -> Any:
        return await answered(session.layer, request.path_params["method"])

    async def answered(question: Callable[..., dict[str, Any]], *arguments: Any) -> Any:
        try:
            return starlette["JSONResponse"](await starlette["run_in_threadpool"](question, *arguments))
        except BlackBoxExplainError as error:
            return _refused(error)

    def _refused(error: BlackBoxExplainError) -> Any:
        return starlette["JSONResponse"]({"error": str(error)}, status_code=400)

    route = starlette["Route"]
    inside = [
        route("/", page),
        route("/files/{name}", file),
        route("/photo.jpg", photo),
        route("/facts", facts),
        route("/ask", ask, methods=["POST"]),
        route("/layers/{method}", layer, methods=["POST"]),
    ]
    app = starlette["Starlette"](routes=[starlette["Mount"](f"/{token}", routes=inside)])
    # A page of another site that names this machine by its own name is refused.
    app.add_middleware(starlette["TrustedHostMiddleware"], allowed_hosts=[HOST, "localhost"])
    app.add_middleware(_Headers)
    return app


def serve(session: Session, port: int = 0, told: Callable[[str], None] = print) -> None:
    """Serve a session until it is interrupted.

    Parameters
    ----------
    session
        What is asked.
    port
        On which port of this machine; 0 takes one that is free.
    told
        Called with the address of the page once it can be opened.

    Raises
    ------
    BackendMissingError
        If Starlette or uvicorn is not installed.
    InputError
        If the port is taken.
    """
    try:
        uvicorn: Any = importlib.import_module("uvicorn")
    except ImportError as error:
        raise _missing("uvicorn") from error
    token = secrets.token_urlsafe(16)
    app = application(session, token)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError as error:
            raise InputError("This port cannot be used", got=f"{port}: {error.strerror}", hint="--port 0") from error
        told(f"http://{HOST}:{listener.getsockname()[1]}/{token}/")
        uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off")).run(sockets=[listener])


class _Headers:
    """Adds to each answer that nothing may be fetched from elsewhere, framed or kept."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def sent(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message["headers"],
                    (b"content-security-policy", POLICY.encode()),
                    (b"referrer-policy", b"no-referrer"),
                    (b"cache-control", b"no-store"),
                    (b"x-content-type-options", b"nosniff"),
                    (b"x-frame-options", b"DENY"),
                ]
            await send(message)

        await self._app(scope, receive, sent)


def _starlette() -> dict[str, Any]:
    """Return what is used of Starlette, by name."""
    places = {
        "applications": ("Starlette",),
        "concurrency": ("run_in_threadpool",),
        "middleware.trustedhost": ("TrustedHostMiddleware",),
        "responses": ("FileResponse", "JSONResponse", "Response"),
        "routing": ("Mount", "Route"),
    }
    try:
        return {
            name: getattr(importlib.import_module(f"starlette.{place}"), name)
            for place, names in places.items()
            for name in names
        }
    except ImportError as error:
        raise _missing("Starlette") from error


def _missing(name: str) -> BackendMissingError:
    return BackendMissingError(
        f"The page is served with {name}, which is not installed", hint=install_hint("interrogate")
    )
