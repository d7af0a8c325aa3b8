"""With which bytes states begin, and the texts of a list: what walks are cut short by."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from schema_maker import grammars
from small_vocabulary import check_walk, small_vocabulary

from lockstitch.constraint.entries import SEPARATOR, TEXT, VALUE
from lockstitch.constraint.grammar import compile_grammar
from lockstitch.constraint.parts import NO_TEXTS
from lockstitch.constraint.text.style import TextStyle
from lockstitch.fsm import state_table
from lockstitch.fsm.bitmask import allowed_ids
from lockstitch.fsm.columns import FIRST_BRANCH, LOOP
from lockstitch.fsm.state_table import StateTable
from lockstitch.fsm.token_fsm import TokenFSM

VOCABULARY = small_vocabulary()
STYLES = [
    TextStyle("flexible"),
    TextStyle("flexible", "any", "any", max_whitespace=2),
    TextStyle("compact"),
]
NAMES = ["a", "ab", "abc", "b", "bc", "x", "y", "é", "long name", 'a"', "ab\\", "10", "A", "AB"]
PROPERTIES: dict[str, Any] = {name: {"type": "integer"} for name in NAMES}


def table_of(fsm: TokenFSM) -> StateTable:
    return fsm._builder.walker.table


@pytest.mark.parametrize("style", STYLES, ids=str)
@pytest.mark.parametrize("seed", range(3))
def test_each_byte_of_a_state_is_among_its_starts(seed: int, style: TextStyle) -> None:
    rng, noted = random.Random(seed), 0
    for _, grammar in grammars(8, seed=seed, style=style):
        fsm = TokenFSM(grammar, VOCABULARY)
        check_walk(grammar, fsm, rng, 8)
        table, automaton = table_of(fsm), fsm._automaton
        for state in np.flatnonzero(table.starts[: len(automaton)]).tolist():
            starts, row = int(table.starts[state]), automaton.row(state)
            missing = [
                b for mask, _ in row for b in range(256) if mask >> b & ~starts >> (b & 63) & 1
            ]
            assert not missing, (state, missing)
            noted += state >= len(automaton.shared)
    assert noted > 20


def listed(**keywords: Any) -> dict[str, Any]:
    return {"type": "object", "properties": PROPERTIES, **keywords}


LISTS = [
    listed(additionalProperties=False),
    listed(),
    listed(required=["y", "b"]),
    listed(required=["a"], additionalProperties={"type": "array"}),
    {"type": "array", "items": listed(additionalProperties=False)},
    listed(properties={**PROPERTIES, "ab": False}),
    listed(properties={**PROPERTIES, "o": listed()}),
]


@pytest.mark.parametrize("schema", LISTS)
def test_states_of_lists_are_told_as_the_automaton_takes_them_apart(schema: dict[str, Any]) -> None:
    grammar = compile_grammar({"type": "json", "value": schema}, style=STYLES[0])
    fsm, rng, checked = TokenFSM(grammar, VOCABULARY), random.Random(1), 0
    for _ in range(6):
        check_walk(grammar, fsm, rng, 20)
    table, automaton = table_of(fsm), fsm._automaton
    kinds = set()
    for state in range(len(automaton)):
        place = automaton.entries.place(state)
        if place is None or not table.is_known(state):
            continue
        kinds.add(place.kind)
        found, told = automaton.alternatives(state), table.states[state, FIRST_BRANCH:LOOP].tolist()
        branches = table.branches.array[told[0] : told[1], :2].tolist()
        assert [tuple(branch) for branch in branches] == [
            (head, tail) for head, tail, _ in found.branches if tail is not None
        ]
        rows = table.texts.array[told[2] : told[3]].tolist()
        texts = [table.text_bytes.array[begin:end].tobytes() for begin, end, _ in rows]
        assert texts == sorted(texts)
        want = found.texts or NO_TEXTS
        assert (tuple(texts), tuple(tail for _, _, tail in rows)) == want
        checked += len(rows) > 6
    assert checked
    assert kinds >= {TEXT, VALUE, SEPARATOR}


def test_lists_of_the_same_entries_end_where_each_of_them_is() -> None:
    """They share the bytes of their texts; a token that ends inside some tells which list it is."""
    names = {"k": {"type": "null"}, "alpha": {"$ref": "#"}, "alps": {"type": "null"}}
    schema = {"type": "object", "properties": names, "additionalProperties": False}
    grammar = compile_grammar({"type": "json", "value": schema}, style=STYLES[0])
    fsm = TokenFSM(grammar, VOCABULARY)
    byte_ids = {text: token for token, text in enumerate(VOCABULARY.token_bytes) if text}
    state = fsm.start
    text = b'{"k":null,"alps":null}'
    for _ in range(3):
        text = b'{"k":null,"alpha":' + text + b',"alps":null}'
    for byte in text:
        token = byte_ids[bytes([byte])]
        assert token in allowed_ids(fsm.token_mask(state), VOCABULARY.size)
        state = fsm.advance(state, token)
    assert fsm.is_accepting(state)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "minItems": 3000, "items": {"const": "a"}},
        {"type": "array", "minItems": 3000, "prefixItems": [{"const": "a"}] * 3000},
    ],
    ids=["items", "prefix"],
)
def test_a_long_row_of_short_texts_is_not_taken_apart_at_once(
    schema: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state_table, "SHORT", 8)  # such texts are longer than those of today
    grammar = compile_grammar({"type": "json", "value": schema}, style=TextStyle("compact"))
    fsm = TokenFSM(grammar, VOCABULARY)
    check_walk(grammar, fsm, random.Random(2), 12)
    assert 4 < np.count_nonzero(table_of(fsm).states[:, 2] >= 0) < 300
