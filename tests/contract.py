"""The wire contract in tests: the schemas of all answers, and an application that is watched."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

import jsonschema

CONTRACT = json.loads(
    resources.files("lockstitch.schemas").joinpath("text_generation.json").read_text()
)
WHOLE = {
    "/generate": "GenerateResponse",
    "/v1/chat/completions": "ChatCompletion",
    "/v1/completions": "Completion",
}
PART = {
    "/": "StreamEvent",
    "/v1": "StreamEvent",
    "/generate_stream": "StreamEvent",
    "/v1/chat/completions": "ChatChunk",
    "/v1/completions": "CompletionChunk",
}
LISTED = ("/", "/v1")
OPENAI = ("/v1/chat/completions", "/v1/completions")
_VALIDATORS = {
    kind: jsonschema.Draft202012Validator({"$ref": f"#/$defs/{kind}", "$defs": CONTRACT["$defs"]})
    for kind in CONTRACT["$defs"]
}


def matches(kind: str, value: Any) -> None:
    """Hold a value against one schema of the contract."""
    _VALIDATORS[kind].validate(value)


def check(path: str, status: int, content_type: str, body: bytes) -> None:
    """Hold an answer to a POST against the contract; of a stream that was cut, what is there."""
    error = "OpenAiError" if path in OPENAI else "Error"
    if content_type == "text/event-stream":
        for block in body.decode("ascii").split("\n\n")[:-1]:
            payload = block.removeprefix("data: ")
            if block not in (":", "data: [DONE]"):
                value = json.loads(payload)
                matches(error if "error" in value else PART[path], value)
    elif status != 200:
        if body:  # 401 says nothing
            matches(error, json.loads(body))
    else:
        value = json.loads(body)
        for one in value if path in LISTED else [value]:
            matches(WHOLE[path if path not in LISTED else "/generate"], one)


class Watched:
    """An ASGI application whose answers are held against the contract; `faults` are those seen."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.seen = 0
        self.faults: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if (
            scope["type"] != "http"
            or scope["method"] != "POST"
            or scope["path"] not in PART | WHOLE
        ):
            await self.app(scope, receive, send)
            return
        start: dict[str, Any] = {}
        body = bytearray()

        async def kept(message: Any) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
            else:
                body.extend(message.get("body", b""))
            await send(message)

        whole = False
        try:
            await self.app(scope, receive, kept)
            whole = True
        finally:
            self._note(scope["path"], start, bytes(body), whole=whole)

    def _note(self, path: str, start: dict[str, Any], body: bytes, *, whole: bool) -> None:
        headers = {name.decode(): value.decode() for name, value in start.get("headers", [])}
        kind = headers.get("content-type", "").partition(";")[0]
        if not start or (kind != "text/event-stream" and not whole):
            return
        self.seen += 1
        try:
            check(path, start["status"], kind, body)
        except (jsonschema.ValidationError, ValueError, KeyError) as error:
            self.faults.append(f"{path} {start['status']}: {error}")
