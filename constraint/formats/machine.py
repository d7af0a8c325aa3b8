"""Deterministic automata over characters, built state by state as texts reach them.

Counters over the whole text and conditions between distant characters make products of states that
are far too many to write down; a walk meets few of them. A machine says for one state how the text
may go on, and each state becomes a reference that is expanded on first use. Every state must have a
completion: a machine never leads into a state without one, so no term has to be searched.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable
from typing import Any

from ..regex.char_sets import CharSet
from ..regex.compiler import Alphabet, compile_regex
from ..terms.fingerprint import NamedOwner
from ..terms.rows import Row, union_rows
from ..terms.shortest import steps_to_end
from ..terms.terms import Terms


class Speller:
    """Writes regexes and texts into one arena with one alphabet."""

    def __init__(self, terms: Terms, alphabet: Alphabet) -> None:
        self.terms = terms
        self.alphabet = alphabet

    def regex(self, pattern: str) -> int:
        """Return the whole texts that match an ECMA-262 pattern."""
        return compile_regex(self.terms, pattern, self.alphabet, dialect="ecma", search=False)

    def text(self, text: str) -> int:
        """Return the spellings of one text."""
        return self.terms.concat(*(self.alphabet.char(((ord(c), ord(c)),)) for c in text))


class Machine(ABC):
    """An automaton whose states are hashable values; owns the references to them."""

    def __init__(self, speller: Speller) -> None:
        self.speller = speller
        self.terms = speller.terms
        self._expanded: dict[Hashable, int] = {}
        self._lengths: dict[Hashable, int] = {}

    @abstractmethod
    def accepts(self, state: Any) -> bool:
        """Return whether the text may end in `state`."""

    @abstractmethod
    def moves(self, state: Any) -> Iterable[int]:
        """Yield a term for each way to go on that reads at least one character."""

    def on(self, ranges: CharSet, follow: int) -> int:
        """Return one character of a set and then `follow`."""
        return self.terms.concat(self.speller.alphabet.char(ranges), follow) if ranges else 0

    def term(self, state: Hashable) -> int:
        """Return the term of all texts from `state` on; the state must have a completion."""
        return self.terms.reference(self, state, nullable=self.accepts(state), certain=True)

    def expand(self, key: Any) -> int:
        """Return the term that a state stands for: one of its moves, or the end; built once."""
        found = self._expanded.get(key)
        if found is None:
            moves = [*self.moves(key)]
            found = self.terms.union([*moves, self.terms.EPSILON] if self.accepts(key) else moves)
            self._expanded[key] = found
        return found

    def min_length(self, key: Any) -> int:
        """Return the length in bytes of a shortest text, breadth first over the rows."""
        return self.searched_length(key)

    def searched_length(self, key: Hashable) -> int:
        """Return the length in bytes of a shortest text; searched for once."""
        if key not in self._lengths:
            self._lengths[key] = steps_to_end(self.terms, self.term(key))
        return self._lengths[key]


class SteppedMachine(Machine, NamedOwner):
    """A machine of single characters: its rows need no terms for the states they lead to.

    No step of `others` begins like one of `steps`. A character is in one of these, as a rule.
    """

    @abstractmethod
    def steps(self, state: Any) -> Iterable[tuple[CharSet, Hashable]]:
        """Return the next characters with the states behind them."""

    @property
    @abstractmethod
    def kind(self) -> str:
        """The name of the machine, the same for all that have the same steps."""

    def name(self, key: Any) -> bytes:
        """Return a name of the language of a state."""
        return repr((self.kind, self.speller.alphabet.spelling, key)).encode()

    def folded(self, state: Any, horizon: int) -> Hashable:
        """Return a state that allows the same texts of up to `horizon` bytes, and the same ends.

        What is counted, but not exhausted by so little, is left out, so that states become one.
        """
        found: Hashable = state
        return found

    def others(self, state: Any) -> Iterable[int]:
        """Return the terms of the other ways to go on."""
        return ()

    def moves(self, state: Any) -> Iterable[int]:
        """Yield a term for each way to go on."""
        for ranges, after in self.steps(state):
            yield self.on(ranges, self.term(after))
        yield from self.others(state)

    def row(self, state: Any) -> tuple[list[tuple[int, Hashable]], Row]:
        """Return (byte mask, state) pairs, and of bytes that end no character (mask, term) pairs.

        That the text may end is left out.
        """
        terms, char = self.terms, self.speller.alphabet.char
        whole: list[tuple[int, Hashable]] = []
        parts = [terms.raw_row(term) for term in self.others(state)]
        for ranges, after in self.steps(state):
            begun = []
            for mask, rest in terms.raw_row(char(ranges)):
                if rest == terms.EPSILON:
                    whole.append((mask, after))
                else:
                    begun.append((mask, terms.concat(rest, self.term(after))))
            parts.append(tuple(begun))
        return whole, union_rows([part for part in parts if part], terms.union)
