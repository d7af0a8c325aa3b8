"""Token masks against their definition, state by state."""

from __future__ import annotations

import random

import numpy as np
import pytest
from schema_maker import grammars
from small_vocabulary import check_walk, small_vocabulary, viable

from lockstitch.constraint.automaton import Automaton
from lockstitch.constraint.grammar import compile_grammar
from lockstitch.constraint.text.style import TextStyle
from lockstitch.fsm import scratch as scratch_module
from lockstitch.fsm import token_fsm
from lockstitch.fsm import walker as walker_module
from lockstitch.fsm.bitmask import empty_mask, unpack
from lockstitch.fsm.columns import NOTHING
from lockstitch.fsm.patches import Patch
from lockstitch.fsm.token_fsm import TokenFSM
from lockstitch.fsm.vocabulary import Vocabulary
from lockstitch.fsm.walker import Walker, items_of
from lockstitch.schemas.errors import GrammarTooLargeError

VOCABULARY = small_vocabulary()
STYLES = [
    TextStyle(),
    TextStyle("compact", property_order="any"),
    TextStyle("flexible", "any", "any", max_whitespace=2),
]
REGEXES = [
    r"(GET|POST) /[a-z]{0,12}(\?[a-z]=\d+)?",
    r"(?=.*\d)(?=.*[a-c])[a-c\d]{2,6}",
    r"\d{1,3}(\.\d{1,3}){3}",
    r"[^\W\d_]+é?",
    r"a{1,1000}|(ab|a)*c",
    r"(?!null)\w+",
    r"\b\w+\b( \b\w+\b)*",
    r".{3}|[\s\S]{5}",
]


@pytest.mark.parametrize("style", STYLES, ids=["spaced", "compact any order", "everything"])
@pytest.mark.parametrize("seed", range(4))
def test_masks_of_random_schemas_are_exact(style: TextStyle, seed: int) -> None:
    rng = random.Random(seed)
    compared = 0
    for _, grammar in grammars(25, seed=seed, style=style):
        fsm = TokenFSM(grammar, VOCABULARY)
        compared += sum(check_walk(grammar, fsm, rng, 10) for _ in range(3))
    assert compared > 250


@pytest.mark.parametrize("pattern", REGEXES)
def test_masks_of_regexes_are_exact(pattern: str) -> None:
    rng = random.Random(pattern)
    grammar = compile_grammar({"type": "regex", "value": pattern})
    fsm = TokenFSM(grammar, VOCABULARY)
    assert sum(check_walk(grammar, fsm, rng, 12) for _ in range(8)) > 8


UNIQUE_OBJECTS = {
    "type": "array",
    "items": {"properties": {"a": {"type": "string"}}, "additionalProperties": False},
    "uniqueItems": True,
}
LISTS: list[dict[str, object]] = [
    {"enum": [None, "a", 1]},
    {"type": "array", "items": {"type": "null"}, "maxItems": 1},
    {"type": "string", "maxLength": 2},
    {"type": "string", "minLength": 1, "maxLength": 3},
    {"type": ["null", "boolean"]},
    {"type": "object", "additionalProperties": {"type": "null"}, "maxProperties": 2},
    {"oneOf": [{"type": "string"}, UNIQUE_OBJECTS]},
]


@pytest.mark.parametrize("style", STYLES, ids=["spaced", "compact any order", "everything"])
@pytest.mark.parametrize("items", LISTS, ids=str)
def test_masks_of_tokens_that_end_several_items(style: TextStyle, items: dict[str, object]) -> None:
    """Items of unique arrays are captured whole; tokens that end them are walked on from there."""
    row = {"type": "array", "items": items, "uniqueItems": True}
    value = {"type": "array", "items": row, "maxItems": 3}
    fsm = TokenFSM(compile_grammar({"type": "json", "value": value}, style=style), VOCABULARY)
    rng = random.Random(1)
    assert sum(check_walk(fsm.grammar, fsm, rng, 8) for _ in range(8)) > 20


def test_a_token_that_writes_a_name_twice_is_masked() -> None:
    table = [bytes([byte]) for byte in range(256)] + [b'x":1,"x":', b'x":1,"y":', b'a":1,"', None]
    vocabulary = Vocabulary(table, [259])
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    grammar = compile_grammar(
        {"type": "json", "value": schema}, style=TextStyle("compact", property_order="any")
    )
    fsm = TokenFSM(grammar, vocabulary)
    state = fsm.advance_bytes(fsm.start, b'{"')
    assert state is not None
    assert unpack(fsm.token_mask(state), 260)[256:259].tolist() == [False, True, True]
    state = fsm.advance_bytes(state, b'a":1,"')
    assert state is not None
    assert unpack(fsm.token_mask(state), 260)[256:259].tolist() == [False, True, False]


def test_a_name_that_is_taken_before_a_declared_one_goes_on() -> None:
    """`"a": 1, "b": ` begins with a name that no free one may be, and is a declared one."""
    free = {"type": "object", "required": ["", "d"]}  # no token spells two free names
    schema = {"properties": {"a": {"type": "integer"}}, "additionalProperties": free}
    grammar = compile_grammar({"type": "json", "value": {"type": "object", **schema}})
    fsm = TokenFSM(grammar, VOCABULARY)
    token = VOCABULARY.token_bytes.index(b'"a": 1, "b": ')
    for text in (b'{"', b'{"a": 1, "', b'{"a"', b"{"):  # the last with all known
        state = fsm.advance_bytes(fsm.start, text)
        assert state is not None
        mask = unpack(fsm.token_mask(state), VOCABULARY.size)
        assert (mask == viable(grammar, VOCABULARY, text)).all(), text
    assert mask[token]


def test_masks_are_shared_and_read_only() -> None:
    fsm = TokenFSM(compile_grammar({"type": "json", "value": {}}), VOCABULARY)
    mask = fsm.token_mask(fsm.start)
    assert mask is fsm.token_mask(fsm.start)
    with pytest.raises(ValueError, match="read-only"):
        mask[0] = 0


def many_choices(count: int) -> dict[str, object]:
    """A schema of `count` ** `count` alternatives, which begin with the same bytes."""
    names = [[f"{i}{j}" for j in range(count)] for i in range(count)]
    return {"allOf": [{"oneOf": [{"required": [name]} for name in group]} for group in names]}


def test_a_mask_that_is_kept_to_be_written_is_counted() -> None:
    """Few words of a mask at hand, or the whole mask where none is near."""
    masks = [np.zeros(4096, np.int32), np.arange(4096, dtype=np.int32)]
    near, far = masks[1].copy(), -masks[1] - 1
    near[7] = 0
    row = np.empty(4096, np.int32)
    for mask, size in ((near, 8), (far, far.nbytes)):
        patch = Patch.of(mask, tuple(masks))
        assert patch.own_bytes(tuple(masks)) == size
        patch.write(row)
        assert np.array_equal(row, mask)


def test_walks_from_many_states_stay_inside_their_buffers() -> None:
    """A union walks the trie once for each branch; buffers that are too small are made larger."""
    vocabulary = small_vocabulary()
    grammar = compile_grammar({"type": "json", "value": many_choices(5)})
    fsm = TokenFSM(grammar, vocabulary)
    walker = Walker(Automaton(grammar), vocabulary)
    unknown = walker.automaton.start
    for count in (500, 20_000):  # fewer than the buffers have room for at first, and more
        nodes = np.arange(count, dtype=np.int32) % walker.trie.node_count
        items = items_of(nodes, unknown, NOTHING)
        asked, exits = walker.run(items, walker.begin(), empty_mask(vocabulary.size))
        assert len(exits) == 0  # no state is known, so all are given back
        assert sorted(asked.tolist()) == sorted(items.tolist())
    assert check_walk(grammar, fsm, random.Random(1), 12)


def test_an_enum_of_many_texts_has_a_first_mask() -> None:
    texts = [f"value {i * 7919}" for i in range(50_000)]
    grammar = compile_grammar({"type": "json", "value": {"enum": texts}})
    fsm = TokenFSM(grammar, VOCABULARY)
    assert check_walk(grammar, fsm, random.Random(1), 6)


def test_a_first_mask_that_takes_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_fsm, "FIRST_FUEL", 10)
    grammar = compile_grammar({"type": "regex", "value": "([a-f][0-9]|[c-z][5-9]){2}x*"})
    with pytest.raises(GrammarTooLargeError, match="steps for its first mask"):
        TokenFSM(grammar, small_vocabulary())


@pytest.mark.parametrize(
    "pattern",
    [
        "[^a]{3,}abc",
        "[^a]{0,200}abc",
        "[^a]{2,300}b?a+",
        ".{0,40}",
        ".{3,40}",
        "(.{2,5},){2,4}x?",
        "[A-Za-z0-9]+@[a-z]+",
        "[^@]{1,9}@[a-z]+",
        "(.|..x){2,9}",
        "(.|ab){2,4}",
        "(abc|[^a]){1,300}",
    ],
)
def test_counters_in_front_of_anything(pattern: str) -> None:
    """A counter that is too low shows where the next part begins, not where all of it ends."""
    in_json = {"type": "json", "value": {"type": "string", "pattern": f"^{pattern}$"}}
    for grammar in ({"type": "regex", "value": pattern}, in_json):
        compiled = compile_grammar(grammar)
        assert check_walk(compiled, TokenFSM(compiled, VOCABULARY), random.Random(5), 30)


@pytest.mark.parametrize("most", [6, 9, 15, 40])
@pytest.mark.parametrize("pattern", ["^(ab)*c?$", "^[^a]*(a[^a]{3})*$", "^a*b{4}$", "^(a|bc)+$"])
def test_patterns_with_a_length(pattern: str, most: int) -> None:
    """A bound far away makes no difference to a mask; a near one cuts off what cannot end."""
    schema = {"type": "string", "pattern": pattern, "maxLength": most}
    compiled = compile_grammar({"type": "json", "value": schema})
    for seed in range(3):
        fsm = TokenFSM(compiled, VOCABULARY)
        assert check_walk(compiled, fsm, random.Random(seed), 45)


def test_a_mask_of_too_many_places_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop counts what it does, and its buffers do not grow without end."""
    pattern = {"type": "regex", "value": "(a?b?c?d?e?f?g?h?){9}x"}
    monkeypatch.setattr(scratch_module, "FIRST_ROOM", 4)
    own = scratch_module.Scratch()
    monkeypatch.setattr(walker_module, "scratch", lambda: own)
    assert TokenFSM(compile_grammar(pattern), small_vocabulary())
    assert len(own.work) > 4
    own = scratch_module.Scratch()
    monkeypatch.setattr(walker_module, "MOST_ROOM", 16)
    with pytest.raises(GrammarTooLargeError, match="places of one token mask"):
        TokenFSM(compile_grammar(pattern), small_vocabulary())


def test_items_of_a_walk_are_counted() -> None:
    vocabulary, grammar = small_vocabulary(), compile_grammar({"type": "regex", "value": "a*"})
    walker = Walker(Automaton(grammar), vocabulary)
    walker.table.know(walker.automaton.start)
    nodes = np.arange(walker.trie.node_count, dtype=np.int32)
    items, mask = items_of(nodes, walker.automaton.start, NOTHING), empty_mask(vocabulary.size)
    with grammar.terms.limited(len(nodes), "steps"):
        walker.run(items, walker.begin(), mask)
    with (
        grammar.terms.limited(len(nodes) // 100, "steps"),
        pytest.raises(GrammarTooLargeError, match="steps"),
    ):
        walker.run(items, walker.begin(), mask)


@pytest.mark.parametrize(
    ("value", "begin", "forbidden"),
    [
        ({"type": "object", "propertyNames": {"maxLength": 1}}, b'{"', b'a": 1, "a'),
        ({"type": "object", "patternProperties": {"^(a|b|c|e+)$": True}}, b'{"', b'a": 1, "a":'),
        ({"type": "array", "uniqueItems": True, "items": {"maxLength": 1}}, b'["', b'a", "a"'),
        (
            {"type": "array", "uniqueItems": True, "items": {"type": "string", "maxLength": 1}},
            b'["',
            b'a", "a',
        ),
    ],
)
def test_what_is_taken_inside_a_token(value: object, begin: bytes, forbidden: bytes) -> None:
    """Names and items that may run out are left out where they begin, not where they end."""
    tokens = [*(bytes([byte]) for byte in range(256)), begin, forbidden]
    tokens += [forbidden.replace(b'"a', b'"b'), forbidden.replace(b'"a', b'"ab')]
    vocabulary = Vocabulary([*tokens, None], [len(tokens)])
    grammar = compile_grammar({"type": "json", "value": value})
    fsm = TokenFSM(grammar, vocabulary)
    state = fsm.advance(fsm.start, tokens.index(begin))
    mask = unpack(fsm.token_mask(state), vocabulary.size)
    assert (mask == viable(grammar, vocabulary, begin)).all()
    assert not mask[tokens.index(forbidden)]
    assert mask[tokens.index(forbidden.replace(b'"a', b'"b'))]
