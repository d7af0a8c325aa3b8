"""A schema without a value is refused with the keywords that contradict each other, no others."""

from __future__ import annotations

import random
from typing import Any

import pytest

from lockstitch.constraint.grammar import compile_grammar
from lockstitch.schemas.errors import GrammarError, UnsatisfiableGrammarError


def refusal(schema: Any) -> UnsatisfiableGrammarError | None:
    """The refusal of a schema without a value, None of any other schema."""
    try:
        compile_grammar({"type": "json", "value": schema})
    except UnsatisfiableGrammarError as error:
        return error
    except GrammarError:
        return None
    return None


@pytest.mark.parametrize(
    ("schema", "pointers"),
    [
        ({"type": "integer", "minimum": 3, "maximum": 2, "multipleOf": 2, "title": "x"},
         ["/type", "/minimum", "/maximum"]),
        ({"enum": [1, 2], "minimum": 5, "type": "integer"}, ["/enum", "/minimum"]),
        ({"allOf": [{"type": "string"}, {"minLength": 2}, {"type": "integer"}]},
         ["/allOf/0/type", "/allOf/2/type"]),
        ({"$ref": "#/$defs/a~1b", "$defs": {"a/b": {"const": 1}}, "not": {"const": 1}},
         ["/$ref", "/not", "/$defs/a~1b/const"]),
        ({"properties": {"x": False, "y": True}, "required": ["x"], "type": "object"},
         ["/required", "/type", "/properties/x"]),
        ({"enum": []}, ["/enum"]),
    ],
)  # fmt: skip
def test_the_keywords_are_named(schema: Any, pointers: list[str]) -> None:
    found = refusal(schema)
    assert found is not None
    assert set(found.pointers) == set(pointers)
    assert all(pointer in found.message for pointer in pointers)


KEYWORDS: dict[str, list[Any]] = {
    "type": ["integer", "number", "string", ["integer", "null"]],
    "minimum": [1, 5, 7.5],
    "maximum": [3, 6, 7],
    "multipleOf": [2, 4, 0.5],
    "enum": [[1, 2, "a"], ["abc", 4.5], [None, 8]],
    "not": [{"const": 8}, {"type": "string"}, {"minimum": 2}, {"multipleOf": 1}],
    "minLength": [1, 2],
    "maxLength": [0, 1],
    "pattern": ["^a", "^b$"],
}


def test_they_contradict_each_other_and_less_of_them_does_not() -> None:
    rng, seen = random.Random(5), 0
    while seen < 60:
        names = rng.sample(sorted(KEYWORDS), rng.randint(2, 7))
        schema = {name: rng.choice(KEYWORDS[name]) for name in names}
        found = refusal(schema)
        if found is None:
            continue
        seen += 1
        named = {pointer.split("/")[1]: schema[pointer.split("/")[1]] for pointer in found.pointers}
        assert refusal(named) is not None
        for name in named:
            assert refusal({n: v for n, v in named.items() if n != name}) is None, (schema, name)


@pytest.mark.parametrize("depth", [70, 120])
def test_large_schemas_are_refused_as_before(depth: int) -> None:
    schema: Any = {"enum": []}
    for _ in range(depth):
        schema = {"allOf": [schema]}
    found = refusal(schema)
    assert found is not None
    assert "contradict each other" in found.message
