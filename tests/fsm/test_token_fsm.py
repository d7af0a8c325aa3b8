"""Transitions, ends and forced text of the token FSM."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from small_vocabulary import small_vocabulary

from lockstitch.constraint.grammar import compile_grammar
from lockstitch.fsm.bitmask import allowed_ids, unpack
from lockstitch.fsm.token_fsm import TokenFSM
from lockstitch.fsm.vocabulary import Vocabulary
from lockstitch.schemas.errors import IncompatibleVocabularyError, TokenRejectedError

VOCABULARY = small_vocabulary()
IDS = {token: i for i, token in enumerate(VOCABULARY.token_bytes) if token is not None}
EOS = sorted(VOCABULARY.eos_token_ids)


def fsm_of(value: object, kind: str = "json") -> TokenFSM:
    return TokenFSM(compile_grammar({"type": kind, "value": value}), VOCABULARY)


def walk(fsm: TokenFSM, *tokens: bytes) -> int:
    state = fsm.start
    for token in tokens:
        state = fsm.advance(state, IDS[token])
    return state


def test_states_are_ints_and_advancing_is_a_function() -> None:
    fsm = fsm_of({"type": "array", "items": {"enum": ["a", "ab"]}})
    state = walk(fsm, b"[", b'"')
    assert type(state) is int
    fork = fsm.advance(state, IDS[b"a"])
    assert fsm.advance(state, IDS[b"ab"]) != fork
    assert fsm.advance(state, IDS[b"a"]) == fork
    assert walk(fsm, b"[", b'"', b"a") == walk(fsm, b'["'[:1], b'"a') == fork


def test_a_masked_token_is_rejected_and_nothing_is_lost() -> None:
    fsm = fsm_of({"type": "integer"})
    state = walk(fsm, b"1")
    for token in (IDS[b"a"], EOS[0] - 1, -1, VOCABULARY.size, 10**9):
        with pytest.raises(TokenRejectedError) as caught:
            fsm.advance(state, token)
        assert (caught.value.token_id, caught.value.state) == (token, state)
    assert fsm.advance(state, IDS[b"2"]) is not None


def test_every_eos_id_ends_exactly_where_the_text_may_end() -> None:
    fsm = fsm_of("ab?", "regex")
    assert not unpack(fsm.token_mask(fsm.start), VOCABULARY.size)[EOS].any()
    with pytest.raises(TokenRejectedError):
        fsm.advance(fsm.start, EOS[0])
    state = walk(fsm, b"a")
    assert fsm.is_accepting(state)
    assert not fsm.is_complete(state)
    assert unpack(fsm.token_mask(state), VOCABULARY.size)[EOS].all()
    assert all(fsm.advance(state, eos) == fsm.finished for eos in EOS)
    last = walk(fsm, b"ab")
    assert fsm.is_complete(last)
    assert allowed_ids(fsm.token_mask(last), VOCABULARY.size).tolist() == EOS
    assert allowed_ids(fsm.token_mask(fsm.finished), VOCABULARY.size).tolist() == EOS
    assert fsm.advance(fsm.finished, EOS[1]) == fsm.finished


def test_forced_text_is_all_that_every_continuation_shares() -> None:
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "kind": {"enum": ["ab", "abc"]}},
        "required": ["name", "kind"],
        "additionalProperties": False,
    }
    fsm = fsm_of(schema)
    assert fsm.forced_bytes(fsm.start) == b'{"name": "'
    state = fsm.advance_bytes(fsm.start, b'{"name": "x"')
    assert state is not None
    assert fsm.forced_bytes(state) == b', "kind": "ab'
    end = fsm.advance_bytes(state, b', "kind": "abc"')
    assert end is not None
    assert fsm.forced_bytes(end) == b"}"
    assert fsm.forced_bytes(fsm.finished) == b""
    long = fsm_of(r"x{70000}", "regex")
    assert long.forced_bytes(long.start) == b"x" * 65536


def test_shortest_completions_complete() -> None:
    fsm = fsm_of({"type": "array", "items": {"type": "string", "minLength": 3}, "minItems": 2})
    state = walk(fsm, b"[", b'"a')
    text = fsm.shortest_completion(state)
    assert len(text) == len(b'00", "000"]')
    after = fsm.advance_bytes(state, text)
    assert after is not None
    assert fsm.is_complete(after)


def test_narrow_masks_come_as_ids() -> None:
    fsm = fsm_of({"enum": ["a", "b", 1]})
    narrow = fsm.allowed_tokens(fsm.start)
    assert narrow is not None
    assert narrow.tolist() == allowed_ids(fsm.token_mask(fsm.start), VOCABULARY.size).tolist()


def test_a_vocabulary_that_cannot_begin_the_text_is_refused() -> None:
    vocabulary = Vocabulary([b"a", b"b", None], [2])
    with pytest.raises(IncompatibleVocabularyError):
        TokenFSM(compile_grammar({"type": "json", "value": {}}), vocabulary)
    fsm = TokenFSM(compile_grammar({"type": "regex", "value": "a*"}), vocabulary)
    assert unpack(fsm.token_mask(fsm.start), 3).tolist() == [True, False, True]


def test_threads_share_one_fsm() -> None:
    schema = {"type": "array", "items": {"type": "object", "properties": {"a": {}, "b": {}}}}
    text = b'[{"a": 1, "b": {"x": ["long name", null]}}, {"b": "\xc3\xa9"}, {}]'
    expected = masks_along(fsm_of(schema), text)
    for _ in range(5):
        with ThreadPoolExecutor(6) as threads:
            found = list(threads.map(masks_along, [fsm_of(schema)] * 6, [text] * 6))
        assert all(np.array_equal(masks, expected) for masks in found)


def masks_along(fsm: TokenFSM, text: bytes) -> np.ndarray:
    state, masks = fsm.start, []
    for byte in text:
        masks.append(fsm.token_mask(state))
        state = fsm.advance(state, IDS[bytes([byte])])
    return np.stack(masks)
