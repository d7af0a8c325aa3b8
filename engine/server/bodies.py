"""Read a request body: its type, its size, its JSON, each with the status that belongs to it."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from starlette.requests import ClientDisconnect, Request

from ...schemas.errors import LockstitchError


class HttpError(LockstitchError):
    """A request that is refused before it is looked into; the status depends on why."""

    error_type = "validation"

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.http_status = status


class Disconnected(Exception):
    """The client went away before it was answered."""


async def read_json(request: Request, most: int) -> Any:
    """Return the parsed body.

    Raises HttpError: 415, 413 (more than `most` bytes) or 400; Disconnected if it has no end.
    """
    _check_type(request.headers.get("content-type", ""))
    length = request.headers.get("content-length", "0")
    if not length.isdecimal():
        raise HttpError(400, "content-length must be a number")
    if int(length) > most:
        _too_large(most)
    body = await _received(request, most)
    try:
        return json.loads(body.decode(), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        reason = "it nests too deep" if isinstance(error, RecursionError) else error
        raise HttpError(400, f"the body is not valid JSON: {reason}") from error


async def _received(request: Request, most: int) -> bytes:
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > most:
                _too_large(most)
    except ClientDisconnect as error:
        raise Disconnected from error
    return bytes(body)


def _check_type(content_type: str) -> None:
    media = content_type.partition(";")[0].strip().lower()
    kind, _, sub = media.partition("/")
    if kind != "application" or not (sub == "json" or sub.endswith("+json")):
        raise HttpError(415, "send the body as JSON, with `content-type: application/json`")


def _too_large(most: int) -> NoReturn:
    raise HttpError(413, f"the body is larger than {most} bytes")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")
