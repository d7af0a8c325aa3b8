"""The tokens after which a text still fits are those of asking each token, group or no group."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from small_vocabulary import small_vocabulary

from lockstitch import TextStyle, TokenFSM, compile_grammar
from lockstitch.fsm import token_groups
from lockstitch.fsm.bitmask import allowed_ids

VOCABULARY = small_vocabulary()
STRING: dict[str, Any] = {"type": "string"}
NULL: dict[str, Any] = {"type": "null"}
SCHEMAS: dict[str, dict[str, Any]] = {
    "strings": {"type": "array", "items": STRING},
    "unique strings": {"type": "array", "items": STRING, "uniqueItems": True},
    "three unique strings": {"type": "array", "items": STRING, "uniqueItems": True, "minItems": 3},
    "unique values": {
        "type": "array",
        "items": {"enum": ["a", "ab", 1, 12, None]},
        "uniqueItems": True,
        "minItems": 3,
    },
    "free names": {"properties": {"a": NULL, "ab": NULL}, "required": ["a"], "type": "object"},
    "counted names": {"type": "object", "additionalProperties": NULL, "minProperties": 3},
    "a name that must come": {
        "type": "object",
        "patternProperties": {"^a": NULL},
        "minProperties": 2,
        "additionalProperties": {"type": "boolean"},
    },
    "behind a list": {
        "type": "object",
        "properties": {"a": {"type": "array", "items": STRING, "uniqueItems": True}, "b": NULL},
        "required": ["a", "b"],
        "additionalProperties": False,
    },
}


def walks(fsm: TokenFSM, seed: int, steps: int) -> set[int]:
    """Return states on the way of some random texts."""
    rng = random.Random(seed)
    met = set()
    for _ in range(4):
        state = fsm.start
        for _ in range(steps):
            met.add(state)
            ids = allowed_ids(fsm.token_mask(state), VOCABULARY.size).tolist()
            ids = [i for i in ids if i not in VOCABULARY.eos_token_ids]
            if not ids:
                break
            state = fsm.advance(state, rng.choice(ids))
    return met


@pytest.mark.parametrize("name", SCHEMAS)
@pytest.mark.parametrize("style", [TextStyle(), TextStyle(escapes="any")], ids=["plain", "any"])
def test_groups_change_nothing(
    name: str, style: TextStyle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_groups, "MOST_ALONE", VOCABULARY.size)
    grammar = compile_grammar({"type": "json", "value": SCHEMAS[name]}, style=style)
    fsm = TokenFSM(grammar, VOCABULARY)
    for state in sorted(walks(fsm, 5, 8)):
        allowed = allowed_ids(fsm.token_mask(state), VOCABULARY.size).tolist()
        least = fsm.min_tokens(state)
        for budget in {max(least - 1, 0), least, least + 1}:
            kept = allowed_ids(fsm.tokens_within(state, budget), VOCABULARY.size).tolist()
            text = fsm.shortest_completion(fsm.start)
            assert kept == [i for i in allowed if fsm.fits(state, i, budget)], (text, state, budget)


def test_few_tokens_stand_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    grammar = compile_grammar({"type": "json", "value": SCHEMAS["unique strings"]})
    fsm = TokenFSM(grammar, VOCABULARY)
    state = fsm.advance_bytes(fsm.start, b'["a')
    assert state is not None
    asked = []

    def fits(state: int, token: int, budget: int) -> bool:
        asked.append(token)
        return True

    monkeypatch.setattr(fsm, "fits", fits)
    kept = fsm.tokens_within(state, 9)
    assert np.array_equal(kept, fsm.token_mask(state))
    assert len(asked) < len(allowed_ids(kept, VOCABULARY.size)) / 4


def test_what_stands_alone_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_groups, "MOST_ALONE", 5)
    grammar = compile_grammar({"type": "json", "value": SCHEMAS["three unique strings"]})
    fsm = TokenFSM(grammar, VOCABULARY)
    state, budget = fsm.start, fsm.min_tokens(fsm.start)
    while not fsm.is_accepting(state):
        budget -= 1
        kept = allowed_ids(fsm.tokens_within(state, budget), VOCABULARY.size)
        assert all(fsm.min_tokens(fsm.advance(state, i)) <= budget for i in kept.tolist())
        state = fsm.advance(state, int(kept[-1]))
