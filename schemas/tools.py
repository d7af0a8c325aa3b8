"""Tools as one grammar: what the model writes is either a call or an answer in words.

The text is a JSON object, `{"name": <tool>, "arguments": {...}}`. Where the model may also answer
without a tool, one more object is allowed, `{"name": "no_tool", "content": <string>}`, and its
content is what the client gets; so one pass decides and answers. The name of that object avoids
the names of the tools. The parameters of each tool are a schema resource of their own, so that
references inside them still lead where they led before they were moved into the grammar.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field, WithJsonSchema

from .errors import ToolError
from .openai_parameters import STRICT

NO_TOOL = "no_tool"


def renamed(old: str, new: str) -> BeforeValidator:
    """Return a validator that reads the key `old` of an object as `new`, where `new` is absent."""

    def rename(value: object) -> object:
        if not isinstance(value, Mapping) or value.get(new) is not None:
            return value
        return {**value, new: value.get(old)}

    return BeforeValidator(rename)


class ToolFunction(BaseModel):
    """A function that the model may call; without `parameters` it takes none."""

    model_config = STRICT

    name: str = Field(min_length=1)
    description: str | None = None
    parameters: Annotated[dict[str, Any] | None, WithJsonSchema({"type": ["object", "null"]})] = (
        None
    )

    def to_template(self) -> dict[str, Any]:
        """Return the object that chat templates expect."""
        return {
            "name": self.name,
            "description": self.description or "",
            "parameters": self.parameters or {"type": "object", "properties": {}},
        }


class Tool(BaseModel):
    """A member of `tools`; functions are the only kind."""

    model_config = STRICT

    type: Literal["function"] | None = None
    function: Annotated[ToolFunction, renamed("arguments", "parameters")]

    def to_template(self) -> dict[str, Any]:
        """Return the object that chat templates expect."""
        return {"type": "function", "function": self.function.to_template()}


@dataclass(frozen=True)
class ToolChoice:
    """What `tool_choice` says; `name` only where `mode` is "named"."""

    mode: Literal["auto", "none", "required", "named"]
    name: str = ""


def parse_tool_choice(value: object) -> ToolChoice:
    """Read any spelling of `tool_choice`; null is "auto", another word is the name of a function.

    Raises ToolError for what is neither a word nor `{"function": {"name": ...}}`.
    """
    match value:
        case None | "auto":
            return ToolChoice("auto")
        case "none":
            return ToolChoice("none")
        case "required":
            return ToolChoice("required")
        case str(name) | {"function": {"name": str(name)}}:
            return ToolChoice("named", name)
    raise ToolError(
        'tool_choice must be "auto", "none", "required", the name of a function, '
        'or {"type": "function", "function": {"name": ...}}'
    )


@dataclass(frozen=True)
class ToolPlan:
    """The tools that are open to the model; `no_tool` names the way around them, None if closed."""

    tools: tuple[Tool, ...]
    no_tool: str | None

    def grammar(self) -> dict[str, Any]:
        """Return the `grammar` field: one object per tool, and the one for an answer in words."""
        forms = [
            _object(tool.function.name, "arguments", _resource(tool.function.parameters, index))
            for index, tool in enumerate(self.tools)
        ]
        if self.no_tool is not None:
            forms.append(_object(self.no_tool, "content", {"type": "string"}))
        return {"type": "json", "value": {"anyOf": forms}}

    def instruction(self, sentence: str | None = None, *, with_tools: bool = False) -> str:
        """Return what the model must be told about the form; `sentence` replaces the wording.

        `with_tools` adds the tools themselves, for chat templates that do not show them.
        """
        told = self._wording() if sentence is None else sentence
        if not with_tools:
            return told
        functions = [tool.function.to_template() for tool in self.tools]
        return f"{told}\n{json.dumps(functions, ensure_ascii=False)}"

    def _wording(self) -> str:
        call = 'To call a function, write {"name": <its name>, "arguments": {<its arguments>}}.'
        if self.no_tool is None:
            return f"Answer with one JSON object. {call}"
        words = f'{{"name": "{self.no_tool}", "content": "<the answer>"}}'
        return f"Answer with one JSON object. {call} To answer in words, write {words}."


def plan_tools(tools: tuple[Tool, ...] | None, choice: ToolChoice) -> ToolPlan | None:
    """Return what is open to the model; None where tools play no part.

    Raises ToolError for two tools of one name, and for a choice that the tools do not offer.
    """
    names = [tool.function.name for tool in tools or ()]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ToolError(f"two tools are called {twice!r}; give each its own name")
    if choice.mode == "named" and choice.name not in names:
        raise ToolError(f"tool_choice names {choice.name!r}, which is not one of the tools")
    if choice.mode == "required" and not names:
        raise ToolError('tool_choice "required" needs at least one tool')
    if not tools or choice.mode == "none":
        return None
    if choice.mode == "named":
        tools = tuple(tool for tool in tools if tool.function.name == choice.name)
    return ToolPlan(tools, _free_name(names) if choice.mode == "auto" else None)


def tool_grammar(tools: Iterable[Mapping[str, Any]], tool_choice: object) -> dict[str, Any] | None:
    """Return the `grammar` field for `tools` and `tool_choice` as sent; None without any part.

    Raises ToolError as `plan_tools` and `parse_tool_choice` do.
    """
    read = tuple(Tool.model_validate(dict(tool)) for tool in tools)
    plan = plan_tools(read, parse_tool_choice(tool_choice))
    return None if plan is None else plan.grammar()


def _free_name(taken: list[str]) -> str:
    name = NO_TOOL
    while name in taken:
        name += "_"
    return name


def _object(name: str, key: str, value: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"name": {"const": name}, key: value},
        "required": ["name", key],
        "additionalProperties": False,
    }


def _resource(parameters: dict[str, Any] | None, index: int) -> dict[str, Any]:
    """The schema of the arguments, with an `$id` of its own and as an object by default."""
    if parameters is None:
        return {"type": "object", "additionalProperties": False}
    own = parameters.get("$id", "")
    if not isinstance(own, str) or own.startswith("#") or not own:
        own = f"tool:{index}"  # a fragment names a place, not a resource
    return {"type": "object", **parameters, "$id": own}
