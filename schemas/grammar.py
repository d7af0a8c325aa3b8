"""The `grammar` field of a request, read into one of two plain forms.

Accepted are the forms of the text-generation task, the spellings that other clients send for the
same thing, and, in Python, pydantic models and types. Nothing is compiled here: the result holds a
JSON Schema as parsed JSON, or the text of a regular expression. What is not plain JSON (NaN,
cycles, sets) is refused here, so that no later step has to ask.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, get_origin

from pydantic import TypeAdapter
from pydantic.errors import PydanticUndefinedAnnotation, PydanticUserError

from .errors import GrammarTooLargeError, InvalidGrammarError

_FORMS = "json, json_object, json_schema, regex or text"
ANY_OBJECT = {"type": "object"}
_NOT_A_SCHEMA = "grammar is not a valid JSON Schema"
MAX_DEPTH = 500
"""Levels of objects and arrays inside each other, below what Python's own JSON can do."""

GRAMMAR_FIELD: dict[str, Any] = {
    "title": "Grammar",
    "description": "The language of the generated text; `json_object` alone is any JSON object.",
    "anyOf": [
        {"type": "null"},
        {
            "type": "object",
            "required": ["type", "value"],
            "properties": {
                "type": {"enum": ["json", "json_object"]},
                "value": {"type": ["object", "string", "boolean"]},
            },
        },
        {
            "type": "object",
            "required": ["type"],
            "properties": {"type": {"enum": ["json_object", "text"]}, "value": {"type": "null"}},
        },
        {
            "type": "object",
            "required": ["type", "value"],
            "properties": {"type": {"const": "regex"}, "value": {"type": "string"}},
        },
        *(
            {
                "type": "object",
                "required": ["type", key],
                "properties": {
                    "type": {"const": "json_schema"},
                    key: {
                        "type": "object",
                        "required": ["schema"],
                        "properties": {
                            "name": {"type": ["string", "null"]},
                            "schema": {"type": ["object", "boolean", "string"]},
                        },
                    },
                },
            }
            for key in ("value", "json_schema")
        ),
    ],
}
"""JSON Schema of the forms that can be sent; Python calls may also give types."""


@dataclass(frozen=True)
class JsonGrammar:
    """The JSON texts that validate against `schema`: a dict or a bool, all of it plain JSON."""

    schema: object


@dataclass(frozen=True)
class RegexGrammar:
    """The texts that match `pattern` from their first to their last character."""

    pattern: str


def parse_grammar(value: object) -> JsonGrammar | RegexGrammar | None:
    """Return what a `grammar` field says; None where it constrains nothing (null, type "text").

    Besides the wire forms a pydantic model or another type is read as its JSON Schema, and parsed
    grammars are returned as they are. Raises InvalidGrammarError naming the part at fault.
    """
    if value is None or isinstance(value, JsonGrammar | RegexGrammar):
        return value
    if _is_type(value):
        return JsonGrammar(_type_schema(value))
    if not isinstance(value, Mapping):
        raise InvalidGrammarError(
            f'grammar must be an object with "type" and "value", got {_kind(value)}'
        )
    return _parse_form(value)


def _parse_form(form: Mapping[Any, Any]) -> JsonGrammar | RegexGrammar | None:
    match form.get("type"):
        case "text":
            return None
        case "regex":
            return RegexGrammar(_pattern(_required(form, "value")))
        case "json":
            return JsonGrammar(_schema(_required(form, "value")))
        case "json_object":
            given = form.get("value")
            return JsonGrammar(ANY_OBJECT if given is None else _schema(given))
        case "json_schema":
            return JsonGrammar(_schema(_wrapped(form)))
        case None:
            raise InvalidGrammarError(f"the type of the grammar is missing; use {_FORMS}")
        case other:
            raise InvalidGrammarError(f"the type of the grammar {other!r} is unknown; use {_FORMS}")


def _required(form: Mapping[Any, Any], key: str) -> object:
    if form.get(key) is None:
        raise InvalidGrammarError(f'a grammar of type {form["type"]!r} needs a "{key}"')
    return form[key]


def _pattern(value: object) -> str:
    if not isinstance(value, str):
        raise InvalidGrammarError(f"the value of a regex must be a string, got {_kind(value)}")
    return value


def _wrapped(form: Mapping[Any, Any]) -> object:
    """The schema inside `{"name": ..., "schema": ...}`; OpenAI puts that under "json_schema"."""
    key = "value" if form.get("value") is not None else "json_schema"
    inner = form.get(key)
    if not isinstance(inner, Mapping) or inner.get("schema") is None:
        raise InvalidGrammarError(
            'a grammar of type "json_schema" needs {"schema": ...} under "value" or "json_schema"'
        )
    return inner["schema"]


def _schema(value: object) -> object:
    """A schema as given, or the one written in a JSON string, or that of a Python type."""
    if isinstance(value, str):
        text, (value, finite) = value, _parse_json(value)
        if isinstance(value, dict) and finite and not _is_deep(value, text):
            return value
    elif _is_type(value):
        value = _type_schema(value)
    if not isinstance(value, dict | bool):
        raise InvalidGrammarError(
            f"grammar value must be an object or a JSON string, got {_kind(value)}"
        )
    _check_plain(value)
    return value


def _parse_json(text: str) -> tuple[object, bool]:
    """Read a JSON text; tell also whether a float can hold each of its numbers."""
    try:
        try:
            return _FINITE.decode(text), True
        except _InfiniteError:
            return _decoder(float).decode(text), False
    except RecursionError:
        raise InvalidGrammarError(f"{_NOT_A_SCHEMA}: it is nested too deep") from None
    except ValueError as error:  # not JSON, or an integer of thousands of digits
        raise InvalidGrammarError(f"{_NOT_A_SCHEMA}: {error}") from error


class _InfiniteError(Exception):
    """A number that no float can hold."""


def _decoder(number: Callable[[str], float]) -> json.JSONDecoder:
    return json.JSONDecoder(
        object_pairs_hook=_unique, parse_constant=_refuse_constant, parse_float=number
    )


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise InvalidGrammarError(f"{_NOT_A_SCHEMA}: key {twice!r} appears twice")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise InvalidGrammarError(f"{_NOT_A_SCHEMA}: {name} is not JSON")


def _finite(digits: str) -> float:
    found = float(digits)
    if math.isinf(found):
        raise _InfiniteError
    return found


_FINITE = _decoder(_finite)


def _is_deep(root: dict[str, object], text: str) -> bool:
    """Whether the objects and arrays of a JSON text, of which none is shared, nest too deep."""
    if text.count("{") + text.count("[") <= MAX_DEPTH:
        return False
    level: list[dict[str, object] | list[object]] = [root]
    for _ in range(MAX_DEPTH):
        parts = [part.values() if isinstance(part, dict) else part for part in level]
        level = [item for part in parts for item in part if isinstance(item, dict | list)]
        if not level:
            return False
    return True


def _check_plain(root: object) -> None:
    """Refuse whatever JSON cannot say. Cost: linear, also where parts are shared or circular."""
    open_: list[tuple[int, Iterator[tuple[str, object]]]] = []
    on_path: set[int] = set()
    finished: set[int] = set()
    pending: Iterator[tuple[str, object]] = iter([("", root)])
    while True:
        for pointer, value in pending:
            _check_scalar(value, pointer)
            if id(value) in on_path:
                raise InvalidGrammarError("the schema contains itself; use $ref", pointer=pointer)
            if isinstance(value, dict | list) and id(value) not in finished:
                open_.append((id(value), pending))
                if len(open_) > MAX_DEPTH:
                    raise GrammarTooLargeError("levels of nesting", MAX_DEPTH, len(open_))
                on_path.add(id(value))
                pending = _children(value, pointer)
                break
        else:
            if not open_:
                return
            done, pending = open_.pop()
            on_path.discard(done)
            finished.add(done)


def _children(value: dict[Any, Any] | list[Any], pointer: str) -> Iterator[tuple[str, object]]:
    if isinstance(value, list):
        yield from ((f"{pointer}/{index}", item) for index, item in enumerate(value))
        return
    for key, item in value.items():
        if not isinstance(key, str):
            raise InvalidGrammarError(f"key {key!r} is not a string", pointer=pointer)
        yield f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}", item


def _check_scalar(value: object, pointer: str) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidGrammarError(f"{value} is not a JSON number", pointer=pointer)
    if value is not None and not isinstance(value, str | int | float | dict | list):
        raise InvalidGrammarError(f"{_kind(value)} is not JSON", pointer=pointer)


def _is_type(value: object) -> bool:
    return isinstance(value, type) or get_origin(value) is not None


def _type_schema(value: Any) -> object:
    try:
        return TypeAdapter(value).json_schema()
    except (PydanticUserError, PydanticUndefinedAnnotation) as error:
        reason = str(error).splitlines()[0]
        raise InvalidGrammarError(f"{value!r} has no JSON Schema: {reason}") from error


def _kind(value: object) -> str:
    """The JSON name of a value's type, or its Python name."""
    names = {type(None): "null", bool: "a boolean", dict: "an object", list: "an array"}
    names |= {str: "a string", int: "a number", float: "a number"}
    return names.get(type(value), type(value).__name__)
