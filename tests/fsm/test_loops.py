"""Subtrees that lead back to one state: what is below a node, and masks that are not walked."""

from __future__ import annotations

import random
from itertools import product

import numpy as np
import pytest
from schema_maker import grammars
from small_vocabulary import check_walk, small_vocabulary

from lockstitch.constraint.grammar import Grammar, compile_grammar
from lockstitch.constraint.language.prelude import Prelude
from lockstitch.constraint.text.style import TextStyle
from lockstitch.fsm import walker
from lockstitch.fsm.loops import ABOVE_ASCII, ALWAYS, ASCII, BEHIND, WHOLE, chain_of
from lockstitch.fsm.token_fsm import TokenFSM
from lockstitch.fsm.trie import VocabularyTrie
from lockstitch.fsm.vocabulary import Vocabulary

EDGES = [0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1]
EDGES += [0xEC, 0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xFF]
RESTS = [bytes(rest) for n in range(4) for rest in product([0x80, 0x90, 0xA0], repeat=n)]
WORDS = [
    "a",
    "ab",
    "abc",
    "b,",
    ",a",
    '"',
    'a"',
    '""',
    "aé",
    "éa",
    "é,",
    "北京",
    "京北,",
    "🐲",
    "🐲a",
    "x🐲y",
    "\n",
    "a\n",
    "é\n",
    "Ω",
    "ß",
    "12",
    "1a",
    "a1",
    "٣",
    "٣a",
    "abca",
    "abcabc",
    "aéb京",
    "京京京",
    "aaaaaaa",
]
PATTERNS = [
    r"[^,]*",
    r"[^,]*,[^\n,]*",
    r'("[^"]*"|[^",\n]*)(,("[^"]*"|[^",\n]*)){1,3}',
    r"[^é]*x",
    r"[^\x00-\x1f北]+",
    r"\w+(-\w+)*",
    r"[\x00-\x7f]*",
    r"(?s:.)*a",
    r"[\ud000-\ud7ff\ue000-\U0010ffff -~]*",
    r"(a[^b]*|é[^é]*)+,",
    r"(?!.*,a)[^\n]*",
    r"\d+(,\d+){0,2}",
    r"[a-c]{0,3}[é,]?",
    r"([A-Z]?[a-z]{0,2} ?){1,4}",
    r"\w{2,4}(-|\d{1,2})",
    r"([^,]{1,3}|é{2,}),",
    r"(?!ab)[a-z]{1,4}",
    r"(é|[a-z京])*|[a-z,]{2,5}1",
]


@pytest.fixture(autouse=True)
def _every_subtree_is_big(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let small vocabularies ask for what large ones ask for."""
    monkeypatch.setattr(walker, "BIG", 0)


def vocabulary() -> Vocabulary:
    """Every byte, words that cross what patterns tell apart, and every cut of a few of them."""
    cut = [word.encode()[begin:end] for word in WORDS for begin in (0, 1) for end in (2, 3, 4, 5)]
    table = [*(bytes([byte]) for byte in range(256)), *(word.encode() for word in WORDS), *cut]
    return Vocabulary([*filter(None, table), None], [len([*filter(None, table)])])


def is_begun(text: bytes) -> bool:
    """Return whether a text is the beginning of one in UTF-8."""
    return any(decodes(text + rest) for rest in RESTS)


def decodes(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def spelled(state: int, text: bytes) -> bool:
    """Return whether a text goes on from a state of UTF-8."""
    for byte in text:
        state = int(BEHIND[state, byte])
        if state < 0:
            return False
    return True


@pytest.mark.parametrize("length", [1, 2, 3])
def test_characters_are_those_of_utf8(length: int) -> None:
    for text in map(bytes, product(EDGES, repeat=length)):
        assert spelled(WHOLE, text) == is_begun(text), text.hex()
    for text in map(bytes, product(EDGES, repeat=3)):
        assert spelled(WHOLE, b"\xf0\x90" + text) == is_begun(b"\xf0\x90" + text), text.hex()


def test_what_is_below_a_node() -> None:
    trie = vocabulary().trie
    rng, paths = random.Random(1), [trie.path(node) for node in range(trie.node_count)]
    tokens = [trie.path(node) for node in range(trie.node_count) if len(trie.tokens_at(node))]
    for node in [0, *rng.sample(range(1, trie.node_count), 300)]:
        below = [t[len(paths[node]) :] for t in tokens if t.startswith(paths[node])]
        met = {byte for rest in below for byte in rest}
        low, high, rest, children = trie.contents[node].tolist()
        assert {b for b in range(128) if (low | high << 64) >> b & 1} == {b for b in met if b < 128}
        assert rest & 1 == any(byte >= 128 for byte in met)
        assert children == sum(1 << value for value in {rest[0] & 63 for rest in below if rest})
        broken = [not all(spelled(state, rest) for rest in below) for state in range(len(BEHIND))]
        assert [bool(rest >> 1 + state & 1) for state in range(len(BEHIND))] == broken, paths[node]


def test_an_empty_trie_has_nothing_below() -> None:
    assert not VocabularyTrie.build([]).contents.any()


@pytest.mark.parametrize("pattern", PATTERNS)
def test_masks_of_loops_are_exact(pattern: str) -> None:
    grammar, rng = compile_grammar({"type": "regex", "value": pattern}), random.Random(pattern)
    fsm = TokenFSM(grammar, vocabulary())
    assert sum(check_walk(grammar, fsm, rng, 12) for _ in range(8)) > 8


def test_loops_are_found() -> None:
    """What the tests above compare is not a walk of every node."""
    grammar = compile_grammar({"type": "regex", "value": PATTERNS[0]})
    table = TokenFSM(grammar, vocabulary())._builder.walker.table
    assert table.loops.count == 1
    missing = table.loops.array[0]
    assert missing.tolist() == [1 << ord(","), 0, 2, ALWAYS]


def test_what_is_repeated_for_a_while_is_found() -> None:
    grammar = compile_grammar({"type": "regex", "value": "[a-c]{0,7}(x,y)?"})
    table = TokenFSM(grammar, vocabulary())._builder.walker.table
    letters = sum(1 << ord(letter) - 64 for letter in "abc")
    missing = [0xFFFFFFFFFFFFFFFF, 0xFFFFFFFFFFFFFFFF ^ letters, 1]
    found = table.loops.array[: table.loops.count].tolist()
    assert [*missing, 7] in found
    assert [*missing, 6] in found


@pytest.mark.parametrize("seed", range(3))
def test_masks_of_random_schemas_are_exact(seed: int) -> None:
    """Wide lexemes are looked up at each node, too."""
    rng, compared = random.Random(seed), 0
    for _, grammar in grammars(20, seed=seed + 100):
        fsm = TokenFSM(grammar, small_vocabulary())
        compared += sum(check_walk(grammar, fsm, rng, 10) for _ in range(3))
    assert compared > 150


def test_masks_do_not_depend_on_what_is_big(monkeypatch: pytest.MonkeyPatch) -> None:
    def masks(grammar: Grammar) -> list[np.ndarray]:
        fsm, rng = TokenFSM(grammar, vocabulary()), random.Random(5)
        state, found = fsm.start, []
        for _ in range(20):
            found.append(fsm.token_mask(state))
            allowed = fsm.allowed_tokens(state)
            assert allowed is not None
            state = fsm.advance(state, int(rng.choice(allowed.tolist())))
        return found

    value = {"additionalProperties": {"type": "string", "pattern": "^[^x]*$"}, "type": "object"}
    for given in ({"type": "json", "value": value}, {"type": "regex", "value": PATTERNS[2]}):
        small = masks(compile_grammar(given))
        with monkeypatch.context() as changed:
            changed.setattr(walker, "BIG", 1000)
            large = masks(compile_grammar(given))
        assert all((one == other).all() for one, other in zip(small, large, strict=True))


@pytest.mark.parametrize("most", [1, 5, 64])
def test_gaps_are_chains_of_blanks(most: int) -> None:
    style = TextStyle("flexible", max_whitespace=most)
    shared, chains = Prelude.shared_states(style), 0
    for state in range(len(shared)):
        found = chain_of(state, shared.rows.__getitem__)
        if found is None:
            continue
        low, high, other, reach = found
        ((counted, _),) = shared.rows[state]
        assert counted == ASCII & ~(low | high << 64)
        assert other == ABOVE_ASCII
        for byte in [b for b in range(128) if counted >> b & 1][:3]:
            at: int | None = state
            for _ in range(reach):
                assert at is not None
                at = shared.step(at, byte)
            assert at is not None
            assert [mask for mask, _ in shared.rows[at]] != [counted]
        chains += reach == most
    assert chains
