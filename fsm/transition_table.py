"""Rows of the automaton as a dense table for the kernel, filled where a walk gets stuck."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ..constraint.automaton import DEAD, Automaton

FIRST_ROWS = 64
NO_ROW = -1


class TransitionTable:
    """`rows[row_of[state], byte]` is the successor (int32, -1 dead) wherever `row_of[state]` >= 0.

    States that can be taken apart have no row: they are walked by their branches. The caller holds
    the grammar's lock. Growing doubles the arrays, so a kernel gets them anew for each call.
    """

    def __init__(self, automaton: Automaton) -> None:
        self.automaton = automaton
        self.rows = np.empty((FIRST_ROWS, 256), np.int32)
        self.row_of = np.full(FIRST_ROWS, NO_ROW, np.int32)
        self.accepting = np.zeros(FIRST_ROWS, np.bool_)
        self._filled = 0
        self._judged = 0

    def know(self, state: int) -> None:
        """Compute the row of one state, unless it is known."""
        if self.row_of[state] != NO_ROW:
            return
        pairs = self.automaton.row(state)
        self._grow(len(self.automaton))
        if self._filled == len(self.rows):
            self.rows = _resized(self.rows, 2 * self._filled, DEAD)
        row = self.rows[self._filled]
        row.fill(DEAD)
        for mask, successor in pairs:
            row[_bytes_in(mask)] = successor
        self.row_of[state] = self._filled
        self._filled += 1

    def _grow(self, size: int) -> None:
        """Make room for every numbered state and note which of them accept."""
        room = len(self.row_of)
        if size > room:
            room = max(size, 2 * room)
            self.row_of = _resized(self.row_of, room, NO_ROW)
            self.accepting = _resized(self.accepting, room, False)
        for state in range(self._judged, size):
            self.accepting[state] = self.automaton.is_accepting(state)
        self._judged = size

    def cover(self, states: npt.NDArray[np.int32]) -> None:
        """Make the arrays large enough to be indexed by `states`."""
        self._grow(max(len(self.automaton), int(states.max(initial=0)) + 1))

    @property
    def held_bytes(self) -> int:
        """Return the size of the arrays."""
        return int(self.rows.nbytes + self.row_of.nbytes + self.accepting.nbytes)


def _resized(array: Any, room: int, rest: object) -> Any:
    larger = np.full((room, *array.shape[1:]), rest, array.dtype)
    larger[: len(array)] = array
    return larger


@lru_cache(maxsize=4096)
def _bytes_in(mask: int) -> npt.NDArray[np.intp]:
    """Return the bytes of a 256-bit set as an index array."""
    bits = np.frombuffer(mask.to_bytes(32, "little"), np.uint8)
    return np.flatnonzero(np.unpackbits(bits, bitorder="little"))
