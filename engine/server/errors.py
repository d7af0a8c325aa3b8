"""Every error as an answer: one JSON object, in the form that the clients of the route read.

The text-generation routes send `{"error", "error_type"}`, the routes under /v1 the object form that
OpenAI's clients read, with the same `error_type` beside it.
"""

from __future__ import annotations

import json
import logging
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ...schemas.chat_response import openai_error_body
from ...schemas.errors import LockstitchError
from ...schemas.response import error_body
from .bodies import Disconnected, HttpError

log = logging.getLogger(__name__)
OPENAI_ROUTES = ("/v1/chat/completions", "/v1/completions")
CLIENT_CLOSED = 499  # what proxies write into their logs; nobody is there to read it


class InternalError(LockstitchError):
    """A defect of the server; its cause is in the log."""


class Unauthorized(Exception):
    """A request without the key; the answer has no body."""


class AsciiResponse(JSONResponse):
    """JSON that any text can be part of, half of a surrogate pair too."""

    def render(self, content: Any) -> bytes:
        """Return the body."""
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode("ascii")


def body_of(error: LockstitchError, path: str) -> dict[str, Any]:
    """Return the JSON object for an error of a route."""
    if path not in OPENAI_ROUTES:
        return dict(error_body(error))
    body = openai_error_body(error)
    if isinstance(error, HttpError):
        body["error"]["type"] = "invalid_request_error"
    return body


def status_of(error: LockstitchError) -> int:
    """Return the HTTP status of an error."""
    return error.http_status if isinstance(error, HttpError) else error.status


def install(app: FastAPI) -> None:
    """Let an application answer errors."""
    app.add_exception_handler(LockstitchError, _typed)
    app.add_exception_handler(HTTPException, _routing)
    app.add_exception_handler(Unauthorized, lambda request, error: Response(status_code=401))
    app.add_exception_handler(
        Disconnected, lambda request, error: Response(status_code=CLIENT_CLOSED)
    )


def _answer(request: Request, error: LockstitchError, status: int) -> AsciiResponse:
    request.state.error_type = error.error_type
    return AsciiResponse(body_of(error, request.url.path), status_code=status)


async def _typed(request: Request, error: Exception) -> Response:
    assert isinstance(error, LockstitchError)
    return _answer(request, error, status_of(error))


async def _routing(request: Request, error: Exception) -> Response:
    """Answer 404 and 405, which the router raises."""
    assert isinstance(error, HTTPException)
    what = f"{request.method} {request.url.path}"
    reason = f"{HTTPStatus(error.status_code).phrase.lower()}: {what}; /docs lists the routes"
    answer = _answer(request, HttpError(error.status_code, reason), error.status_code)
    answer.headers.update(error.headers or {})
    return answer


class Defects:
    """Answers what nobody expected with 500, inside of logs and CORS, and puts it into the log."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        started = False

        async def sending(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except Exception:
            log.exception("a request failed")
            if scope["type"] != "http" or started:
                raise
            error = InternalError("Request failed during generation: internal error")
            await _answer(Request(scope), error, 500)(scope, receive, send)
