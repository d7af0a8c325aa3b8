"""A grammar that was compiled in another process is the same grammar."""

from __future__ import annotations

import pickle
import random
from typing import Any

import pytest
from small_vocabulary import check_walk, small_vocabulary

from lockstitch import TextStyle, TokenFSM, compile_grammar

TEXTS = {"type": "array", "uniqueItems": True, "items": {"type": "string", "maxLength": 1}}
LISTS = {"type": "array", "items": {"enum": [1, 2]}, "maxItems": 1}
SCHEMAS: list[Any] = [
    {},
    TEXTS,
    {"type": "array", "uniqueItems": True, "items": {"enum": ["a", 1, None]}, "minItems": 2},
    {"type": "array", "uniqueItems": True, "items": LISTS, "minItems": 2},
    {"type": "string", "format": "hostname"},
    {"type": "string", "format": "email"},
    {"type": "number", "multipleOf": 0.7},
    {"type": "array", "contains": {"type": "integer"}, "items": {"type": ["null", "integer"]}},
    {"type": "object", "not": {"required": ["a"]}},
    {"type": "object", "patternProperties": {"^a": {"enum": [1]}}, "minProperties": 2},
    {"type": "object", "unevaluatedProperties": False, "properties": {"a": TEXTS, "b": {}}},
]
STYLES = [TextStyle(), TextStyle("flexible", "any", "any", max_whitespace=2)]


@pytest.mark.parametrize("style", STYLES, ids=str)
@pytest.mark.parametrize("schema", SCHEMAS, ids=str)
def test_a_pickled_schema_says_the_same(schema: Any, style: TextStyle) -> None:
    grammar = compile_grammar({"type": "json", "value": schema}, style=style)
    again = pickle.loads(pickle.dumps(grammar))
    assert again.shortest() == grammar.shortest()
    assert again.report == grammar.report
    assert again.shared is grammar.shared
    rng = random.Random(str(schema))
    assert sum(check_walk(grammar, TokenFSM(again, small_vocabulary()), rng, 6) for _ in range(3))


def test_a_pickled_regex_says_the_same() -> None:
    grammar = compile_grammar({"type": "regex", "value": r"(\d{2,4}|[^é]*b)x"})
    again = pickle.loads(pickle.dumps(grammar))
    assert again.shared is grammar.shared
    rng = random.Random(1)
    assert sum(check_walk(grammar, TokenFSM(again, small_vocabulary()), rng, 6) for _ in range(3))
