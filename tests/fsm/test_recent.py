"""What was asked for lately is kept, the bytes are bounded, and forgetting changes no mask."""

from __future__ import annotations

import copy
import gc
import random
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from small_vocabulary import small_vocabulary

from lockstitch import TokenFSM, compile_grammar
from lockstitch.fsm import mask_builder, token_fsm
from lockstitch.fsm.bitmask import allowed_ids
from lockstitch.fsm.recent import Recent

OBJECT = {"type": "json", "value": {"type": "object", "additionalProperties": {"maxLength": 9}}}

UNIQUE = {"type": "json", "value": {"items": {"type": "string"}, "uniqueItems": True}}


def test_what_is_asked_for_stays() -> None:
    cache: Recent[int, str] = Recent(100)
    for key in range(1000):
        cache.put(key, str(key), 10)
        assert cache[0] == "0"
        assert cache.held_bytes <= 100
    assert cache[999] == "999"
    assert cache[500] is None


def test_a_value_larger_than_all_is_kept_until_the_next() -> None:
    cache: Recent[int, str] = Recent(100)
    cache.put(1, "large", 1000)
    assert cache[1] == "large"
    for key in range(2, 20):
        cache.put(key, "small", 10)
    assert cache[1] is None
    assert cache.held_bytes <= 100


def states_of(fsm: TokenFSM, seed: int) -> list[int]:
    """Walk at random, and return the states met."""
    rng = random.Random(seed)
    state, met = fsm.start, []
    for _ in range(60):
        met.append(state)
        ids = allowed_ids(fsm.token_mask(state), fsm.vocabulary.size)
        text = [i for i in ids.tolist() if i not in fsm.vocabulary.eos_token_ids]
        if not text:
            break
        state = fsm.advance(state, rng.choice(text))
    return met


def test_masks_after_they_were_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    vocabulary = small_vocabulary()
    whole = TokenFSM(compile_grammar(OBJECT), vocabulary)
    for name in ("KNOWN_BYTES", "SHARED_BYTES"):
        monkeypatch.setattr(mask_builder, name, 4096)
    monkeypatch.setattr(token_fsm, "MASK_BYTES", 2048)
    small = TokenFSM(compile_grammar(OBJECT), small_vocabulary())
    for seed in range(4):
        seen = [small.token_mask(state).tobytes() for state in states_of(small, seed)]
        assert seen == [whole.token_mask(state).tobytes() for state in states_of(whole, seed)]
    states = states_of(small, 9)
    first = [small.token_mask(state).copy() for state in states]
    for seed in range(5):
        states_of(small, seed)
    assert all(np.array_equal(small.token_mask(s), m) for s, m in zip(states, first, strict=True))


def test_a_dropped_fsm_takes_its_masks_along() -> None:
    """Nothing that it keeps leads back to it, so no collector has to find it."""
    fsm, out = TokenFSM(compile_grammar(OBJECT), small_vocabulary()), None
    for state in states_of(fsm, seed=1):
        out = np.empty_like(fsm.token_mask(state))
        fsm.fill_mask(state, out)
        assert fsm.tokens_within(state, 99).any()
    dropped, builder = weakref.ref(fsm), weakref.ref(fsm._builder)
    gc.disable()
    try:
        del fsm
        assert dropped() is None
        assert builder() is None
    finally:
        gc.enable()


def left_behind(walks: int) -> tuple[int, int]:
    """Return how many terms and states some walks made, and what the collector had to free."""
    fsm = TokenFSM(compile_grammar(UNIQUE), small_vocabulary())
    for seed in range(walks):
        states_of(fsm, seed)
    grammar, terms, automaton = fsm.grammar, fsm.grammar.terms, fsm._automaton
    made = len(terms.nodes) + len(automaton.terms_of)
    gc.collect()
    gc.disable()
    try:
        del fsm
        assert not vars(automaton)
        assert grammar.accepts(b"[]")
        del grammar
        assert not vars(terms)
        del terms, automaton
        return made, gc.collect()
    finally:
        gc.enable()


def test_a_dropped_grammar_takes_its_terms_and_states_along() -> None:
    """They lead back to themselves, and are cut off."""
    (few, little), (many, left) = left_behind(1), left_behind(60)
    assert many > few + 2000
    assert left < little + 20


def test_a_copy_is_the_object_itself() -> None:
    fsm = TokenFSM(compile_grammar(UNIQUE), small_vocabulary())
    assert copy.copy(fsm) is fsm
    assert copy.copy(fsm.grammar) is fsm.grammar
    other = copy.deepcopy(fsm.grammar)
    del other
    assert fsm.grammar.accepts(b'["a"]')


def test_threads_see_the_same_masks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_fsm, "MASK_BYTES", 4096)
    vocabulary = small_vocabulary()
    expected = TokenFSM(compile_grammar(OBJECT), vocabulary)
    fsm = TokenFSM(compile_grammar(OBJECT), vocabulary)

    def masks(seed: int, own: TokenFSM) -> list[bytes]:
        return [own.token_mask(state).tobytes() for state in states_of(own, seed)]

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda seed: masks(seed, fsm), range(16)))
    assert found == [masks(seed, expected) for seed in range(16)]
