"""Chat requests: every field that is read, every one that is refused, what reaches the engine."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from lockstitch.schemas.chat import ChatRequest
from lockstitch.schemas.errors import (
    GrammarTooLargeError,
    InvalidGrammarError,
    ToolError,
    ValidationError,
)
from lockstitch.schemas.openai_parameters import OpenAiParameters
from lockstitch.schemas.parameters import Limits
from lockstitch.schemas.request import GenerateRequest, check_request
from lockstitch.schemas.wire_schema import wire_schema

USER = {"role": "user", "content": "hi"}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
NAMED = {"name": "f"}
SCHEMA = {"type": "object", "properties": {"a": {"const": None}}}


def parse(**fields: Any) -> ChatRequest:
    return ChatRequest.parse({"messages": [USER], **fields})


def parameters(**fields: Any) -> OpenAiParameters:
    request = parse(**fields).to_generate("prompt", stream=False)
    assert isinstance(request.parameters, OpenAiParameters)
    check_request(request, Limits().for_context(100))
    return request.parameters


def refusal(**fields: Any) -> tuple[str | None, str]:
    with pytest.raises(ValidationError) as caught:
        parse(**fields)
    assert (caught.value.status, caught.value.error_type) == (422, "validation")
    return caught.value.parameter, caught.value.message.removeprefix("Input validation error: ")


def test_the_field_names_are_those_of_the_contract() -> None:
    assert sorted(ChatRequest.model_fields) == [
        "frequency_penalty",
        "logit_bias",
        "logprobs",
        "max_completion_tokens",
        "max_tokens",
        "messages",
        "model",
        "n",
        "presence_penalty",
        "response_format",
        "seed",
        "stop",
        "stream",
        "stream_options",
        "temperature",
        "tool_choice",
        "tool_prompt",
        "tools",
        "top_logprobs",
        "top_p",
    ]


def test_null_is_unset_everywhere() -> None:
    names = set(ChatRequest.model_fields) - {"messages"}
    assert parse(**dict.fromkeys(names)) == parse()
    assert parse(user="me", store=True, unknown=[1]) == parse()


def test_an_engine_request_with_nothing_set_samples_and_has_details() -> None:
    request = parse().to_generate("the prompt", stream=True)
    assert request == GenerateRequest(
        inputs="the prompt",
        parameters=OpenAiParameters(details=True, do_sample=True),
        stream=True,
    )
    assert request.parameters.sampling
    assert request.parameters.generated_penalties == (0.0, 0.0)


def test_temperature_zero_takes_the_likeliest_token_whatever_else_is_sent() -> None:
    assert not parameters(temperature=0, top_p=0.5).sampling
    assert not parameters(temperature=0.0, top_p=1, seed=3).sampling
    assert parameters(temperature=0.5).temperature == 0.5
    assert parameters(temperature=1).sampling


def test_top_p_of_one_is_off() -> None:
    assert parameters(top_p=1).top_p is None
    assert parameters(top_p=0.5).top_p == 0.5


def test_the_penalties_are_those_of_generated_tokens() -> None:
    found = parameters(frequency_penalty=0.5, presence_penalty=-1)
    assert found.generated_penalties == (0.5, -1.0)
    assert (found.frequency_penalty, found.repetition_penalty) == (None, None)


@pytest.mark.parametrize(
    ("fields", "name", "value"),
    [
        ({"max_tokens": 7}, "max_new_tokens", 7),
        ({"max_completion_tokens": 8}, "max_new_tokens", 8),
        ({"max_tokens": 7, "max_completion_tokens": 8}, "max_new_tokens", 8),
        ({"seed": 2**64 - 1}, "seed", 2**64 - 1),
        ({"stop": "a"}, "stop", ("a",)),
        ({"stop": ["a", "b"]}, "stop", ("a", "b")),
        ({"logprobs": True, "top_logprobs": 3}, "top_n_tokens", 3),
        ({"logit_bias": {}}, "adapter_id", None),
        ({"logit_bias": []}, "adapter_id", None),
        ({"n": 1}, "best_of", None),
    ],
    ids=str,
)
def test_what_a_field_becomes(fields: dict[str, Any], name: str, value: object) -> None:
    assert getattr(parameters(**fields), name) == value


@pytest.mark.parametrize(
    ("fields", "parameter", "sentence"),
    [
        ({"n": 2}, "n", "n must be 1"),
        ({"n": 0}, "n", "n must be 1"),
        ({"n": True}, "n", "n must be 1"),
        ({"logit_bias": {"5": -100}}, "logit_bias", "logit_bias is not offered"),
        ({"logit_bias": [1]}, "logit_bias", "logit_bias is not offered"),
        ({"logit_bias": 3}, "logit_bias", "logit_bias must be an object"),
        ({"temperature": -0.1}, "temperature", "temperature must be >= 0"),
        ({"temperature": "1"}, "temperature", "temperature must be a number"),
        ({"temperature": 1e39}, "temperature", "temperature must fit a 32-bit float"),
        ({"frequency_penalty": 2.1}, "frequency_penalty", "must lie in [-2, 2]"),
        ({"presence_penalty": -2.1}, "presence_penalty", "must lie in [-2, 2]"),
        ({"presence_penalty": float("nan")}, "presence_penalty", "must be a finite number"),
        ({"max_tokens": 1.0}, "max_tokens", "max_tokens must be an integer"),
        ({"max_completion_tokens": -1}, "max_completion_tokens", "must be >= 0"),
        ({"seed": -1}, "seed", "seed must be >= 0"),
        ({"stop": 5}, "stop", "stop must be an array of strings"),
        ({"stop": ["a", 5]}, "stop", "stop.1 must be a string"),
        ({"stream": "yes"}, "stream", "stream must be true or false"),
        ({"stream_options": True}, "stream_options", "stream_options must be an object"),
        ({"top_logprobs": 3}, "top_logprobs", 'top_logprobs needs "logprobs": true'),
        ({"messages": None}, "messages", "messages must be an array"),
        ({"messages": "hi"}, "messages", "messages must be an array"),
        ({"messages": []}, "messages", "messages must not be empty"),
        ({"messages": ["hi"]}, "messages", "messages.0 must be an object"),
        ({"messages": [USER, {"content": "a"}]}, "messages", "messages.1.role is required"),
        ({"messages": [{"role": "user"}]}, "messages", "messages.0 needs content or tool_calls"),
        ({"messages": [{"role": "tool", "content": None}]}, "messages", "messages.0 needs content"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages", "content must be a string"),
        ({"messages": [{"role": "user", "content": ["a"]}]}, "messages", "a part of a content"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages", "a part of"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
            "messages",
            "this model reads text only",
        ),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"id": "1"}]}]},
            "messages",
            "messages.0.tool_calls.0.function is required",
        ),
        (
            {"messages": [{"role": "a", "tool_calls": [{"function": {"arguments": 5, **NAMED}}]}]},
            "messages",
            "arguments of a tool call must be a string of JSON",
        ),
        ({"tools": {}}, "tools", "tools must be an array"),
        ({"tools": [{"type": "custom", "function": {"name": "f"}}]}, "tools", "tools.0.type"),
        ({"tools": [{"type": "function"}]}, "tools", "tools.0.function is required"),
        ({"tools": [{"function": {"name": 5}}]}, "tools", "tools.0.function.name must be a string"),
        ({"tools": [{"function": {"name": "f", "parameters": [1]}}]}, "tools", "must be an object"),
    ],
    ids=str,
)  # fmt: skip
def test_refusals_name_the_field(fields: dict[str, Any], parameter: str, sentence: str) -> None:
    name, message = refusal(**fields)
    assert name == parameter
    assert sentence in message
    assert "\n" not in message


def test_a_body_must_be_an_object_with_messages() -> None:
    with pytest.raises(ValidationError, match="must be a JSON object"):
        ChatRequest.parse([USER])
    with pytest.raises(ValidationError, match="messages is required"):
        ChatRequest.parse({})


def test_the_engine_has_the_last_word_on_its_limits() -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"stop": list("abcde")}, "stop"),
        ({"stop": ""}, "stop"),
        ({"logprobs": True, "top_logprobs": 6}, "top_n_tokens"),
        ({"max_tokens": 0}, "max_new_tokens"),
        ({"top_p": 1.5}, "top_p"),
    ]
    for fields, name in wrong:
        with pytest.raises(ValidationError) as caught:
            parameters(**fields)
        assert caught.value.parameter == name


# --- response_format -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "form",
    [
        {"type": "json_object"},
        {"type": "json_object", "value": SCHEMA},
        {"type": "json", "value": SCHEMA},
        {"type": "regex", "value": "a+"},
        {"type": "json_schema", "value": {"name": "x", "schema": SCHEMA, "strict": True}},
        {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA, "strict": True}},
        {"type": "text"},
        None,
    ],
    ids=str,
)
def test_a_response_format_is_the_grammar_as_it_was_sent(form: object) -> None:
    assert parameters(response_format=form).grammar == form


@pytest.mark.parametrize("form", [{"type": "xml"}, {"type": "json"}, "json", {"value": {}}])
def test_a_response_format_that_cannot_be_read(form: object) -> None:
    with pytest.raises(InvalidGrammarError):
        parse(response_format=form)


@pytest.mark.parametrize("tools", [[], [TOOL]])
@pytest.mark.parametrize("choice", [None, "none", "auto"])
def test_a_response_format_and_tools_exclude_each_other(tools: Any, choice: object) -> None:
    with pytest.raises(ToolError, match="exclude each other") as caught:
        parse(response_format={"type": "json_object"}, tools=tools, tool_choice=choice)
    assert (caught.value.status, caught.value.error_type) == (422, "tool_error")
    parse(response_format={"type": "json_object"}, tools=None)
    parse(response_format={"type": "text"}, tools=tools)


# --- messages ------------------------------------------------------------------------------------


def test_parts_are_joined() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b", "more": 1}]
    request = parse(messages=[{"role": "user", "content": parts}, USER])
    assert request.template_messages() == [{"role": "user", "content": "ab"}, USER]


def test_a_conversation_with_a_call() -> None:
    function = {"name": "f", "arguments": '{"a": 1}'}
    called = {"id": "call_1", "type": "function", "function": function}
    messages = [
        {"role": "system", "content": "s", "name": "boss"},
        USER,
        {"role": "assistant", "content": None, "tool_calls": [called], "refusal": None},
        {"role": "tool", "tool_call_id": "call_1", "content": "2"},
    ]
    told = parse(messages=messages).template_messages()
    assert told[0] == {"role": "system", "content": "s", "name": "boss"}
    assert told[2] == {
        "role": "assistant",
        "content": "",
        "tool_calls": [{**called, "function": {"name": "f", "arguments": {"a": 1}}}],
    }
    assert told[3] == {"role": "tool", "content": "2", "tool_call_id": "call_1"}


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        ({"name": "f", "arguments": '{"a": '}, '{"a": '),
        ({"name": "f", "arguments": "[1]"}, "[1]"),
        ({"name": "f", "arguments": "[" * 100_000}, "[" * 100_000),
        ({"name": "f", "arguments": {"a": 1}}, {"a": 1}),
        ({"name": "f", "parameters": {"a": 1}}, {"a": 1}),
        ({"name": "f"}, {}),
    ],
    ids=lambda value: str(value)[:40],
)
def test_arguments_of_an_earlier_call(function: dict[str, Any], arguments: object) -> None:
    message = {"role": "assistant", "tool_calls": [{"function": function}]}
    (told,) = parse(messages=[message]).template_messages()
    assert told["tool_calls"] == [
        {"type": "function", "function": {"name": "f", "arguments": arguments}}
    ]


# --- tools in the prompt -------------------------------------------------------------------------


def test_open_tools_are_told_to_the_model() -> None:
    messages = [USER, {"role": "assistant", "content": "go on"}]
    told = parse(messages=messages, tools=[TOOL]).template_messages()
    assert told[1] == messages[1]
    assert told[0]["content"].startswith("hi\n\nAnswer with one JSON object.")
    assert '"name": "no_tool", "content"' in told[0]["content"]
    assert '"parameters"' not in told[0]["content"]


def test_parameters_that_are_nested_too_deep_are_refused_before_the_template() -> None:
    deep: dict[str, Any] = {}
    for _ in range(600):
        deep = {"items": deep}
    tool = {"function": {"name": "f", "parameters": deep}}
    with pytest.raises(GrammarTooLargeError, match="levels of nesting"):
        parse(tools=[tool])
    assert parse(tools=[tool], tool_choice="none").template_tools() is None


def test_a_forced_call_has_no_way_in_words() -> None:
    for choice in ("required", "f", {"function": {"name": "f"}}):
        (message,) = parse(tools=[TOOL], tool_choice=choice).template_messages()
        assert "no_tool" not in message["content"]


def test_tools_can_be_described_and_the_wording_replaced() -> None:
    request = parse(tools=[TOOL], tool_prompt="Use these:")
    (message,) = request.template_messages(describe_tools=True)
    assert message["content"].startswith("hi\n\nUse these:\n[")
    assert '"name": "f"' in message["content"]


def test_without_a_user_the_system_is_told() -> None:
    system = {"role": "system", "content": "s"}
    told = parse(messages=[system], tools=[TOOL]).template_messages()
    assert [message["role"] for message in told] == ["system", "system"]


def test_tools_for_the_template() -> None:
    other = {"function": {"name": "g", "description": "d", "arguments": {"type": "object"}}}
    request = parse(tools=[TOOL, other])
    full = {"type": "object"}
    f = {"type": "function", "function": {"name": "f", "description": "", "parameters": full}}
    g = {"type": "function", "function": {"name": "g", "description": "d", "parameters": full}}
    assert request.template_tools() == [f, g]
    assert parse(tools=[TOOL, other], tool_choice="g").template_tools() == [g]
    closings: list[dict[str, Any]] = [{"tools": [TOOL], "tool_choice": "none"}, {"tools": []}, {}]
    for closed in closings:
        assert parse(**closed).template_tools() is None
        assert parse(**closed).template_messages() == [USER]
        assert parameters(**closed).grammar is None


# --- the rest ------------------------------------------------------------------------------------


def test_the_name_of_the_model_may_be_an_adapter() -> None:
    assert [parse(model=name).adapter_id for name in (None, "", "tgi", "dummy")] == [
        None, None, None, "dummy",
    ]  # fmt: skip
    assert parameters(model="dummy").adapter_id is None
    request = parse(model="poet").to_generate("x", stream=False, adapter_id="poet")
    assert request.parameters.adapter_id == "poet"


def test_usage_in_streams() -> None:
    assert parse(stream=True, stream_options={"include_usage": True}).include_usage
    assert not parse(stream=True, stream_options={"include_usage": None}).include_usage
    assert not parse(stream=True).include_usage


@pytest.mark.parametrize(
    ("fields", "valid"),
    [
        ({}, True),
        (dict.fromkeys(sorted(set(ChatRequest.model_fields) - {"messages"})), True),
        ({"stop": "a", "temperature": 0, "n": 1, "logit_bias": {}}, True),
        ({"stop": ["a"], "tools": [TOOL], "tool_choice": "f"}, True),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}]}]}, True),
        ({"messages": []}, False),
        ({"messages": [{"content": "a"}]}, False),
        ({"n": 2}, False),
        ({"logit_bias": {"1": 1}}, False),
        ({"temperature": -1}, False),
        ({"response_format": {"type": "json"}}, False),
        ({"tools": [{"function": {}}]}, False),
    ],
    ids=str,
)
def test_the_schema_of_a_request_says_what_is_read(fields: dict[str, Any], valid: bool) -> None:
    schema = {**wire_schema(), "$ref": "#/$defs/ChatRequest"}
    Draft202012Validator.check_schema(schema)
    assert Draft202012Validator(schema).is_valid({"messages": [USER], **fields}) is valid
    if valid:
        parse(**fields)
    else:
        with pytest.raises(ValidationError):
            parse(**fields)
