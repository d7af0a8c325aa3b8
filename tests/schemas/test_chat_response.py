"""Replies of the OpenAI routes: what streams add up to, and that the real clients read it."""

from __future__ import annotations

import json
from itertools import count
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from lockstitch.schemas.chat import ChatRequest
from lockstitch.schemas.chat_response import ChatChunk, Envelope, openai_error_body
from lockstitch.schemas.chat_stream import (
    ChatStream,
    CompletionStream,
    chat_completion,
    completion,
)
from lockstitch.schemas.completions import CompletionRequest
from lockstitch.schemas.errors import (
    BatchSizeError,
    GenerationError,
    IncompleteGenerationError,
    LockstitchError,
    MissingTemplateVariableError,
    OverloadedError,
    StreamSerializationError,
    SuffixError,
    TemplateError,
    ToolError,
    UnhealthyError,
    ValidationError,
)
from lockstitch.schemas.response import (
    Details,
    FinishReason,
    GenerateResponse,
    StreamDetails,
    StreamEvent,
    Token,
)
from lockstitch.schemas.wire_schema import wire_schema

ENVELOPE = Envelope(id="c1", created=1, model="m", system_fingerprint="v-native")
HEAD = ENVELOPE.fields()
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
SCHEMA = wire_schema()


def conforms(name: str, value: object) -> bool:
    schema = {**SCHEMA, "$ref": f"#/$defs/{name}"}
    return bool(Draft202012Validator(schema).is_valid(value))


def chat(**fields: Any) -> ChatRequest:
    return ChatRequest.parse({"messages": [{"role": "user", "content": "hi"}], **fields})


def token(text: str, *, special: bool = False, logprob: float | None = -0.5) -> Token:
    return Token(id=1, text=text, logprob=logprob, special=special)


END = token("</s>", special=True)


def whole(tokens: list[Token], reason: FinishReason, text: str | None = None) -> GenerateResponse:
    details = Details(
        finish_reason=reason,
        generated_tokens=len(tokens),
        seed=None,
        prefill=(),
        tokens=tuple(tokens),
        top_tokens=tuple((each, END) for each in tokens),
    )
    return GenerateResponse(generated_text=shown(tokens) if text is None else text, details=details)


def shown(tokens: list[Token]) -> str:
    return "".join(each.text for each in tokens if not each.special)


def events(tokens: list[Token], reason: FinishReason, text: str | None = None) -> list[StreamEvent]:
    details = StreamDetails(
        finish_reason=reason, generated_tokens=len(tokens), seed=None, input_length=9
    )
    found = [
        StreamEvent(index=index, token=each, top_tokens=(each, END))
        for index, each in enumerate(tokens, 1)
    ]
    text = shown(tokens) if text is None else text
    found[-1] = found[-1].model_copy(update={"generated_text": text, "details": details})
    return found


def streamed(
    request: ChatRequest, tokens: list[Token], reason: FinishReason, text: str | None = None
) -> list[ChatChunk]:
    ids = count()
    stream = ChatStream(request, ENVELOPE, new_id=lambda: f"call_{next(ids)}")
    return [chunk for event in events(tokens, reason, text) for chunk in stream.feed(event)]


def deltas(chunks: list[ChatChunk]) -> list[dict[str, Any]]:
    return [chunk.to_dict()["choices"][0]["delta"] for chunk in chunks if chunk.choices]


def split(text: str) -> list[Token]:
    return [*map(token, text), END]


# --- chat without tools --------------------------------------------------------------------------


def test_a_reply_has_the_keys_of_the_contract() -> None:
    reply = chat_completion(chat(), whole([token("a"), END], "eos_token"), ENVELOPE, 7).to_dict()
    assert reply == {
        "object": "chat.completion",
        **HEAD,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "a"},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9},
    }
    assert conforms("ChatCompletion", reply)


def test_a_stream_is_that_of_the_transcript() -> None:
    request = chat(stream=True, stream_options={"include_usage": True})
    chunks = [
        chunk.to_dict() for chunk in streamed(request, [token("{"), token("}"), END], "eos_token")
    ]
    head = {"object": "chat.completion.chunk", **HEAD}

    def choice(delta: dict[str, Any], reason: str | None = None) -> list[dict[str, Any]]:
        return [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}]

    usage = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
    assert chunks == [
        {**head, "choices": choice({"role": "assistant", "content": "{"}), "usage": None},
        {**head, "choices": choice({"content": "}"}), "usage": None},
        {**head, "choices": choice({"content": ""}, "stop"), "usage": None},
        {**head, "choices": [], "usage": usage},
    ]
    assert all(conforms("ChatChunk", chunk) for chunk in chunks)
    assert len(streamed(chat(stream=True), [token("a"), END], "eos_token")) == 2


@pytest.mark.parametrize(
    ("engine", "openai"), [("eos_token", "stop"), ("stop_sequence", "stop"), ("length", "length")]
)
def test_finish_reasons(engine: FinishReason, openai: str) -> None:
    reply = chat_completion(chat(), whole([END], engine), ENVELOPE, 1)
    assert reply.choices[0].finish_reason == openai
    reasons = [
        chunk.choices[0].finish_reason for chunk in streamed(chat(), [token("a"), END], engine)
    ]
    assert reasons == [None, openai]


@pytest.mark.parametrize(
    "text", ["ab", "abst", "abstx", "abstx and more"], ids=["cut", "cut less", "equal", "tail"]
)
def test_deltas_add_up_to_the_text_where_a_stop_string_cuts_the_last_token(text: str) -> None:
    chunks = streamed(chat(), [token("ab"), token(""), token("stx")], "stop_sequence", text)
    assert "".join(delta["content"] for delta in deltas(chunks)) == text


def test_the_role_is_sent_once() -> None:
    roles = [delta.get("role") for delta in deltas(streamed(chat(), split("abc"), "eos_token"))]
    assert roles == ["assistant", None, None, None]


def test_logprobs() -> None:
    unlikely = token("b", logprob=None)
    tokens = [token("a"), unlikely, END]
    expected = [
        {
            "token": each.text,
            "logprob": -9999.0 if each.logprob is None else each.logprob,
            "bytes": None,
            "top_logprobs": [
                {"token": top.text, "bytes": None, "logprob": top.logprob or -9999.0}
                for top in (each, END)
            ],
        }
        for each in tokens
    ]
    request = chat(logprobs=True, top_logprobs=2)
    reply = chat_completion(request, whole(tokens, "eos_token"), ENVELOPE, 1).to_dict()
    assert reply["choices"][0]["logprobs"] == {"content": expected}
    assert conforms("ChatCompletion", reply)
    chunks = [chunk.to_dict() for chunk in streamed(request, tokens, "eos_token")]
    assert [chunk["choices"][0]["logprobs"] for chunk in chunks] == [
        {"content": [one]} for one in expected
    ]
    assert all(conforms("ChatChunk", chunk) for chunk in chunks)


def test_a_response_without_details_cannot_be_told() -> None:
    with pytest.raises(IncompleteGenerationError):
        chat_completion(chat(), GenerateResponse(generated_text="a"), ENVELOPE, 1)


@pytest.mark.parametrize("text", ["\u2028\u2029\x85", "\n\r", "🐲", "\ud83d"], ids=ascii)
def test_chunks_are_one_ascii_line(text: str) -> None:
    (chunk,) = streamed(chat(), [token(text)], "length")
    line = chunk.to_json()
    assert line.isascii()
    assert len(line.splitlines()) == 1
    assert json.loads(line)["choices"][0]["delta"]["content"] == text


# --- chat with tools -----------------------------------------------------------------------------

CALL = '{"name": "f", "arguments": {"x": "}"}}'
WORDS = '{"name": "no_tool", "content": "it\\nis"}'


def test_a_call() -> None:
    response = whole(split(CALL), "eos_token")
    reply = chat_completion(chat(tools=TOOLS), response, ENVELOPE, 1, new_id=lambda: "call_7")
    (choice,) = reply.to_dict()["choices"]
    function = {"name": "f", "arguments": '{"x": "}"}'}
    assert choice["message"] == {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "call_7", "type": "function", "function": function}],
    }
    assert choice["finish_reason"] == "tool_calls"
    assert conforms("ChatCompletion", reply.to_dict())


def test_an_answer_in_words() -> None:
    reply = chat_completion(chat(tools=TOOLS), whole(split(WORDS), "eos_token"), ENVELOPE, 1)
    (choice,) = reply.to_dict()["choices"]
    assert choice["message"] == {"role": "assistant", "content": "it\nis"}
    assert choice["finish_reason"] == "stop"


def test_a_call_that_was_cut_off() -> None:
    response = whole(split(CALL)[:-4], "length")
    reply = chat_completion(chat(tools=TOOLS), response, ENVELOPE, 1)
    (choice,) = reply.choices
    assert choice.message.tool_calls[0].function.arguments == '{"x": "}'
    assert choice.finish_reason == "length"


def test_a_streamed_call_is_that_of_the_transcript() -> None:
    tokens = [token('{"name": "f"'), token(', "arguments": {"x"'), token(': "}"}'), token("}"), END]
    chunks = streamed(chat(tools=TOOLS), tokens, "eos_token")
    start = {"index": 0, "id": "call_0", "type": "function"}
    assert deltas(chunks) == [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{**start, "function": {"name": "f", "arguments": ""}}],
        },
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"x"'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": ': "}"}'}}]},
        {},
    ]
    assert [chunk.choices[0].finish_reason for chunk in chunks] == [None, None, None, "tool_calls"]
    assert all(conforms("ChatChunk", chunk.to_dict()) for chunk in chunks)


def test_streamed_words_under_tools() -> None:
    chunks = streamed(chat(tools=TOOLS), split(WORDS), "eos_token")
    found = deltas(chunks)
    assert found[0] == {"role": "assistant", "content": "i"}
    assert "".join(delta.get("content", "") for delta in found) == "it\nis"
    assert found[-1] == {}
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_a_stream_cut_before_the_name() -> None:
    chunks = streamed(chat(tools=TOOLS), split(CALL)[:5], "length")
    assert deltas(chunks) == [{"role": "assistant", "content": None}]
    assert chunks[0].choices[0].finish_reason == "length"


def test_no_logprob_of_a_call_is_lost() -> None:
    tokens = split(CALL)
    chunks = streamed(chat(tools=TOOLS, logprobs=True), tokens, "eos_token")
    told = [
        entry.token
        for chunk in chunks
        if chunk.choices and (found := chunk.choices[0].logprobs)
        for entry in found.content
    ]
    assert told == [each.text for each in tokens]


# --- completions ---------------------------------------------------------------------------------


def test_a_completion() -> None:
    request = CompletionRequest.parse({"prompt": ["a", "b"]})
    answers = [(whole([token("x"), END], "eos_token"), 3), (whole([token("y")], "length"), 4)]
    reply = completion(request, answers, ENVELOPE).to_dict()
    assert reply == {
        "object": "text_completion",
        **HEAD,
        "choices": [
            {"index": 0, "text": "x", "logprobs": None, "finish_reason": "stop"},
            {"index": 1, "text": "y", "logprobs": None, "finish_reason": "length"},
        ],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
    }
    assert conforms("Completion", reply)


@pytest.mark.parametrize("include_usage", [False, True])
def test_completion_streams_take_turns(include_usage: bool) -> None:
    options = {"include_usage": include_usage}
    request = CompletionRequest.parse({"prompt": ["a", "b"], "stream_options": options})
    stream = CompletionStream(request, ENVELOPE)
    first = events([token("x"), token("y"), END], "eos_token")
    second = events([token("z"), token("stop")], "stop_sequence", "zst")
    turns = [(0, first[0]), (1, second[0]), (1, second[1]), (0, first[1]), (0, first[2])]
    chunks = [chunk.to_dict() for turn in turns for chunk in stream.feed(*turn)]
    assert all(conforms("CompletionChunk", chunk) for chunk in chunks)
    told = [
        (one["index"], one["text"], one["finish_reason"])
        for chunk in chunks
        for one in chunk["choices"]
    ]
    assert told == [
        (0, "x", None),
        (1, "z", None),
        (1, "st", "stop"),
        (0, "y", None),
        (0, "", "stop"),
    ]
    totals = [chunk["usage"] and chunk["usage"]["total_tokens"] for chunk in chunks]
    each, together = [None, None, 11, None, 12], [None, None, None, None, None, 23]
    assert totals == (together if include_usage else each)


def test_completion_logprobs() -> None:
    request = CompletionRequest.parse({"prompt": "a", "logprobs": 2})
    tokens = [token("x🐲"), token("y", logprob=None), END]
    reply = completion(request, [(whole(tokens, "eos_token"), 1)], ENVELOPE).to_dict()
    expected = {
        "tokens": ["x🐲", "y", "</s>"],
        "token_logprobs": [-0.5, -9999.0, -0.5],
        "top_logprobs": [{"x🐲": -0.5, "</s>": -0.5}, {"y": -9999.0, "</s>": -0.5}, {"</s>": -0.5}],
        "text_offset": [0, 2, 3],
    }
    assert reply["choices"][0]["logprobs"] == expected
    assert conforms("Completion", reply)
    stream = CompletionStream(request, ENVELOPE)
    parts: list[dict[str, Any]] = [
        chunk.to_dict()["choices"][0]["logprobs"]
        for event in events(tokens, "eos_token")
        for chunk in stream.feed(0, event)
    ]
    for key, column in expected.items():
        assert [one for part in parts for one in part[key]] == column


# --- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "message", "kind", "param", "code"),
    [
        (ValidationError("n must be 1", parameter="n"), "Input validation error: n must be 1",
         "invalid_request_error", "n", "validation"),
        (ToolError("x"), "x", "invalid_request_error", None, "tool_error"),
        (TemplateError("x"), "x", "invalid_request_error", None, "template_error"),
        (MissingTemplateVariableError("x"), "x", "invalid_request_error", None,
         "missing_template_variable"),
        (SuffixError("x"), "x", "invalid_request_error", None, "suffix not supported"),
        (BatchSizeError("x"), "x", "invalid_request_error", None, "batch size exceeded"),
        (OverloadedError("x"), "x", "rate_limit_error", None, "overloaded"),
        (GenerationError("x"), "x", "server_error", None, "generation"),
        (IncompleteGenerationError("x"), "x", "server_error", None, "incomplete_generation"),
        (StreamSerializationError("x"), "x", "server_error", None, "stream_serialization_error"),
        (UnhealthyError("x"), "x", "server_error", None, "healthcheck"),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_errors(
    error: LockstitchError, message: str, kind: str, param: str | None, code: str
) -> None:
    body = openai_error_body(error)
    fields = {"message": message, "type": kind, "param": param, "code": code}
    assert body == {"error": fields, "error_type": code}
    assert conforms("OpenAiError", body)


# --- the real clients ----------------------------------------------------------------------------

REQUESTS = [
    (chat(), split("ab"), "eos_token"),
    (chat(logprobs=True, top_logprobs=2), split("ab"), "length"),
    (chat(tools=TOOLS), split(CALL), "eos_token"),
    (chat(tools=TOOLS), split(WORDS), "eos_token"),
    (chat(tools=TOOLS), split(CALL)[:-4], "length"),
    (chat(stream_options={"include_usage": True}), split("ab"), "stop_sequence"),
]


@pytest.mark.parametrize(("request_", "tokens", "reason"), REQUESTS)
def test_openai_reads_replies(
    request_: ChatRequest, tokens: list[Token], reason: FinishReason
) -> None:
    types = pytest.importorskip("openai.types.chat")
    reply = chat_completion(request_, whole(tokens, reason), ENVELOPE, 1).to_dict()
    read = types.ChatCompletion.model_validate(reply)
    assert reply == read.model_dump(exclude_unset=True)
    for chunk in streamed(request_, tokens, reason):
        read = types.ChatCompletionChunk.model_validate(chunk.to_dict())
        assert chunk.to_dict() == read.model_dump(exclude_unset=True)


@pytest.mark.parametrize(("request_", "tokens", "reason"), REQUESTS)
def test_openai_adds_chunks_up_to_the_reply(
    request_: ChatRequest, tokens: list[Token], reason: FinishReason
) -> None:
    types = pytest.importorskip("openai.types.chat")
    streaming = pytest.importorskip("openai.lib.streaming.chat")
    state = streaming.ChatCompletionStreamState(input_tools=TOOLS)
    for chunk in streamed(request_, tokens, reason):
        state.handle_chunk(types.ChatCompletionChunk.model_validate(chunk.to_dict()))
    summed = state.current_completion_snapshot.choices[0]
    reply = chat_completion(request_, whole(tokens, reason), ENVELOPE, 9, new_id=lambda: "call_0")
    (choice,) = reply.choices
    assert summed.message.role == "assistant"
    assert (summed.message.content or None) == choice.message.content
    assert summed.finish_reason == choice.finish_reason
    calls = [
        (call.id, call.type, call.function.name, call.function.arguments)
        for call in summed.message.tool_calls or ()
    ]
    assert calls == [
        (call.id, "function", call.function.name, call.function.arguments)
        for call in choice.message.tool_calls
    ]


def test_openai_reads_completions() -> None:
    types = pytest.importorskip("openai.types")
    request = CompletionRequest.parse({"prompt": "a", "logprobs": 1})
    reply = completion(request, [(whole(split("ab"), "eos_token"), 1)], ENVELOPE).to_dict()
    assert types.Completion.model_validate(reply).model_dump(exclude_unset=True) == reply


@pytest.mark.parametrize(("request_", "tokens", "reason"), REQUESTS)
def test_the_hub_client_reads_replies(
    request_: ChatRequest, tokens: list[Token], reason: FinishReason
) -> None:
    hub = pytest.importorskip("huggingface_hub")
    reply = chat_completion(request_, whole(tokens, reason), ENVELOPE, 1)
    read = hub.ChatCompletionOutput.parse_obj_as_instance(reply.to_dict())
    (choice,) = reply.choices
    assert read.choices[0].message.content == choice.message.content
    assert read.choices[0].finish_reason == choice.finish_reason
    for call, expected in zip(
        read.choices[0].message.tool_calls or (), choice.message.tool_calls, strict=True
    ):
        assert call.function.arguments == expected.function.arguments
    text = ""
    for chunk in streamed(request_, tokens, reason):
        part = hub.ChatCompletionStreamOutput.parse_obj_as_instance(chunk.to_dict())
        text += "".join(one.delta.content or "" for one in part.choices)
    assert text == (choice.message.content or "")
