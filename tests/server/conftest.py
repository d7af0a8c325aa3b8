"""One server with the tiny model for the tests of this folder."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
from contract import OPENAI, PART, WHOLE, matches
from loopback import serving
from starlette.testclient import TestClient
from tiny import tiny_engine

from lockstitch import Engine
from lockstitch.engine.async_engine import AsyncEngine
from lockstitch.engine.server.app import create_app
from lockstitch.engine.server.settings import Settings
from lockstitch.schemas.errors import LockstitchError
from lockstitch.schemas.parameters import Limits


@pytest.fixture(scope="session")
def served() -> AsyncEngine:
    return AsyncEngine(
        tiny_engine(context=2048, limits=Limits(max_best_of=3)), max_concurrent_requests=64
    )


@pytest.fixture(scope="session")
def base_url(served: AsyncEngine) -> Iterator[str]:
    with serving(served, Settings(max_concurrent_requests=64, keep_alive=0.2)) as url:
        yield url


# --- an application in this process, each answer of which is held against the contract -----------


def is_refusal(path: str, status: int, value: Any) -> None:
    """Hold an error against the form of its route and the table of statuses."""
    matches("OpenAiError" if path in OPENAI else "Error", value)
    found = [kind.status for kind in error_kinds() if kind.error_type == value["error_type"]]
    assert status in found or value["error_type"] == "validation", (status, value)
    assert set(value) == {"error", "error_type"}


def error_kinds() -> list[type[LockstitchError]]:
    kinds = [LockstitchError]
    for kind in kinds:
        kinds += kind.__subclasses__()
    return kinds


def is_generation(asked: dict[str, Any], answer: dict[str, Any]) -> None:
    """Hold a whole answer against the schema and the rules that no schema can say."""
    matches("GenerateResponse", answer)
    parameters = asked.get("parameters") or {}
    wanted = parameters.get("details") or parameters.get("decoder_input_details")
    assert ("details" in answer) == bool(wanted)
    if not wanted:
        return
    details = answer["details"]
    others = details.get("best_of_sequences", [])
    assert len(others) == (parameters.get("best_of") or 1) - 1
    assert bool(details["prefill"]) == bool(parameters.get("decoder_input_details"))
    for run in [{**details, "generated_text": answer["generated_text"]}, *others]:
        assert ("top_tokens" in run) == bool(parameters.get("top_n_tokens"))
        assert len(run["tokens"]) == run["generated_tokens"]
        assert len(run.get("top_tokens", run["tokens"])) == run["generated_tokens"]
        ended_as_asked(parameters, run)
        text_is_of_tokens(asked, run["generated_text"], run["tokens"])


def ended_as_asked(parameters: dict[str, Any], run: dict[str, Any]) -> None:
    """`length` if and only if the budget, where one was given, is used up."""
    budget = parameters.get("max_new_tokens")
    if budget is not None:
        assert (run["finish_reason"] == "length") == (run["generated_tokens"] == budget)
    if not sampled(parameters):
        assert run["seed"] is None
    elif parameters.get("seed") is not None:
        assert run["seed"] == parameters["seed"]


def sampled(parameters: dict[str, Any]) -> bool:
    values = [parameters.get(name) or 1.0 for name in ("temperature", "top_p", "typical_p")]
    return bool(parameters.get("do_sample") or parameters.get("top_k")) or values != [1.0] * 3


def text_is_of_tokens(asked: dict[str, Any], text: str, tokens: list[dict[str, Any]]) -> None:
    """The text is what the tokens say, up to the end of a stop string in the last of them."""
    parameters = asked.get("parameters") or {}
    if parameters.get("return_full_text"):
        assert text.startswith(asked["inputs"])
        text = text[len(asked["inputs"]) :]
    said = "".join(token["text"] for token in tokens if not token["special"])
    if parameters.get("stop"):
        assert said.startswith(text)
    else:
        assert said == text


def is_stream(asked: dict[str, Any], events: list[dict[str, Any]]) -> None:
    """Hold the events of a stream that ended well against the rules."""
    parameters = asked.get("parameters") or {}
    for event in events:
        matches("StreamEvent", event)
        assert ("top_tokens" in event) == bool(parameters.get("top_n_tokens"))
    assert [event["index"] for event in events] == list(range(1, len(events) + 1))
    *earlier, last = events
    assert all(e["generated_text"] is None and e["details"] is None for e in earlier)
    text_is_of_tokens(asked, last["generated_text"], [event["token"] for event in events])
    assert (last["details"] is not None) == bool(parameters.get("details"))
    if last["details"] is not None:
        assert last["details"]["generated_tokens"] == len(events)
        ended_as_asked(parameters, last["details"])


def payloads_of(body: bytes) -> list[str]:
    """Split a stream the strict way: one line of ASCII each, a blank line after it."""
    text = body.decode("ascii")
    assert text.endswith("\n\n")
    assert "\r" not in text
    blocks = [block for block in text[:-2].split("\n\n") if block != ":"]
    assert all(block.startswith("data: ") and "\n" not in block for block in blocks)
    return [block.removeprefix("data: ") for block in blocks]


class Api:
    """Sends requests to an application and checks every answer before it returns it."""

    def __init__(self, client: TestClient) -> None:
        self.client = client

    def post(self, path: str, body: Any, status: int = 200) -> Any:
        """Return what is answered: an object, or the parsed events of a stream."""
        response = self.client.post(path, json=body)
        assert response.status_code == status, response.text
        return self.checked(path, body, response)

    def checked(self, path: str, body: Any, response: Any) -> Any:
        """Hold an answer against the contract; return it parsed."""
        assert response.headers["x-request-id"]
        if response.headers["content-type"] == "text/event-stream":
            return self._events(path, body, payloads_of(response.content))
        assert response.headers["content-type"] == "application/json"
        value = response.json()
        if response.status_code != 200:
            is_refusal(path, response.status_code, value)
        elif path in ("/", "/v1"):
            (only,) = value
            is_generation(body, only)
        elif path == "/generate":
            is_generation(body, value)
        elif path in WHOLE:
            matches(WHOLE[path], value)
        return value

    def _events(self, path: str, body: Any, payloads: list[str]) -> list[dict[str, Any]]:
        if path in OPENAI:
            assert payloads.pop() == "[DONE]"
        events = [json.loads(payload) for payload in payloads]
        if "error" in events[-1]:
            is_refusal(path, 424, events.pop())
        elif path not in OPENAI:
            is_stream(body, events)
        for event in events if path in OPENAI else []:
            matches(PART[path], event)
        return events

    def generate(self, inputs: str = "the quick", path: str = "/generate", **values: Any) -> Any:
        """Return the answer to a request; `max_new_tokens` is 20 unless it is given."""
        parameters = {"max_new_tokens": 20, "details": True, **values}
        found = self.post(path, {"inputs": inputs, "parameters": parameters})
        return found[0] if isinstance(found, list) else found

    def stream(self, inputs: str = "the quick", **values: Any) -> Any:
        """Return the events of a request."""
        parameters = {"max_new_tokens": 20, "details": True, **values}
        return self.post("/generate_stream", {"inputs": inputs, "parameters": parameters})

    def refused(self, inputs: Any = "the quick", path: str = "/generate", **values: Any) -> str:
        """Return the sentence with which a request is refused."""
        body = {"inputs": inputs, "parameters": {"max_new_tokens": 5, **values}}
        found = self.post(path, body, 422)
        assert found["error_type"] == "validation"
        return str(found["error"])

    def complete(self, grammar: Any, budget: int = 200, **values: Any) -> str:
        """Return a text of a grammar that is whole."""
        found = self.generate(grammar=grammar, max_new_tokens=budget, complete=True, **values)
        return str(found["generated_text"])

    def chat(self, said: str = "hi", path: str = OPENAI[0], **values: Any) -> Any:
        """Return the answer to one message."""
        body = {"messages": [{"role": "user", "content": said}], "max_tokens": 30, **values}
        return self.post(path, body)


@contextlib.contextmanager
def opened(engine: AsyncEngine, settings: Settings | None = None) -> Iterator[Api]:
    """Run the application of an engine as long as the block."""
    app = create_app(engine, settings)
    with TestClient(app, raise_server_exceptions=False) as client:
        yield Api(client)


@pytest.fixture(scope="session")
def tiny() -> Engine:
    """One model for all tests, with room for long answers."""
    return tiny_engine(context=4096)


@pytest.fixture(scope="session")
def api(tiny: Engine) -> Iterator[Api]:
    """The application as most tests need it."""
    with opened(AsyncEngine(tiny)) as found:
        yield found


@pytest.fixture(scope="session")
def open_api() -> Any:
    """Return `opened`, for tests that need an application of their own."""
    return opened
