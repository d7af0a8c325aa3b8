"""References into other documents: from a mapping or a `referencing.Registry`, never fetched."""

from __future__ import annotations

import json
import socket
from typing import Any, NoReturn

import pytest
from jsonschema_specifications import REGISTRY as METASCHEMAS
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from lockstitch.constraint.grammar import Grammar, compile_grammar
from lockstitch.constraint.text.style import TextStyle
from lockstitch.schemas.errors import (
    InvalidGrammarError,
    UnsatisfiableGrammarError,
    UnsupportedGrammarError,
)

HOST = "https://example.org"
DRAFT4 = "http://json-schema.org/draft-04/schema#"
DRAFT7 = "http://json-schema.org/draft-07/schema#"
DRAFT2020 = "https://json-schema.org/draft/2020-12/schema"
REMOTE = {
    f"{HOST}/types.json": {
        "$defs": {
            "small": {"type": "integer", "minimum": 0, "maximum": 9},
            "named": {"$anchor": "word", "type": "string", "pattern": "^[a-z]+$"},
            "inner": {
                "$id": "deep/inner.json",
                "type": "array",
                "items": {"$ref": "#/$defs/item"},
                "$defs": {"item": {"$ref": "../types.json#/$defs/small"}},
            },
        }
    },
    f"{HOST}/tree.json": {
        "$id": f"{HOST}/tree.json",
        "type": "object",
        "properties": {"next": {"$ref": "#"}, "value": {"$ref": "types.json#word"}},
        "additionalProperties": False,
    },
}


def as_mapping(documents: dict[str, Any]) -> dict[str, Any]:
    return documents


def as_registry(documents: dict[str, Any]) -> Registry[Any]:
    resources = (
        (uri, Resource.from_contents(document, default_specification=DRAFT202012))
        for uri, document in documents.items()
    )
    return Registry().with_resources(resources)


KINDS = pytest.mark.parametrize("kind", [as_mapping, as_registry])


def grammar_of(schema: Any, registry: Any = None) -> Grammar:
    style = TextStyle("flexible", "any", "any", max_whitespace=8)
    return compile_grammar({"type": "json", "value": schema}, style=style, registry=registry)


def accepts(grammar: Grammar, value: Any) -> bool:
    return grammar.accepts(json.dumps(value).encode())


@KINDS
@pytest.mark.parametrize(
    ("reference", "valid", "invalid"),
    [
        ("types.json#/$defs/small", 9, 10),
        ("types.json#word", "abc", "ABC"),
        ("types.json#/$defs/inner", [1, 2], [10]),
        ("types.json#/$defs/inner/$defs/item", 3, "3"),
        ("deep/inner.json", [0], [-1]),
        ("deep/inner.json#/$defs/item", 9, 9.5),
        ("tree.json", {"next": {"value": "a"}}, {"next": {"value": "1"}}),
        ("tree.json#/properties/value", "ab", ""),
    ],
)
def test_places_in_other_documents(kind: Any, reference: str, valid: Any, invalid: Any) -> None:
    registry = kind(REMOTE)
    for schema in ({"$ref": f"{HOST}/{reference}"}, {"$id": f"{HOST}/here", "$ref": reference}):
        grammar = grammar_of(schema, registry)
        assert accepts(grammar, valid)
        assert not accepts(grammar, invalid)


@KINDS
def test_a_document_refers_back_and_forth(kind: Any) -> None:
    there = {"type": "array", "items": {"$ref": f"{HOST}/here#/$defs/leaf"}, "minItems": 1}
    here = {
        "$id": f"{HOST}/here",
        "anyOf": [{"$ref": "there"}, {"$ref": "#/$defs/leaf"}],
        "$defs": {"leaf": {"enum": ["a", "b"]}},
    }
    grammar = grammar_of(here, kind({f"{HOST}/there": there}))
    assert accepts(grammar, ["a", "b"])
    assert accepts(grammar, "b")
    assert not accepts(grammar, ["c"])
    assert not accepts(grammar, [])


@KINDS
def test_a_document_found_by_the_identifier_inside_it(kind: Any) -> None:
    registry = kind({"urn:file:7": {"$id": f"{HOST}/known.json", "const": "found"}})
    assert grammar_of({"$ref": f"{HOST}/known.json"}, registry).shortest() == b'"found"'


@KINDS
def test_each_document_speaks_its_own_draft(kind: Any) -> None:
    remote = {
        f"{HOST}/four": {"$schema": DRAFT4, "minimum": 5, "exclusiveMinimum": True, "const": 1},
        f"{HOST}/seven": {
            "$schema": DRAFT7,
            "items": [{"type": "null"}],
            "additionalItems": False,
            "definitions": {"a": {"$ref": "#/definitions/b", "maximum": 1}, "b": {"minimum": 1}},
        },
    }
    registry = kind(remote)
    four = grammar_of({"type": "integer", "$ref": f"{HOST}/four"}, registry)
    assert [number for number in (4, 5, 6) if accepts(four, number)] == [6]
    seven = grammar_of({"type": "array", "$ref": f"{HOST}/seven"}, registry)
    assert accepts(seven, [None])
    assert not accepts(seven, [None, None])
    hidden = grammar_of({"$ref": f"{HOST}/seven#/definitions/a", "type": "integer"}, registry)
    assert accepts(hidden, 7)
    assert not accepts(hidden, 0)


@KINDS
def test_a_document_without_schema_speaks_the_draft_of_the_reference(kind: Any) -> None:
    registry = kind({f"{HOST}/list": {"items": [{"type": "null"}], "additionalItems": False}})
    schema = {"$schema": DRAFT7, "allOf": [{"$ref": f"{HOST}/list"}, {"type": "array"}]}
    assert not accepts(grammar_of(schema, registry), [None, 1])
    with pytest.raises(InvalidGrammarError) as caught:
        grammar_of({"$ref": f"{HOST}/list"}, registry)
    assert caught.value.pointer == f"{HOST}/list#/items"


@KINDS
def test_dynamic_references_lead_out_of_a_document(kind: Any) -> None:
    registry = kind(
        {
            f"{HOST}/list": {
                "$id": f"{HOST}/list",
                "type": "array",
                "items": {"$dynamicRef": "#item"},
                "$defs": {"item": {"$dynamicAnchor": "item"}},
            }
        }
    )
    texts = {
        "$id": f"{HOST}/texts",
        "$ref": "list",
        "$defs": {"item": {"$dynamicAnchor": "item", "type": "string"}},
    }
    assert accepts(grammar_of({"$ref": f"{HOST}/list"}, registry), [1])
    assert accepts(grammar_of(texts, registry), ["a"])
    assert not accepts(grammar_of(texts, registry), [1])


@pytest.mark.parametrize("registry", [None, {}, Registry(), REMOTE, as_registry(REMOTE)])
def test_a_missing_document_is_named_with_the_way_to_pass_it(registry: Any) -> None:
    with pytest.raises(UnsupportedGrammarError) as caught:
        grammar_of({"properties": {"a": {"$ref": f"{HOST}/none.json#/a"}}}, registry)
    error = caught.value
    assert error.feature == "$ref"
    assert error.pointer == "/properties/a/$ref"
    assert f"'{HOST}/none.json'" in error.message
    assert "registry=" in error.message


@KINDS
@pytest.mark.parametrize("fragment", ["/$defs/none", "none"])
def test_a_place_that_a_document_lacks_is_named(kind: Any, fragment: str) -> None:
    reference = f"{HOST}/types.json#{fragment}"
    with pytest.raises(InvalidGrammarError, match="leads nowhere") as caught:
        grammar_of({"$ref": reference}, kind(REMOTE))
    assert repr(reference) in caught.value.message
    assert caught.value.pointer == "/$ref"


@KINDS
def test_errors_inside_a_document_carry_its_name(kind: Any) -> None:
    registry = kind({f"{HOST}/bad": {"properties": {"a": {"pattern": "("}}}})
    with pytest.raises(InvalidGrammarError) as caught:
        grammar_of({"$ref": f"{HOST}/bad"}, registry)
    assert caught.value.pointer == f"{HOST}/bad#/properties/a/pattern"
    registry = kind({f"{HOST}/void": {"type": "integer", "minimum": 3, "maximum": 2}})
    with pytest.raises(UnsatisfiableGrammarError):
        grammar_of({"$ref": f"{HOST}/void"}, registry)


@pytest.mark.parametrize(
    ("uri", "valid", "invalid"),
    [
        (DRAFT2020, {"type": "string", "items": {"minLength": 1}}, {"type": "text"}),
        (DRAFT2020, True, 1),
        (DRAFT2020, {"prefixItems": [{}]}, {"prefixItems": []}),
        (DRAFT2020, {"$defs": {"a": {"not": {}}}}, {"properties": {"a": {"minItems": -1}}}),
        (DRAFT7, {"items": [True]}, {"allOf": []}),
        (DRAFT7.rstrip("#"), {"if": {"maximum": 1}}, {"if": {"maximum": "1"}}),
        (DRAFT4, {"exclusiveMinimum": True, "minimum": 1}, {"exclusiveMinimum": 1}),
    ],
)
def test_metaschemas_are_known(uri: str, valid: Any, invalid: Any) -> None:
    grammar = grammar_of({"$ref": uri})
    assert accepts(grammar, valid)
    assert not accepts(grammar, invalid)


def test_a_registry_may_hold_the_metaschemas_too() -> None:
    grammar = grammar_of({"$ref": DRAFT2020}, METASCHEMAS)
    assert accepts(grammar, {"type": "null"})
    assert not accepts(grammar, {"type": "none"})


def test_a_metaschema_of_the_registry_is_named_by_schema() -> None:
    documents = {
        f"{HOST}/words": {
            "$schema": DRAFT2020,
            "$id": f"{HOST}/words",
            "$vocabulary": {
                "https://json-schema.org/draft/2020-12/vocab/core": True,
                "https://json-schema.org/draft/2020-12/vocab/applicator": True,
            },
        }
    }
    schema = {"$schema": f"{HOST}/words", "properties": {"a": {"minimum": 5}, "b": False}}
    grammar = grammar_of(schema, documents)
    assert accepts(grammar, {"a": 1})
    assert not accepts(grammar, {"b": 1})
    assert {e.keyword for e in grammar.report if e.status == "annotation"} >= {"minimum"}


def test_nothing_is_retrieved(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def retrieve(uri: str) -> Resource[Any]:
        asked.append(uri)
        return Resource.from_contents({"const": 1}, default_specification=DRAFT202012)

    def refuse(*_: object, **__: object) -> NoReturn:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket, "socket", refuse)
    registry: Registry[Any] = Registry(retrieve=retrieve)  # type: ignore[call-arg]
    for reference in (f"{HOST}/none.json", "file:///etc/hosts", "urn:none"):
        with pytest.raises(UnsupportedGrammarError, match="nothing is fetched"):
            grammar_of({"$ref": reference}, registry)
    assert asked == []


def test_the_caller_keeps_the_documents_unchanged() -> None:
    documents = json.loads(json.dumps(REMOTE))
    grammar_of({"$ref": f"{HOST}/deep/inner.json"}, documents)
    assert documents == REMOTE
