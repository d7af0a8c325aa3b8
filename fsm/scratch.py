"""The buffers of a thread's walks: what is piled up, asked for and found, and what was done.

The grammars of a process share them, one set for each thread: a run of a walk is in one thread,
under the lock of its grammar, and what it found is taken out before the next run. Between two runs
of a walk there may be others, those of captures. They may overwrite what the first one has done,
which is then done again; but none takes the doings of another for its own, as each has a stamp.
"""

from __future__ import annotations

import threading

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int32]
FIRST_ROOM = 1 << 10
KEPT_ROOM = 1 << 15  # items; about 2 MB, more is given back with the next walk
MOST_PARTS = 64  # of the states behind a token
LAST_STAMP = (1 << 31) - 1
NO_ITEMS = np.empty((0, 3), np.int32)


class Scratch:
    """Buffers that grow where a walk needs more; shapes as for `kernels.explore` and `follow`."""

    def __init__(self) -> None:
        self._stamp = 0
        self.stack = np.empty((0, 2), np.int32)
        self.parts = np.empty((MOST_PARTS, 5), np.int32)
        self.later_parts = np.empty_like(self.parts)
        self.make_room(FIRST_ROOM, NO_ITEMS)

    def make_room(self, room: int, items: Ints) -> None:
        """Make buffers for `room` items at least, which begin with some."""
        room = 1 << (room - 1).bit_length()
        self.work = np.empty((room, 3), np.int32)
        self.work[: len(items)] = items
        self.asked = np.empty((room, 3), np.int32)
        self.wanted = np.empty(room, np.int32)
        self.exits = np.empty(room, np.int32)
        self.met = np.zeros((2 * room, 4), np.int32)

    def begin(self, depth: int) -> int:
        """Return the stamp of a new walk, of a trie with paths of at most `depth` bytes."""
        if len(self.work) > KEPT_ROOM:
            self.make_room(FIRST_ROOM, NO_ITEMS)
        if self._stamp == LAST_STAMP:  # not before: a walk that goes on later keeps its own
            self._stamp = 0
            self.met.fill(0)
        if len(self.stack) < depth + 2:
            self.stack = np.empty((depth + 2, 2), np.int32)
        self._stamp += 1
        return self._stamp


class _Scratches(threading.local):
    def __init__(self) -> None:
        self.own = Scratch()


_SCRATCHES = _Scratches()


def scratch() -> Scratch:
    """Return the buffers of this thread."""
    return _SCRATCHES.own
