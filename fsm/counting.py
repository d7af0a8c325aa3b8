"""States that count, numbered so that counting is adding.

Inside a string of at most 5 000 characters, or an array of at least 300 items, each token leads to
a state that nobody has met before: the same with other bounds. Such states get numbers of their
own: a slot for the counter and the bounds with which it was entered, and how much of it was used up
since. Neither a mask nor the way behind a token then makes a term or an entry in a table.

In a string a token that is a row of whole characters adds their number, and the mask is that of the
state folded to what one token can reach. How items are counted is told in `repetitions`. All other
questions are put to the automaton, which knows the state by its bounds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from ..constraint.automaton import Automaton
from ..constraint.grammar import Grammar
from ..constraint.terms.counters import Bounded, Counter
from .counted import FEW_PARTS
from .repetitions import Repetition, Repetitions, Template

USED_BITS = 40
USED = (1 << USED_BITS) - 1
FIRST = 1 << USED_BITS
"""The least number of a state that counts."""
LONGER = -1  # a token that does more than count


class Builder(Protocol):
    """What tells more of tokens than the automaton."""

    def advance(self, state: int, token: bytes) -> int:
        """Return the state of the automaton behind a token, `DEAD` if there is none."""
        ...

    def whole_count(self, counter: Counter, token_id: int) -> int | None:
        """Return how often a token repeats what is counted, -1 for others; None if unknown."""
        ...


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
        self,
        grammar: Grammar,
        automaton: Automaton,
        token_bytes: tuple[bytes | None, ...],
        horizon: int,
        builder: Builder,
    ) -> None:
        """`horizon` is the length of the longest token in bytes."""
        self._lock = grammar.lock
        self._automaton = automaton
        self._token_bytes = token_bytes
        self._horizon = horizon
        self._whole_count = builder.whole_count
        self._advance = builder.advance
        self._repetitions = Repetitions(automaton, builder.advance)
        self._slots: list[Slot | Repetition | None] = [None]  # below FIRST are the automaton's
        self._entered: dict[int, int] = {}
        self._counts: dict[tuple[int, int], dict[int, int]] = {}
        self._numbers: dict[tuple[Template, int, int | None], int] = {}

    def enter(self, state: int) -> int:
        """Return the number that counts for a state of the automaton where a counter is near."""
        found = self._entered.get(state)
        if found is None:
            found = self._entered[state] = self._enter(state) or state
        return found

    def _enter(self, state: int) -> int | None:
        if not self._automaton.counts(state):
            return None
        at = self._repetitions.enter(state)
        if at is not None:
            return self._number(at.template, at.low, at.high)
        bounded = self._automaton.bounded(state)
        if bounded is None or max(bounded[1], bounded[2] or 0) <= FEW_PARTS:
            return None
        return self._slot_of(bounded)

    def _slot_of(self, bounded: Bounded) -> int:
        counter, low, high = bounded
        counts = self._counts.setdefault((counter.inner, counter.rest), {})
        self._slots.append(Slot(counter, low, high, counts))
        return len(self._slots) - 1 << USED_BITS

    def _number(self, template: Template, low: int, high: int | None) -> int:
        """Return the number of a template that was entered with some bounds, none of it used up."""
        key = (template, low, high)
        found = self._numbers.get(key)
        if found is None:
            with self._lock:
                self._slots.append(Repetition(template, low, high))
                found = self._numbers.setdefault(key, len(self._slots) - 1 << USED_BITS)
        return found

    def plain(self, state: int) -> int:
        """Return the state of the automaton that a counting state stands for."""
        slot, used = self._slot(state), state & USED
        if isinstance(slot, Repetition):
            return self._repetitions.plain(slot, used)
        high = None if slot.high is None else slot.high - used
        return self._automaton.with_bounds((slot.counter, max(slot.low - used, 0), high))

    def folded(self, state: int, make_mask: Callable[[int], object]) -> int:
        """Return the state of the automaton that has the same mask; a look-up for most.

        `make_mask` makes the mask of a state of the automaton, from which some is learnt.
        """
        slot, used = self._slot(state), state & USED
        if isinstance(slot, Repetition):
            return self._folded_repetition(slot, used, make_mask)
        low = min(max(slot.low - used, 0), self._horizon + 1)
        high = None if slot.high is None else slot.high - used
        if high is not None and high > self._horizon:
            high = None
        found = slot.folded.get((low, high))
        if found is None:
            with self._lock:
                found = self._automaton.with_bounds((slot.counter, low, high))
            slot.folded[low, high] = found
        return found

    def _folded_repetition(
        self, at: Repetition, used: int, make_mask: Callable[[int], object]
    ) -> int:
        template = at.template
        if template.reach is None:
            with self._lock:
                make_mask(template.state)
                self._repetitions.learn(template)
        if at.is_far(used):
            return template.state
        found = at.near.get(used)
        if found is None:
            with self._lock:
                plain = self._repetitions.plain(at, used)
                found = at.near[used] = self._automaton.folded(plain, self._horizon)
        return found

    def advance(self, state: int, token_id: int) -> int | None:
        """Return the state behind a token that only counts, None for any other."""
        slot, used = self._slot(state), state & USED
        if isinstance(slot, Repetition):
            return self._advance_repetition(slot, used, token_id)
        count = slot.counts.get(token_id)
        if count is None:
            with self._lock:
                count = slot.counts[token_id] = self._count(slot, token_id)
        used += count
        if count < 0 or (used >= slot.low if slot.high is None else used >= slot.high):
            return None
        return state + count

    def leave(self, state: int, token_id: int) -> int | None:
        """Return the state of the automaton behind a token that leaves a counter; None for others.

        What follows a counter does not depend on its bounds, so there is nothing to take apart.
        """
        slot, text = self._slot(state), self._bytes_of(token_id)
        if isinstance(slot, Repetition) or not text:
            return None
        found = self._automaton.leave(slot.counter, text)
        if found is None:
            return None
        parts, behind, left = found
        used = (state & USED) + parts
        if used < slot.low or (slot.high is not None and used > slot.high):
            return None
        return self._advance(behind, left) if left else behind

    def _advance_repetition(self, at: Repetition, used: int, token_id: int) -> int | None:
        if not at.is_far(used):
            return None
        moved = at.moved.get(token_id)
        if moved is not None:
            return moved + used
        template = at.template
        if token_id not in template.moves:
            with self._lock:
                self._repetitions.move(template, token_id, self._bytes_of(token_id))
        move = template.moves[token_id]
        if move is None:
            return None
        moved = at.moved[token_id] = self._number(move[0], at.low, at.high) + move[1]
        return moved + used

    def _bytes_of(self, token_id: int) -> bytes | None:
        return self._token_bytes[token_id] if 0 <= token_id < len(self._token_bytes) else None

    def _count(self, slot: Slot, token_id: int) -> int:
        text = self._bytes_of(token_id)
        if not text:
            return LONGER
        count = self._whole_count(slot.counter, token_id)
        if count is None:
            count = self._automaton.count(slot.counter, text)
        return LONGER if count is None else count

    def _slot(self, state: int) -> Slot | Repetition:
        slot = self._slots[state >> USED_BITS]
        assert slot is not None, "a state below FIRST does not count"
        return slot
