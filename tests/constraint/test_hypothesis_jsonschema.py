"""Schemas and instances from hypothesis-jsonschema, which knows nothing of this project.

From a schema it draws valid instances; from the metaschema of a draft it draws schemas. Instances
of its own making must be accepted, and what `jsonschema` thinks of instances drawn for another
schema is what the grammar says of them.
"""

from __future__ import annotations

import json
import re
import warnings
from fractions import Fraction
from typing import Any

import hypothesis.errors
import pytest
from hypothesis import HealthCheck, Phase, given, reject, settings
from hypothesis import strategies as st
from jsonschema import Draft4Validator, Draft6Validator, Draft7Validator
from shared_data import real_schemas

from lockstitch.constraint.grammar import Grammar, compile_grammar
from lockstitch.constraint.text.style import TextStyle
from lockstitch.schemas.errors import GrammarError, UnsatisfiableGrammarError

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it imports names that hypothesis has moved
    from hypothesis_jsonschema import from_schema

EVERYTHING = TextStyle("flexible", "any", "any")
COMMON = settings(
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    database=None,
    phases=[Phase.generate],  # the package builds its strategies anew for each step of a shrink
)
DRAFTS: list[Any] = [Draft4Validator, Draft6Validator]  # of draft 7 it merges schemas for minutes
REAL = 30


def fair(value: Any) -> bool:
    """Whether JSON has the value, and no newline, before which Python's `$` is."""
    try:
        text = json.dumps(value, allow_nan=False)
    except ValueError:
        return False
    return r"\n" not in text


def exact(part: Any) -> Any:
    """A value with whole floats as integers, which `jsonschema` compares exactly."""
    if isinstance(part, dict):
        return {key: exact(value) for key, value in part.items()}
    if isinstance(part, list):
        return [exact(item) for item in part]
    if isinstance(part, float) and Fraction(repr(part)).denominator == 1:
        return int(Fraction(repr(part)))
    return part


def compiled(schema: Any) -> Grammar | None:
    """The grammar of a schema, None if it has no value; others that are refused are left out."""
    try:
        return compile_grammar(
            {"type": "json", "value": schema}, style=EVERYTHING, assert_format=False
        )
    except UnsatisfiableGrammarError:
        return None
    except GrammarError:
        reject()


def check(grammar: Grammar | None, validator: Any, value: Any) -> None:
    text = json.dumps(value)
    accepted = grammar is not None and grammar.accepts(text.encode())
    try:
        valid = validator.is_valid(exact(value))
    except (re.error, TypeError):  # a pattern that is none of Python's; an old draft's defect
        reject()
    assert accepted == valid, (text, validator.schema)


def unrolled(part: Any, whole: Any, depth: int) -> Any:
    """A metaschema without references, schemas in schemas `depth` deep, and none that refers."""
    if isinstance(part, list):
        return [unrolled(item, whole, depth) for item in part]
    if not isinstance(part, dict):
        return part
    target = part.get("$ref")
    if target == "#":
        simple = {"enum": [{}, {"type": "integer"}, {"type": "string"}, {"maxLength": 1}]}
        return unrolled(whole, whole, depth - 1) if depth else simple
    if isinstance(target, str):
        return unrolled(whole["definitions"][target.rpartition("/")[2]], whole, depth)
    left_out = {"$id", "id", "$ref", "$schema", "definitions", "format", "pattern", "default"}
    left_out |= {"patternProperties", "multipleOf"}  # in Python's dialect, in binary
    return {k: unrolled(v, whole, depth) for k, v in part.items() if k not in left_out}


def draw_from(data: st.DataObject, schema: Any) -> Any:
    """An instance that hypothesis-jsonschema calls valid; schemas that it cannot read are left."""
    try:
        return data.draw(from_schema(schema, codec="ascii"))  # where \\w is that of Python too
    except hypothesis.errors.HypothesisException:
        reject()
    except (KeyError, RecursionError, TypeError, ValueError):  # its own limits
        reject()


@pytest.mark.parametrize("kind", DRAFTS, ids=lambda kind: kind.__name__)
def test_schemas_drawn_from_a_metaschema(kind: Any) -> None:
    found = []

    @settings(COMMON, max_examples=25)
    @given(st.data())
    def run(data: st.DataObject) -> None:
        metaschema = unrolled(kind.META_SCHEMA, kind.META_SCHEMA, 1)
        schema = draw_from(data, {**metaschema, "type": "object"})
        schema = {**exact(schema), "$schema": kind.META_SCHEMA["$schema"]}
        try:
            kind.check_schema(schema)
        except Exception:  # its instances of the metaschema are not all schemas
            reject()
        grammar = compiled(schema)
        found.append(grammar)
        if grammar is not None:
            check(grammar, kind(schema), json.loads(grammar.shortest()))
        for _ in range(3):
            value = data.draw(from_schema({}))
            if fair(value):
                check(grammar, kind(schema), value)

    run()
    assert len(found) > 10
    assert any(grammar is not None for grammar in found)


def drawn(data: st.DataObject, about: tuple[Any, list[Any]]) -> None:
    schema, checked = about
    value = draw_from(data, schema)
    if fair(value):
        check(compiled(schema), Draft7Validator(schema), value)
        checked.append(value)


def test_instances_drawn_for_real_schemas() -> None:
    """Of schemas in the wild that hypothesis-jsonschema can read."""
    checked: list[Any] = []
    for row in real_schemas("schemastore"):
        if len(checked) >= REAL:
            break
        schema = row["schema"]
        text = json.dumps(schema)
        if len(text) > 3_000 or '"$ref"' in text:  # it does not read recursive references
            continue

        run = settings(COMMON, max_examples=4)(given(st.data(), st.just((schema, checked)))(drawn))
        run()
    assert len(checked) > 20
