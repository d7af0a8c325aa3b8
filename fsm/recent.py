"""A cache of a bounded number of bytes that keeps what was asked for lately.

Two tables stand for "lately" and "before": a find in the second moves to the first, and when the
first holds half of the bytes it becomes the second, whose rest is forgotten. That is nearly the
order of use, at the price of a dictionary look-up: no list is kept, no lock is needed to read.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TypeVar

ENTRY_BYTES = 256  # of a key and its place in a table, about

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recent(dict[K, V | None]):
    """Maps keys to values until they take more than `most_bytes`; forgets what is not asked for.

    `recent[key]` is the value, None if it is not known or was forgotten. The dictionary itself
    holds what was asked for lately, so a find costs nothing but its look-up.

    Reading is safe from any thread; a value that two threads put at once is counted twice, for a
    while.
    """

    def __init__(
        self,
        most_bytes: int,
        forgotten: Callable[[dict[K, tuple[V, int]]], None] | None = None,
    ) -> None:
        """`forgotten` is told of values and their sizes when they are no longer kept."""
        super().__init__()
        self.most_bytes = most_bytes
        self._forgotten = forgotten
        self._sizes: dict[K, int] = {}
        self._before: dict[K, tuple[V, int]] = {}
        self._bytes = 0
        self._bytes_before = 0

    @property
    def held_bytes(self) -> int:
        """Return at most how many bytes the values take, as far as `put` was told."""
        return self._bytes + self._bytes_before

    def __missing__(self, key: K) -> V | None:
        """Return a value that was asked for before; it is kept as one of lately."""
        old = self._before.pop(key, None)
        if old is None:
            return None
        self._bytes_before -= old[1]
        self.put(key, *old)
        return old[0]

    def put(self, key: K, value: V, size: int) -> V:
        """Keep a value of `size` bytes; return it."""
        if self._bytes + size > self.most_bytes // 2:
            if self._before and self._forgotten is not None:
                self._forgotten(self._before.copy())  # others take values out meanwhile
            sizes, self._sizes = self._sizes, {}
            values = self.copy()
            self.clear()
            self._before = {k: (v, sizes.get(k, 0)) for k, v in values.items() if v is not None}
            self._bytes_before, self._bytes = self._bytes, 0
        self[key], self._sizes[key] = value, size
        self._bytes += size
        return value
