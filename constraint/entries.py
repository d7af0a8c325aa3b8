"""States between the entries of a list: known from the list, without their terms.

The members of an object are entries in an order: each begins with a fixed text, its name; between
two of them stands a separator, behind the last the end. What a state there is made of follows from
how many entries are passed and from what comes behind the list. So it is told without the terms,
which would be made at each name that a text takes and never be looked at.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Hashable
from functools import partial
from typing import NamedTuple, Protocol

from .parts import Alternatives, Branch, Texts
from .terms.arena import Kind
from .terms.owners import Entries
from .terms.terms import Terms

NO_PLACE = None, 0, False


class Numbering(Protocol):
    """What numbers the states of a grammar."""

    terms: Terms

    def number(self, term: int) -> int:
        """Return the state of a term."""
        ...

    def term(self, state: int) -> int:
        """Return the term of a state, and make it if that was not done before."""
        ...

    def unmade(self, term: Callable[[], int]) -> int:
        """Return a new state whose term is made when somebody asks for it."""
        ...

    def split(self, term: int) -> Alternatives:
        """Take a term apart."""
        ...


class Listed(NamedTuple):
    """Some entries and the term behind them; the state behind the text of entry 0."""

    entries: Entries
    tail: int
    first: int


class Next(NamedTuple):
    """What may come behind a separator: entries from `passed` to before `last`, and `other`.

    `first` is the state behind the text of entry 0.
    """

    entries: Entries
    first: int
    passed: int
    last: int
    other: Alternatives | None


class EntryStates:
    """Numbers the states of the lists of one grammar, and takes them apart."""

    def __init__(self, numbering: Numbering) -> None:
        self._numbering = numbering
        self.terms = numbering.terms
        self._firsts: list[int] = []  # ascending
        self._lists: list[Listed] = []
        self._known: dict[tuple[Hashable, int], int] = {}
        self._rests: dict[tuple[int, int], int] = {}
        self._nexts: dict[tuple[int, int], int] = {}
        self._places: dict[int, tuple[Listed, int, bool]] = {}
        self._values: set[int] = set()
        self._others: dict[tuple[int, int], Alternatives] = {}

    def first(self, entries: Entries, tail: int, free: int) -> tuple[int, int]:
        """Return the state behind the text of entry 0, and how many states are new.

        Those are numbered from `free` on.
        """
        known = self._known.get((entries.group, tail))
        if known is not None:
            return known, 0
        self._known[entries.group, tail] = free
        self._firsts.append(free)
        self._lists.append(Listed(entries, tail, free))
        return free, len(entries)

    def _list_of(self, state: int) -> Listed:
        """Return the list of a state behind the text of an entry."""
        return self._lists[bisect_right(self._firsts, state) - 1]

    def term(self, state: int) -> int:
        """Return the term of a state behind the text of an entry."""
        listed = self._list_of(state)
        behind = listed.entries.behind(state - listed.first)
        return self.terms.concat(behind, listed.tail)

    def counts(self, state: int) -> bool:
        """Return whether a counter that counts may be in such a state: it is in what follows."""
        return self.terms.counts(self._list_of(state).tail)

    def is_soon(self, state: int) -> bool:
        """Return whether a state is one between entries or before the value of one.

        What leads there is short: whoever asks for that will ask for the state.
        """
        return state in self._places or state in self._values

    def alternatives(self, state: int) -> Alternatives | None:
        """Take a state apart; None if its term has to be."""
        place = self._places.get(state)
        if place is not None:
            listed, passed, begun = place
            return self._next(listed, passed) if begun else self._rest(listed, passed)
        at = bisect_right(self._firsts, state) - 1
        if at < 0 or state >= self._firsts[at] + len(self._lists[at].entries):
            return None
        return self._behind(self._lists[at], state)

    def _behind(self, listed: Listed, state: int) -> Alternatives | None:
        """Take apart what is behind the text of an entry: one lexeme and the rest, or its term."""
        entries, entry = listed.entries, state - listed.first
        if self.terms.counts(listed.tail) or not self._is_flexible(entries):
            return None
        rest = self._state(self._rests, listed, entry + 1, begun=False)
        lexeme = entries.lexeme(entry)
        if lexeme is not None:
            return Alternatives((Branch(self._numbering.number(lexeme), rest),), None, None)
        self._numbering.term(rest)  # so that the rest is this state also where its term shows
        found = self._numbering.split(self._numbering.term(state))
        self._values.update(branch.tail for branch in found.branches if branch.tail is not None)
        return found

    def _is_flexible(self, entries: Entries) -> bool:
        nodes = self.terms.nodes
        return bool(nodes[entries.separator][0] == Kind.LEXEME == nodes[entries.end][0])

    def _state(
        self, known: dict[tuple[int, int], int], listed: Listed, passed: int, *, begun: bool
    ) -> int:
        """Return the state where some entries are passed, and a separator was read if `begun`."""
        state = known.get((listed.first, passed))
        if state is None:
            state = self._numbering.unmade(partial(self._term_at, listed, passed, begun))
            known[listed.first, passed] = state
            self._places[state] = listed, passed, begun
        return state

    def _term_at(self, listed: Listed, passed: int, begun: bool) -> int:
        entries = listed.entries
        term = entries.next(passed) if begun else entries.rest(passed)
        return self.terms.concat(term, listed.tail)

    def _rest(self, listed: Listed, passed: int) -> Alternatives:
        entries, number = listed.entries, self._numbering.number
        branches = []
        if entries.has_texts(passed) or entries.other(passed) != self.terms.EMPTY:
            after = self._state(self._nexts, listed, passed, begun=True)
            branches.append(Branch(number(entries.separator), after))
        if entries.may_end(passed):
            branches.append(Branch(number(entries.end), number(listed.tail)))
        return Alternatives(tuple(branches), None, None)

    def next(self, state: int) -> Next | None:
        """Return what may come next in a state behind a separator; None for others."""
        listed, passed, begun = self._places.get(state, NO_PLACE)
        if listed is None or not begun:
            return None
        entries = listed.entries
        other = self._other(listed, passed)
        return Next(entries, listed.first, passed, entries.last(passed), other)

    def _other(self, listed: Listed, passed: int) -> Alternatives | None:
        """Return what entries with other texts are made of, None if there are none."""
        other = listed.entries.other(passed)
        if other == self.terms.EMPTY:
            return None
        found = self._others.get((listed.first, other))
        if found is None:
            found = self._numbering.split(self.terms.concat(other, listed.tail))
            self._others[listed.first, other] = found
        return found

    def _next(self, listed: Listed, passed: int) -> Alternatives:
        found = self._other(listed, passed)
        pairs = [(text, listed.first + entry) for text, entry in listed.entries.texts(passed)]
        if found is None:
            return Alternatives((), Texts(*zip(*pairs, strict=True)), None)
        if found.texts is not None:
            pairs += zip(found.texts.texts, found.texts.tails, strict=True)
            pairs.sort()
        joined = Texts(*zip(*pairs, strict=True)) if pairs else None
        return Alternatives(found.branches, joined, found.rest)
