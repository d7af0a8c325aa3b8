"""A cache of a bounded number of bytes that keeps what was asked for lately.

Two tables stand for "lately" and "before": a find in the second moves to the first, and when the
first holds half of the bytes it becomes the second, whose rest is forgotten. That is nearly the
order of use, at the price of a dictionary look-up: no list is kept, no lock is needed to read.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recent(Generic[K, V]):
    """Maps keys to values until they take more than `most_bytes`; forgets what is not asked for.

    Reading is safe from any thread; a value that two threads put at once is counted twice, for a
    while.
    """

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self._lately: dict[K, tuple[V, int]] = {}
        self._before: dict[K, tuple[V, int]] = {}
        self._bytes = 0
        self._bytes_before = 0

    def __len__(self) -> int:
        return len(self._lately) + len(self._before)

    @property
    def held_bytes(self) -> int:
        """Return at most how many bytes the values take, as far as `put` was told."""
        return self._bytes + self._bytes_before

    def get(self, key: K) -> V | None:
        """Return a value, None if it is not known or was forgotten."""
        found = self._lately.get(key)
        if found is not None:
            return found[0]
        old = self._before.pop(key, None)
        if old is None:
            return None
        self._bytes_before -= old[1]
        self.put(key, *old)
        return old[0]

    def put(self, key: K, value: V, size: int) -> V:
        """Keep a value of `size` bytes; return it."""
        if self._bytes + size > self.most_bytes // 2:
            self._before, self._bytes_before = self._lately, self._bytes
            self._lately, self._bytes = {}, 0
        self._lately[key] = value, size
        self._bytes += size
        return value
