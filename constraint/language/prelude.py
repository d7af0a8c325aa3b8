"""What all grammars of one style begin with: strings, numbers and gaps, made once a process.

A grammar has an arena of its own, so that dropping it frees everything. But most of what a small
schema needs is the same in each of them: the spellings of characters, any string, any number, and
their first rows. These are made once; a grammar begins with a fork of that arena, in which the same
numbers mean the same terms, and pays for copying a few lists. What lies behind the first byte of a
number or a sign is kept apart: there are many such states, and most grammars need no term of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

from ..parts import SharedStates, lexemes_in
from ..schema.node_table import NodeTable
from ..schema.shapes import Universe
from ..schema.strings import PlainText
from ..terms.arena import Kind
from ..terms.fingerprint import fingerprint
from ..terms.shortest import Shortest
from ..terms.terms import Terms
from ..text.json_text import JsonText
from ..text.number_set import WHOLE, NumberSet
from ..text.numbers import NumberText
from ..text.style import TextStyle


@dataclass(frozen=True, slots=True)
class Prelude:
    """The arena of a grammar that begins, and who writes into it."""

    terms: Terms
    text: JsonText
    plain: PlainText
    numbers: NumberText
    shortest: Shortest
    shared: SharedStates
    universe: Universe

    @classmethod
    def of(cls, style: TextStyle, fuel: float) -> Prelude:
        """Return a fork of what the style has in common, the caller's own."""
        common = _common(style)
        terms = common.terms.fork(fuel)
        return cls(
            terms,
            common.text.fork(terms),
            common.plain.fork(terms),
            common.numbers.fork(terms),
            common.shortest.fork(terms),
            common.shared,
            common.universe,
        )

    @staticmethod
    def shared_states(style: TextStyle) -> SharedStates:
        """Return the states that all grammars of a style have in common."""
        return _common(style).shared


@lru_cache(maxsize=16)
def _common(style: TextStyle) -> Prelude:
    terms = Terms()
    text, plain = JsonText(terms, style), PlainText(terms)
    numbers, shortest = NumberText(terms, style), Shortest(terms)
    for word in (b"null", b"true", b"false", b"{", b"}", b"[", b"]", b",", b":"):
        terms.literal(word)
    signs = [text.gap, text.comma, text.colon]
    signs += [text.open_array, text.close_array, text.open_object, text.close_object]
    strings = [text.string(text.any_body), text.any_closed, plain.any_body]
    values = []
    if not numbers.any_spelling:  # those have references, whose owner works in one arena
        values = [numbers.term(NumberSet()), numbers.term(NumberSet(step=WHOLE))]
    null, truths = terms.literal(b"null"), map(terms.literal, (b"true", b"false"))
    many = [strings[0], *values]  # those that members have most
    others = [*(terms.union([null, value]) for value in many), terms.union(truths), null]
    text.join_colon([*many, *others], many)
    members = [*text.after_colon.values(), *text.arrays_after_colon.values()]
    for term in (*signs, *strings, *values, *members):
        shortest.length(term)
    spelled = lexemes_in(terms, strings)
    for term in strings:  # also the bytes before a lexeme
        terms.row(term)
    for term in (*spelled, *strings, *values):  # signs begin with few bytes: nobody asks for theirs
        fingerprint(terms, term)
    assert all(node[0] not in (Kind.REFERENCE, Kind.CAPTURE) for node in terms.nodes)
    arena = terms.fork(math.inf)
    states = dict.fromkeys(
        (*spelled, *lexemes_in(arena, values), *lexemes_in(arena, [*signs, *members]))
    )
    shared = SharedStates.of(style, arena, len(terms), tuple(states))
    universe = Universe.of(text.any_body, NodeTable.TRUE)
    return Prelude(terms, text, plain, numbers, shortest, shared, universe)
