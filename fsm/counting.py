"""States that count, numbered so that counting is adding.

Inside a string of at most 5 000 characters each token leads to a state that nobody has met before:
the same string with fewer characters left. Such states get numbers of their own: a slot for the
counter and the bounds with which it was entered, and how much of it was used up. A token that is a
row of whole characters adds their number; a mask is that of the state folded to what one token can
reach. Neither makes a term or an entry in a table.

All other questions are put to the automaton, which knows the state by its bounds.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ..constraint.automaton import Automaton
from ..constraint.terms.counters import Counter

USED_BITS = 40
USED = (1 << USED_BITS) - 1
FIRST = 1 << USED_BITS
"""The least number of a state that counts."""
LONGER = -1  # a token that does more than count


@dataclass(slots=True)
class Slot:
    """A counter as it was entered: its bounds, the counts of tokens, and states by what is left."""

    counter: Counter
    low: int
    high: int | None
    counts: dict[int, int]
    folded: dict[tuple[int, int | None], int] = field(default_factory=dict)


class Counting:
    """Numbers the counting states of one token FSM; tables grow under the grammar's lock."""

    def __init__(
        self, automaton: Automaton, token_bytes: tuple[bytes | None, ...], horizon: int
    ) -> None:
        """`horizon` is the length of the longest token in bytes."""
        self._automaton = automaton
        self._token_bytes = token_bytes
        self._horizon = horizon
        self._slots: list[Slot | None] = [None]  # numbers below FIRST are the automaton's
        self._entered: dict[int, int] = {}
        self._counts: dict[tuple[int, int], dict[int, int]] = {}

    def enter(self, state: int) -> int:
        """Return the number that counts for a state of the automaton that begins with a counter."""
        found = self._entered.get(state)
        if found is None:
            bounded = self._automaton.bounded(state) if self._automaton.counts(state) else None
            found = state
            if bounded is not None:
                counter, low, high = bounded
                counts = self._counts.setdefault((counter.inner, counter.rest), {})
                found = len(self._slots) << USED_BITS
                self._slots.append(Slot(counter, low, high, counts))
            self._entered[state] = found
        return found

    def plain(self, state: int) -> int:
        """Return the state of the automaton that a counting state stands for."""
        slot, used = self._slot(state), state & USED
        high = None if slot.high is None else slot.high - used
        return self._automaton.with_bounds((slot.counter, max(slot.low - used, 0), high))

    def folded(self, state: int) -> int:
        """Return the state of the automaton that has the same mask; a look-up for most."""
        slot, used = self._slot(state), state & USED
        low = min(max(slot.low - used, 0), self._horizon + 1)
        high = None if slot.high is None else slot.high - used
        if high is not None and high > self._horizon:
            high = None
        found = slot.folded.get((low, high))
        if found is None:
            found = self._automaton.folded(self.plain(state), self._horizon)
            slot.folded[low, high] = found
        return found

    def advance(self, state: int, token_id: int) -> int | None:
        """Return the state behind a token that only counts, None for any other."""
        slot = self._slot(state)
        count = slot.counts.get(token_id)
        if count is None:
            count = slot.counts[token_id] = self._count(slot, token_id)
        used = (state & USED) + count
        if count < 0 or (used >= slot.low if slot.high is None else used >= slot.high):
            return None
        return state + count

    def _count(self, slot: Slot, token_id: int) -> int:
        known = 0 <= token_id < len(self._token_bytes)
        text = self._token_bytes[token_id] if known else None
        count = self._automaton.count(slot.counter, text) if text else None
        return LONGER if count is None else count

    def _slot(self, state: int) -> Slot:
        slot = self._slots[state >> USED_BITS]
        assert slot is not None, "a state below FIRST does not count"
        return slot
