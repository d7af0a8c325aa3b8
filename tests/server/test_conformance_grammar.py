"""Conformance cases 29, 31 and 37: grammars of the documentation, and those its server fails on.

The rows are those of section 14 of the specification. Each grammar is answered by the application
and the answer is held against `jsonschema` or `re`, which know nothing of this project.
"""

from __future__ import annotations

import json
import re
from typing import Annotated, Any

import jsonschema
import pydantic
import pytest

SHORT = {"type": "string", "maxLength": 3}
NUMBERED: dict[str, Any] = {f"p{i}": {"enum": [i]} for i in range(14)}
ADDRESS = r"((25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3}(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"


def person() -> Any:
    """The documentation's example of a model with a bounded integer."""

    class Person(pydantic.BaseModel):
        name: Annotated[str, pydantic.Field(max_length=5)]
        age: Annotated[int, pydantic.Field(ge=18, le=99)]

    return Person


def an_object(properties: dict[str, Any], *required: str, **more: Any) -> dict[str, Any]:
    """A closed object."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
        **more,
    }


SCHEMAS: dict[str, Any] = {
    "W8 bounds": {"type": "integer", "minimum": 17, "maximum": 19, "multipleOf": 9},
    "W8 different items": {
        "type": "array", "items": {"enum": [1, 2, 3]}, "minItems": 3, "uniqueItems": True,
    },
    "W8 contains": {
        "type": "array", "items": {"enum": [1, 2]}, "contains": {"const": 2}, "minContains": 2,
        "maxItems": 3,
    },
    "W8 patterns of names": {
        "type": "object", "patternProperties": {"^a$": {"const": 1}}, "required": ["a"],
        "additionalProperties": False,
    },
    "W8 values of other names": {
        "type": "object", "properties": {"a": {"const": 1}}, "required": ["a", "b"],
        "additionalProperties": {"const": 2}, "maxProperties": 2,
    },
    "W8 number of members": an_object({"a": {"const": 1}, "b": {"const": 2}}, minProperties=2),
    "W8 dependent": an_object(
        {"a": {"const": 1}, "b": {"const": 2}}, "a", dependentRequired={"a": ["b"]}
    ),
    "W8 conditions": {
        "enum": [1, 2, "x"], "if": {"type": "integer"}, "then": {"const": 2}, "else": False,
    },
    "W8 not": {"enum": ["a", "b"], "not": {"const": "a"}},
    "W8 number of items": {
        "type": "array", "prefixItems": [{"const": 1}], "items": {"const": 2}, "minItems": 3,
        "maxItems": 3,
    },
    "W9 allOf": {"allOf": [{"enum": [1, 2, 3]}, {"enum": [3, 4]}]},
    "W9 oneOf": {"oneOf": [{"enum": [1, 2]}, {"enum": [2, 3]}], "type": "integer"},
    "W9 siblings": {"$ref": "#/$defs/a", "maximum": 1, "$defs": {"a": {"enum": [1, 2, 3]}}},
    "W9 lengths and a pattern": {"type": "string", "pattern": "^[ab]+$", "minLength": 3,
                                 "maxLength": 5},
    "W9 a pattern of alternatives": {"type": "string", "pattern": "^(foo|foobar)$"},
    "W9 anything as a member": an_object({"a": {}, "b": {"const": 1}}, "a", "b"),
    "W9 time": {"type": "string", "format": "time"},
    "W9 names that are escaped": an_object({'a"b\\c': {"const": 1}}, 'a"b\\c'),
    "W9 names that only required knows": {
        "type": "object", "required": ["x"], "additionalProperties": {"const": 1},
        "maxProperties": 1,
    },
    "W10 types as a list": {"type": ["boolean", "null"]},
    "W10 a boolean": an_object({"a": True}, "a"),
    "W10 annotations only": {"title": "anything", "maxLength": 9, "maxProperties": 1},
    "W10 values that are containers": {"enum": [{"a": [1, {}]}, [[]]]},
    "W10 a format": {"type": "string", "format": "ipv4"},
    "W10 a reference through an array": {
        "$ref": "#/anyOf/0", "anyOf": [{"const": "a"}, {"const": "b"}],
    },
    "W10 a reference with escapes": {"$ref": "#/$defs/a~1b%25", "$defs": {"a/b%": {"const": 1}}},
    "W11 recursion": {
        "$ref": "#/$defs/tree",
        "$defs": {"tree": an_object(
            {"left": {"$ref": "#/$defs/tree"}, "value": {"enum": [1]}}, "value"
        )},
    },
    "W12 all optional": an_object(NUMBERED),
    "W13 lines": {"const": "two\nlines\t\u2028"},
}  # fmt: skip

REGEXES = {
    "W6 anchors": r"^ab$",
    "W6 word boundary": r"ab\b cd",
    "W6 property": r"\p{Lu}{2}",
    "W6 lookahead": r"a(?=bc)b[a-z]",
    "W6 not English": "é+è",
    "W19 an address": ADDRESS,
    "docs: escaped dots": r"(?:\d{1,3}\.){3}\d{1,3}",
    "docs: a mail": r"\w{1,6}@\w{1,6}\.\w{2,3}",
}


def test_case_29_a_model_of_the_documentation(api: Any) -> None:
    model = person()
    text = api.complete({"type": "json", "value": model.model_json_schema()})
    assert model.model_validate_json(text)


@pytest.mark.parametrize("name", SCHEMAS)
@pytest.mark.parametrize("values", [{}, {"do_sample": True, "seed": 7}], ids=["greedy", "sampled"])
def test_case_31_schemas(api: Any, name: str, values: dict[str, Any]) -> None:
    schema = SCHEMAS[name]
    text = api.complete({"type": "json", "value": schema}, **values)
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    jsonschema.Draft202012Validator(schema, format_checker=checker).validate(json.loads(text))


@pytest.mark.parametrize("name", REGEXES)
def test_case_29_and_31_regexes(api: Any, name: str) -> None:
    pattern = REGEXES[name]
    text = api.complete({"type": "regex", "value": pattern})
    if "property" in name:
        assert len(text) == 2
        assert text.isupper()
    else:
        assert re.fullmatch(pattern, text)


def test_case_31_an_empty_regex_allows_nothing(api: Any) -> None:
    assert api.complete({"type": "regex", "value": ""}) == ""


def test_case_31_what_is_refused_is_refused_by_name(api: Any) -> None:
    backreference = api.refused(grammar={"type": "regex", "value": r"(a|b)\1"})
    assert "backreference" in backreference
    outside = {"$ref": "https://example.com/other.json"}
    assert "other.json" in api.refused(grammar={"type": "json", "value": outside})


@pytest.mark.parametrize(
    "form",
    [
        {"type": "json_object"},
        {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}},
    ],
    ids=["json_object", "json_schema"],
)
def test_case_31_any_object(api: Any, form: dict[str, Any]) -> None:
    """W14 and W16: any object at all, asked for in the forms of OpenAI."""
    found = api.chat(response_format=form, max_tokens=40, temperature=0)["choices"][0]
    assert found["message"]["content"].startswith("{")
    if found["finish_reason"] == "stop":
        assert isinstance(json.loads(found["message"]["content"]), dict)


def test_case_37_objects_in_a_chat(api: Any) -> None:
    name = {"type": "string", "minLength": 4, "maxLength": 8}
    cats = {"type": "integer", "minimum": 0, "maximum": 99}
    flat = an_object({"first": name, "last": name, "numCats": cats}, "first", "last", "numCats")
    inner = an_object({"a": {"const": 1}, "b": {"const": 2}}, "a")
    items = {"type": "array", "minItems": 1, "maxItems": 3, "items": inner}
    nested = an_object({"who": flat, "list": items}, "who", "list")
    for schema in (flat, nested):
        form = {"type": "json_schema", "json_schema": {"name": "p", "schema": schema}}
        asked = {"response_format": form, "temperature": 0, "max_tokens": 200}
        (whole,) = api.chat(**asked)["choices"]
        assert whole["finish_reason"] == "stop"
        value = json.loads(whole["message"]["content"])
        jsonschema.Draft202012Validator(schema).validate(value)
        chunks = [chunk["choices"][0] for chunk in api.chat(**asked, stream=True)]
        said = "".join(chunk["delta"].get("content") or "" for chunk in chunks)
        assert said == whole["message"]["content"]
        assert chunks[-1]["finish_reason"] == "stop"
        assert not chunks[-1]["delta"].get("content")
