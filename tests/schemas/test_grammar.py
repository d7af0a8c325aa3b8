"""The `grammar` field: every form that is read, every value that is refused."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from lockstitch.schemas.errors import GrammarError, GrammarTooLargeError, InvalidGrammarError
from lockstitch.schemas.grammar import MAX_DEPTH, JsonGrammar, RegexGrammar, parse_grammar

SCHEMA = {"type": "object", "properties": {"b": {"type": "integer"}, "a": {}}, "required": ["b"]}


class Person(BaseModel):
    name: str
    age: Annotated[int, Field(ge=0)]


@pytest.mark.parametrize(
    "form",
    [
        {"type": "json", "value": SCHEMA},
        {"type": "json", "value": json.dumps(SCHEMA)},
        {"type": "json_object", "value": SCHEMA},
        {"type": "json_object", "value": json.dumps(SCHEMA), "ignored": 1},
        {"type": "json_schema", "value": {"name": "x", "schema": SCHEMA, "strict": True}},
        {"type": "json_schema", "value": {"schema": json.dumps(SCHEMA)}},
        {"type": "json_schema", "json_schema": {"schema": SCHEMA, "strict": True}},
        {"type": "json_schema", "value": None, "json_schema": {"schema": SCHEMA}},
        JsonGrammar(SCHEMA),
    ],
    ids=repr,
)
def test_all_spellings_are_the_same_schema(form: object) -> None:
    parsed = parse_grammar(form)
    assert isinstance(parsed, JsonGrammar)
    assert json.dumps(parsed.schema) == json.dumps(SCHEMA)  # the order of keys included


@pytest.mark.parametrize("value", [True, False, "true", "false"])
def test_booleans_are_schemas(value: object) -> None:
    expected = JsonGrammar(value in (True, "true"))
    assert parse_grammar({"type": "json", "value": value}) == expected
    assert parse_grammar({"type": "json_schema", "value": {"schema": value}}) == expected


def test_forms_without_a_schema() -> None:
    assert parse_grammar({"type": "json_object"}) == JsonGrammar({"type": "object"})
    assert parse_grammar({"type": "json_object", "value": None}) == JsonGrammar({"type": "object"})
    assert parse_grammar({"type": "text"}) is None
    assert parse_grammar(None) is None
    assert parse_grammar({"type": "regex", "value": ""}) == RegexGrammar("")
    assert parse_grammar(RegexGrammar("a+")) == RegexGrammar("a+")


@pytest.mark.parametrize(
    ("kind", "valid"),
    [
        (Person, {"name": "Ann", "age": 3}),
        (list[int], [1, 2]),
        (int | None, None),
        (Literal["a", "b"], "a"),
        (Annotated[int, Field(ge=3)], 3),
    ],
    ids=repr,
)
def test_python_types_are_their_schema(kind: Any, valid: object) -> None:
    validator = pytest.importorskip("jsonschema").Draft202012Validator
    for form in (kind, {"type": "json", "value": kind}):
        parsed = parse_grammar(form)
        assert isinstance(parsed, JsonGrammar)
        assert validator(parsed.schema).is_valid(valid)
        assert not validator(parsed.schema).is_valid({"other": 1})


class Opaque:
    pass


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({}, "type of the grammar is missing"),
        ({"type": "xml", "value": "a"}, "'xml' is unknown"),
        ({"type": ["json"]}, "is unknown"),
        ({"type": "json"}, 'needs a "value"'),
        ({"type": "json", "value": None}, 'needs a "value"'),
        ({"type": "json", "value": [1]}, "object or a JSON string, got an array"),
        ({"type": "json", "value": 3.5}, "got a number"),
        ({"type": "json", "value": "[1]"}, "got an array"),
        ({"type": "json", "value": '"a"'}, "got a string"),
        ({"type": "json", "value": "{"}, "not a valid JSON Schema"),
        ({"type": "json", "value": '{"a": 1, "a": 2}'}, "'a' appears twice"),
        ({"type": "json", "value": '{"maximum": NaN}'}, "NaN is not JSON"),
        ({"type": "json", "value": '{"maximum": -Infinity}'}, "-Infinity is not JSON"),
        ({"type": "json", "value": '{"maximum": 1e999}'}, "at /maximum: inf"),
        ({"type": "json", "value": {"enum": [float("nan")]}}, "at /enum/0: nan"),
        ({"type": "json", "value": {"enum": [{1, 2}]}}, "at /enum/0: set is not JSON"),
        ({"type": "json", "value": {"a/b": {"c~d": b""}}}, "at /a~1b/c~0d: bytes is not JSON"),
        ({"type": "json", "value": {"properties": {1: {}}}}, "at /properties: key 1"),
        ({"type": "json", "value": '{"maximum": ' + "9" * 5000 + "}"}, "not a valid JSON Schema"),
        ({"type": "json", "value": "[" * 100_000}, "nested too deep"),
        ({"type": "regex"}, 'needs a "value"'),
        ({"type": "regex", "value": 5}, "must be a string, got a number"),
        ({"type": "json_schema"}, 'needs {"schema": ...}'),
        ({"type": "json_schema", "value": SCHEMA}, 'needs {"schema": ...}'),
        ({"type": "json_schema", "value": {"schema": [1]}}, "got an array"),
        ("a+", "must be an object"),
        (5, "must be an object"),
        ([{"type": "text"}], "must be an object"),
        (Opaque, "has no JSON Schema"),
    ],
    ids=lambda value: repr(value)[:60],
)
def test_refusals_name_the_fault(form: object, words: str) -> None:
    with pytest.raises(InvalidGrammarError) as caught:
        parse_grammar(form)
    assert words in caught.value.message
    assert "\n" not in caught.value.message
    assert (caught.value.status, caught.value.parameter) == (422, "grammar")


def test_circles_and_depth_are_errors_and_sharing_is_not() -> None:
    circle: dict[str, Any] = {}
    circle["items"] = [circle]
    with pytest.raises(GrammarError, match="at /items/0: the schema contains itself"):
        parse_grammar({"type": "json", "value": circle})
    shared: dict[str, Any] = {}
    for _ in range(100):  # 2^100 paths
        shared = {"anyOf": [shared, shared]}
    assert parse_grammar({"type": "json", "value": shared}) == JsonGrammar(shared)
    deep: dict[str, Any] = {}
    for level in range(20_000):
        deep = {"items": deep}
        if level + 2 == MAX_DEPTH:
            assert parse_grammar({"type": "json", "value": deep}) is not None
    with pytest.raises(GrammarTooLargeError, match="levels of nesting"):
        parse_grammar({"type": "json", "value": deep})
