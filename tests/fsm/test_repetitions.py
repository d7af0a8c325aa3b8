"""Long arrays: the states of all items but the last few are one template, and a number."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from small_vocabulary import small_vocabulary, viable

from lockstitch.constraint.grammar import Grammar, compile_grammar
from lockstitch.constraint.terms.arena import LOW_MARK
from lockstitch.constraint.text.style import TextStyle
from lockstitch.fsm.bitmask import unpack
from lockstitch.fsm.counting import FIRST
from lockstitch.fsm.token_fsm import TokenFSM

VOCABULARY = small_vocabulary()
FLEXIBLE = TextStyle("flexible", max_whitespace=1)
PAIR = {"type": "object", "properties": {"a": {"type": "integer"}}, "additionalProperties": False}
ITEMS: list[Any] = [
    {"type": "integer"},
    {"type": "boolean"},
    {"const": "a"},
    {"enum": [1, "ab", None]},
    {"type": "string", "maxLength": 2},
    {"anyOf": [{"type": "array", "items": {"type": "null"}, "minItems": 9}, {"const": 1}]},
    {"type": "array", "items": {"type": "null"}, "maxItems": 8},
    PAIR,
    {"type": "object", "additionalProperties": {"type": "boolean"}},
]
BOUNDS: list[dict[str, int]] = [
    {"minItems": 12},
    {"maxItems": 12},
    {"minItems": 9, "maxItems": 14},
    {"minItems": 2, "maxItems": 11},
    {"minItems": 10, "maxItems": 10},
]


def array(items: Any, bounds: dict[str, int]) -> Any:
    return {"type": "array", "items": items, **bounds}


def walk(grammar: Grammar, seed: int, steps: int) -> int:
    """Compare every mask on a walk that hurries to the next item; return the states that count."""
    fsm, rng = TokenFSM(grammar, VOCABULARY), random.Random(seed)
    state, text, counted = fsm.start, b"", 0
    for _ in range(steps):
        counted += state >= FIRST
        mask = unpack(fsm.token_mask(state), VOCABULARY.size)
        wrong = np.flatnonzero(mask != viable(grammar, VOCABULARY, text))
        assert not len(wrong), (text, [VOCABULARY.token_bytes[i] for i in wrong], mask[wrong])
        assert fsm.is_accepting(state) == grammar.accepts(text), text
        allowed = np.flatnonzero(mask).tolist()
        separators = [t for t in allowed if b"," in (VOCABULARY.token_bytes[t] or b"")]
        chosen = rng.choice(separators if separators and rng.random() < 0.85 else allowed)
        if chosen in VOCABULARY.eos_token_ids:
            break
        state = fsm.advance(state, chosen)
        text += VOCABULARY.token_bytes[chosen] or b""
    return counted


@pytest.mark.parametrize("items", ITEMS)
@pytest.mark.parametrize("bounds", BOUNDS)
def test_masks_of_long_arrays(items: Any, bounds: dict[str, int]) -> None:
    style = (TextStyle(), FLEXIBLE)[(ITEMS.index(items) + BOUNDS.index(bounds)) % 2]
    grammar = compile_grammar({"type": "json", "value": array(items, bounds)}, style=style)
    assert walk(grammar, 3, 26)


@pytest.mark.parametrize(
    "pattern",
    [
        "(a,){10,14}b?",
        "(a,b?){9,}",
        "x(a[0-9]*,){0,12}(b,){9,12}",
        "((a|b),){8,}|(a,){12}",
        "(a,(1,){8,9}){8,20}",
        "(a*,){8,10}",
        "(a,){8,9}(a,){8,9}a",
    ],
)
def test_masks_of_long_repetitions(pattern: str) -> None:
    for seed in range(2):
        walk(compile_grammar({"type": "regex", "value": pattern}), seed, 30)


def test_two_arrays_of_which_one_goes_on() -> None:
    """A state of two arrays is not one template; nothing is said about it that does not hold."""
    both = {"anyOf": [array({"type": "integer"}, {"minItems": 10}), array({}, {"maxItems": 12})]}
    for seed in range(2):
        walk(compile_grammar({"type": "json", "value": both}), seed, 30)


def test_items_make_no_terms() -> None:
    """Ten thousand items take a mask and a move for each place in an item, and nothing else."""
    fsm = TokenFSM(
        compile_grammar({"type": "json", "value": array({"type": "boolean"}, {"minItems": 10**6})}),
        VOCABULARY,
    )
    state = fsm.start
    held = []
    for part in [b"[true", *[b", true"] * 30]:
        for byte in part:
            state = fsm.advance(state, VOCABULARY.token_bytes.index(bytes([byte])))
            fsm.token_mask(state)
        held.append((len(fsm.grammar.terms), fsm.held_bytes))
    assert held[10] == held[-1]
    assert state >= FIRST
    assert not fsm.is_accepting(state)
    assert fsm.min_bytes(state) == len(", true") * (10**6 - 31) + 1


def test_marks_stay_inside() -> None:
    """No state that anybody is told of has a mark in the place of a bound."""
    fsm = TokenFSM(
        compile_grammar({"type": "json", "value": array(PAIR, {"minItems": 20})}), VOCABULARY
    )
    state = fsm.advance_bytes(fsm.start, b"[" + b", ".join([b'{"a": 1}'] * 5))
    assert state is not None
    assert state >= FIRST
    assert fsm.min_bytes(state) < LOW_MARK
    assert fsm.shortest_completion(state).count(b"{}") == 15
    assert fsm.min_tokens(state) > 15
