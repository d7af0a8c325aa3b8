"""What a state of the automaton is made of, as whoever walks tokens through it sees it."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from .terms.arena import MARKED, Kind
from .terms.recipes import taken_over
from .terms.terms import Terms

MOST_STATES = 400  # of a common lexeme that is shared


class Branch(NamedTuple):
    """One alternative of a state: a lexeme and what comes after it.

    `head` is the state of the lexeme alone (it accepts where the lexeme may end). `tail` is the
    state after it, or None where the lexeme's text decides (`Automaton.after`).
    """

    head: int
    tail: int | None
    capture: tuple[int, int] = (0, 0)


class Counted(NamedTuple):
    """A lexeme `x{low,high} rest` of which each byte tells whether an `x` begins, goes on or ended.

    `base` is the state of `x* rest`; `starts` has the bytes (256 bits) with which an `x` begins.
    """

    base: int
    low: int
    high: int | None
    starts: int

    @property
    def is_open(self) -> bool:
        """Whether the bounds are marks, whose walk tells what it reaches."""
        return max(self.low, self.high or 0) >= MARKED


class Texts(NamedTuple):
    """Fixed texts that a state may begin with, in ascending order, and the states behind them."""

    texts: tuple[bytes, ...]
    tails: tuple[int, ...]

    def only(self, most: int) -> tuple[int, ...]:
        """Return the state behind the text if there is only one, of `most` bytes, or none."""
        return self.tails if len(self.texts) == 1 and len(self.texts[0]) <= most else ()


NO_TEXTS = Texts((), ())


class Alternatives(NamedTuple):
    """A state taken apart: lexemes and captures, fixed texts, and the state of all that is left.

    `rest` is the state itself if it has neither branches nor texts, None if nothing is left.
    """

    branches: tuple[Branch, ...]
    texts: Texts | None
    rest: int | None


@dataclass(frozen=True, slots=True)
class SharedStates:
    """The lexemes that many grammars begin with, and all that they lead to, as states.

    They have the same numbers in each of these grammars: what is learnt of them is learnt once.
    Most have no term in an arena until a grammar asks for it: `terms` has their numbers in an arena
    of all of them, from which it is taken over; the first `begun` terms are the same in each arena.
    `states` has those by term. `rows` are (byte mask, state) pairs.
    """

    shared_by: Hashable  # the style of the grammars, or what else tells them
    arena: Terms = field(compare=False)
    begun: int = field(compare=False)
    terms: tuple[int, ...] = field(compare=False)
    states: dict[int, int] = field(compare=False)
    rows: tuple[tuple[tuple[int, int], ...], ...] = field(compare=False)

    @classmethod
    def of(
        cls, shared_by: Hashable, arena: Terms, begun: int, terms: tuple[int, ...]
    ) -> SharedStates:
        """Return the states of some terms that lead to each other only."""
        numbers = {term: state for state, term in enumerate(terms)}
        rows = tuple(
            tuple((mask, numbers[after]) for mask, after in arena.row(term)) for term in terms
        )
        known = {term: state for term, state in numbers.items() if term < begun}
        return cls(shared_by, arena, begun, terms, known, rows)

    def __len__(self) -> int:
        return len(self.terms)

    def term(self, terms: Terms, state: int) -> int:
        """Return the term of a state in the arena of a grammar."""
        return taken_over(terms, self.arena, self.terms[state], self.begun)

    def step(self, state: int, byte: int) -> int | None:
        """Return the state behind a byte, None if there is none."""
        return next((after for mask, after in self.rows[state] if mask >> byte & 1), None)

    def accepts(self, state: int) -> bool:
        """Return whether a text may end in a state."""
        return self.arena.nullable(self.terms[state])

    def counts(self, state: int) -> bool:
        """Return whether a counter that counts may be in a state."""
        return self.arena.counts(self.terms[state])


def lexemes_in(terms: Terms, common: Iterable[int]) -> tuple[int, ...]:
    """Return the lexemes that some terms begin with, and all that they lead to; with their rows.

    Those with more states than `MOST_STATES` are left out.
    """
    found: dict[int, None] = {terms.EPSILON: None}
    for term in common:
        for part in _parts(terms, term):
            states = {part: None}
            queue = [part]
            for state in queue:
                new = [after for _, after in terms.row(state) if after not in states]
                states.update(dict.fromkeys(new))
                queue.extend(dict.fromkeys(new))
                if len(states) > MOST_STATES:
                    break
            else:
                found.update(states)
    return tuple(found)


def _parts(terms: Terms, term: int) -> list[int]:
    """Return the lexemes that a term is a row of."""
    found = []
    while terms.nodes[term][0] == Kind.CONCAT:
        _, head, term = terms.nodes[term]
        found.append(head)
    return [part for part in (*found, term) if terms.nodes[part][0] == Kind.LEXEME]


NOTHING_SHARED = SharedStates.of(None, Terms(), 0, ())
