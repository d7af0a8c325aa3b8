"""Tests for values that are one lexeme with their colon: which they are, and what they say."""

from __future__ import annotations

from itertools import product

import pytest

from lockstitch import Grammar, TextStyle, compile_grammar

FLEXIBLE = TextStyle(whitespace="flexible", max_whitespace=2)
PIECES = ("[", "]", ",", " ", "1", "-", '"', "1.5", "null", "{}", '"a"')
JOINED = [
    {"type": "string"},
    {"type": ["integer", "null"]},
    {"type": "array", "items": {"type": "string"}},
    {"type": "array", "items": {"type": "integer"}, "description": "whole ones"},
    {"type": "array", "items": {"$ref": "#/$defs/number"}},
]
APART = [
    {"type": "string", "maxLength": 3},
    {"type": "array"},
    {"type": "array", "items": False},
    {"type": "array", "items": {"type": "string", "minLength": 1}},
    {"type": "array", "items": {"type": "integer", "minimum": 1}},
    {"type": "array", "items": {"type": "array", "items": {"type": "string"}}},
    {"type": "array", "items": {"enum": [1, "a"]}},
    {"type": "array", "items": {"type": "string"}, "minItems": 1},
    {"type": "array", "items": {"type": "string"}, "maxItems": 2},
    {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
    {"type": "array", "items": {"type": "string"}, "contains": {"const": "a"}},
    {"type": "array", "items": {"type": "integer"}, "prefixItems": [{"type": "string"}]},
    {"type": ["array", "null"], "items": {"type": "integer"}},
    {"anyOf": [{"type": "array", "items": {"type": kind}} for kind in ("integer", "string")]},
]


def compiled(schema: dict[str, object], style: TextStyle) -> Grammar:
    definitions = {"$defs": {"number": {"type": "number"}}}
    return compile_grammar({"type": "json", "value": schema | definitions}, style=style)


def member(schema: dict[str, object], style: TextStyle = FLEXIBLE) -> Grammar:
    """Return objects with nothing but a member of a schema."""
    only = {"type": "object", "required": ["a"], "additionalProperties": False}
    return compiled({**only, "properties": {"a": schema}}, style)


def is_joined(grammar: Grammar) -> bool:
    assert grammar.schema is not None
    language, root = grammar.schema
    (rule, *_) = language.graph.shapes(root).objects[0].rules
    return language.named(rule.node) is not None


@pytest.mark.parametrize(
    ("schema", "joined"), [(s, True) for s in JOINED] + [(s, False) for s in APART]
)
def test_only_what_is_not_limited_is_joined(schema: dict[str, object], joined: bool) -> None:
    assert is_joined(member(schema)) == joined
    assert not is_joined(member(schema, TextStyle(whitespace="compact")))


@pytest.mark.parametrize("schema", JOINED[2:])
def test_a_joined_array_is_what_it_is_alone(schema: dict[str, object]) -> None:
    """All rows of five pieces, as the value of a member and as a whole text."""
    inside, alone = member(schema), compiled(schema, FLEXIBLE)
    accepted = 0
    for pieces in product(PIECES, repeat=5):
        text = "".join(pieces).encode()
        if text[:1] == b"[" and text[-1:] != b" ":  # blanks behind it are those of the object
            wanted = alone.accepts(text)
            assert inside.accepts(b'{"a":' + text + b"}") == wanted, text
            accepted += wanted
    assert accepted > 5
    assert inside.shortest() == b'{"a":[]}'
