"""States behind the texts of a choice: a row of numbers for each choice and what follows it.

Of the names that an object may go on with, one is written and the others are left. So the states
behind them get their numbers together, and a term each when somebody asks for it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Hashable

from .terms.owners import Choice
from .terms.terms import Terms


class Choices:
    """Numbers the states behind the choices of one grammar."""

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self._firsts: list[int] = []  # ascending
        self._of: list[tuple[Choice, int]] = []
        self._known: dict[tuple[Hashable, int], int] = {}

    def first(self, choice: Choice, tail: int, free: int) -> tuple[int, int]:
        """Return the state behind text 0 and then a tail, and how many states are new.

        Those are numbered from `free` on.
        """
        known = self._known.get((choice.group, tail))
        if known is not None:
            return known, 0
        self._known[choice.group, tail] = free
        self._firsts.append(free)
        self._of.append((choice, tail))
        return free, choice.size

    def _at(self, state: int) -> int:
        return bisect_right(self._firsts, state) - 1

    def term(self, state: int) -> int:
        """Return the term of a state."""
        at = self._at(state)
        choice, tail = self._of[at]
        return self.terms.concat(choice.behind(state - self._firsts[at]), tail)

    def counts(self, state: int) -> bool:
        """Return whether a counter that counts may be in a state: it is in what follows."""
        return self.terms.counts(self._of[self._at(state)][1])
