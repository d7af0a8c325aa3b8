"""Random texts under a mask: each can be finished, parses, and validates."""

from __future__ import annotations

import json
import math
import random
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator
from schema_maker import FORMAT_CHECKER, grammars
from shared_data import real_schemas
from small_vocabulary import small_vocabulary

from lockstitch.constraint.grammar import Grammar, compile_grammar
from lockstitch.constraint.text.style import TextStyle
from lockstitch.fsm.bitmask import allowed_ids
from lockstitch.fsm.token_fsm import TokenFSM
from lockstitch.schemas.errors import UnsupportedGrammarError

VOCABULARY = small_vocabulary()
WALKS = 100
STEPS = 12


def random_text(fsm: TokenFSM, rng: random.Random, ids: dict[int, np.ndarray]) -> bytes:
    """Walk some tokens, each drawn from the mask, then close the text the shortest way."""
    state, text = fsm.start, b""
    for _ in range(rng.randint(1, STEPS)):
        if state not in ids:
            ids[state] = allowed_ids(fsm.token_mask(state), fsm.vocabulary.size)
        assert len(ids[state]), ("a dead end", text)
        token = int(rng.choice(ids[state]))
        state = fsm.advance(state, token)
        text += fsm.vocabulary.token_bytes[token] or b""
    return text if state == fsm.finished else text + fsm.shortest_completion(state)


def refuse_repeated_names(pairs: list[tuple[str, object]]) -> dict[str, object]:
    assert len({name for name, _ in pairs}) == len(pairs), pairs
    return dict(pairs)


def as_float(text: str) -> float:
    """Return a number as jsonschema compares it, NaN if that would be another number."""
    value = float(text)
    return value if Decimal(repr(value)) == Decimal(text) else math.nan


def check_walks(schema: dict[str, Any], grammar: Grammar, seed: int) -> None:
    rng, validator = (
        random.Random(seed),
        Draft202012Validator(schema, format_checker=FORMAT_CHECKER),
    )
    fsm = TokenFSM(grammar, VOCABULARY)
    ids: dict[int, np.ndarray] = {}
    for _ in range(WALKS):
        text = random_text(fsm, rng, ids)
        assert grammar.accepts(text), text
        value = json.loads(text, object_pairs_hook=refuse_repeated_names, parse_float=as_float)
        if "NaN" in json.dumps(value):
            continue
        error = next(validator.iter_errors(value), None)
        assert error is None, (schema, text, error)


@pytest.mark.parametrize("seed", range(100, 108))
def test_a_hundred_walks_for_each_of_many_schemas(seed: int) -> None:
    style = TextStyle() if seed % 2 else TextStyle("flexible", "any", "any", max_whitespace=3)
    for number, (schema, grammar) in enumerate(grammars(25, seed=seed, style=style)):
        check_walks(schema, grammar, number)


def test_walks_for_real_schemas() -> None:
    checked = 0
    for record in real_schemas("maskbench"):
        if len(json.dumps(record["schema"])) > 2500 or "$schema" in record["schema"]:
            continue
        try:
            grammar = compile_grammar({"type": "json", "value": record["schema"]})
        except UnsupportedGrammarError:
            continue
        check_walks(record["schema"], grammar, checked)
        checked += 1
        if checked == 15:
            break
    assert checked == 15


def test_the_shortest_text_is_valid_and_nothing_is_shorter() -> None:
    for schema, grammar in grammars(60, seed=7):
        text = grammar.shortest()
        assert len(text) == grammar.min_bytes
        assert grammar.accepts(text)
        assert Draft202012Validator(schema, format_checker=FORMAT_CHECKER).is_valid(
            json.loads(text)
        ), (schema, text)
        assert not any(grammar.accepts(text[:cut]) for cut in range(len(text)))
