"""All loops of this floor, loaded once a process before the first mask.

numba compiles a loop when it is first called, or reads it from its cache. Left to chance, that is
in the middle of somebody's text: 25 ms for the first token, and some for the first string with a
length. So each loop runs once over a vocabulary of one token, with the types that it will be given.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from .bitmask import join, pack, set_tokens
from .capture_masks import find_below
from .columns import STATE_COLUMNS, UNKNOWN
from .counted import count
from .following import follow
from .kernels import explore
from .lists import tell_list
from .loops import LOOP_COLUMNS
from .patches import write_patch
from .starts import starts_of
from .trie import VocabularyTrie


@cache
def load_kernels() -> None:
    """Load every loop; 60 ms from numba's cache, some seconds the first time on a machine."""
    trie, mask, none = VocabularyTrie.build([b"a"]), np.zeros(1, np.int32), np.empty(0, np.int32)
    states = np.full((1, STATE_COLUMNS), UNKNOWN, np.int32)
    states[:, 0] = 0
    rows = np.full((1, 256), UNKNOWN, np.int32)
    branches, texts = np.empty((1, 5), np.int32), np.empty((1, 3), np.int32)
    text_bytes, loops = np.empty(1, np.uint8), np.empty((1, LOOP_COLUMNS), np.uint64)
    work, asked = np.zeros((2, 4, 3), np.int32)
    vocabulary = trie.nodes, trie.first_nodes, trie.height, trie.contents, trie.token_ids, 1
    starts = np.zeros(1, np.uint64)
    language = rows, rows, states, branches, texts, text_bytes
    more = rows, rows, states, starts, branches, texts, text_bytes
    met, stack, exits = np.zeros((8, 4), np.int32), np.empty((3, 2), np.int32), none.copy()
    explore(
        *vocabulary,
        *more,
        loops,
        work,
        1,
        met,
        1,
        0,
        stack,
        mask,
        none,
        exits,
        asked,
        asked[:, 0].copy(),
    )
    row = np.zeros((1, 3), np.int32)
    tell_list(
        states.copy().repeat(8, 0),
        branches,
        0,
        texts,
        0,
        (1, 1, 0, 0, 0, 0, 0),
        row[:, :2].repeat(3, 0),
        row[:, :2].copy(),
        np.zeros(1, np.bool_),
        row,
        row,
        (False, False, False),
    )
    starts_of(0, starts, *language)
    follow(*language, b"a", 0, False, np.zeros((4, 5), np.int32), np.zeros((4, 5), np.int32))
    begins, (counts, whole) = np.zeros(256, np.bool_), np.zeros((2, 1), np.int32)
    count(trie.nodes, rows, rows, states, 0, 0, begins, stack, counts, whole, exits, exits)
    find_below(trie.nodes, trie.contents, none, b"", np.empty(0, np.int64), none.copy())
    base = mask.copy()
    for writeable in (True, False):  # masks that were handed out are read-only
        base.flags.writeable = writeable
        write_patch(mask, base, none, none)
    for allowed in (False, True):
        set_tokens(mask, none, allowed)
    pack(mask, *np.empty((2, 1), np.int32))
    join(mask, none, none)
    trie.find(b"a")
