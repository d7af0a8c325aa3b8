"""States in a list: known from the list, without their terms.

The members of an object are entries in an order: each begins with a fixed text, its name, and has a
value behind a lead, its colon; between two of them stands a separator, behind the last the end.
What a state there is made of follows from how many entries are passed and from what comes behind
the list. So it is told without the terms, which would be made at each name that a text takes and
never be looked at. States of a list are numbered in two rows: which is which is arithmetic.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Hashable
from typing import NamedTuple, Protocol

from .parts import NO_TEXTS, Alternatives, Branch, Texts
from .terms.arena import Kind
from .terms.owners import Entries
from .terms.terms import Terms

# What was read last, of an entry: its text, the lead, its value, the separator; or nothing. States
# behind texts are numbered when a list is met, the others in this order when one of them is.
TEXT, LEAD, VALUE, SEPARATOR, NOTHING = range(5)


class Numbering(Protocol):
    """What numbers the states of a grammar."""

    terms: Terms

    def number(self, term: int) -> int:
        """Return the state of a term."""
        ...

    def term(self, state: int) -> int:
        """Return the term of a state, and make it if that was not done before."""
        ...

    def counts(self, state: int) -> bool:
        """Return whether a counter may be near the beginning of a state."""
        ...

    def unmade_row(self, states: int) -> int:
        """Number some new states whose terms are made when somebody asks; return the first."""
        ...

    def split(self, term: int) -> Alternatives:
        """Take a term apart."""
        ...


class Listed(NamedTuple):
    """Some entries, how many, and the state behind them; the state behind the text of entry 0.

    `told` says whether states are told without their terms: not if they count, and only if all
    signs are lexemes, whose states come last.
    """

    entries: Entries
    size: int
    tail: int
    first: int
    told: bool
    lead: int
    separator: int
    end: int


class Place(NamedTuple):
    """What a state of a list stands for: the part that was read last, of an entry."""

    listed: Listed
    kind: int
    entry: int

    @property
    def passed(self) -> int:
        """How many entries are written or left out."""
        return 0 if self.kind == NOTHING else self.entry + 1


class EntryStates:
    """Numbers the states of the lists of one grammar, and takes them apart."""

    def __init__(self, numbering: Numbering) -> None:
        self._numbering = numbering
        self.terms = numbering.terms
        self._firsts: list[int] = []  # of rows of states, ascending
        self._ends: list[int] = []
        self._rows: list[tuple[Listed, int]] = []  # and what is read last in the first of them
        self._later: dict[int, int] = {}
        self._known: dict[tuple[Hashable, int], Listed] = {}
        self._others: dict[tuple[int, int], Alternatives] = {}

    def of(self, entries: Entries, tail: int) -> Listed:
        """Return the list of some entries before a state, with states of its own."""
        key = entries.group, tail
        found = self._known.get(key)
        if found is None:
            size, number = len(entries), self._numbering.number
            first = self._numbering.unmade_row(size)
            lead, separator, end = entries.lead, entries.separator, entries.end
            lexemes = self._are_lexemes(entries.opening, lead, separator, end)
            told = lexemes and not self._numbering.counts(tail)
            signs = number(lead), number(separator), number(end)
            found = self._known[key] = Listed(entries, size, tail, first, told, *signs)
            self._add_row(found, TEXT, first, size)
        return found

    def later(self, listed: Listed) -> int:
        """Return the first of the states of a list that are not behind a text.

        They are numbered when they are asked for, as most lists of a large union never are met.
        """
        first = self._later.get(listed.first)
        if first is None:
            states = (NOTHING - LEAD) * listed.size + 1
            first = self._later[listed.first] = self._numbering.unmade_row(states)
            self._add_row(listed, LEAD, first, states)
        return first

    def _add_row(self, listed: Listed, kind: int, first: int, states: int) -> None:
        self._firsts.append(first)
        self._ends.append(first + states)
        self._rows.append((listed, kind))

    def at(self, listed: Listed, kind: int, entry: int = 0) -> int:
        """Return the state where a part of an entry, not its text, was read last."""
        return self.later(listed) + (kind - LEAD) * listed.size + entry

    def _are_lexemes(self, *signs: int) -> bool:
        nodes = self.terms.nodes
        return all(nodes[sign][0] == Kind.LEXEME for sign in signs)

    def place(self, state: int) -> Place | None:
        """Return what a state of a list stands for; None for other states."""
        at = bisect_right(self._firsts, state) - 1
        if at < 0 or state >= self._ends[at]:
            return None
        listed, kind = self._rows[at]
        offset = state - self._firsts[at]
        if kind == TEXT:
            return Place(listed, TEXT, offset)
        if state == self._ends[at] - 1:
            return Place(listed, NOTHING, 0)
        parts, entry = divmod(offset, listed.size)
        return Place(listed, kind + parts, entry)

    def term(self, place: Place) -> int:
        """Return the term of a state of a list."""
        listed, kind, entry = place
        entries, concat = listed.entries, self.terms.concat
        if kind == TEXT:
            term = entries.behind(entry)
        elif kind == LEAD:
            term = concat(entries.value(entry), entries.rest(entry + 1))
        elif kind == VALUE:
            term = entries.rest(entry + 1)
        else:
            term = entries.next(entry + 1) if kind == SEPARATOR else entries.whole
        return concat(term, self._numbering.term(listed.tail))

    def counts(self, state: int) -> bool:
        """Return whether a counter that counts may be in such a state: it is in what follows."""
        place = self.place(state)
        return place is not None and self._numbering.counts(place.listed.tail)

    def is_soon(self, state: int) -> bool:
        """Return whether a state is one between the parts of entries.

        What leads there is short: whoever asks for that will ask for the state.
        """
        place = self.place(state)
        return place is not None and place.kind != TEXT

    def alternatives(self, state: int) -> Alternatives | None:
        """Take a state apart; None if its term has to be."""
        place = self.place(state)
        if place is None or not place.listed.told:
            return None
        listed, kind, entry = place
        if kind == LEAD:
            return self._value(listed, entry)
        if kind in (SEPARATOR, NOTHING):
            return self._next(place)
        pairs = [self.behind(listed, entry)] if kind == TEXT else self.after(listed, entry)
        return Alternatives(tuple([Branch(*pair) for pair in pairs]), None, None)

    def behind(self, listed: Listed, entry: int) -> tuple[int, int]:
        """Return the lexeme behind the text of an entry, as a state, and the state behind it."""
        lexeme = listed.entries.lexeme(entry)
        if lexeme is None:
            return listed.lead, self.at(listed, LEAD, entry)
        return self._numbering.number(lexeme), self.at(listed, VALUE, entry)

    def after(self, listed: Listed, entry: int) -> list[tuple[int, int]]:
        """Return the signs that may follow an entry, as states, and the states behind them."""
        entries, passed, found = listed.entries, entry + 1, []
        if entries.has_texts(passed) or entries.other(passed) != self.terms.EMPTY:
            found.append((listed.separator, self.at(listed, SEPARATOR, entry)))
        if entries.may_end(passed):
            found.append((listed.end, listed.tail))
        return found

    def _value(self, listed: Listed, entry: int) -> Alternatives:
        """Take apart the value of an entry, which may be a list of entries, with what follows."""
        rest, number = self.at(listed, VALUE, entry), self._numbering.number
        inner = listed.entries.inner(entry)
        if inner is not None:
            within = self.of(inner, rest)
            return Alternatives(
                (Branch(number(inner.opening), self.at(within, NOTHING)),), None, None
            )
        term = self._numbering.term
        term(rest)  # so that the rest is this state also where its term shows
        return self._numbering.split(term(self.at(listed, LEAD, entry)))

    def other(self, listed: Listed, passed: int) -> Alternatives | None:
        """Return what entries with other texts are made of, None if there are none."""
        other = listed.entries.other(passed)
        if other == self.terms.EMPTY:
            return None
        found = self._others.get((listed.first, other))
        if found is None:
            tail = self._numbering.term(listed.tail)
            found = self._numbering.split(self.terms.concat(other, tail))
            self._others[listed.first, other] = found
        return found

    def _next(self, place: Place) -> Alternatives:
        """Take apart a state behind a separator, or at the beginning of a list."""
        listed, entries, other = (
            place.listed,
            place.listed.entries,
            self.other(place.listed, place.passed),
        )
        first = listed.first
        pairs = [(text, first + entry) for text, entry in entries.texts(place.passed)]
        texts = NO_TEXTS if other is None or other.texts is None else other.texts
        pairs += zip(texts.texts, texts.tails, strict=True)
        if place.kind == NOTHING and entries.may_end(0):
            pairs.append((entries.closing, listed.tail))
        found = Texts(*zip(*sorted(pairs), strict=True)) if pairs else None
        if other is None:
            return Alternatives((), found, None)
        return Alternatives(other.branches, found, other.rest)
