"""A vocabulary of a few hundred tokens that cross every border a JSON text has."""

from __future__ import annotations

import random

import numpy as np

from lockstitch.constraint.grammar import Grammar
from lockstitch.fsm.bitmask import unpack
from lockstitch.fsm.token_fsm import TokenFSM
from lockstitch.fsm.vocabulary import Vocabulary

WORDS = r"""
{ } [ ] " , : {" "} ": "," }, ], }} ]} "}} [{" [[ [] {} "" null true false nul ru ls a b ab abc bc
é "a "a" "a": a": ab": b": 1 2 10 12 99 -1 -0 0. .5 1.5 2.5 e5 E-1 1e 00 \" \\ \n \u \u00 \u0061
\ue 0061 d83d \ud83d\udc32 x y long name: 1,"a":2 ","a":1," 0123 [1, null, AB
"""
PHRASES = [" ", "  ", "\n", "\n  ", ": ", ", ", '": ', '": "', '", "', '"a": 1, "b": ', ', "a": ']
PHRASES += [
    '1, "',
    'long name": ',
    '": {"a": 1}, "',
    "long ",
    'a": 1, "a',
    '": 1, "ab": 2, "',
    "a, b",
    "null],[",
    "l],",
    '"],["a',
]
PIECES = [*WORDS.split(), *PHRASES]


def small_vocabulary() -> Vocabulary:
    """Return every byte, `PIECES`, two cut characters, one control token and two EOS ids."""
    table: list[bytes | None] = [bytes([byte]) for byte in range(256)]
    table += [piece.encode() for piece in PIECES]
    table += ["é".encode()[:1], b'\xa9"', b"ab", None, None, None]
    return Vocabulary(table, eos_token_ids=(len(table) - 1, len(table) - 2))


def viable(grammar: Grammar, vocabulary: Vocabulary, text: bytes) -> np.ndarray:
    """The mask by its definition, asking the language about every token."""
    after = [
        token is not None and len(token) > 0 and grammar.is_prefix(text + token)
        for token in vocabulary.token_bytes
    ]
    if grammar.accepts(text):
        for eos in vocabulary.eos_token_ids:
            after[eos] = True
    return np.array(after)


def check_walk(grammar: Grammar, fsm: TokenFSM, rng: random.Random, steps: int) -> int:
    """Walk at random and compare every mask on the way; return how many were compared."""
    vocabulary, state, text = fsm.vocabulary, fsm.start, b""
    row = np.full_like(fsm.token_mask(state), -1)
    for step in range(steps):
        fsm.fill_mask(state, row)
        assert np.array_equal(row, fsm.token_mask(state))
        mask = unpack(row, vocabulary.size)
        expected = viable(grammar, vocabulary, text)
        wrong = np.flatnonzero(mask != expected)
        assert not len(wrong), (text, [vocabulary.token_bytes[i] for i in wrong], mask[wrong])
        assert mask.any(), text
        forced = fsm.forced_bytes(state)
        assert grammar.is_prefix(text + forced)
        if forced:
            spelled = [vocabulary.token_bytes[t] or b"" for t in np.flatnonzero(mask)]
            assert all(forced.startswith(token[: len(forced)]) for token in spelled), forced
        token = int(rng.choice(np.flatnonzero(mask)))
        state = fsm.advance(state, token)
        if token in vocabulary.eos_token_ids:
            return step + 1
        text += vocabulary.token_bytes[token] or b""
    return steps
