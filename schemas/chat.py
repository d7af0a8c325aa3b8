"""A chat request: what OpenAI's clients and the text-generation clients send, read exactly.

Every field of the contract is either honoured or refused by name. `to_generate` turns the
request into an ordinary one: the prompt comes from the chat template, `response_format` or the
tools become its grammar.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field, WithJsonSchema

from .errors import ToolError
from .grammar import GRAMMAR_FIELD, parse_grammar
from .openai_parameters import STRICT, OpenAiRequest, array
from .parameters import refuse
from .tools import Tool, ToolChoice, ToolPlan, parse_tool_choice, plan_tools, renamed


def _joined(value: object) -> object:
    """The text of a content that is given in parts, one behind the other."""
    return "".join(map(_part, value)) if isinstance(value, list) else value


def _part(part: object) -> str:
    kind = part.get("type") if isinstance(part, Mapping) else None
    if kind == "image_url":
        refuse("this model reads text only; leave the image_url parts out", "messages")
    if kind != "text" or not isinstance(part, Mapping) or not isinstance(part.get("text"), str):
        refuse('a part of a content must be {"type": "text", "text": ...}', "messages")
    return str(part["text"])


def _json_object(value: object) -> object:
    if not isinstance(value, str | dict | None):
        refuse("arguments of a tool call must be a string of JSON", "messages")
    return value


def _readable_grammar(value: object) -> object:
    parse_grammar(value)
    return value


_PART = {
    "type": "object",
    "required": ["type", "text"],
    "properties": {"type": {"const": "text"}, "text": {"type": "string"}},
}
_Content = Annotated[
    str | None,
    BeforeValidator(_joined),
    WithJsonSchema({"anyOf": [{"type": ["string", "null"]}, {"type": "array", "items": _PART}]}),
]
_Arguments = Annotated[
    Any,
    BeforeValidator(_json_object),
    WithJsonSchema({"type": ["string", "object", "null"]}),
]
_TOOL_CHOICE = {
    "anyOf": [
        {"type": ["string", "null"]},
        {
            "type": "object",
            "required": ["function"],
            "properties": {
                "function": {
                    "type": "object",
                    "required": ["name"],
                    "properties": {"name": {"type": "string"}},
                }
            },
        },
    ]
}


class CalledFunction(BaseModel):
    """The function of an earlier call; `arguments` is JSON text, or the object itself."""

    model_config = STRICT

    name: str
    arguments: _Arguments = None

    def to_template(self) -> dict[str, Any]:
        """Return the object that chat templates expect, with the arguments as an object."""
        return {"name": self.name, "arguments": _object_or_text(self.arguments)}


def _object_or_text(arguments: object) -> object:
    if not isinstance(arguments, str):
        return {} if arguments is None else arguments
    try:
        found = json.loads(arguments)
    except (ValueError, RecursionError):  # cut off by a length; templates can still show it
        return arguments
    return found if isinstance(found, dict) else arguments


class EarlierCall(BaseModel):
    """A tool call in a message of the assistant."""

    model_config = STRICT

    id: str | None = None
    type: str | None = None
    function: Annotated[CalledFunction, renamed("parameters", "arguments")]

    def to_template(self) -> dict[str, Any]:
        """Return the object that chat templates expect."""
        call = {"type": "function", "function": self.function.to_template()}
        return call if self.id is None else {"id": self.id, **call}


class ChatMessage(BaseModel):
    """One message; the parts of its content are joined. Only a call may come without content."""

    model_config = STRICT

    role: str = Field(min_length=1)
    content: _Content = None
    name: str | None = None
    tool_calls: Annotated[tuple[EarlierCall, ...] | None, array("tool_calls")] = None
    tool_call_id: str | None = None

    def to_template(self) -> dict[str, Any]:
        """Return the object that chat templates expect; absent content is "", which they can add.

        Optional keys are there only where the message has them.
        """
        found: dict[str, Any] = {"role": self.role, "content": self.content or ""}
        for key in ("name", "tool_call_id"):
            if getattr(self, key) is not None:
                found[key] = getattr(self, key)
        if self.tool_calls:
            found["tool_calls"] = [call.to_template() for call in self.tool_calls]
        return found


class ChatRequest(OpenAiRequest):
    """The body of a chat request; frozen, unknown names are ignored. Made with `parse`."""

    messages: Annotated[
        tuple[ChatMessage, ...],
        array("messages"),
        Field(json_schema_extra={"minItems": 1}),
    ]
    logprobs: bool | None = None
    max_completion_tokens: int | None = Field(default=None, ge=0, le=2**32 - 1)
    response_format: Annotated[
        Any, BeforeValidator(_readable_grammar), WithJsonSchema(GRAMMAR_FIELD)
    ] = None
    tool_choice: Annotated[Any, WithJsonSchema(_TOOL_CHOICE)] = None
    tool_prompt: str | None = None
    tools: Annotated[tuple[Tool, ...] | None, array("tools")] = None
    top_logprobs: int | None = Field(default=None, ge=0, le=2**32 - 1)

    def check(self) -> None:
        """Raise ValidationError or ToolError for the first thing that cannot be honoured."""
        super().check()
        if not self.messages:
            refuse("messages must not be empty", "messages")
        for index, message in enumerate(self.messages):
            if message.content is None and not message.tool_calls:
                refuse(f"messages.{index} needs content or tool_calls", "messages")
        if self.top_logprobs and not self.logprobs:
            refuse('top_logprobs needs "logprobs": true', "top_logprobs")
        if self.tools is not None and parse_grammar(self.response_format) is not None:
            raise ToolError("response_format and tools exclude each other; send one of them")
        plan = self.tool_plan()
        if plan is not None:
            parse_grammar(plan.grammar())  # what is no JSON, or too deep, never meets a template

    def tool_plan(self) -> ToolPlan | None:
        """Return which tools are open to the model; None where tools play no part."""
        return plan_tools(self.tools, self._tool_choice())

    def _tool_choice(self) -> ToolChoice:
        return parse_tool_choice(self.tool_choice)

    def template_messages(self, *, describe_tools: bool = False) -> list[dict[str, Any]]:
        """Return what the chat template renders.

        Where tools are open, the last message of the user ends with how a call is written.
        `describe_tools` adds the tools too, for templates that do not use `template_tools`.
        """
        messages = [message.to_template() for message in self.messages]
        plan = self.tool_plan()
        if plan is None:
            return messages
        told = plan.instruction(self.tool_prompt, with_tools=describe_tools)
        for message in reversed(messages):
            if message["role"] == "user":
                message["content"] = f"{message['content']}\n\n{told}"
                return messages
        return [{"role": "system", "content": told}, *messages]

    def template_tools(self) -> list[dict[str, Any]] | None:
        """Return the open tools for the chat template; None where tools play no part."""
        plan = self.tool_plan()
        return None if plan is None else [tool.to_template() for tool in plan.tools]

    def values(self) -> dict[str, Any]:
        """Return the fields of `OpenAiParameters` that this request sets."""
        plan = self.tool_plan()
        return {
            **super().values(),
            "grammar": self.response_format if plan is None else plan.grammar(),
            "max_new_tokens": self._most_tokens(),
            "top_n_tokens": self.top_logprobs,
        }

    def _most_tokens(self) -> int | None:
        """The newer of the two names wins where both are sent."""
        newer = self.max_completion_tokens
        return self.max_tokens if newer is None else newer
