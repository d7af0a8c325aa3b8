"""The hot loops: walk the vocabulary trie and the states of a grammar side by side.

Work is a stack of items (node, state, tail): from a node of the trie a state is to be walked, and
where it accepts, `tail` goes on. A state has a row (one table read a byte), or it has been taken
apart into branches and fixed texts, which become items of their own. What the loop cannot do alone
it asks for: states that nobody has taken apart yet, captures, wide lexemes that are shared.

A token is allowed as soon as the node where it ends is reached alive; no node is walked twice in
the same state. docs/mask.md derives the loop.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from .columns import (
    ACCEPTS,
    BYTE,
    CAPTURED,
    CAPTURED_EXIT,
    CAPTURES,
    DEPTH,
    EXIT,
    EXIT_BEHIND,
    FIRST_BRANCH,
    FIRST_TEXT,
    LAST_BRANCH,
    LAST_TEXT,
    LOOP,
    NESTED,
    NONE,
    NOTHING,
    ROOT,
    ROW,
    SAME,
    SKIP,
    TOKENS,
    UNKNOWN,
    WIDE,
    WIDE_EXIT,
)
from .loops import ALWAYS, BEHIND, BELOW, CHARACTERS, WHOLE
from .starts import ANY, ONE, starts_of

Ints = npt.NDArray[np.int32]

FIRST_BYTES = BEHIND[WHOLE]  # the state of UTF-8 behind each


@njit(cache=True, nogil=True, inline="always")
def _allow(token_ids: Any, first: int, last: int, mask: Any) -> None:
    """Set the bits of some tokens: token_ids (tokens,), mask (words,), as below."""
    for at in range(first, last):
        token = token_ids[at]
        mask[token >> 5] |= np.int32(1) << np.int32(token & 31)


@njit(cache=True, nogil=True)
def _leads_back(contents: Any, height: int, loop: Any, inside: int) -> bool:
    """Return whether all below a node leads back, in state `inside` of UTF-8: (3,) and (4,)."""
    return bool(
        height < loop[3]
        and contents[0] & loop[0] == 0
        and contents[1] & loop[1] == 0
        and contents[2] & (loop[2] << np.uint64(inside)) == 0
    )


@njit(cache=True, nogil=True)
def explore(
    trie: Any,
    first_nodes: Any,
    heights: Any,
    contents: Any,
    token_ids: Any,
    big: int,
    shared: Any,
    rows: Any,
    states: Any,
    starts: Any,
    branches: Any,
    texts: Any,
    text_bytes: Any,
    loops: Any,
    work: Any,
    given: int,
    met: Any,
    stamp: int,
    seen: int,
    stack: Any,
    mask: Any,
    ends: Any,
    exits: Any,
    asked: Any,
    wanted: Any,
) -> tuple[int, int, int, int, int, bool]:
    """Do the `given` first items of `work` and all that follow; allow the tokens met alive.

    Shapes, int32 where not said: trie (nodes + 1, 4); first_nodes (256,), the node below the root
    by each byte, -1 for none; heights (nodes,) uint16 and contents (nodes + 1, 4) uint64; token_ids
    (tokens,); `big`: below more nodes a wide lexeme is looked up and not walked, and a state has to
    tell whether it leads back to itself; shared (f, 256) and rows (r, 256): row i is that of
    `shared` up to f, then those of `rows`; states (s, 8); starts (s,) uint64 (see there); branches
    (b, 5): head, tail, whether the head is wide, a head that is the same nearby and for how many
    bytes; texts (t, 3): begin and end in text_bytes (uint8), state behind; loops (l, 4) uint64;
    work, asked (w, 3); met (power of 2, 4): the `seen` items that were done under a stamp; stack
    (max depth + 2, 2); mask (words,); ends (vocabulary,), which gets the state behind each token
    (states without a row are then asked for), or empty; exits (e,); wanted (w,), which gets the
    states that are asked for, some of them twice.

    Returns the numbers of exits, of items that wait for a state, of those at the end of `asked`
    that ask for more than a state, of states wanted, of items seen, and whether a buffer was too
    small: then all is to be done again with larger ones. Cost: one table read for each node whose
    parent is alive, and one store for each token of a subtree that leads back to one state; a
    binary search among the texts for each node that a text leads to.
    """
    first_own = shared.shape[0]
    wants_ends = ends.shape[0] > 0
    left = 0
    open_questions = 0
    special = 0
    new = 0
    room = work.shape[0] - 1
    slots = met.shape[0] - 1
    count = given  # what follows is piled up behind the given items, which stay as they are
    begun = 0
    while count > given or begun < given:
        if count > given:
            count -= 1
            at = count
        else:
            at = begun
            begun += 1
        node, state, tail = work[at, 0], work[at, 1], work[at, 2]
        if 2 * seen > slots or open_questions + special + 2 >= asked.shape[0]:
            return left, open_questions, special, new, seen, True
        row, untold = states[state, ROW], NONE
        goes_on = tail >= 0 and states[state, ACCEPTS] and not wants_ends
        if row < 0 and (wants_ends or states[state, FIRST_BRANCH] < 0):
            untold = state
        elif row >= 0 and not wants_ends and states[state, LOOP] == UNKNOWN:
            untold = state if trie[node, SKIP] - node > big else NONE
        if untold < 0 and row >= 0 and goes_on and states[tail, ROW] < 0:
            # What follows decides where it is worth to go on with it.
            untold = tail if states[tail, FIRST_BRANCH] < 0 else NONE
        if untold >= 0:
            asked[open_questions, 0] = node
            asked[open_questions, 1] = state
            asked[open_questions, 2] = tail
            open_questions += 1
            if new == 0 or wanted[new - 1] != untold:
                wanted[new] = untold
                new += 1
            continue
        if not states[state, ACCEPTS]:
            # Whether a byte below the node is one that the state begins with.
            first = starts[state]
            if first == 0:
                first = starts_of(state, starts, shared, rows, states, branches, texts, text_bytes)
            if contents[node, BELOW] & first == 0:
                continue
        # Whether this item was done before.
        slot = np.int64(node) * 0x9E3779B1 + np.int64(state) * 0x85EBCA77
        slot = (slot + np.int64(tail) * 0xC2B2AE3D) & slots
        while met[slot, 0] == stamp and not (
            met[slot, 1] == node and met[slot, 2] == state and met[slot, 3] == tail
        ):
            slot = (slot + 1) & slots
        if met[slot, 0] == stamp:
            continue
        met[slot, 0], met[slot, 1], met[slot, 2], met[slot, 3] = stamp, node, state, tail
        seen += 1
        if states[state, ACCEPTS]:
            if tail >= 0 or tail <= EXIT_BEHIND:
                if count >= room:
                    return left, open_questions, special, new, seen, True
                work[count, 0] = node
                work[count, 1] = tail if tail >= 0 else EXIT_BEHIND - tail
                work[count, 2] = NOTHING if tail >= 0 else EXIT
                count += 1
            elif tail == EXIT:
                if left >= exits.shape[0]:
                    return left, open_questions, special, new, seen, True
                exits[left] = node
                left += 1
        base = trie[node, DEPTH]
        end = trie[node, SKIP]
        if row >= 0:
            loop, piled, left_before = states[state, LOOP], count, left
            whole = loop >= 0 and loops[loop, 2] == CHARACTERS and not wants_ends
            whole = whole and (tail == NOTHING or loops[loop, 3] == ALWAYS)
            whole = whole and (tail == NOTHING or not states[state, ACCEPTS])
            stack[base, 0], stack[base, 1] = row, loop if whole else NONE
            own_row = shared[row] if row < first_own else rows[row - first_own]
            behind = tail if tail >= 0 else EXIT_BEHIND - tail
            behind_starts: Any = ANY
            if tail >= 0 or (tail <= EXIT_BEHIND and not states[behind, ACCEPTS]):
                behind_starts = starts[behind]
                if behind_starts == 0:
                    behind_starts = starts_of(
                        behind, starts, shared, rows, states, branches, texts, text_bytes
                    )
            i, turn, byte = node + 1, node + 1 if node == ROOT else NONE, 0
            while i < end:
                if i == turn:  # the root has so many nodes below that looking for them is faster
                    while byte < 256 and (first_nodes[byte] < 0 or own_row[byte] < 0):
                        byte += 1
                    if byte == 256:
                        break
                    i = first_nodes[byte]
                    turn, byte = trie[i, SKIP], byte + 1
                level = trie[i, DEPTH]
                row = stack[level - 1, 0]
                if row < first_own:
                    after = shared[row, trie[i, BYTE]]
                else:
                    after = rows[row - first_own, trie[i, BYTE]]
                if after < 0:
                    i = trie[i, SKIP]
                    continue
                _allow(token_ids, trie[i, TOKENS], trie[i + 1, TOKENS], mask)
                if wants_ends:
                    ends[token_ids[trie[i, TOKENS] : trie[i + 1, TOKENS]]] = after
                row = states[after, ROW]
                leaf = trie[i, SKIP] == i + 1
                loop, inside = states[after, LOOP], 0
                ends_here = tail != NOTHING and states[after, ACCEPTS]
                if wants_ends:
                    loop = NONE
                elif ends_here or (loop >= 0 and tail != NOTHING and loops[loop, 3] != ALWAYS):
                    below = contents[i, 0] | contents[i, 1]
                    if tail == EXIT or contents[i, 2] & ONE or below & behind_starts:
                        loop = NONE
                if stack[level - 1, 1] >= 0 and FIRST_BYTES[trie[i, BYTE]] > 0:
                    loop, inside = stack[level - 1, 1], FIRST_BYTES[trie[i, BYTE]]
                if (
                    loop >= 0
                    and not leaf
                    and _leads_back(contents[i], heights[i], loops[loop], inside)
                ):
                    _allow(token_ids, trie[i + 1, TOKENS], trie[trie[i, SKIP], TOKENS], mask)
                    i = trie[i, SKIP]
                    continue
                if loop == UNKNOWN and row >= 0 and trie[i, SKIP] - i > big:
                    # To be told first; then this item is done again.
                    met[slot, 1] = NONE
                    count, left = piled, left_before
                    asked[open_questions, 0] = trie.shape[0] - 1  # nothing is below
                    asked[open_questions, 1], asked[open_questions, 2] = after, NOTHING
                    open_questions += 1
                    wanted[new] = after
                    new += 1
                    asked[open_questions, 0] = node
                    asked[open_questions, 1], asked[open_questions, 2] = state, tail
                    open_questions += 1
                    break
                whole = loop >= 0 and inside == 0 and loops[loop, 2] == CHARACTERS
                whole = whole and not ends_here
                stack[level, 1] = loop if whole else NONE
                if ends_here and (leaf or row >= 0):
                    if tail == EXIT:
                        if left >= exits.shape[0]:
                            return left, open_questions, special, new, seen, True
                        exits[left] = i
                        left += 1
                    elif contents[i, BELOW] & behind_starts or (leaf and tail <= EXIT_BEHIND):
                        if count >= room:
                            return left, open_questions, special, new, seen, True
                        work[count, 0] = i
                        work[count, 1] = behind
                        work[count, 2] = NOTHING if tail >= 0 else EXIT
                        count += 1
                if leaf:
                    i += 1
                elif row >= 0:
                    stack[level, 0] = row
                    i += 1
                else:
                    if count >= room:
                        return left, open_questions, special, new, seen, True
                    work[count, 0], work[count, 1], work[count, 2] = i, after, tail
                    count += 1
                    i = trie[i, SKIP]
            continue
        if states[state, CAPTURES]:
            special += 1
            asked[-special, 0], asked[-special, 1], asked[-special, 2] = node, state, CAPTURED
            if tail != NOTHING:
                asked[-special, 2] = CAPTURED_EXIT if tail == EXIT else NESTED
        for b in range(states[state, FIRST_BRANCH], states[state, LAST_BRANCH]):
            wide = branches[b, 2] and end - node > big
            behind = branches[b, 1]
            if behind == SAME:
                behind = tail
            elif tail == EXIT:
                behind = EXIT_BEHIND - behind
            if wide or (tail != NOTHING and tail != EXIT and branches[b, 1] != SAME):
                if open_questions + special + 2 >= asked.shape[0]:
                    return left, open_questions, special, new, seen, True
                special += 1
                asked[-special, 0], asked[-special, 1] = node, b if wide else state
                if not wide:
                    asked[-special, 2] = NESTED
                else:
                    asked[-special, 2] = WIDE if tail == NOTHING else WIDE_EXIT
                continue
            if count >= room:
                return left, open_questions, special, new, seen, True
            head = branches[b, 3 if heights[node] <= branches[b, 4] else 0]
            work[count, 0], work[count, 1], work[count, 2] = node, head, behind
            count += 1
        if states[state, FIRST_TEXT] == states[state, LAST_TEXT]:
            continue
        # Texts are in ascending order: those that agree with a path are a range of them.
        stack[base, 0], stack[base, 1] = states[state, FIRST_TEXT], states[state, LAST_TEXT]
        i, turn = node + 1, node + 1 if node == ROOT else NONE
        while i < end:
            if i == turn:
                low = stack[base, 0]
                while low < stack[base, 1] and first_nodes[text_bytes[texts[low, 0]]] < 0:
                    low += 1
                if low == stack[base, 1]:
                    break
                stack[base, 0] = low
                i = first_nodes[text_bytes[texts[low, 0]]]
                turn = trie[i, SKIP]
            level = trie[i, DEPTH]
            place = level - 1 - base
            byte = trie[i, BYTE]
            low, high = stack[level - 1, 0], stack[level - 1, 1]
            last = high
            while low < high:  # the first whose byte is at least the node's
                middle = (low + high) >> 1
                if text_bytes[texts[middle, 0] + place] < byte:
                    low = middle + 1
                else:
                    high = middle
            high = low
            while high < last and text_bytes[texts[high, 0] + place] == byte:
                step = 1  # of those with this byte, the last: by growing strides
                while high + step < last and text_bytes[texts[high + step, 0] + place] == byte:
                    high += step
                    step *= 2
                high += 1
            stack[level - 1, 0] = high  # what comes beside this node has higher bytes
            if low == high:
                i = trie[i, SKIP]
                continue
            _allow(token_ids, trie[i, TOKENS], trie[i + 1, TOKENS], mask)
            leaf = trie[i, SKIP] == i + 1
            while low < high and texts[low, 1] - texts[low, 0] == place + 1:  # those that end here
                if not leaf or tail == EXIT or tail <= EXIT_BEHIND:
                    if count >= room:
                        return left, open_questions, special, new, seen, True
                    work[count, 0], work[count, 1], work[count, 2] = i, texts[low, 2], tail
                    count += 1
                low += 1
            stack[level, 0], stack[level, 1] = low, high
            i = i + 1 if low < high else trie[i, SKIP]
    return left, open_questions, special, new, seen, False
