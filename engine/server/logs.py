"""One line in the log for each request, with an id that the client can name or is told.

An ASGI middleware, so that a stream counts until its last byte.
"""

from __future__ import annotations

import json
import logging
import uuid
from time import perf_counter

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger("lockstitch.server")
LONGEST_ID = 128


class RequestLog:
    """Logs each request with id, status and duration; sends the id back as `x-request-id`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        request_id = given if 0 < len(given) <= LONGEST_ID else uuid.uuid4().hex
        started, status = perf_counter(), 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["x-request-id"] = request_id
            await send(message)

        try:
            await self._app(scope, receive, sending)
        finally:
            fields = {
                "request_id": request_id,
                "method": scope["method"],
                "path": scope["path"],
                "status": status,
                "seconds": round(perf_counter() - started, 4),
                "error_type": scope.get("state", {}).get("error_type"),
                "traceparent": headers.get("traceparent"),
            }
            log.info(_line(fields), extra={"fields": fields})


def _line(fields: dict[str, object]) -> str:
    return " ".join(f"{name}={value}" for name, value in fields.items() if value is not None)


class JsonFormatter(logging.Formatter):
    """Writes a record as one JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        fields = getattr(record, "fields", None) or {"message": record.getMessage()}
        entry = {
            "time": self.formatTime(record),
            "level": record.levelname,
            "logger": record.name,
            **{name: value for name, value in fields.items() if value is not None},
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry)
