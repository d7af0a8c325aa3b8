"""The term algebra against finite sets of strings, and its bookkeeping."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lockstitch.constraint.terms.arena import EVERY_BYTE, Kind
from lockstitch.constraint.terms.shortest import INFINITE, Shortest
from lockstitch.constraint.terms.terms import Terms
from lockstitch.schemas.errors import GrammarTooLargeError

LONGEST = 5
UNIVERSE = [
    "".join(letters) for n in range(LONGEST + 1) for letters in itertools.product("ab", repeat=n)
]

LEAVES = st.sampled_from([("lit", "a"), ("lit", "b"), ("lit", "ab"), ("set", "ab"), ("lit", "")])


def grow(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    pair = st.tuples(inner, inner)
    bounds = st.sampled_from([(0, None), (1, None), (0, 1), (2, 2), (1, 3), (0, 2)])
    return st.one_of(
        st.tuples(st.just("concat"), pair),
        st.tuples(st.just("union"), pair),
        st.tuples(st.just("intersect"), pair),
        st.tuples(st.just("complement"), inner),
        st.tuples(st.just("lexeme"), inner),
        st.tuples(st.just("repeat"), inner, bounds),
    )


TREES = st.recursive(LEAVES, grow, max_leaves=6)


def build(terms: Terms, tree: Any) -> int:
    match tree:
        case ("lit", text):
            return terms.literal(text.encode())
        case ("set", text):
            return terms.union(terms.literal(c.encode()) for c in text)
        case ("concat" | "union" | "intersect" as name, (first, second)):
            parts = (build(terms, first), build(terms, second))
            if name == "concat":
                return terms.concat(*parts)
            return terms.union(parts) if name == "union" else terms.intersect(parts)
        case ("complement" | "lexeme" as name, inner):
            once = build(terms, inner)
            return terms.lexeme(once) if name == "lexeme" else terms.complement(once)
        case ("repeat", inner, (low, high)):
            return terms.repeat(build(terms, inner), low, high)
    raise AssertionError(tree)


def denote(tree: Any) -> set[str]:
    """The strings of the language up to `LONGEST` characters."""
    match tree:
        case ("lit", text):
            return {text}
        case ("set", text):
            return set(text)
        case ("concat", (first, second)):
            pairs = itertools.product(denote(first), denote(second))
            return {a + b for a, b in pairs if len(a + b) <= LONGEST}
        case ("union", (first, second)):
            return denote(first) | denote(second)
        case ("intersect", (first, second)):
            return denote(first) & denote(second)
        case ("complement", inner):
            return set(UNIVERSE) - denote(inner)
        case ("lexeme", inner):
            return denote(inner)
        case ("repeat", inner, (low, high)):
            return denote_repeat(denote(inner), low, high)
    raise AssertionError(tree)


def denote_repeat(once: set[str], low: int, high: int | None) -> set[str]:
    found, current = set(), {""}
    for count in range(high + 1 if high is not None else low + LONGEST + 1):
        if count >= low:
            found |= current
        current = {a + b for a in current for b in once if len(a + b) <= LONGEST}
    return found


@given(TREES)
@settings(max_examples=400, deadline=None)
def test_a_term_denotes_what_its_tree_says(tree: Any) -> None:
    terms = Terms()
    term, expected = build(terms, tree), denote(tree)
    assert {text for text in UNIVERSE if terms.accepts(term, text.encode())} == expected


@given(TREES)
@settings(max_examples=300, deadline=None)
def test_rows_are_disjoint_and_lead_to_living_terms(tree: Any) -> None:
    terms = Terms()
    shortest = Shortest(terms)
    queue, seen = [build(terms, tree)], set[int]()
    while queue and len(seen) < 60:
        term = queue.pop()
        seen.add(term)
        covered = 0
        for mask, successor in terms.row(term):
            assert not covered & mask
            covered |= mask
            assert not terms.is_empty(successor)
            assert terms.accepts(successor, shortest.text(successor))
            if successor not in seen:
                queue.append(successor)


@given(TREES)
@settings(max_examples=300, deadline=None)
def test_shortest_texts_are_shortest(tree: Any) -> None:
    terms = Terms()
    term, expected = build(terms, tree), denote(tree)
    length = Shortest(terms).length(term)
    if terms.is_empty(term):
        assert length >= INFINITE
        assert not expected
    elif expected and "complement" not in str(tree):
        assert length == min(map(len, expected))
        assert Shortest(terms).text(term).decode() in expected


def test_equal_terms_are_the_same_number() -> None:
    terms = Terms()
    a, b, c = (terms.literal(x) for x in (b"a", b"b", b"c"))
    assert terms.concat(terms.concat(a, b), c) == terms.literal(b"abc")
    assert terms.union([a, terms.union([c, b])]) == terms.union([b, c, a])
    assert terms.nodes[terms.union([a, b])][0] == Kind.BYTES
    assert terms.intersect([a, terms.ALL]) == a
    assert terms.complement(terms.complement(terms.literal(b"ab"))) == terms.literal(b"ab")
    assert terms.repeat(terms.repeat(a, 0, None), 1, None) == terms.repeat(a, 0, None)
    assert terms.repeat(terms.byte_set(EVERY_BYTE), 0, None) == terms.ALL


def test_counters_are_numbers_and_touching_ones_join() -> None:
    terms = Terms()
    a = terms.union([terms.literal(b"a"), terms.literal(b"b")])
    before = len(terms)
    counted = terms.repeat(a, 10, 1_000_000)
    assert len(terms) == before + 1
    assert terms.union([terms.repeat(a, 0, 3), terms.repeat(a, 4, 9)]) == terms.repeat(a, 0, 9)
    tail = terms.literal(b"!")
    parts = [terms.concat(terms.repeat(a, low, low + 5), tail) for low in range(50)]
    assert terms.union(parts) == terms.concat(terms.repeat(a, 0, 54), tail)
    assert terms.accepts(counted, b"ab" * 5)
    assert not terms.accepts(counted, b"ab" * 4)


def test_a_long_alternation_of_counters_keeps_one_state() -> None:
    terms = Terms()
    word = terms.concat(
        terms.repeat(terms.literal(b"a"), 1, None), terms.repeat(terms.literal(b"b"), 0, 1)
    )
    words = terms.repeat(word, 1, 50)
    assert terms.accepts(words, b"aab" * 50)
    assert not terms.accepts(words, b"ab" * 51)
    assert len(terms) < 2000


def test_deep_terms_need_no_stack() -> None:
    terms = Terms()
    deep = terms.EPSILON
    for index in range(5_000):
        branch = terms.union([deep, terms.literal(b"x%d" % (index % 7))])
        deep = terms.concat(terms.literal(b"("), branch, terms.literal(b")"))
    assert terms.accepts(deep, b"(" * 5_000 + b")" * 5_000)
    assert Shortest(terms).length(deep) == 4


def test_an_endless_search_is_refused() -> None:
    terms = Terms(search_limit=100)
    a = terms.union([terms.literal(b"a"), terms.literal(b"b")])
    never = terms.intersect([terms.repeat(a, 1000, 1000), terms.repeat(a, 1001, None)])
    with pytest.raises(GrammarTooLargeError) as caught:
        terms.is_empty(never)
    assert caught.value.allowed == 100
