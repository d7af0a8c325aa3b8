"""The hot loop: walk the vocabulary trie and a transition table side by side.

Per node the loop reads one byte and one table entry. A dead entry skips the subtree, a live one
allows the tokens that end there. States whose rows are not filled yet are noted with their node and
left out; the caller fills them and walks on from those nodes, so nothing is walked twice.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

Ints = npt.NDArray[np.int32]


@njit(cache=True, nogil=True)
def walk(
    byte: Any,
    depth: Any,
    skip: Any,
    token_start: Any,
    token_ids: Any,
    table: Any,
    known: Any,
    accepting: Any,
    nodes: Any,
    states: Any,
    stack: Any,
    mask: Any,
    ends: Any,
    pending_nodes: Any,
    pending_states: Any,
    exits: Any,
) -> tuple[int, int]:
    """Walk the subtrees of `nodes`, each from its state, and allow the tokens met alive.

    Shapes: the trie arrays of `VocabularyTrie`; table (states, 256) int32, -1 dead; known,
    accepting (states,) bool; nodes, states (k,); stack (max depth + 1,); mask (words,) int32;
    ends (vocabulary,) int32, which gets the state behind each token, or empty; pending_* and exits
    (trie nodes,) int32 buffers. Returns the number of pending (node, state) pairs and of exits:
    nodes whose state accepts. Cost: one table read for each trie node whose parent is alive.
    """
    pending = 0
    left = 0
    wants_ends = ends.shape[0] > 0
    for k in range(nodes.shape[0]):
        root = nodes[k]
        if not known[states[k]]:
            pending_nodes[pending] = root
            pending_states[pending] = states[k]
            pending += 1
            continue
        stack[depth[root]] = states[k]
        i = root + 1
        end = skip[root]
        while i < end:
            level = depth[i]
            state = table[stack[level - 1], byte[i]]
            if state < 0:
                i = skip[i]
                continue
            for at in range(token_start[i], token_start[i + 1]):
                token = token_ids[at]
                mask[token >> 5] |= np.int32(1) << np.int32(token & 31)
                if wants_ends:
                    ends[token] = state
            if accepting[state]:
                exits[left] = i
                left += 1
            if skip[i] == i + 1:
                i += 1
            elif known[state]:
                stack[level] = state
                i += 1
            else:
                pending_nodes[pending] = i
                pending_states[pending] = state
                pending += 1
                i = skip[i]
    return pending, left
