"""huggingface_hub's clients, unmodified, over loopback."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

hub: Any = pytest.importorskip("huggingface_hub", reason="a real client")
errors: Any = pytest.importorskip("huggingface_hub.errors", reason="a real client")

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 8}, "age": {"enum": [1, 2]}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
SAY = [{"role": "user", "content": "hi"}]


@pytest.fixture(autouse=True)
def online(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests run with HF_HUB_OFFLINE=1, which keeps models off the net; loopback is not the hub."""
    monkeypatch.setattr(hub.constants, "HF_HUB_OFFLINE", False)


@pytest.fixture(params=["", "/v1", "/generate"])
def client(request: pytest.FixtureRequest, base_url: str) -> Any:
    return hub.InferenceClient(base_url=base_url + request.param)


@pytest.fixture
def chat_client(base_url: str) -> Any:
    return hub.InferenceClient(base_url=base_url)


def test_plain_text(client: Any) -> None:
    text = client.text_generation("the quick", max_new_tokens=5)
    assert isinstance(text, str)
    assert text == client.text_generation("the quick", max_new_tokens=5)  # greedy


def test_details(client: Any) -> None:
    told = client.text_generation(
        "the quick",
        details=True,
        decoder_input_details=True,
        max_new_tokens=4,
        do_sample=True,
        seed=7,
        top_n_tokens=2,
    )
    assert told.details.finish_reason in ("length", "eos_token")
    assert told.details.seed == 7
    assert len(told.details.tokens) == told.details.generated_tokens <= 4
    assert told.details.prefill[0].logprob is None
    assert all(token.logprob <= 0 for token in told.details.prefill[1:])
    assert all(len(top) >= 2 for top in told.details.top_tokens)


@pytest.mark.parametrize(
    "grammar",
    [
        {"type": "json", "value": PERSON},
        {"type": "json", "value": json.dumps(PERSON)},
        {"type": "json_object", "value": PERSON},
        {"type": "json_schema", "value": {"name": "person", "schema": PERSON}},
    ],
)
def test_json_grammars(client: Any, grammar: dict[str, Any]) -> None:
    value = json.loads(client.text_generation("x", grammar=grammar, max_new_tokens=100))
    assert set(value) == {"name", "age"}
    assert value["age"] in (1, 2)


def test_a_regex_grammar(client: Any) -> None:
    grammar = {"type": "regex", "value": r"\d{3}-[a-f]{2}"}
    text = client.text_generation("x", grammar=grammar, max_new_tokens=30)
    assert re.fullmatch(grammar["value"], text)


@pytest.mark.parametrize(
    "values",
    [
        {"temperature": -1.0},
        {"top_p": 2.0},
        {"max_new_tokens": 0},
        {"max_new_tokens": 10_000},
        {"best_of": 2},
        {"stop": ["a"] * 5},
        {"grammar": {"type": "regex", "value": "(a"}},
        {"adapter_id": "none"},
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_case_20_refusals_are_validation_errors(
    chat_client: Any, values: dict[str, Any], stream: bool
) -> None:
    with pytest.raises(errors.ValidationError):
        list(chat_client.text_generation("x", stream=stream, **values))


def test_streams(chat_client: Any) -> None:
    asked: dict[str, Any] = {"max_new_tokens": 12, "do_sample": True, "seed": 3}
    whole = chat_client.text_generation("the quick", details=True, **asked)
    events = list(chat_client.text_generation("the quick", details=True, stream=True, **asked))
    assert [e.token.id for e in events] == [t.id for t in whole.details.tokens]
    assert events[-1].generated_text == whole.generated_text
    assert events[-1].details.generated_tokens == len(events)
    assert all(event.details is None for event in events[:-1])
    texts = list(chat_client.text_generation("the quick", stream=True, **asked))
    assert len(texts) == len(events)


async def _gathered(base_url: str) -> tuple[str, list[str]]:
    client = hub.AsyncInferenceClient(base_url=base_url)
    text = await client.text_generation("the quick", max_new_tokens=5)
    stream = await client.text_generation("the quick", max_new_tokens=5, stream=True)
    pieces = [piece async for piece in stream]
    await client.close()
    return text, pieces


def test_the_async_client(base_url: str, chat_client: Any) -> None:
    import asyncio

    text, pieces = asyncio.run(_gathered(base_url))
    assert text == chat_client.text_generation("the quick", max_new_tokens=5)
    assert len(pieces) == 5


def test_case_43_chat_with_a_schema(chat_client: Any) -> None:
    answer = chat_client.chat_completion(
        SAY,
        max_tokens=100,
        response_format={"type": "json_schema", "json_schema": {"name": "p", "schema": PERSON}},
    )
    assert set(json.loads(answer.choices[0].message.content)) == {"name", "age"}
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_chat_streams(chat_client: Any) -> None:
    chunks = list(chat_client.chat_completion(SAY, max_tokens=8, seed=1, stream=True))
    said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    whole = chat_client.chat_completion(SAY, max_tokens=8, seed=1)
    assert said == whole.choices[0].message.content
    assert chunks[-1].choices[0].finish_reason in ("length", "stop")


def test_chat_tools(chat_client: Any) -> None:
    tool = {"type": "function", "function": {"name": "find", "parameters": PERSON}}
    answer = chat_client.chat_completion(SAY, tools=[tool], tool_choice="required", max_tokens=150)
    (call,) = answer.choices[0].message.tool_calls
    assert call.function.name == "find"
    assert set(json.loads(call.function.arguments)) == {"name", "age"}
    assert answer.choices[0].finish_reason == "tool_calls"


def test_case_43_chat_errors(chat_client: Any) -> None:
    with pytest.raises(errors.HfHubHTTPError, match="422"):
        chat_client.chat_completion(SAY, response_format={"type": "regex", "value": "(a"})
