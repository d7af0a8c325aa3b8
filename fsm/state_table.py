"""The states of a grammar as arrays for the kernels, filled where a walk gets stuck.

A state is either a row (what each byte leads to) or taken apart: branches, each a lexeme and what
comes behind it, and fixed texts with the states behind them. Captures stay with who asked.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import accumulate, chain
from typing import Any

import numpy as np
import numpy.typing as npt

from ..constraint.automaton import DEAD, NO_STATE, UNMADE, Automaton
from ..constraint.parts import Alternatives, Branch, SharedStates, Texts
from .columns import (
    ACCEPTS,
    FIRST_BRANCH,
    LOOP,
    NEAR,
    NONE,
    ROW,
    SAME,
    STATE_COLUMNS,
    UNKNOWN,
)
from .growing import FIRST_ROOM, Growing, with_room
from .lists import Lists
from .loops import LOOP_COLUMNS, chain_of, loop_of, may_loop
from .starts import row_starts

SHORT = 3  # a text that one token reads together with what is behind
AHEAD = 4  # states that are taken apart before a walk asks for them
MACHINE_AHEAD = 8  # characters whose rows are told at once; most tokens have no more
FEW_STATES = 8  # that are written one by one as fast
WIDE_BYTES = 64  # a lexeme that begins with fewer bytes is walked sooner than looked up


class StateTable:
    """Arrays of one grammar; their columns are named in `kernels`. Called under its lock.

    Growing makes new arrays, so a kernel gets them anew for each call.
    """

    def __init__(self, automaton: Automaton) -> None:
        self.automaton = automaton
        self._numbered = automaton.terms_of
        known = _shared_states(automaton.shared)
        self.shared = known.rows
        self.rows = np.empty((FIRST_ROOM, 256), np.int32)
        self.states = known.states_with_room.copy()
        self._cells = self.states.reshape(-1).data
        self.starts = known.starts_with_room.copy()  # noted by the kernel
        self.branches = Growing(
            "i", 5
        )  # head, tail, whether it is wide, the head nearby, its reach
        self.texts = Growing("i", 3)  # begin and end in `text_bytes`, the state behind
        self.text_bytes = Growing("B")
        self.loops = Growing("Q", LOOP_COLUMNS)  # by what a state does not lead back to itself
        self.loops.append(known.loops)
        self.captures: dict[int, tuple[Branch, ...]] = {}
        self._row_count = 0
        self._judged = len(known.rows)
        self._shared_wide = known.wide
        self._wide: dict[int, bool] = {}
        self._again: dict[int, list[int]] = {}  # loops of what is repeated, by its state
        self._lists = Lists(automaton, self.branches, self.texts, self.text_bytes, known.wide)
        self._within: dict[tuple[int, int, int, int], int] = {}

    def tell(self, state: int) -> None:
        """Tell a walk what it asks of a state: what it is made of, or its loop if that is known."""
        if not self.is_known(state):
            self.know(state)
        elif self._cells[state * STATE_COLUMNS + LOOP] == UNKNOWN:
            self.find_loop(state)

    def know(self, state: int, ahead: int = AHEAD) -> None:
        """Take one state apart or fill its row, unless that was done before.

        So it is done with what a walk would ask for next, `ahead` states in a row at most.
        """
        if self.is_known(state):
            return
        pair = self.automaton.pair_at.get(state)
        if pair is not None:
            self._note_pair(state, *pair)
            return
        if self.automaton.is_row(state):
            self._fill_rows(state)
            return
        place = self._lists.place(state)
        if place is not None:
            self._lists.tell(place, self._covered)
            if self.is_known(state):
                return
        parts = self.automaton.alternatives(state)
        if parts.rest == state and self.automaton.is_lexeme(state):
            parts = self.automaton.inside(state)
        if parts.rest == state:
            self._fill_rows(state)
            return
        for head in self._take_apart(state, parts):
            self.know(head)
        if ahead:
            for tail in self._next_asked(parts):
                self.know(tail, ahead - 1)

    def _note_pair(self, state: int, head: int, tail: int) -> None:
        """Note a shared lexeme and what follows it."""
        self.cover()
        branch = array("i", (head, tail, self._shared_wide[head], head, NEAR))
        self._note(state, (*self.branches.append(branch), 0, 0, False))
        if self._cells[head * STATE_COLUMNS + ACCEPTS]:
            self.know(tail)

    def _take_apart(self, state: int, parts: Alternatives) -> list[int]:
        """Note what a state is made of; return the lexemes that have to be known as well."""
        shared = len(self._shared_wide)  # states that are known
        heads = [] if parts.rest is None else [parts.rest]
        branches = array("i", [] if parts.rest is None else (parts.rest, SAME, 0, parts.rest, NEAR))
        captures = []
        for branch in parts.branches:
            if branch.tail is None:
                captures.append(branch)
                continue
            head = branch.head
            if head < shared:
                branches.extend((head, branch.tail, self._shared_wide[head], head, NEAR))
                continue
            wide = self.is_wide(head)
            branches.extend((head, branch.tail, wide, *self.automaton.nearby(head, NEAR)))
            if not wide:
                heads.append(head)
        if captures:
            self.captures[state] = tuple(captures)
        first, last = self.branches.append(branches) if branches else (0, 0)
        first_text, last_text = (0, 0) if parts.texts is None else self._append_texts(parts.texts)
        self.cover()
        self._note(state, (first, last, first_text, last_text, bool(captures)))
        return heads

    def _next_asked(self, parts: Alternatives) -> Iterator[int]:
        """Yield the states behind parts that may be empty or are short, and those told cheaply."""
        for head, tail, _ in parts.branches:
            accepts = self._cells[head * STATE_COLUMNS + ACCEPTS]
            if tail is not None and (accepts or self.automaton.entries.is_soon(tail)):
                yield tail
        if parts.texts is not None:
            yield from parts.texts.only(SHORT)

    def wide_branch(self, state: int) -> int | None:
        """Return the branch of a state that is known and nothing but a wide lexeme and a tail."""
        row, _, first, last, first_text, last_text, captures, _ = self._columns(state)
        if row >= 0 or last != first + 1 or first_text != last_text or captures == 1:
            return None
        _, tail, wide, _, _ = self.branches.rows(first, last)
        return first if wide and tail != SAME else None

    def _columns(self, state: int) -> memoryview[int]:
        """Return the columns of a state, in their order; cheaper than a row of the array."""
        at = state * STATE_COLUMNS
        return self._cells[at : at + STATE_COLUMNS]

    def is_known(self, state: int) -> bool:
        """Return whether a state was taken apart or has a row."""
        if state >= len(self.states):
            return False
        at = state * STATE_COLUMNS
        return self._cells[at + FIRST_BRANCH] != UNKNOWN or self._cells[at + ROW] >= 0

    def _note(self, state: int, facts: tuple[int, int, int, int, bool]) -> None:
        """Write the columns of a state that was taken apart."""
        at = state * STATE_COLUMNS + FIRST_BRANCH
        self._cells[at : at + len(facts)] = array("i", facts)

    def _append_texts(self, texts: Texts) -> tuple[int, int]:
        begin = self.text_bytes.count
        self.text_bytes.append(array("B", b"".join(texts.texts)))
        ends = list(accumulate(map(len, texts.texts), initial=begin))
        rows = zip(ends, ends[1:], texts.tails, strict=False)  # one more beginning than ends
        return self.texts.append(array("i", chain.from_iterable(rows)))

    def within_texts(self, low: int, high: int, place: int, beside: int = NO_STATE) -> int:
        """Return the state in which the first bytes of some texts were read.

        It shares their bytes, and its term is only made if somebody asks for it. So it is with what
        a state `beside` them is made of, if one is given: `Automaton.may_stand_beside`.
        """
        # Lists of the same entries share the bytes of their texts. Of what two places of one list
        # offer, one is in the other or no text is in both: the first text, what is behind it and
        # the number tell which it is.
        begin, _, behind = self.texts.rows(low, low + 1)
        key = begin + place, behind, high - low, beside
        state = self._within.get(key)
        if state is None:
            rows = self.texts.array[low:high].copy()
            rows[:, 0] += place
            state = self.automaton.unread(partial(_left_of, self.text_bytes, rows), beside)
            self._within[key] = state
            first, last, captured = 0, 0, 0
            if beside != NO_STATE:
                self.know(beside)
                _, _, first, last, _, _, captured, _ = self._columns(beside)
                if beside in self.captures:
                    self.captures[state] = self.captures[beside]
            self.cover()
            self._note(state, (first, last, *self.texts.append_rows(rows), bool(captured)))
        return state

    def _fill_rows(self, state: int) -> None:
        """Compute the row of a state, in a machine also those that most characters lead to.

        There each character is a new state, and a walk would ask for them one by one.
        """
        for _ in range(MACHINE_AHEAD):
            pairs = self.fill_row(state)
            if not pairs or state not in self.automaton.machines:
                return
            state = max(pairs, key=_width)[1]

    def fill_row(self, state: int) -> list[tuple[int, int]]:
        """Compute the row of a state, also of one that was taken apart; it then goes first.

        Returns the row, nothing where it was known.
        """
        if state < len(self.states) and self._cells[state * STATE_COLUMNS + ROW] >= 0:
            return []
        pairs = self.automaton.row(state)
        self.cover()
        self.rows = with_room(self.rows, self._row_count + 1)
        _write(self.rows[self._row_count], pairs)
        self._cells[state * STATE_COLUMNS + ROW] = len(self.shared) + self._row_count
        self._row_count += 1
        if not may_loop(state, pairs):
            self._cells[state * STATE_COLUMNS + LOOP] = self._repeats(state)
        return pairs

    def _repeats(self, state: int) -> int:
        """Return the loop of a state that allows a row of the same for a while; `NONE` if not."""
        found = self.automaton.repeated(state)
        if found is None:
            return NONE
        again, most = found
        loop = self._again.get(again)
        if loop is None:
            loop = self._again[again] = loop_of(
                again, self.automaton.row, self.automaton.is_accepting
            )
        return self.loops.append(array("Q", [*loop[:3], most]))[0]

    def find_loop(self, state: int) -> None:
        """Note by what a state leads back to itself, which spares walks of subtrees."""
        if self._cells[state * STATE_COLUMNS + ROW] < 0:
            return
        loop = loop_of(state, self.automaton.row, self.automaton.is_accepting)
        self.cover()
        self._cells[state * STATE_COLUMNS + LOOP] = self.loops.append(array("Q", loop))[0]

    def cover(self) -> None:
        """Make room for every numbered state and note which of them accept."""
        size = len(self._numbered)
        if size == self._judged:
            return
        if size > len(self.states):
            larger = np.full((max(size, 2 * len(self.states)), STATE_COLUMNS), UNKNOWN, np.int32)
            larger[: len(self.states)] = self.states
            self.states, self._cells = larger, larger.reshape(-1).data
            starts = np.zeros(len(larger), np.uint64)
            starts[: len(self.starts)] = self.starts
            self.starts = starts
        accepting = self.automaton.accepting(self._judged)
        if len(accepting) > FEW_STATES:
            self.states[self._judged : size, ACCEPTS] = accepting
        else:
            for state, accepts in enumerate(accepting, self._judged):
                self._cells[state * STATE_COLUMNS + ACCEPTS] = accepts
        self._judged = size

    def _covered(self) -> npt.NDArray[np.int32]:
        """Return the states, with all that are numbered."""
        self.cover()
        return self.states

    def is_wide(self, head: int) -> bool:
        """Return whether a lexeme begins with so many bytes that a walk of it is long."""
        if head < len(self._shared_wide):
            return self._shared_wide[head]
        found = self._wide.get(head)
        if found is None:
            found = not self._remembers(head)  # each byte would be a new term
            found = found and self.automaton.starts(head).bit_count() >= WIDE_BYTES
            self._wide[head] = found
        return found

    def _remembers(self, head: int) -> bool:
        """Return whether a lexeme begins with a text that is remembered."""
        term = self.automaton.terms_of[head]
        return term != UNMADE and self.automaton.terms.remembers(term)

    @property
    def held_bytes(self) -> int:
        """Return the size of the arrays."""
        grown = (self.branches, self.texts, self.text_bytes, self.loops)
        arrays: list[npt.NDArray[Any]] = [self.rows, self.states, self.starts]
        arrays += [each.array for each in grown]
        return sum(array.nbytes for array in arrays) + self._lists.held_bytes


def _width(pair: tuple[int, int]) -> int:
    return pair[0].bit_count()


def _left_of(text_bytes: Growing, rows: npt.NDArray[np.int32]) -> Texts:
    """Return what is left of some texts, and the states behind them; rows (texts, 3)."""
    spans = rows[:, :2].tolist()
    left = (text_bytes.array[begin:end].tobytes() for begin, end in spans)
    return Texts(tuple(left), tuple(rows[:, 2].tolist()))


@dataclass(frozen=True, slots=True)
class SharedRows:
    """The rows, states and loops (as in a `StateTable`) that grammars of one style begin with.

    Behind the states is room for others. `wide` says of each whether it begins with many bytes.
    """

    rows: npt.NDArray[np.int32]
    states_with_room: npt.NDArray[np.int32]
    starts_with_room: npt.NDArray[np.uint64]
    loops: array[int]
    wide: tuple[bool, ...]


_KNOWN: dict[SharedStates, SharedRows] = {}  # as many as there are styles


def _shared_states(shared: SharedStates) -> SharedRows:
    """Return what is known of the states that grammars begin with; made once for each style."""
    found = _KNOWN.get(shared)
    if found is None:
        count = len(shared)
        rows = np.empty((count, 256), np.int32)
        states = np.full((count + FIRST_ROOM, STATE_COLUMNS), UNKNOWN, np.int32)
        states[:count, LOOP] = NONE
        loops = array("Q")
        for state, pairs in enumerate(shared.rows):
            _write(rows[state], pairs)
            states[state, ROW], states[state, ACCEPTS] = state, shared.accepts(state)
            if any(after == state for _, after in pairs):
                loop = loop_of(state, shared.rows.__getitem__, shared.accepts)
            else:
                loop = chain_of(state, shared.rows.__getitem__) or []
            if loop:
                states[state, LOOP] = len(loops) // LOOP_COLUMNS
                loops.extend(loop)
        wide = [sum(mask for mask, _ in pairs).bit_count() >= WIDE_BYTES for pairs in shared.rows]
        starts = np.zeros(len(states), np.uint64)
        for state in range(count):
            starts[state] = row_starts(rows[state])
        found = _KNOWN[shared] = SharedRows(rows, states, starts, loops, tuple(wide))
    return found


def _write(row: npt.NDArray[np.int32], pairs: Iterable[tuple[int, int]]) -> None:
    """Write (byte mask, state) pairs into a row."""
    row.fill(DEAD)
    for mask, successor in pairs:
        if mask & (mask - 1):
            row[_bytes_in(mask)] = successor
        else:
            row[mask.bit_length() - 1] = successor


@lru_cache(maxsize=4096)
def _bytes_in(mask: int) -> npt.NDArray[np.intp]:
    """Return the bytes of a 256-bit set as an index array."""
    bits = np.frombuffer(mask.to_bytes(32, "little"), np.uint8)
    return np.flatnonzero(np.unpackbits(bits, bitorder="little"))
