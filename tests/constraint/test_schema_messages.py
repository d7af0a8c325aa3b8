"""The sentence of each refusal, whole: what is wrong, where, and what to change.

`golden/messages.json` has one case for each kind of invalid schema or regex and each construct that
is refused by name; cases that JSON cannot hold, or that are long, are made here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lockstitch.constraint.grammar import compile_grammar
from lockstitch.schemas import errors
from lockstitch.schemas.errors import GrammarError, GrammarTooLargeError, InvalidGrammarError

GOLDEN = json.loads((Path(__file__).parent / "golden" / "messages.json").read_text())


def refusal(grammar: Any, **options: Any) -> GrammarError:
    with pytest.raises(GrammarError) as caught:
        compile_grammar(grammar, **options)
    return caught.value


def schema(value: Any) -> dict[str, Any]:
    return {"type": "json", "value": value}


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: case["case"])
def test_the_sentence_and_its_fields(case: dict[str, Any]) -> None:
    error = refusal(case["grammar"], **case.get("options", {}))
    assert error.message == case["message"]
    assert str(error) == error.message
    assert isinstance(error, getattr(errors, case["error"]))
    assert (error.error_type, error.status, error.parameter) == ("validation", 422, "grammar")
    found = {name: getattr(error, name) for name in case["fields"]}
    found["pointers"] = list(found["pointers"]) if "pointers" in found else None
    assert {k: v for k, v in found.items() if v is not None} == case["fields"]
    for place in ("pointer", "offset"):
        assert getattr(error, place) == case["fields"].get(place)


def test_the_sentences_are_sentences() -> None:
    for case in GOLDEN:
        assert "\n" not in case["message"]
        assert not case["message"].endswith((".", " ", ":"))
        assert len(case["message"]) < 200


@pytest.mark.parametrize(
    ("value", "pointer", "reason"),
    [
        ({"minimum": float("nan")}, "/minimum", "nan is not a JSON number"),
        ({"const": [float("inf")]}, "/const/0", "inf is not a JSON number"),
        ({"enum": (1,)}, "/enum", "tuple is not JSON"),
        ({"default": {1}}, "/default", "set is not JSON"),
        ({"properties": {1: {}}}, "/properties", "key 1 is not a string"),
        ({"properties": {"a/b~": {"x": b""}}}, "/properties/a~1b~0/x", "bytes is not JSON"),
    ],
)
def test_python_values_that_json_cannot_say(value: Any, pointer: str, reason: str) -> None:
    error = refusal(schema(value))
    assert isinstance(error, InvalidGrammarError)
    assert error.message == f"grammar at {pointer}: {reason}"
    assert (error.pointer, error.reason) == (pointer, reason)


def test_a_schema_inside_itself() -> None:
    circle: dict[str, Any] = {"properties": {}}
    circle["properties"]["a"] = circle
    error = refusal(schema(circle))
    assert error.message == "grammar at /properties/a: the schema contains itself; use $ref"


def nested(levels: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for _ in range(levels):
        found = {"not": found}
    return found


def unique_levels(levels: int) -> dict[str, Any]:
    """An array of different items that are arrays in arrays, so many levels deep."""
    one = {"type": "array", "minItems": 1, "maxItems": 1}
    definitions: dict[str, Any] = {
        f"d{i}": {**one, "items": {"$ref": f"#/$defs/d{i + 1}"}} for i in range(levels)
    }
    definitions[f"d{levels}"] = {"const": 1}
    items = {"type": "array", "uniqueItems": True, "items": {"$ref": "#/$defs/d0"}}
    return {**items, "$defs": definitions}


SOME_NAME = [{"not": {"additionalProperties": {"not": {"const": i}}}} for i in range(20)]
SOME_ITEM = [{"contains": {"const": i}} for i in range(20)]
DEEP = "(" * 201 + ")" * 201


@pytest.mark.parametrize(
    ("grammar", "limit", "allowed", "reached", "place"),
    [
        (schema(nested(500)), "levels of nesting", 500, 501, ""),
        (schema(unique_levels(102)), "levels in an item that must be unique", 100, 101, ""),
        (schema({"type": "object", "allOf": SOME_NAME}), "obligations in one object", 6, 20, ""),
        (schema({"type": "array", "allOf": SOME_ITEM}), "obligations in one array", 6, 20, ""),
        (schema({"pattern": DEEP}), "nested groups", 200, 201, "/pattern at offset 200"),
        ({"type": "regex", "value": DEEP}, "nested groups", 200, 201, "offset 200"),
        (
            schema({"patternProperties": {"(?<=a.{14})b(?<=c.{15})": {}}}),
            "contexts for its lookbehinds",
            1000,
            1001,
            "/patternProperties/(?<=a.{14})b(?<=c.{15})",
        ),
    ],
)
def test_a_limit_is_named_with_what_was_reached(
    grammar: Any, limit: str, allowed: int, reached: int, place: str
) -> None:
    error = refusal(grammar)
    assert isinstance(error, GrammarTooLargeError)
    assert (error.limit, error.allowed, error.reached) == (limit, allowed, reached)
    where = f"grammar at {place}: " if place else ""
    assert error.message == f"{where}the grammar needs {reached} {limit}, the limit is {allowed}"


def test_the_fuel_is_named_with_what_was_reached() -> None:
    error = refusal(schema({"enum": list(range(1000))}), fuel=1000)
    assert isinstance(error, GrammarTooLargeError)
    assert (error.limit, error.allowed) == ("steps to compile", 1000)
    assert error.reached > 1000
    expected = f"the grammar needs {error.reached} steps to compile, the limit is 1000"
    assert error.message == expected


def test_a_text_that_is_too_long_to_write_is_refused_when_it_is_asked_for() -> None:
    grammar = compile_grammar(schema({"type": "string", "minLength": 20_000_000}))
    with pytest.raises(GrammarTooLargeError) as caught:
        grammar.shortest()
    assert caught.value.limit == "bytes in its shortest text"
    assert caught.value.allowed == 1 << 24
    assert caught.value.reached == 20_000_002
