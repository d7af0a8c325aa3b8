"""OpenAI's own client against these schemas, without a server in between."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel

from lockstitch.constraint.grammar import compile_grammar
from lockstitch.schemas.chat import ChatRequest
from lockstitch.schemas.chat_response import Envelope, openai_error_body
from lockstitch.schemas.chat_stream import ChatStream, chat_completion
from lockstitch.schemas.errors import LockstitchError
from lockstitch.schemas.grammar import parse_grammar
from lockstitch.schemas.response import (
    Details,
    FinishReason,
    GenerateResponse,
    StreamDetails,
    StreamEvent,
    Token,
)

openai = pytest.importorskip("openai")
httpx = pytest.importorskip("httpx")

ENVELOPE = Envelope(id="c1", created=1, model="m", system_fingerprint="v-native")
MESSAGES = [{"role": "user", "content": "hi"}]


class Person(BaseModel):
    name: str
    age: int


def tokens(text: str) -> list[Token]:
    """Three characters each, and the end."""
    pieces = [text[at : at + 3] for at in range(0, len(text), 3)]
    found = [Token(id=1, text=piece, logprob=-1.0, special=False) for piece in pieces]
    return [*found, Token(id=2, text="</s>", logprob=0.0, special=True)]


def whole(request: ChatRequest, text: str, reason: FinishReason) -> Any:
    made = tokens(text)
    details = Details(
        finish_reason=reason,
        generated_tokens=len(made),
        seed=None,
        prefill=(),
        tokens=tuple(made),
    )
    response = GenerateResponse(generated_text=text, details=details)
    return httpx.Response(200, json=chat_completion(request, response, ENVELOPE, 5).to_dict())


def stream(request: ChatRequest, text: str, reason: FinishReason) -> Any:
    chunks = ChatStream(request, ENVELOPE)
    made = tokens(text)
    lines = []
    for index, token in enumerate(made, 1):
        last = index == len(made)
        details = StreamDetails(
            finish_reason=reason, generated_tokens=index, seed=None, input_length=5
        )
        event = StreamEvent(
            index=index,
            token=token,
            generated_text=text if last else None,
            details=details if last else None,
        )
        lines += [f"data: {chunk.to_json()}\n\n" for chunk in chunks.feed(event)]
    body = "".join([*lines, "data: [DONE]\n\n"])
    return httpx.Response(200, text=body, headers={"content-type": "text/event-stream"})


def client(
    text: str = "", seen: list[ChatRequest] | None = None, reason: FinishReason = "eos_token"
) -> Any:
    """A client of a model that always writes `text`, if the grammar of the request allows it."""

    def answer(http: Any) -> Any:
        try:
            request = ChatRequest.parse(json.loads(http.content))
        except LockstitchError as error:
            return httpx.Response(error.status, json=openai_error_body(error))
        if seen is not None:
            seen.append(request)
        generate = request.to_generate("x", stream=bool(request.stream))
        if parse_grammar(generate.parameters.grammar) is not None:
            grammar = compile_grammar(generate.parameters.grammar)
            assert grammar.accepts(text.encode()) or reason == "length"
        respond: Callable[..., Any] = stream if request.stream else whole
        return respond(request, text, reason)

    transport = httpx.MockTransport(answer)
    return openai.OpenAI(
        base_url="http://server/v1", api_key="-", http_client=httpx.Client(transport=transport)
    )


def tool(name: str) -> dict[str, Any]:
    return {
        "type": "function",
        "function": {"name": name, "parameters": Person.model_json_schema()},
    }


CALL = '{"name": "greet", "arguments": {"name": "Ann", "age": 3}}'
PERSON = '{"name": "Ann", "age": 3}'


def test_every_field_is_read() -> None:
    seen: list[ChatRequest] = []
    reply = client("hello", seen).chat.completions.create(
        model="m",
        messages=[{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
        stop="x",
        logit_bias={},
        n=1,
        max_completion_tokens=5,
        temperature=0,
        top_p=1,
        seed=1,
        user="me",
        logprobs=True,
        top_logprobs=0,
        presence_penalty=1,
        parallel_tool_calls=False,
    )
    assert reply.choices[0].message.content == "hello"
    assert reply.choices[0].logprobs.content[0].token == "hel"
    (request,) = seen
    assert request.template_messages() == MESSAGES
    parameters = request.to_generate("x", stream=False).parameters
    assert (parameters.stop, parameters.max_new_tokens, parameters.sampling) == (("x",), 5, False)
    assert parameters.generated_penalties == (0.0, 1.0)


def test_a_model_as_response_format() -> None:
    one = client(PERSON)
    reply = one.chat.completions.parse(model="m", messages=MESSAGES, response_format=Person)
    assert reply.choices[0].message.parsed == Person(name="Ann", age=3)
    with one.chat.completions.stream(
        model="m", messages=MESSAGES, response_format=Person
    ) as events:
        final = events.get_final_completion()
    assert final.choices[0].message.parsed == Person(name="Ann", age=3)
    assert final.choices[0].message.role == "assistant"


@pytest.mark.parametrize("form", [{"type": "json_object"}, {"type": "text"}], ids=str)
def test_other_response_formats(form: dict[str, str]) -> None:
    reply = client(PERSON).chat.completions.create(
        model="m", messages=MESSAGES, response_format=form
    )
    assert json.loads(reply.choices[0].message.content) == {"name": "Ann", "age": 3}


def test_a_length_is_told_to_parse() -> None:
    with pytest.raises(openai.LengthFinishReasonError):
        client(PERSON[:-3], reason="length").chat.completions.parse(
            model="m", messages=MESSAGES, response_format=Person
        )


GREET = {"type": "function", "function": {"name": "greet"}}


@pytest.mark.parametrize("choice", ["auto", "required", "greet", GREET], ids=str)
def test_tools(choice: Any) -> None:
    one = client(CALL)
    asked = {
        "model": "m",
        "messages": MESSAGES,
        "tools": [tool("leave"), tool("greet")],
        "tool_choice": choice,
    }
    (call,) = one.chat.completions.create(**asked).choices[0].message.tool_calls
    with one.chat.completions.stream(**asked, stream_options={"include_usage": True}) as events:
        final = events.get_final_completion()
    (streamed,) = final.choices[0].message.tool_calls
    for found in (call, streamed):
        assert (found.type, found.function.name) == ("function", "greet")
        assert found.function.arguments == PERSON
        assert found.id.startswith("call_")
    assert call.id != streamed.id
    assert final.choices[0].finish_reason == "tool_calls"
    assert final.usage.total_tokens == 5 + len(tokens(CALL))


def test_the_reply_to_a_call_can_be_sent_back() -> None:
    seen: list[ChatRequest] = []
    one = client(CALL, seen)
    reply = one.chat.completions.create(model="m", messages=MESSAGES, tools=[tool("greet")])
    message = reply.choices[0].message
    answer = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "done"}
    client("fine", seen).chat.completions.create(model="m", messages=[*MESSAGES, message, answer])
    told = seen[-1].template_messages()
    assert told[1]["tool_calls"][0]["function"]["arguments"] == {"name": "Ann", "age": 3}
    assert told[1]["tool_calls"][0]["id"] == told[2]["tool_call_id"]


def test_errors_show_their_sentence() -> None:
    with pytest.raises(
        openai.UnprocessableEntityError, match="logit_bias is not offered"
    ) as caught:
        client().chat.completions.create(model="m", messages=MESSAGES, logit_bias={"1": 5})
    assert (caught.value.param, caught.value.code) == ("logit_bias", "validation")
    with pytest.raises(openai.UnprocessableEntityError, match="exclude each other"):
        client().chat.completions.create(
            model="m", messages=MESSAGES, tools=[], response_format={"type": "json_object"}
        )
