"""Rows of the automaton as a dense table for the kernel, filled where a walk gets stuck."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ..constraint.automaton import DEAD, Automaton

FIRST_ROWS = 64


class TransitionTable:
    """`rows[state, byte]` is the successor (int32, -1 dead) wherever `known[state]`.

    States that can be taken apart stay unknown: they are walked by their branches. The caller holds
    the grammar's lock. Growing doubles the arrays, so a kernel gets them anew for each call.
    """

    def __init__(self, automaton: Automaton) -> None:
        self.automaton = automaton
        self.rows = np.empty((FIRST_ROWS, 256), np.int32)
        self.known = np.zeros(FIRST_ROWS, np.bool_)
        self.accepting = np.zeros(FIRST_ROWS, np.bool_)
        self._judged = 0

    def know(self, state: int) -> None:
        """Compute the row of one state, unless it is known."""
        if self.known[state]:
            return
        pairs = self.automaton.row(state)
        self._grow(len(self.automaton))
        row = self.rows[state]
        row.fill(DEAD)
        for mask, successor in pairs:
            row[_bytes_in(mask)] = successor
        self.known[state] = True

    def _grow(self, size: int) -> None:
        """Make room for every numbered state and note which of them accept."""
        room = len(self.known)
        if size > room:
            room = max(size, 2 * room)
            self.rows = _resized(self.rows, room)
            self.known = _resized(self.known, room)
            self.accepting = _resized(self.accepting, room)
        for state in range(self._judged, size):
            self.accepting[state] = self.automaton.is_accepting(state)
        self._judged = size

    def cover(self, states: npt.NDArray[np.int32]) -> None:
        """Make the arrays large enough to be indexed by `states`."""
        self._grow(max(len(self.automaton), int(states.max(initial=0)) + 1))


def _resized(array: Any, room: int) -> Any:
    larger = np.zeros((room, *array.shape[1:]), array.dtype)
    larger[: len(array)] = array
    return larger


@lru_cache(maxsize=4096)
def _bytes_in(mask: int) -> npt.NDArray[np.intp]:
    """Return the bytes of a 256-bit set as an index array."""
    bits = np.frombuffer(mask.to_bytes(32, "little"), np.uint8)
    return np.flatnonzero(np.unpackbits(bits, bitorder="little"))
