"""Items and names that must differ inside of items that must differ: their masks are exact.

A token that ends an inner one and the item around it decides by the whole item what may follow.
"""

from __future__ import annotations

import random

import pytest
from small_vocabulary import check_walk

from lockstitch.constraint.grammar import compile_grammar
from lockstitch.constraint.text.style import TextStyle
from lockstitch.fsm import token_groups
from lockstitch.fsm.bitmask import allowed_ids
from lockstitch.fsm.token_fsm import TokenFSM
from lockstitch.fsm.vocabulary import Vocabulary

Schema = dict[str, object]
PIECES = [*b'[ ] { } , : " a b 1 null true "a" "b" "a": "a":1 },{ ],[ "," ":" - \\n'.split(), b" "]
STYLES = [TextStyle("compact"), TextStyle("flexible", "any", "any", max_whitespace=2)]


def unique(items: Schema) -> Schema:
    return {"type": "array", "items": items, "uniqueItems": True}


STRING: Schema = {"type": "string"}
FREE: Schema = {"type": "object"}
NAMED: Schema = {"type": "object", "properties": {"a": STRING}, "additionalProperties": False}
NESTED: list[Schema] = [
    unique(FREE),
    unique({"type": "object", "additionalProperties": unique({"type": ["null", "integer"]})}),
    unique(unique({"type": "null"})),
    unique(unique(NAMED)),
    unique(unique(FREE)),
    unique({"oneOf": [STRING, unique({"oneOf": [STRING, unique(STRING)]})]}),
    {"type": "array", "items": unique(unique({"type": "integer"})), "maxItems": 2},
]


def long_tokens(seed: int) -> Vocabulary:
    """Return every byte and tokens of two to six pieces."""
    rng = random.Random(seed)
    made = {b"".join(rng.choices(PIECES, k=rng.randint(2, 6))) for _ in range(400)}
    table: list[bytes | None] = [bytes([byte]) for byte in range(256)]
    return Vocabulary([*table, *sorted(made), None], [256 + len(made)])


@pytest.mark.parametrize("schema", NESTED, ids=range(len(NESTED)))
@pytest.mark.parametrize("style", STYLES, ids=["compact", "flexible"])
def test_masks_inside_of_unique_items(schema: Schema, style: TextStyle) -> None:
    rng, compared = random.Random(1), 0
    for seed in range(3):
        grammar = compile_grammar({"type": "json", "value": schema}, style=style)
        fsm = TokenFSM(grammar, long_tokens(seed))
        compared += sum(check_walk(grammar, fsm, rng, 12) for _ in range(4))
    assert compared > 50


@pytest.mark.parametrize(
    ("schema", "text", "token"),
    [
        (unique(unique({"type": "null"})), b"[[null", b"],["),
        (unique(FREE), b"[{", b'"a":1},{'),
        (unique(FREE), b'[{"b":null},{', b'"a":1},{"a":'),
        (unique(unique(STRING)), b'[["b","a', b'"],["b"'),
    ],
)
def test_a_token_ends_an_item_inside_an_item(schema: Schema, text: bytes, token: bytes) -> None:
    table: list[bytes | None] = [bytes([byte]) for byte in range(256)]
    vocabulary = Vocabulary([*table, token, None], [257])
    fsm = TokenFSM(
        compile_grammar({"type": "json", "value": schema}, style=TextStyle("compact")), vocabulary
    )
    state = fsm.advance_bytes(fsm.start, text)
    assert state is not None
    assert 256 in allowed_ids(fsm.token_mask(state), vocabulary.size)
    assert fsm.advance(state, 256) == fsm.advance_bytes(state, token)


@pytest.mark.parametrize("schema", NESTED, ids=range(len(NESTED)))
@pytest.mark.parametrize("style", STYLES, ids=["compact", "flexible"])
def test_what_fits_inside_of_unique_items(
    schema: Schema, style: TextStyle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token that ends an item and begins another may have to end that with more."""
    monkeypatch.setattr(token_groups, "MOST_ALONE", 1000)
    rng = random.Random(1)
    for seed in range(2):
        vocabulary = long_tokens(seed)
        fsm = TokenFSM(compile_grammar({"type": "json", "value": schema}, style=style), vocabulary)
        state = fsm.start
        for _ in range(9):
            allowed = allowed_ids(fsm.token_mask(state), vocabulary.size).tolist()
            least = fsm.min_tokens(state)
            for budget in (max(least - 1, 0), least, least + 1):
                kept = allowed_ids(fsm.tokens_within(state, budget), vocabulary.size).tolist()
                assert kept == [i for i in allowed if fsm.fits(state, i, budget)], budget
            token = rng.choice(allowed)
            if token in vocabulary.eos_token_ids:
                break
            state = fsm.advance(state, token)


@pytest.mark.parametrize(
    ("schema", "text", "token", "budget"),
    [
        (unique(STRING), b'["b', b'","b', 2),
        (unique(STRING), b'["', b'","', 2),
        ({"type": "object"}, b'{"', b'":1,"', 4),
    ],
)
def test_an_item_that_was_just_written_cannot_come_again(
    schema: Schema, text: bytes, token: bytes, budget: int
) -> None:
    table: list[bytes | None] = [bytes([byte]) for byte in range(256)]
    vocabulary = Vocabulary([*table, token, b"x" + token, None], [258])
    fsm = TokenFSM(
        compile_grammar({"type": "json", "value": schema}, style=TextStyle("compact")), vocabulary
    )
    state = fsm.advance_bytes(fsm.start, text)
    assert state is not None
    kept = allowed_ids(fsm.tokens_within(state, budget), vocabulary.size)
    assert [i in kept for i in (256, 257)] == [False, True]
