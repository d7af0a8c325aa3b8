"""States that count, and states inside texts: numbers without terms that mean the same."""

from __future__ import annotations

import random
from typing import Literal

import numpy as np
import pytest
from schema_maker import grammars
from small_vocabulary import small_vocabulary

from lockstitch.constraint.grammar import compile_grammar
from lockstitch.constraint.text.style import TextStyle
from lockstitch.fsm.bitmask import allowed_ids, unpack
from lockstitch.fsm.counting import FIRST
from lockstitch.fsm.token_fsm import TokenFSM

VOCABULARY = small_vocabulary()
STYLE = TextStyle("flexible", max_whitespace=2)


def fsm_of(value: object, kind: str = "json") -> TokenFSM:
    return TokenFSM(compile_grammar({"type": kind, "value": value}), VOCABULARY)


def token(text: bytes) -> int:
    return VOCABULARY.token_bytes.index(text)


def any_token(fsm: TokenFSM, state: int, rng: random.Random) -> int | None:
    """Return an allowed token that is no EOS, None if there is none."""
    ids = allowed_ids(fsm.token_mask(state), VOCABULARY.size)
    ids = ids[~np.isin(ids, list(VOCABULARY.eos_token_ids))]
    return int(rng.choice(ids)) if len(ids) else None


def same(fsm: TokenFSM, other: TokenFSM, state: int, at: int) -> None:
    """A state and one of another FSM for the same grammar answer every question alike."""
    assert (fsm.token_mask(state) == other.token_mask(at)).all()
    assert fsm.is_accepting(state) == other.is_accepting(at)
    assert fsm.is_complete(state) == other.is_complete(at)
    assert fsm.forced_bytes(state) == other.forced_bytes(at)
    assert fsm.min_bytes(state) == other.min_bytes(at)
    assert fsm.min_tokens(state) == other.min_tokens(at)
    assert len(fsm.shortest_completion(state)) == len(other.shortest_completion(at))
    budget = fsm.min_tokens(state) + 1
    assert (fsm.tokens_within(state, budget) == other.tokens_within(at, budget)).all()


@pytest.mark.parametrize(
    ("kind", "value", "begin"),
    [
        ("json", {"type": "string", "maxLength": 90}, b'"'),
        ("json", {"type": "string", "minLength": 40, "maxLength": 70}, b'"'),
        ("json", {"type": "string", "minLength": 60}, b'"'),
        ("json", {"properties": {"a": {"type": "string", "maxLength": 50}}}, b'{"a": "'),
        ("regex", "[a-c]{3,60}", b""),
        ("regex", "(ab|c){20,40}x", b""),
    ],
)
def test_counting_is_what_the_bytes_say(kind: str, value: object, begin: bytes) -> None:
    fsm, counted, rng = fsm_of(value, kind), 0, random.Random(1)
    for _ in range(3):
        state, text = fsm.advance_bytes(fsm.start, begin), begin
        assert state is not None
        while len(text) < 80:
            other = fsm_of(value, kind)
            at = other.advance_bytes(other.start, text)
            assert at is not None
            same(fsm, other, state, at)
            counted += state >= FIRST
            chosen = any_token(fsm, state, rng)
            if chosen is None:
                break
            state = fsm.advance(state, chosen)
            text += VOCABULARY.token_bytes[chosen] or b""
    assert counted > 10


def test_counting_makes_no_terms() -> None:
    fsm = fsm_of({"type": "string", "maxLength": 5000})
    state = fsm.advance_bytes(fsm.start, b'"ab')
    assert state is not None
    state = fsm.advance(state, token(b"a"))
    fsm.token_mask(state)
    before, held = len(fsm.grammar.terms), fsm.held_bytes
    for _ in range(4000):
        state = fsm.advance(state, token(b"a"))
        fsm.token_mask(state)
    assert len(fsm.grammar.terms) == before
    assert fsm.held_bytes == held


def test_a_counter_of_more_than_a_token_can_read_has_one_mask() -> None:
    fsm = fsm_of({"type": "string", "maxLength": 10**12})
    state = fsm.advance_bytes(fsm.start, b'"a')
    assert state is not None
    mask = fsm.token_mask(state)
    assert mask is fsm.token_mask(fsm.advance(state, token(b"a")))


@pytest.mark.parametrize("seed", range(6))
def test_tokens_lead_where_their_bytes_lead(seed: int) -> None:
    """The kernel that follows a token, and the states inside texts that it leads to."""
    rng, followed = random.Random(seed), 0
    for _, grammar in grammars(12, seed=seed, style=STYLE):
        fsm, plain = TokenFSM(grammar, VOCABULARY), TokenFSM(grammar, VOCABULARY)
        state, text = fsm.start, b""
        for _ in range(8):
            chosen = any_token(fsm, state, rng)
            if chosen is None:
                break
            state = fsm.advance(state, chosen)
            text += VOCABULARY.token_bytes[chosen] or b""
            at = plain.advance_bytes(plain.start, text)
            assert at is not None
            assert (fsm.token_mask(state) == plain.token_mask(at)).all(), text
            assert fsm.min_bytes(state) == plain.min_bytes(at), text
            assert fsm.forced_bytes(state) == plain.forced_bytes(at), text
            followed += 1
    assert followed > 30


NAMES = {"abc": {"type": "integer"}, "ab": True, "long name": {"enum": ["a", "b"]}, "x": {}}
OPEN: list[tuple[bytes, dict[str, object]]] = [
    (b'{"', {"properties": NAMES}),
    (b'{"', {"properties": NAMES, "additionalProperties": {"type": "array"}}),
    (b'{"', {"properties": NAMES, "minProperties": 3}),
    (b'[{"', {"type": "array", "items": {"properties": NAMES}}),
    (b'{"', {"properties": NAMES, "patternProperties": {"^lo": {"type": "null"}}}),
]


@pytest.mark.parametrize("order", ["schema", "any"])
@pytest.mark.parametrize(("begin", "value"), OPEN)
def test_names_that_are_begun_beside_declared_ones(
    begin: bytes, value: object, order: Literal["schema", "any"]
) -> None:
    """A capture and a range of texts are one state, whose term is made if somebody asks."""
    grammar = compile_grammar(
        {"type": "json", "value": value}, style=TextStyle("compact", property_order=order)
    )
    fsm, rng, named = TokenFSM(grammar, VOCABULARY), random.Random(3), 0
    likely = [token(t) for t in (b'"', b"a", b"ab", b"long ", b"x", b"abc", b'": ', b"1")]
    for seed in range(5):
        fsm.token_mask(fsm.start)
        state, text = fsm.advance(fsm.start, token(begin)), begin
        for _ in range(6):
            mask = unpack(fsm.token_mask(state), VOCABULARY.size)
            allowed = [i for i in likely if mask[i]]
            one = rng.choice(allowed) if allowed else any_token(fsm, state, rng)
            if one is None:
                break
            state = fsm.advance(state, one)
            text += VOCABULARY.token_bytes[one] or b""
            other = TokenFSM(grammar, VOCABULARY) if seed == 0 else fsm
            at = other.advance_bytes(other.start, text)
            assert at is not None
            same(fsm, other, state, at)
            named += fsm._automaton._unread.get(state, (None, -1))[1] >= 0
    assert named


@pytest.mark.parametrize(("low", "high"), [(0, 60), (3, 60), (0, 13), (14, 14)])
def test_a_token_that_leaves_a_string_leads_where_its_bytes_lead(low: int, high: int) -> None:
    limited = {"type": "string", "minLength": low, "maxLength": high}
    for schema in (limited, {"properties": {"a": limited, "b": True}, "required": ["a"]}):
        fsm, plain, left = fsm_of(schema), fsm_of(schema), 0
        begin = b'"' if schema is limited else b'{"a": "'
        for length in range(max(low - 2, 0), high + 2):
            text = begin + b"x" * length
            at = plain.advance_bytes(plain.start, text)
            state = fsm.start
            for byte in text:
                mask = unpack(fsm.token_mask(state), VOCABULARY.size)
                state = fsm.advance(state, byte) if mask[byte] else -1
                if state < 0:
                    break
            assert (state < 0) == (at is None)
            if at is None:
                continue
            same(fsm, plain, state, at)
            for token_id in allowed_ids(fsm.token_mask(state), VOCABULARY.size).tolist():
                spelled = VOCABULARY.token_bytes[token_id] or b""
                if b'"' in spelled:
                    behind = plain.advance_bytes(at, spelled)
                    assert behind is not None
                    same(fsm, plain, fsm.advance(state, token_id), behind)
                    left += 1
        assert left > 3
