"""Masks over the vocabularies of real tokenizers, checked against their definition by sample."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np
import pytest

from lockstitch.constraint.grammar import compile_grammar
from lockstitch.constraint.text.style import TextStyle
from lockstitch.fsm.bitmask import unpack
from lockstitch.fsm.token_fsm import TokenFSM
from lockstitch.fsm.vocabulary import Vocabulary

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 2, "maxLength": 40},
        "code": {"type": "string", "pattern": "^[A-Z]{2}-[0-9]{3,}$"},
        "tags": {"type": "array", "items": {"enum": ["new", "used", None]}, "maxItems": 4},
        "price": {"type": "number", "minimum": 0, "exclusiveMaximum": 1000},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
    },
    "required": ["name", "price"],
}
DOCUMENTS = [
    {
        "name": "Ünal 北京 🐲",
        "code": "AB-1234",
        "tags": ["new", None],
        "price": 12.5,
        "note": 'a "b"',
    },
    {"name": "Bob", "price": 7, "note": None, "extra": {"names": ["x"], "Bob": 1.5}},
]
TOKENIZERS = ["smollm2_tokenizer", "deepseek_tokenizer", "qwen_tokenizer", "gemma_tokenizer"]
SAMPLE = 1500


@pytest.mark.parametrize("fixture", TOKENIZERS)
@pytest.mark.parametrize("style", [TextStyle(), TextStyle("flexible")], ids=["spaced", "flexible"])
def test_masks_agree_with_the_language(
    fixture: str, style: TextStyle, request: pytest.FixtureRequest
) -> None:
    tokenizer = request.getfixturevalue(fixture)
    eos = tokenizer.eos_token_id
    vocabulary = Vocabulary.from_tokenizer(tokenizer, eos_token_ids=[0 if eos is None else eos])
    grammar = compile_grammar({"type": "json", "value": SCHEMA}, style=style)
    fsm = TokenFSM(grammar, vocabulary)
    rng = random.Random(fixture)
    legal = [i for i, token in enumerate(vocabulary.token_bytes) if token]
    row = np.full_like(fsm.token_mask(fsm.start), -1)
    for document in DOCUMENTS:
        state, text = fsm.start, b""
        for token in token_ids(tokenizer, json.dumps(document, ensure_ascii=False)):
            fsm.fill_mask(state, row)
            assert np.array_equal(row, fsm.token_mask(state))
            mask = unpack(row, vocabulary.size)
            allowed = np.flatnonzero(mask).tolist()
            picked = rng.sample(legal, SAMPLE // 10) + rng.sample(allowed, min(40, len(allowed)))
            for other in picked:
                spelled = vocabulary.token_bytes[other]
                viable = grammar.is_prefix(text + spelled) if spelled else grammar.accepts(text)
                assert mask[other] == viable, (text, spelled)
            assert mask[token], (text, vocabulary.token_bytes[token])
            state = fsm.advance(state, token)
            text += vocabulary.token_bytes[token] or b""
        assert fsm.is_complete(state)
        assert grammar.accepts(text)


def test_what_grammars_share_of_machines_and_arrays(smollm2_tokenizer: Any) -> None:
    """What one grammar has found out of a format is right in the next, whatever follows it."""
    vocabulary = Vocabulary.from_tokenizer(smollm2_tokenizer, eos_token_ids=[0])
    legal = [i for i, token in enumerate(vocabulary.token_bytes) if token]
    rng = random.Random(1)
    mail, host = ({"type": "string", "format": name} for name in ("email", "hostname"))
    hosts = {"type": "array", "items": host, "minItems": 3, "maxItems": 12}
    values: list[tuple[Any, Any]] = [
        ({"properties": {"m": mail}, "required": ["m"]}, {"m": "jo.doe@example.com"}),
        ({"type": "array", "items": mail}, ["jo.doe@my-example.co", "a@b.org"]),
        ({"type": "array", "items": {**mail, "maxLength": 14}}, ["jo@mail.org"]),
        (hosts, ["www.example.com"] * 9),
        ({"properties": {"h": host, "l": hosts}}, {"h": "a-b.c", "l": ["www.x9.net"] * 4}),
    ]
    for schema, document in values:
        grammar = compile_grammar({"type": "json", "value": schema})
        fsm = TokenFSM(grammar, vocabulary)
        state, text = fsm.start, b""
        for token in token_ids(smollm2_tokenizer, json.dumps(document)):
            mask = unpack(fsm.token_mask(state), vocabulary.size)
            allowed = np.flatnonzero(mask).tolist()
            for other in rng.sample(legal, 60) + rng.sample(allowed, min(60, len(allowed))):
                spelled = vocabulary.token_bytes[other]
                viable = grammar.is_prefix(text + spelled) if spelled else grammar.accepts(text)
                assert mask[other] == viable, (schema, text, spelled)
            state = fsm.advance(state, token)
            text += vocabulary.token_bytes[token] or b""
        assert grammar.accepts(text)
        assert fsm.is_accepting(state)


def token_ids(tokenizer: Any, text: str) -> list[int]:
    """The tokenizer's ids for `text` without any it adds at the start."""
    ids: list[int] = tokenizer.encode(text, add_special_tokens=False)
    return ids


@pytest.mark.parametrize("fixture", TOKENIZERS[:2])
def test_random_masked_walks_never_get_stuck(fixture: str, request: pytest.FixtureRequest) -> None:
    tokenizer = request.getfixturevalue(fixture)
    eos = tokenizer.eos_token_id
    vocabulary = Vocabulary.from_tokenizer(tokenizer, eos_token_ids=[0 if eos is None else eos])
    fsm = TokenFSM(compile_grammar({"type": "json", "value": SCHEMA}), vocabulary)
    rng = np.random.default_rng(1)
    for _ in range(20):
        state, text = fsm.start, b""
        for _ in range(25):
            token = int(rng.choice(np.flatnonzero(unpack(fsm.token_mask(state), vocabulary.size))))
            state = fsm.advance(state, token)
            text += vocabulary.token_bytes[token] or b""
            if state == fsm.finished:
                break
        else:
            text += fsm.shortest_completion(state)
        value = json.loads(text)
        assert 2 <= len(value["name"]) <= 40
        assert 0 <= value["price"] < 1000
