"""With which bytes states begin: items of a walk that have no way on are dropped by that.

Behind a gap any of a few hundred nodes of blanks may be where a walk goes on, but few of them have
a child that is no blank. So a state has a bit for each byte that it may begin with, the byte modulo
64, and a node of the trie one for each byte directly below it (`VocabularyTrie.contents`): where no
bit is in both there is nothing to do. A bit too many costs a look, never a wrong mask.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from .columns import (
    ACCEPTS,
    CAPTURES,
    FIRST_BRANCH,
    FIRST_TEXT,
    LAST_BRANCH,
    LAST_TEXT,
    ROW,
    SAME,
)

MOST_STARTS = 64  # texts whose first bytes are looked at
ONE, ANY = np.uint64(1), np.uint64((1 << 64) - 1)


@njit(cache=True, nogil=True)
def row_starts(row: Any) -> Any:
    """Return the starts of a state with a row: (256,), what each byte leads to."""
    found = np.uint64(0)
    for byte in range(256):
        if row[byte] >= 0:
            found |= ONE << np.uint64(byte & 63)
    return max(found, ONE)  # 0 is for what is not known; too much is never wrong


@njit(cache=True, nogil=True)
def starts_of(
    state: int,
    starts: Any,
    shared: Any,
    rows: Any,
    states: Any,
    branches: Any,
    texts: Any,
    text_bytes: Any,
) -> Any:
    """Return a bit `byte & 63` at least for each byte that a state may begin with.

    Shapes as for `kernels.explore`. Noted in `starts` as soon as all that it depends on is known.
    """
    found, settled, row = np.uint64(0), True, states[state, ROW]
    if row < 0 and states[state, FIRST_BRANCH] < 0:
        return ANY
    if row >= 0:
        found = row_starts(shared[row] if row < shared.shape[0] else rows[row - shared.shape[0]])
    elif states[state, CAPTURES]:
        found = ANY
    else:
        for b in range(states[state, FIRST_BRANCH], states[state, LAST_BRANCH]):
            head, tail = branches[b, 0], branches[b, 1]
            row = states[head, ROW]
            if not starts[head] and row >= 0:
                own = row - shared.shape[0]
                starts[head] = row_starts(shared[row] if own < 0 else rows[own])
            found |= starts[head]
            settled = settled and starts[head] != 0
            if tail != SAME and states[head, ACCEPTS]:
                found |= starts[tail]
                settled = settled and starts[tail] != 0
        first, last = states[state, FIRST_TEXT], states[state, LAST_TEXT]
        if first < last and text_bytes[texts[first, 0]] == text_bytes[texts[last - 1, 0]]:
            found |= ONE << np.uint64(text_bytes[texts[first, 0]] & 63)  # they are in order
        elif last - first > MOST_STARTS:
            found = ANY
        else:
            for text in range(first, last):
                found |= ONE << np.uint64(text_bytes[texts[text, 0]] & 63)
    if not settled:
        return ANY
    starts[state] = max(found, ONE)
    return starts[state]
