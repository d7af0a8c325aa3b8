"""Masks as they are written into the rows of a batch: something at hand, and what differs from it.

Most masks allow few tokens, or nearly those that any string allows. So a row is written from zeros,
or from the mask of any string, which all grammars share and which stays in the cache, and then a
few of its words are written anew. Copying the mask of each state takes twice as long: each lies in
memory that was not touched for a while.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from .bitmask import Bitmask
from .recent import ENTRY_BYTES, Recent

Ints = npt.NDArray[np.int32]


class Patch(NamedTuple):
    """A mask as some words of another: base (words,), words and bits (k,), all int32."""

    base: Bitmask
    words: Ints
    bits: Ints

    @classmethod
    def of(cls, mask: Bitmask, bases: tuple[Bitmask, ...]) -> Patch:
        """Return a mask as words of the nearest base; of itself if half of them differ in each."""
        found = [np.flatnonzero(mask != base) for base in bases]
        nearest = min(range(len(bases)), key=lambda i: len(found[i]))
        words = found[nearest].astype(np.int32)
        if 2 * len(words) > len(mask):
            return cls(mask, words[:0], words[:0])
        return cls(bases[nearest], words, mask[words])

    def write(self, out: Bitmask) -> None:
        """Write the mask into a row: (words,) int32."""
        write_patch(out, self.base, self.words, self.bits)

    def own_bytes(self, bases: tuple[Bitmask, ...]) -> int:
        """Return the size of what is not shared: all but one of some bases."""
        own = 0 if any(self.base is base for base in bases) else self.base.nbytes
        return int(own + self.words.nbytes + self.bits.nbytes)


class Patches(Recent[int, Patch]):
    """The masks of states as patches of `bases()`, which many masks differ little from."""

    def __init__(self, most_bytes: int, bases: Callable[[], tuple[Bitmask, ...]]) -> None:
        super().__init__(most_bytes)
        self._bases = bases

    def keep(self, state: int, mask: Bitmask) -> Patch:
        """Keep the mask of a state; return what is kept."""
        return self._keep(state, Patch.of(mask, self._bases()))

    def keep_smaller(self, masks: dict[int, tuple[Bitmask, int]]) -> None:
        """Keep masks that are near another one, of those that are no longer kept whole.

        With each comes its size: one that is that of another state has the size of an entry.
        """
        for state, (mask, size) in masks.items():
            if size > ENTRY_BYTES and self[state] is None:
                patch = Patch.of(mask, self._bases())
                if patch.base is not mask:
                    self._keep(state, patch)

    def _keep(self, state: int, patch: Patch) -> Patch:
        return self.put(state, patch, patch.own_bytes(self._bases()) + ENTRY_BYTES)


@njit(cache=True, nogil=True)
def write_patch(out: Any, base: Any, words: Any, bits: Any) -> None:
    """Write a mask and some words of another: out, base (n,), words and bits (k,), all int32."""
    for word in range(base.shape[0]):
        out[word] = base[word]
    for at in range(words.shape[0]):
        out[words[at]] = bits[at]
