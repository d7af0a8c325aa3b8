"""What a state of the automaton is made of, as whoever walks tokens through it sees it."""

from __future__ import annotations

from dataclasses import dataclass, field

from .terms.arena import MARKED
from .text.style import TextStyle


@dataclass(frozen=True, slots=True)
class Branch:
    """One alternative of a state: a lexeme and what comes after it.

    `head` is the state of the lexeme alone (it accepts where the lexeme may end). `tail` is the
    state after it, or None where the lexeme's text decides (`Automaton.after`).
    """

    head: int
    tail: int | None
    capture: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class Counted:
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


@dataclass(frozen=True, slots=True)
class Texts:
    """Fixed texts that a state may begin with, in ascending order, and the states behind them."""

    texts: tuple[bytes, ...]
    tails: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Alternatives:
    """A state taken apart: lexemes and captures, fixed texts, and the state of all that is left.

    `rest` is the state itself if it has neither branches nor texts, None if nothing is left.
    """

    branches: tuple[Branch, ...]
    texts: Texts | None
    rest: int | None


@dataclass(frozen=True, slots=True)
class SharedStates:
    """The terms of the lexemes that all grammars of one style begin with, and of what they lead to.

    They have the same numbers in each of these grammars, and so have their states, in this order:
    what is learnt of them is learnt once.
    """

    style: TextStyle
    terms: tuple[int, ...] = field(compare=False)
    states: dict[int, int] = field(compare=False)  # by term, which is what is looked up
