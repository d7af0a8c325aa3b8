"""Strings with a length: one walk of the string without one tells the masks of all lengths.

`x{3,60}"` allows what `x*"` allows, less the tokens that have more than 60 of `x`, and ends only
where 3 to 60 have been read. So the walk of `x*"` (millions of such states meet the same one) is
made once for each vocabulary, with the number of `x` that each token begins and that stand before
each exit; any bounds are then a cut through the tokens, sorted by their count.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from .bitmask import Bitmask, allow, empty_mask, forbid
from .columns import ACCEPTS, BYTE, DEPTH, ROW, SKIP, TOKENS
from .trie import VocabularyTrie

Ints = npt.NDArray[np.int32]
FEW_PARTS = 12  # of a counter; more are counted once for all bounds
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
        short = counts[allowed].astype(np.uint16)  # tokens are short, and these sorted by digits
        allowed = allowed[np.argsort(short, kind="stable")]
        self._ids, self._counts, self._size = ids[allowed], counts[allowed], size
        self.whole = np.full(size, -1, np.int32)
        """Of how many `x` each token is a row, -1 for others: (vocabulary,)."""
        self.whole[ids] = whole
        self._exits, self._exit_counts = exits, exit_counts
        self._masks: dict[int, Bitmask] = {}

    @property
    def most_bytes(self) -> int:
        """Return the size of the arrays, with all the masks that bounds can ask for."""
        kinds = len(np.unique(self._counts))
        arrays = 2 * (self._ids.nbytes + self._counts.nbytes) + self.whole.nbytes
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


@njit(cache=True, nogil=True)
def count(
    trie: Any,
    shared: Any,
    rows: Any,
    states: Any,
    root: int,
    base: int,
    starts: Any,
    stack: Any,
    token_count: Any,
    token_whole: Any,
    exits: Any,
    exit_count: Any,
) -> int:
    """Walk the trie below `root` from the state `base`, counting how often a path begins it anew.

    Shapes as for `kernels.explore`, all rows known; starts (256,) bool: the bytes that count in
    `base`; token_count (tokens below,) in the order of the trie gets the count of each token met
    alive, token_whole of those that end in `base` again; exits, exit_count (nodes,).
    Returns the number of exits. Cost: that of a walk.
    """
    first_own = shared.shape[0]
    first_token = trie[root + 1, TOKENS]
    left = 0
    above = trie[root, DEPTH]
    stack[above, 0], stack[above, 1] = base, 0
    i = root + 1
    while i < trie[root, SKIP]:
        above = trie[i, DEPTH] - 1
        before = stack[above, 0]
        row = states[before, ROW]
        if row < first_own:
            state = shared[row, trie[i, BYTE]]
        else:
            state = rows[row - first_own, trie[i, BYTE]]
        if state < 0:
            i = trie[i, SKIP]
            continue
        met = stack[above, 1] + (1 if before == base and starts[trie[i, BYTE]] else 0)
        for at in range(trie[i, TOKENS], trie[i + 1, TOKENS]):
            token_count[at - first_token] = met
            if state == base:
                token_whole[at - first_token] = met
        if states[state, ACCEPTS]:
            exits[left] = i
            exit_count[left] = met
            left += 1
        stack[above + 1, 0], stack[above + 1, 1] = state, met
        i += 1
    return left
