"""Streams as they go over the wire, byte for byte but for times, ids and probabilities.

The files in `golden/` are what clients were seen to read. If a change is meant, set
LOCKSTITCH_WRITE_GOLDEN=1 and look at the difference.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from lockstitch.engine.batch import Batch
from lockstitch.engine.sequence import RunningSequence

GOLDEN = Path(__file__).with_name("golden")
CHANGING = [
    (r'"created":\d+', '"created":1'),
    (r'"id":"(?!call_)[^"]*"', '"id":"x"'),
    (r'"id":"call_[^"]*"', '"id":"call_0"'),
    (r'"model":"[^"]*"', '"model":"m"'),
    (r'"system_fingerprint":"[^"]*"', '"system_fingerprint":"v"'),
    (r'"logprob":-?[0-9.e-]+', '"logprob":-0.5'),
]
SAY = [{"role": "user", "content": "hi"}]
AGE = {
    "type": "object",
    "properties": {"age": {"const": 7}},
    "required": ["age"],
    "additionalProperties": False,
}
TOOL = {"type": "function", "function": {"name": "tell", "parameters": AGE}}
FORMAT = {"type": "json_schema", "json_schema": {"name": "a", "schema": AGE}}
CHAT: dict[str, Any] = {"model": "m", "messages": SAY, "stream": True, "max_tokens": 40}
REQUESTS: dict[str, tuple[str, dict[str, Any]]] = {
    "generate_stream": (
        "/generate_stream",
        {
            "inputs": "x",
            "parameters": {
                "details": True,
                "top_n_tokens": 1,
                "grammar": {"type": "regex", "value": "ab[c]"},
            },
        },
    ),
    "compatible": (
        "/",
        {"inputs": "x", "stream": True, "parameters": {"grammar": {"type": "regex", "value": "a"}}},
    ),
    "chat": (
        "/v1/chat/completions",
        {**CHAT, "response_format": FORMAT, "stream_options": {"include_usage": True}},
    ),
    "chat_tool": (
        "/v1/chat/completions",
        {
            **CHAT,
            "tools": [TOOL],
            "tool_choice": {"type": "function", "function": {"name": "tell"}},
        },
    ),
    "chat_logprobs": (
        "/v1/chat/completions",
        {**CHAT, "response_format": FORMAT, "logprobs": True, "top_logprobs": 1},
    ),
    "completion": (
        "/v1/completions",
        {"model": "m", "prompt": "the", "stream": True, "max_tokens": 1, "temperature": 0},
    ),
}


def transcript(response: Any) -> str:
    """Return the head and body of a stream, what changes from run to run written out."""
    names = ("content-type", "cache-control", "x-accel-buffering")
    head = "\n".join(f"{name}: {response.headers.get(name)}" for name in names)
    body = response.content.decode("ascii")
    for pattern, fixed in CHANGING:
        body = re.sub(pattern, fixed, body)
    return f"{response.status_code}\n{head}\n\n{body}"


def check(name: str, found: str) -> None:
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("LOCKSTITCH_WRITE_GOLDEN"):
        path.write_text(found, encoding="ascii", newline="")
    assert found == path.read_bytes().decode("ascii")


@pytest.mark.parametrize("name", REQUESTS)
def test_transcripts(api: Any, name: str) -> None:
    path, body = REQUESTS[name]
    check(name, transcript(api.client.post(path, json=body)))


@pytest.mark.parametrize("name", ["generate_stream", "chat"])
def test_a_failure_in_the_middle(api: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Batch.step
    steps = []

    def step(batch: Batch) -> list[RunningSequence]:
        steps.append(batch)
        if len(steps) == 3:
            raise RuntimeError("out of luck")
        return plain(batch)

    monkeypatch.setattr(Batch, "step", step)
    path, body = REQUESTS[name]
    if name == "chat":
        body = {**CHAT, "temperature": 0, "response_format": {"type": "regex", "value": "[ab]{9}"}}
    else:
        grammar = {"type": "regex", "value": "[ab]{9}"}
        body = {**body, "parameters": {**body["parameters"], "grammar": grammar}}
    check(f"{name}_fails", transcript(api.client.post(path, json=body)))
