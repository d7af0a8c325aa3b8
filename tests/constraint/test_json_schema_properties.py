"""Drawn schemas and drawn instances: what `jsonschema` says of them is what a grammar accepts.

Schemas come from the maker of the random walks, with hypothesis choosing, or are real ones that
were changed. Instances are drawn toward a schema or one of its branches and changed a little, so
that about half of them are valid. Valid ones must be accepted in every spelling, others in none.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from jsonschema.validators import validator_for
from schema_maker import FORMAT_CHECKER, NAMES, VALUES, SchemaMaker
from shared_data import real_schemas

from lockstitch.constraint.grammar import Grammar, compile_grammar
from lockstitch.constraint.text.style import TextStyle
from lockstitch.schemas.errors import (
    GrammarError,
    GrammarTooLargeError,
    InvalidGrammarError,
    UnsatisfiableGrammarError,
    UnsupportedGrammarError,
)

EVERYTHING = TextStyle("flexible", "any", "any")
REFUSED = frozenset(["uniqueItems", "multipleOf", "format"])
CHOICES = st.randoms(use_true_random=False)
INSTANCES = 12
TEXTS = [
    "",
    "a",
    "ab",
    "abab",
    "b",
    "é",
    "c ab",
    "0",
    "42",
    "2024-02-29",
    "12:30:00Z",
    "P1D",
    "::1",
]
TEXTS += ["1.2.3.4", "/a", "x" * 5]
COMMON = settings(
    deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None
)


class InstanceMaker:
    """Draws values that a schema might accept, and values close to them."""

    def __init__(self, choices: random.Random, document: Any) -> None:
        self.pick = choices
        self.named = document.get("$defs", {}) if isinstance(document, dict) else {}

    def some(self, *schemas: Any, count: int = INSTANCES) -> Iterator[Any]:
        """Yield values drawn toward each schema in turn, every other one changed."""
        for turn in range(count):
            value = self.toward(schemas[turn // 2 % len(schemas)], 4)
            yield self.changed(value) if turn % 2 else value

    def toward(self, schema: Any, depth: int) -> Any:
        """Return a value that looks at some of the keywords."""
        pick = self.pick
        if not isinstance(schema, dict) or depth < 0:
            return copy.deepcopy(pick.choice(VALUES))
        below = self.branches(schema)
        if below and pick.random() < 0.6:
            return self.joined(schema, self.toward(pick.choice(below), depth - 1), depth)
        if isinstance(schema.get("enum"), list) and schema["enum"]:
            return copy.deepcopy(pick.choice(schema["enum"]))
        if "const" in schema:
            return copy.deepcopy(schema["const"])
        return self.of_kind(self.kind(schema), schema, depth)

    def branches(self, schema: dict[str, Any]) -> list[Any]:
        found: list[Any] = [schema[key] for key in ("if", "then", "else", "not") if key in schema]
        for key in ("allOf", "anyOf", "oneOf"):
            found += schema[key] if isinstance(schema.get(key), list) else []
        if isinstance(schema.get("dependentSchemas"), dict):
            found += schema["dependentSchemas"].values()
        target = str(schema.get("$ref")).rpartition("/")[2]
        found += [self.named[target]] if target in self.named else []
        return found

    def joined(self, schema: dict[str, Any], value: Any, depth: int) -> Any:
        """Return a value drawn toward a branch with what the schema beside it asks for."""
        if isinstance(value, dict) and isinstance(schema.get("properties"), dict):
            more = self.of_kind("object", schema, depth)
            return {**more, **value} if isinstance(more, dict) else value
        return value

    def kind(self, schema: dict[str, Any]) -> str:
        given = schema.get("type")
        if isinstance(given, list) and given:
            return str(self.pick.choice(given))
        hints = {"object": "properties required additionalProperties unevaluatedProperties"}
        hints |= {
            "array": "items prefixItems contains unevaluatedItems",
            "string": "pattern format",
        }
        hints |= {"number": "minimum maximum multipleOf"}
        found = [k for k, words in hints.items() if schema.keys() & set(words.split())]
        kinds = found or ["object", "array", "string", "integer", "number", "null", "boolean"]
        return given if isinstance(given, str) else self.pick.choice(kinds)

    def of_kind(self, kind: str, schema: dict[str, Any], depth: int) -> Any:
        pick = self.pick
        if kind == "object":
            return self.object(schema, depth)
        if kind == "array":
            return self.array(schema, depth)
        if kind == "string":
            return pick.choice(TEXTS)
        if kind in ("number", "integer"):
            ends = [v for k, v in schema.items() if "imum" in k and type(v) in (int, float)]
            number = pick.choice([*ends, 0, 1, 6]) + pick.choice([0, 0, 1, -1, 0.5])
            return int(number) if kind == "integer" else number
        return pick.choice([True, False]) if kind == "boolean" else None

    def object(self, schema: dict[str, Any], depth: int) -> dict[str, Any]:
        pick = self.pick
        properties = schema.get("properties", {})
        properties = properties if isinstance(properties, dict) else {}
        required = schema.get("required", [])
        required = required if isinstance(required, list) else []
        names = [name for name in properties if pick.random() < 0.6]
        names += [name for name in required if isinstance(name, str) and pick.random() < 0.9]
        names += pick.sample(NAMES, pick.choice([0, 0, 1]))
        others = schema.get("additionalProperties", schema.get("unevaluatedProperties", True))
        return {name: self.toward(properties.get(name, others), depth - 1) for name in names}

    def array(self, schema: dict[str, Any], depth: int) -> list[Any]:
        pick = self.pick
        prefix = schema.get("prefixItems", [])
        prefix = prefix if isinstance(prefix, list) else []
        rest = [schema[k] for k in ("items", "contains", "unevaluatedItems") if k in schema] or [{}]
        least = schema.get("minItems", 0)
        length = (least if isinstance(least, int) and least < 9 else 0) + pick.randint(0, 2)
        parts = [*prefix, *(pick.choice(rest) for _ in range(length))][: max(length, 0)]
        return [self.toward(part, depth - 1) for part in parts]

    def changed(self, value: Any) -> Any:
        """Return a value that differs in one place."""
        pick = self.pick
        if isinstance(value, dict) and value and pick.random() < 0.8:
            name = pick.choice(list(value))
            less = {key: value[key] for key in value if key != name}
            more = {pick.choice(NAMES): copy.deepcopy(pick.choice(VALUES))}
            return pick.choice([less, value | more, value | {name: self.changed(value[name])}])
        if isinstance(value, list) and value and pick.random() < 0.8:
            at = pick.randrange(len(value))
            rest = value[:at] + value[at + 1 :]
            return pick.choice([rest, [*value, value[at]], [*rest, self.changed(value[at])]])
        if isinstance(value, int | float) and not isinstance(value, bool):
            return value + pick.choice([1, -1, 0.5, 0.25])
        if isinstance(value, str) and pick.random() < 0.6:
            return pick.choice([value[1:], value + "a", value + "é", value * 2])
        return copy.deepcopy(pick.choice(VALUES))


def shuffled(value: Any, choices: random.Random) -> Any:
    if isinstance(value, list):
        return [shuffled(item, choices) for item in value]
    if not isinstance(value, dict):
        return value
    names = choices.sample(list(value), len(value))
    return {name: shuffled(value[name], choices) for name in names}


def spellings(value: Any, choices: random.Random) -> list[str]:
    return [
        json.dumps(value, separators=(",", ":"), ensure_ascii=False),
        json.dumps(value),
        json.dumps(value, indent=2, ensure_ascii=False),
        json.dumps(shuffled(value, choices), separators=(" ,\t", "\n: ")),
    ]


def compiled(schema: Any, **options: Any) -> Grammar | None:
    """Return the grammar, None where nothing is valid; a schema that is refused is not judged."""
    try:
        return compile_grammar({"type": "json", "value": schema}, style=EVERYTHING, **options)
    except GrammarError as error:
        if not isinstance(error, UnsatisfiableGrammarError):
            check_refusal(error)
            reject()
        return None


def check_refusal(error: GrammarError) -> None:
    """Whatever is refused is refused by name, or with the limit that was passed."""
    if isinstance(error, UnsupportedGrammarError):
        assert error.feature in REFUSED
        assert error.feature in error.message
    elif isinstance(error, GrammarTooLargeError):
        assert error.reached > error.allowed
        assert error.limit in error.message
    else:
        assert isinstance(error, InvalidGrammarError)
        assert error.pointer is not None
        assert "circle" in error.reason, error


def check(schema: Any, grammar: Grammar | None, value: Any, choices: random.Random) -> bool:
    """Compare with `jsonschema` in every spelling and return whether the value is valid."""
    valid = is_valid(schema, value)
    check_text(schema, grammar, value, valid, choices)
    return valid


def check_text(
    schema: Any, grammar: Grammar | None, value: Any, valid: bool, choices: random.Random
) -> None:
    for text in spellings(value, choices):
        accepted = grammar is not None and grammar.accepts(text.encode())
        assert accepted == valid, (json.dumps(schema), text, "is valid" if valid else "is invalid")


def is_valid(schema: Any, value: Any) -> bool:
    return bool(Draft202012Validator(schema, format_checker=FORMAT_CHECKER).is_valid(value))


@settings(COMMON, max_examples=40)
@given(CHOICES)
def test_a_schema_accepts_what_is_valid(choices: random.Random) -> None:
    schema = SchemaMaker(choices).schema()
    grammar = compiled(schema)
    for value in InstanceMaker(choices, schema).some(schema):
        check(schema, grammar, value, choices)


@settings(COMMON, max_examples=40)
@given(CHOICES)
def test_not_accepts_exactly_what_the_schema_rejects(choices: random.Random) -> None:
    maker = SchemaMaker(choices)
    definitions = maker.with_definitions(1)
    part = maker.part(2)
    schema, negated = (
        maker.document(definitions, side) for side in ({"allOf": [part]}, {"not": part})
    )
    grammar, complement = compiled(schema), compiled(negated)
    assert grammar is not None or complement is not None
    for value in InstanceMaker(choices, schema).some(part):
        assert check(schema, grammar, value, choices) != check(negated, complement, value, choices)


@settings(COMMON, max_examples=40)
@given(CHOICES, st.sampled_from(["oneOf", "anyOf", "allOf", "if"]))
def test_combinations_agree_for_and_against_each_branch(
    choices: random.Random, keyword: str
) -> None:
    maker = SchemaMaker(choices)
    definitions = maker.with_definitions(1)
    parts = [maker.part(2) for _ in range(3)]
    combined = {keyword: parts}
    if keyword == "if":
        combined = dict(zip(["if", "then", "else"], parts, strict=True))
    schema = maker.document(definitions, combined)
    grammar = compiled(schema)
    for value in InstanceMaker(choices, schema).some(*parts, count=18):
        check(schema, grammar, value, choices)


def changed_schema(schema: Any, choices: random.Random) -> Any:
    """Return a schema with one keyword dropped, moved, replaced or wrapped somewhere inside."""
    found = copy.deepcopy(schema)
    places = list(objects_in(found))
    here = choices.choice(places)
    keyword = choices.choice(list(here) or ["type"])
    match choices.choice(["drop", "copy", "replace", "wrap", "bound", "add"]):
        case "drop":
            here.pop(keyword, None)
        case "copy":
            choices.choice(places)[keyword] = copy.deepcopy(here.get(keyword, "string"))
        case "replace":
            here[keyword] = copy.deepcopy(choices.choice([*VALUES, {}, {"type": "string"}]))
        case "wrap":
            inner = copy.deepcopy(here)
            here.clear()
            here.update(
                choices.choice(
                    [
                        {"not": inner},
                        {"oneOf": [inner, {"type": "string"}]},
                        {"if": inner, "else": {"type": "object"}},
                        {"allOf": [inner], "unevaluatedProperties": False},
                    ]
                )
            )
        case "bound":
            bounds = ["minLength", "maxItems", "minProperties", "maxProperties", "maximum"]
            here[choices.choice(bounds)] = choices.randint(0, 3)
        case _:
            here |= choices.choice(
                [
                    {"additionalProperties": False},
                    {"minItems": 1},
                    {"required": ["a"]},
                    {"type": "object"},
                ]
            )
    return found


def objects_in(value: Any) -> Iterator[dict[str, Any]]:
    stack = [value]
    while stack:
        top = stack.pop()
        if isinstance(top, dict):
            yield top
        stack += top.values() if isinstance(top, dict) else top if isinstance(top, list) else []


def judge(schema: Any) -> Any:
    """Return a validator of the schema's draft, None if it is no schema of that draft."""
    kind = validator_for(schema, default=Draft202012Validator)
    inner = any("$schema" in part for part in objects_in(schema) if part is not schema)
    return kind(schema) if not inner and kind(kind.META_SCHEMA).is_valid(schema) else None


def small_records(collection: str, count: int) -> list[dict[str, Any]]:
    records = (r for r in real_schemas(collection) if len(json.dumps(r["schema"])) < 1500)
    known = [r for r in records if isinstance(r["schema"], dict) and len(json.dumps(r)) < 9000]
    return random.Random(5).sample(known, count)


def refused_for_a_reason(error: GrammarError, validator: Any) -> bool:
    """Return whether a refusal is right: no schema, a reference to nothing, or a known gap."""
    if isinstance(error, InvalidGrammarError):
        reasons = ("circle", "leads nowhere", "$ref must be a string")  # draft 4 checks no $ref
        return validator is None or any(reason in error.reason for reason in reasons)
    return isinstance(error, UnsupportedGrammarError | GrammarTooLargeError)


def check_changed(record: dict[str, Any], choices: random.Random) -> int:
    """Compare a changed schema on the record's instances, changed too; return how many."""
    schema = changed_schema(record["schema"], choices)
    validator = judge(schema)
    try:
        grammar = compile_grammar(
            {"type": "json", "value": schema}, style=EVERYTHING, assert_format=False
        )
    except UnsatisfiableGrammarError:
        grammar = None
    except GrammarError as error:
        if not refused_for_a_reason(error, validator):
            raise
        return 0
    # jsonschema leaves `dependencies` out of the later drafts, and loses some parts with an $id
    if validator is None or "dependencies" in json.dumps(schema):
        return 0
    maker = InstanceMaker(choices, schema)
    values = [test["data"] for test in record["tests"]]
    values += [maker.changed(value) for value in values] + list(maker.some(schema, count=6))
    for value in values:
        if json.dumps(value, ensure_ascii=False).isascii():  # Python's \\w has more letters
            check_text(schema, grammar, value, validator.is_valid(value), choices)
    return len(values)


@pytest.mark.parametrize("collection", ["maskbench", "schemastore"])
def test_changed_real_schemas(collection: str) -> None:
    choices = random.Random(11)
    compared = sum(
        check_changed(record, choices) for record in small_records(collection, 12) for _ in range(4)
    )
    assert compared > 150
