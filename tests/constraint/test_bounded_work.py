"""Hostile schemas are answered: compiled, or refused with a limit and a value, never fatal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lockstitch.constraint.grammar import FUEL, compile_grammar
from lockstitch.schemas.errors import GrammarTooLargeError, UnsatisfiableGrammarError

Link = Callable[[dict[str, str], int], dict[str, Any]]


def chain(link: Link, length: int) -> dict[str, Any]:
    """Return a grammar of `length` definitions that refer to the next one each."""
    definitions: dict[str, Any] = {
        f"d{i}": link({"$ref": f"#/$defs/d{i + 1}"}, i) for i in range(length)
    }
    definitions[f"d{length}"] = {"const": 1}
    return {"type": "json", "value": {"$ref": "#/$defs/d0", "$defs": definitions}}


def many(kind: str) -> dict[str, Any]:
    return {"type": [kind, "integer"]}


LINKS: dict[str, Link] = {
    "$ref": lambda ref, i: ref,
    "allOf": lambda ref, i: {"allOf": [ref]},
    "anyOf": lambda ref, i: {"anyOf": [ref, {"type": "string"}]},
    "not": lambda ref, i: {"not": {"not": ref}},
    "items": lambda ref, i: many("array") | {"items": ref},
    "prefixItems": lambda ref, i: many("array") | {"prefixItems": [ref]},
    "contains": lambda ref, i: many("array") | {"contains": ref},
    "properties": lambda ref, i: many("object") | {"properties": {"a": ref}, "required": ["a"]},
    "dependentSchemas": lambda ref, i: many("object") | {"dependentSchemas": {"a": ref}},
    "propertyNames": lambda ref, i: (
        many("object") | {"propertyNames": {"pattern": "a"}, "additionalProperties": ref}
    ),
}

# Each link doubles what has to be told apart, so a long chain is more than there is fuel for.
COSTLY_LINKS: dict[str, Link] = {
    "oneOf of strings": lambda ref, i: {"oneOf": [ref, {"type": "string", "minLength": i}]},
    "oneOf of constants": lambda ref, i: {"oneOf": [ref, {"const": i + 5}]},
    "if": lambda ref, i: {"if": ref, "then": {"type": "integer"}},
    "unevaluatedProperties": lambda ref, i: (
        many("object") | {"allOf": [ref], "unevaluatedProperties": False}
    ),
}


@pytest.mark.parametrize("keyword", LINKS)
def test_long_chains_compile(keyword: str) -> None:
    grammar = compile_grammar(chain(LINKS[keyword], 3000))
    assert grammar.min_bytes >= 1
    assert grammar.accepts(grammar.shortest())


@pytest.mark.parametrize("keyword", COSTLY_LINKS)
def test_costly_chains_are_refused_with_the_limit(keyword: str) -> None:
    with pytest.raises(GrammarTooLargeError) as caught:
        compile_grammar(chain(COSTLY_LINKS[keyword], 3000))
    assert caught.value.allowed == FUEL
    assert caught.value.reached > FUEL
    assert str(FUEL) in caught.value.message


@pytest.mark.parametrize("keyword", ["minProperties", "minItems", "minLength", "minContains"])
@pytest.mark.parametrize("number", [10**8, 10**38])
def test_huge_counts_are_refused(keyword: str, number: int) -> None:
    schema = {"type": {"P": "object", "L": "string"}.get(keyword[3], "array"), keyword: number}
    if keyword == "minContains":
        schema["contains"] = {"const": 1}
    with pytest.raises((GrammarTooLargeError, UnsatisfiableGrammarError)):
        compile_grammar({"type": "json", "value": schema}).shortest()


@pytest.mark.parametrize("keyword", ["maxProperties", "maxItems", "maxLength", "maxContains"])
def test_huge_limits_are_none(keyword: str) -> None:
    grammar = compile_grammar({"type": "json", "value": {keyword: 10**38, "minimum": 10**38}})
    assert grammar.accepts(b'{"a": ["b", 2e38]}')


def unique_arrays(ref: Any, least: int) -> Any:
    return {"type": "array", "items": ref, "uniqueItems": True, "minItems": least}


def test_a_chain_of_unique_arrays_is_answered() -> None:
    grammar = compile_grammar(chain(lambda ref, i: unique_arrays(ref, 0), 3000))
    assert grammar.shortest() == b"[]"
    assert grammar.accepts(b"[[], [[]]]")
    assert not grammar.is_prefix(b"[[], []")


def test_a_chain_of_few_unique_arrays_is_refused_with_the_limit() -> None:
    with pytest.raises(GrammarTooLargeError) as caught:
        compile_grammar(chain(lambda ref, i: unique_arrays(ref, 1), 3000))
    assert caught.value.reached == caught.value.allowed + 1


def test_a_hundred_thousand_references_compile() -> None:
    grammar = compile_grammar(chain(LINKS["$ref"], 100_000))
    assert grammar.shortest() == b"1"


def test_what_was_compiled_is_walked_without_fuel() -> None:
    grammar = compile_grammar({"type": "json", "value": {"type": "string"}})
    text = b'"' + b"ab" * 200_000 + b'"'
    assert grammar.accepts(text)
    assert grammar.terms.fuel == float("inf")
