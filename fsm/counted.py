"""Strings with a length: one walk of the string without one tells the masks of all lengths.

`x{3,60}"` allows what `x*"` allows, less the tokens that have more than 60 of `x`, and ends only
where 3 to 60 have been read. So the walk of `x*"` (millions of such states meet the same one) is
made once for each vocabulary, with the number of `x` that each token begins and that stand before
each exit; any bounds are then a cut through the tokens, sorted by their count.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import numpy.typing as npt

from .bitmask import Bitmask, allow, empty_mask, forbid
from .trie import VocabularyTrie

Ints = npt.NDArray[np.int32]
FEW = 4096  # tokens that are cut out one by one; others are put in


class CountedTokens:
    """What `x* rest` allows from the root, by the number of `x`; shared between grammars."""

    def __init__(
        self,
        trie: VocabularyTrie,
        size: int,
        counts: Ints,
        whole: Ints,
        ids: Ints,
        exits: Ints,
        exit_counts: Ints,
    ) -> None:
        """`size` is that of the vocabulary. Of the tokens below the node, `ids`, `counts` has -1
        for those that are not allowed, `whole` also for others than rows of whole `x`: (ids,).
        """
        self._trie = trie
        allowed = np.flatnonzero(counts >= 0)
        allowed = allowed[np.argsort(counts[allowed], kind="stable")]
        self._ids, self._counts, self._size = ids[allowed], counts[allowed], size
        self._whole_ids, self._whole = ids[whole >= 0], whole[whole >= 0]
        self._exits, self._exit_counts = exits, exit_counts
        self._masks: dict[int, Bitmask] = {}

    @cached_property
    def whole(self) -> Ints:
        """Of how many `x` each token is a row, -1 for others: (vocabulary,)."""
        found = np.full(self._size, -1, np.int32)
        found[self._whole_ids] = self._whole
        return found

    @property
    def most_bytes(self) -> int:
        """Return the size of the arrays, with all the masks that bounds can ask for."""
        kinds = len(np.unique(self._counts))
        arrays = 2 * (self._ids.nbytes + self._counts.nbytes) + 4 * self._size
        return int(arrays + kinds * empty_mask(self._size).nbytes)

    def within(self, low: int, high: int | None) -> tuple[Bitmask, Ints]:
        """Return the mask, the caller's own, and the exits of `x{low,high} rest`.

        Cost: a copy, and what the bounds cut off.
        """
        most = int(self._counts[-1]) if len(self._counts) else 0
        mask = self._at_most(most if high is None else min(high, most)).copy()
        short = self._exit_counts < low
        if short.any():
            for node in self._exits[short].tolist():
                forbid(mask, self._trie.tokens_at(node))
        inside = ~short if high is None else ~short & (self._exit_counts <= high)
        return mask, self._exits[inside]

    def at_most(self, high: int) -> Bitmask:
        """Return the mask of `x{,high}`, where nothing follows; read-only."""
        return self._at_most(min(high, int(self._counts[-1]) if len(self._counts) else 0))

    def _at_most(self, high: int) -> Bitmask:
        """Return the tokens with a count of at most `high`; as many masks as a token is long."""
        found = self._masks.get(high)
        if found is None:
            cut = int(np.searchsorted(self._counts, high, side="right"))
            if 0 < len(self._ids) - cut <= FEW:
                found = self._at_most(int(self._counts[-1])).copy()
                forbid(found, self._ids[cut:])
            else:
                found = empty_mask(self._size)
                allow(found, self._ids[:cut])
            found.flags.writeable = False
            self._masks[high] = found
        return found
