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
    rows: Any,
    row_of: Any,
    accepting: Any,
    nodes: Any,
    states: Any,
    stack: Any,
    mask: Any,
    ends: Any,
    pending_nodes: Any,
    pending_states: Any,
    exits: Any,
) -> tuple[int, int, int]:
    """Walk the subtrees of `nodes`, each from its state, and allow the tokens met alive.

    Shapes: the trie arrays of `VocabularyTrie`; rows (r, 256) int32, -1 dead; row_of (states,)
    int32, -1 without a row; accepting (states,) bool; nodes, states (k,); stack (max depth + 1,);
    mask (words,) int32; ends (vocabulary,) int32, which gets the state behind each token, or empty;
    pending_* and exits (trie nodes,) int32 buffers. Returns the number of pending (node, state)
    pairs and of exits (nodes whose state accepts), and of the subtrees walked: one that could
    overrun the buffers is left. Cost: one table read for each trie node whose parent is alive.
    """
    pending = 0
    left = 0
    wants_ends = ends.shape[0] > 0
    for k in range(nodes.shape[0]):
        root = nodes[k]
        if max(pending, left) + skip[root] - root > exits.shape[0]:
            return pending, left, k
        row = row_of[states[k]]
        if row < 0:
            pending_nodes[pending] = root
            pending_states[pending] = states[k]
            pending += 1
            continue
        stack[depth[root]] = row
        i = root + 1
        end = skip[root]
        while i < end:
            level = depth[i]
            state = rows[stack[level - 1], byte[i]]
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
            elif row_of[state] >= 0:
                stack[level] = row_of[state]
                i += 1
            else:
                pending_nodes[pending] = i
                pending_states[pending] = state
                pending += 1
                i = skip[i]
    return pending, left, nodes.shape[0]


@njit(cache=True, nogil=True)
def count(
    byte: Any,
    depth: Any,
    skip: Any,
    token_start: Any,
    token_ids: Any,
    rows: Any,
    row_of: Any,
    accepting: Any,
    base: int,
    starts: Any,
    stack: Any,
    counts: Any,
    token_count: Any,
    exits: Any,
    exit_count: Any,
) -> int:
    """Walk the trie from the state `base`, counting on each path how often it begins anew there.

    Shapes as for `walk`, all rows known; starts (256,) bool: the bytes that count in `base`; stack,
    counts (max depth + 1,); token_count (vocabulary,) int32 gets the count of each token met alive;
    exits, exit_count (trie nodes,). Returns the number of exits. Cost: that of `walk`.
    """
    left = 0
    stack[0] = base
    counts[0] = 0
    i = 1
    while i < byte.shape[0]:
        above = depth[i] - 1
        before = stack[above]
        state = rows[row_of[before], byte[i]]
        if state < 0:
            i = skip[i]
            continue
        met = counts[above] + (1 if before == base and starts[byte[i]] else 0)
        for at in range(token_start[i], token_start[i + 1]):
            token_count[token_ids[at]] = met
        if accepting[state]:
            exits[left] = i
            exit_count[left] = met
            left += 1
        stack[above + 1] = state
        counts[above + 1] = met
        i += 1
    return left


@njit(cache=True, nogil=True)
def spell(
    byte: Any,
    skip: Any,
    token_start: Any,
    token_ids: Any,
    texts: Any,
    text_start: Any,
    nodes: Any,
    path: Any,
    mask: Any,
    ends: Any,
) -> None:
    """Follow some texts from some nodes and allow the tokens met on the way.

    Shapes: texts (bytes,) uint8, one after another in ascending order; text_start (t + 1,); nodes
    (k,); path (max depth + 1,); ends (k, t), which gets the node behind each text, -1 where no
    token goes that far. Cost: one search among siblings for each byte that a text does not share
    with the one before it.
    """
    for k in range(nodes.shape[0]):
        path[0] = nodes[k]
        met = 0  # bytes of the text before that have a node
        for t in range(text_start.shape[0] - 1):
            first, length = text_start[t], text_start[t + 1] - text_start[t]
            common = 0
            if t > 0:
                before, others = text_start[t - 1], first - text_start[t - 1]
                limit = min(length, others)
                while common < limit and texts[first + common] == texts[before + common]:
                    common += 1
                if common > met:  # it ends where the other has ended
                    ends[k, t] = -1
                    continue
            met = common
            while met < length:
                child, end = path[met] + 1, skip[path[met]]
                while child < end and byte[child] < texts[first + met]:
                    child = skip[child]
                if child >= end or byte[child] != texts[first + met]:
                    break
                met += 1
                path[met] = child
                for at in range(token_start[child], token_start[child + 1]):
                    token = token_ids[at]
                    mask[token >> 5] |= np.int32(1) << np.int32(token & 31)
            ends[k, t] = path[met] if met == length else -1
