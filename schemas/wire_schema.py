"""JSON Schemas of everything that crosses the wire, for clients and for a golden file.

`schemas/text_generation.json` is the output of `wire_schema`, kept in the repository: a change of
the contract shows up as a change of that file.
"""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import models_json_schema

from .chat import ChatRequest
from .chat_response import ChatChunk, ChatCompletion, Completion, CompletionChunk
from .completions import CompletionRequest
from .request import GenerateRequest
from .response import GenerateResponse, StreamEvent

DIALECT = "https://json-schema.org/draft/2020-12/schema"

ERROR: dict[str, Any] = {
    "title": "Error",
    "type": "object",
    "required": ["error", "error_type"],
    "properties": {"error": {"type": "string"}, "error_type": {"type": "string"}},
}

OPENAI_ERROR: dict[str, Any] = {
    "title": "OpenAiError",
    "type": "object",
    "required": ["error", "error_type"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": "string"},
            },
        },
        "error_type": {"type": "string"},
    },
}


def wire_schema() -> dict[str, Any]:
    """Return one JSON Schema document; its `$defs` are the objects of the wire by name."""
    _, document = models_json_schema(
        [
            (GenerateRequest, "validation"),
            (GenerateResponse, "serialization"),
            (StreamEvent, "serialization"),
            (ChatRequest, "validation"),
            (ChatCompletion, "serialization"),
            (ChatChunk, "serialization"),
            (CompletionRequest, "validation"),
            (Completion, "serialization"),
            (CompletionChunk, "serialization"),
        ]
    )
    definitions = {**document["$defs"], "Error": ERROR, "OpenAiError": OPENAI_ERROR}
    request = definitions["GenerateRequest"]["properties"]
    for name in ("parameters", "stream"):  # null is the same as absent, which `parse` sees to
        request[name] = {"anyOf": [request[name], {"type": "null"}]}
    return {
        "$schema": DIALECT,
        "title": "text generation",
        "$defs": dict(sorted(definitions.items())),
    }
