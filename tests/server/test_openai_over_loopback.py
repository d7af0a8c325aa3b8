"""openai's clients, unmodified, over loopback."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field

openai: Any = pytest.importorskip("openai", reason="a real client")

SAY: list[dict[str, Any]] = [{"role": "user", "content": "hi"}]
PLACE = {
    "type": "object",
    "properties": {"city": {"$ref": "#/$defs/city"}},
    "required": ["city"],
    "additionalProperties": False,
    "$defs": {"city": {"enum": ["Berlin", "Rome"]}},
}
TOOLS = [
    {"type": "function", "function": {"name": name, "parameters": PLACE}}
    for name in ("weather", "map")
]


class Person(BaseModel, extra="forbid"):
    name: str = Field(max_length=6)
    kind: Literal["cat", "dog"]


@pytest.fixture(scope="module")
def client(base_url: str) -> Any:
    with openai.OpenAI(base_url=base_url + "/v1", api_key="any") as made:
        yield made


def test_case_41_completions(client: Any) -> None:
    answer = client.completions.create(model="m", prompt="the quick", max_tokens=5, temperature=0)
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage.completion_tokens == 5
    four = client.completions.create(
        model="m", prompt=["a", "b", "the quick", "c"], max_tokens=5, temperature=0
    )
    assert [choice.index for choice in four.choices] == [0, 1, 2, 3]
    assert four.choices[2].text == answer.choices[0].text
    streamed: dict[int, str] = {}
    for chunk in client.completions.create(
        model="m", prompt=["a", "the quick"], max_tokens=5, temperature=0, stream=True
    ):
        for choice in chunk.choices:
            streamed[choice.index] = streamed.get(choice.index, "") + choice.text
    assert streamed == {0: four.choices[0].text, 1: four.choices[2].text}


def test_chat(client: Any) -> None:
    answer = client.chat.completions.create(model="m", messages=SAY, max_tokens=5, seed=1)
    assert answer.model == "m"
    assert answer.id
    assert answer.choices[0].message.role == "assistant"
    again = client.chat.completions.create(
        model="m", messages=SAY, max_completion_tokens=5, seed=1, n=1, stop="never", logit_bias={}
    )
    assert again.choices[0].message.content == answer.choices[0].message.content


def test_logprobs(client: Any) -> None:
    answer = client.chat.completions.create(
        model="m", messages=SAY, max_tokens=4, temperature=0, logprobs=True, top_logprobs=2
    )
    content = answer.choices[0].logprobs.content
    assert len(content) == 4
    for token in content:
        assert token.logprob == token.top_logprobs[0].logprob <= 0
        assert len(token.top_logprobs) >= 2


def test_case_43_parse_a_model(client: Any) -> None:
    answer = client.chat.completions.parse(
        model="m", messages=SAY, response_format=Person, max_tokens=120, seed=4
    )
    person = answer.choices[0].message.parsed
    assert isinstance(person, Person)
    assert answer.choices[0].finish_reason == "stop"


def test_a_parse_that_is_cut_says_so(client: Any) -> None:
    with pytest.raises(openai.LengthFinishReasonError):
        client.chat.completions.parse(model="m", messages=SAY, response_format=Person, max_tokens=3)


def test_case_43_stream_a_model(client: Any) -> None:
    with client.chat.completions.stream(
        model="m", messages=SAY, response_format=Person, max_tokens=120, seed=4
    ) as stream:
        pieces = [event.delta for event in stream if event.type == "content.delta"]
        final = stream.get_final_completion()
    message = final.choices[0].message
    assert message.role == "assistant"
    assert "".join(pieces) == message.content
    assert isinstance(message.parsed, Person)


@pytest.mark.parametrize(
    "response_format",
    [
        {"type": "json_object"},
        {"type": "json_object", "value": PLACE},
        {"type": "json_schema", "json_schema": {"name": "p", "schema": PLACE, "strict": True}},
        {"type": "json_schema", "value": {"name": "p", "schema": PLACE}},
        {"type": "json", "value": PLACE},
    ],
)
def test_response_formats(client: Any, response_format: dict[str, Any]) -> None:
    answer = client.chat.completions.create(
        model="m",
        messages=SAY,
        temperature=0,
        max_tokens=200,
        response_format=response_format,
        extra_body={"seed": 3},
    )
    if answer.choices[0].finish_reason == "stop":
        assert isinstance(json.loads(answer.choices[0].message.content), dict)
    else:
        assert response_format == {"type": "json_object"}  # which may go on for ever


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        ("required", {"weather", "map"}),
        ({"type": "function", "function": {"name": "map"}}, {"map"}),
    ],
)
def test_case_38_tools(client: Any, choice: object, names: set[str]) -> None:
    asked = {"model": "m", "messages": SAY, "tools": TOOLS, "tool_choice": choice, "seed": 2}
    answer = client.chat.completions.create(**asked, max_tokens=120)
    (call,) = answer.choices[0].message.tool_calls
    assert call.function.name in names
    assert json.loads(call.function.arguments)["city"] in ("Berlin", "Rome")
    assert answer.choices[0].finish_reason == "tool_calls"
    assert answer.choices[0].message.content is None
    with client.chat.completions.stream(**asked, max_tokens=120) as stream:
        final = stream.get_final_completion()
    (streamed,) = final.choices[0].message.tool_calls
    assert final.choices[0].message.role == "assistant"
    assert (streamed.function.name, streamed.function.arguments) == (
        call.function.name,
        call.function.arguments,
    )
    assert streamed.id
    assert final.choices[0].finish_reason == "tool_calls"


def test_case_38_tools_may_be_left_alone(client: Any) -> None:
    seen = set()
    for seed in range(12):
        answer = client.chat.completions.create(
            model="m", messages=SAY, tools=TOOLS, max_tokens=150, seed=seed
        )
        message = answer.choices[0].message
        seen.add("call" if message.tool_calls else "words")
        assert bool(message.tool_calls) != bool(message.content is not None)
    assert seen == {"call", "words"}
    none = client.chat.completions.create(
        model="m", messages=SAY, tools=TOOLS, tool_choice="none", max_tokens=5
    )
    assert none.choices[0].message.tool_calls is None


def test_case_39_a_tool_reply_goes_back(client: Any) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "map", "arguments": "{}"}}
    messages = [
        *SAY,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "a map"},
    ]
    answer = client.chat.completions.create(model="m", messages=messages, max_tokens=4)
    assert answer.choices[0].message.content is not None


@pytest.mark.parametrize("include", [True, False, None])
def test_case_40_usage_of_a_stream(client: Any, include: bool | None) -> None:
    options = {} if include is None else {"stream_options": {"include_usage": include}}
    chunks = list(
        client.chat.completions.create(
            model="m", messages=SAY, max_tokens=3, stream=True, **options
        )
    )
    if include:
        assert chunks[-1].choices == []
        assert chunks[-1].usage.completion_tokens == 3
        chunks = chunks[:-1]
    assert all(len(chunk.choices) == 1 and chunk.usage is None for chunk in chunks)
    roles = [chunk.choices[0].delta.role for chunk in chunks]
    assert roles[0] == "assistant"
    assert set(roles[1:]) <= {None}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"response_format": {"type": "regex", "value": "(a"}}, "not closed"),
        ({"temperature": -1}, "temperature must be >= 0"),
        ({"n": 2}, "n must be 1"),
        ({"tools": [], "response_format": {"type": "json_object"}}, "tools"),
        ({"tools": TOOLS, "tool_choice": "nobody"}, "nobody"),
        ({"logit_bias": {"5": 100}}, "logit_bias"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_errors_show_their_sentence(
    client: Any, values: dict[str, Any], words: str, stream: bool
) -> None:
    with pytest.raises(openai.UnprocessableEntityError, match=words) as caught:
        client.chat.completions.create(model="m", messages=SAY, stream=stream, **values)
    assert caught.value.body["message"]


def test_models(client: Any) -> None:
    assert [model.id for model in client.models.list()] == ["model"]


async def _answers(base_url: str) -> list[str]:
    async with openai.AsyncOpenAI(base_url=base_url + "/v1", api_key="any") as client:
        answers = await asyncio.gather(
            *(
                client.chat.completions.create(
                    model="m", messages=SAY, seed=seed % 3, max_tokens=10
                )
                for seed in range(9)
            )
        )
    return [answer.choices[0].message.content for answer in answers]


def test_many_at_once_by_the_async_client(base_url: str) -> None:
    found = asyncio.run(_answers(base_url))
    assert found[:3] == found[3:6] == found[6:]
    assert len(set(found)) == 3
