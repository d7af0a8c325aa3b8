"""States inside the lexemes of machines: numbers whose terms are made only if somebody asks.

Where every character counts, as in a host name, a walk through the vocabulary meets a new state
with each of them, and most are never met again. A machine tells what each byte leads to; all that
a state needs beside its key is what comes behind the lexeme's text, mostly a quote.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import NamedTuple

from .formats.machine import SteppedMachine
from .terms.arena import Kind
from .terms.fingerprint import digest_of, fingerprint
from .terms.rows import union_rows
from .terms.terms import Terms


class Inside(NamedTuple):
    """A place in a lexeme: a state of a machine, and the term behind its text, never empty."""

    machine: SteppedMachine
    behind: int
    key: Hashable


class MachineStates:
    """Numbers the places in lexemes of one grammar.

    `number` gives the state of a term, `unmade` a new state whose term is made when it is asked
    for.
    """

    def __init__(
        self,
        terms: Terms,
        number: Callable[[int], int],
        unmade: Callable[[Callable[[], int]], int],
    ) -> None:
        self.terms = terms
        self._number = number
        self._unmade = unmade
        self._states: dict[Inside, int] = {}
        self._inside: dict[int, Inside] = {}

    def __contains__(self, state: int) -> bool:
        """Return whether a state was made here."""
        return state in self._inside

    def folded(self, state: int, term: int, horizon: int) -> int:
        """Return a state that allows the same texts of up to `horizon` bytes, and the same ends.

        `term` is that of a state that was not made here, negative if it has none.
        """
        at = self._inside.get(state)
        if at is None and term >= 0:
            at = self._place_of(term)
        if at is None:
            return state
        key = at.machine.folded(at.key, horizon)
        return state if key == at.key else self._state(at._replace(key=key))

    def name(self, state: int) -> bytes | None:
        """Return 16 bytes that name the language of a state that was made here.

        None if what is behind it has a meaning in one grammar only.
        """
        at = self._inside[state]
        behind = fingerprint(self.terms, at.behind)
        return None if behind is None else digest_of(at.machine.name(at.key) + behind)

    def row(self, state: int, term: int) -> list[tuple[int, int]] | None:
        """Return the (256-bit byte mask, successor) pairs of a state; None if it is no such place.

        `term` is that of a state that was not made here.
        """
        at = self._inside.get(state) or self._place_of(term)
        if at is None:
            return None
        terms = self.terms
        whole, begun = at.machine.row(at.key)
        once = twice = 0
        for mask, _ in whole:
            once, twice = once | mask, twice | once & mask
        row = [(m & ~twice, self._state(at._replace(key=k))) for m, k in whole if m & ~twice]
        parts = [tuple((mask, terms.concat(rest, at.behind)) for mask, rest in begun)]
        for mask, key in whole:  # what two steps begin with is followed by terms
            if mask & twice:
                rest = terms.concat(at.machine.term(key), at.behind)
                parts.append(((mask & twice, rest),))
        if at.machine.accepts(at.key):
            parts.append(terms.row(at.behind))
        behind = union_rows(parts, terms.union) if any(parts) else ()
        return row + [(mask, self._number(terms.lexeme(rest))) for mask, rest in behind]

    def _state(self, at: Inside) -> int:
        state = self._states.get(at)
        if state is None:
            state = self._states[at] = self._unmade(lambda: self._term(at))
            self._inside[state] = at
        return state

    def _term(self, at: Inside) -> int:
        terms = self.terms
        return terms.lexeme(terms.concat(at.machine.term(at.key), at.behind))

    def _place_of(self, term: int) -> Inside | None:
        """Return the place in a machine's lexeme that a term stands for, None if it is another."""
        nodes = self.terms.nodes
        if nodes[term][0] != Kind.LEXEME or nodes[nodes[term][1]][0] != Kind.CONCAT:
            return None
        _, head, behind = nodes[nodes[term][1]]
        if nodes[head][0] != Kind.REFERENCE or self.terms.nullable(behind):
            return None
        _, machine, key = nodes[head]
        return Inside(machine, behind, key) if isinstance(machine, SteppedMachine) else None
