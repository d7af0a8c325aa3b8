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

from .loops import ALWAYS, BEHIND, CHARACTERS, WHOLE

Ints = npt.NDArray[np.int32]

# Columns of the trie's nodes.
BYTE, DEPTH, SKIP, TOKENS = range(4)
# Columns of the states.
ROW, ACCEPTS, FIRST_BRANCH, LAST_BRANCH, FIRST_TEXT, LAST_TEXT, CAPTURES, LOOP = range(8)
STATE_COLUMNS = 8
# In the place of a tail: nothing follows; the end is noted; `EXIT_BEHIND - state`: after a state.
NOTHING, EXIT, EXIT_BEHIND = -1, -2, -10
# In the place of the tail of what is asked for: a capture, a wide branch, a tail behind a tail;
# with `WIDE` a branch stands in the place of the state.
CAPTURED, WIDE, WIDE_EXIT, NESTED = -3, -4, -5, -6
UNKNOWN = -1  # in the place of a row, of a first branch, of a loop
NONE = -2  # in the place of a loop
SAME = -1  # tail of a branch: that of the item
NEAR = 16  # bytes to the end of all tokens below; a counter that lasts longer does not matter
FIRST_BYTES = BEHIND[WHOLE]  # the state of UTF-8 behind each
BIG = 1000  # nodes below, from which on a wide lexeme is looked up and not walked


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
    heights: Any,
    contents: Any,
    token_ids: Any,
    big: int,
    shared: Any,
    rows: Any,
    states: Any,
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
) -> tuple[int, int, int, int, bool]:
    """Do the `given` first items of `work` and all that follow; allow the tokens met alive.

    Shapes, int32 where not said: trie (nodes + 1, 4), heights (nodes,) uint16 and contents
    (nodes, 3) uint64; token_ids (tokens,); `big`: below more nodes a wide lexeme is looked up and
    not walked, and a state has to tell whether it leads back to itself; shared (f, 256) and rows
    (r, 256): row i is that of `shared` up to f, then those of `rows`; states (s, 8); branches
    (b, 5): head, tail, whether the head is wide, a head that is the same nearby and for how many
    bytes; texts (t, 3): begin and end in text_bytes (uint8), state behind; loops (l, 4) uint64;
    work, asked (w, 3); met (power of 2, 4): the `seen` items that were done under a stamp; stack
    (max depth + 2, 2); mask (words,); ends (vocabulary,), which gets the state behind each token
    (states without a row are then asked for), or empty; exits (e,).

    Returns the numbers of exits, of items whose states are asked for, of those at the end of
    `asked` that ask for more than that, of items seen, and whether a buffer was too small: then all
    is to be done again with larger ones. Cost: one table read for each node whose parent is alive,
    and one store for each token of a subtree that leads back to one state; a binary search among
    the texts for each node that a text leads to.
    """
    first_own = shared.shape[0]
    wants_ends = ends.shape[0] > 0
    left = 0
    open_questions = 0
    special = 0
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
            return left, open_questions, special, seen, True
        # Whether this item was done before.
        slot = np.int64(node) * 0x9E3779B1 + np.int64(state) * 0x85EBCA77
        slot = (slot + np.int64(tail) * 0xC2B2AE3D) & slots
        while met[slot, 0] == stamp and not (
            met[slot, 1] == node and met[slot, 2] == state and met[slot, 3] == tail
        ):
            slot = (slot + 1) & slots
        if met[slot, 0] == stamp:
            continue
        row = states[state, ROW]
        if row < 0:
            untold = wants_ends or states[state, FIRST_BRANCH] < 0
        else:
            untold = not wants_ends and states[state, LOOP] == UNKNOWN
            untold = untold and trie[node, SKIP] - node > big
        if untold:
            asked[open_questions, 0] = node
            asked[open_questions, 1] = state
            asked[open_questions, 2] = tail
            open_questions += 1
            continue
        met[slot, 0], met[slot, 1], met[slot, 2], met[slot, 3] = stamp, node, state, tail
        seen += 1
        if states[state, ACCEPTS]:
            if tail >= 0 or tail <= EXIT_BEHIND:
                if count >= room:
                    return left, open_questions, special, seen, True
                work[count, 0] = node
                work[count, 1] = tail if tail >= 0 else EXIT_BEHIND - tail
                work[count, 2] = NOTHING if tail >= 0 else EXIT
                count += 1
            elif tail == EXIT:
                if left >= exits.shape[0]:
                    return left, open_questions, special, seen, True
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
            i = node + 1
            while i < end:
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
                if wants_ends or (tail != NOTHING and states[after, ACCEPTS]):
                    loop = NONE
                if stack[level - 1, 1] >= 0 and FIRST_BYTES[trie[i, BYTE]] > 0:
                    loop, inside = stack[level - 1, 1], FIRST_BYTES[trie[i, BYTE]]
                if loop >= 0 and tail != NOTHING and loops[loop, 3] != ALWAYS:
                    loop = NONE
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
                    asked[open_questions, 0] = node
                    asked[open_questions, 1], asked[open_questions, 2] = state, tail
                    open_questions += 1
                    break
                whole = loop >= 0 and inside == 0 and loops[loop, 2] == CHARACTERS
                stack[level, 1] = loop if whole else NONE
                if (leaf or row >= 0) and tail != NOTHING and states[after, ACCEPTS]:
                    if tail == EXIT:
                        if left >= exits.shape[0]:
                            return left, open_questions, special, seen, True
                        exits[left] = i
                        left += 1
                    elif not leaf or tail <= EXIT_BEHIND:
                        if count >= room:
                            return left, open_questions, special, seen, True
                        work[count, 0] = i
                        work[count, 1] = tail if tail >= 0 else EXIT_BEHIND - tail
                        work[count, 2] = NOTHING if tail >= 0 else EXIT
                        count += 1
                if leaf:
                    i += 1
                elif row >= 0:
                    stack[level, 0] = row
                    i += 1
                else:
                    if count >= room:
                        return left, open_questions, special, seen, True
                    work[count, 0], work[count, 1], work[count, 2] = i, after, tail
                    count += 1
                    i = trie[i, SKIP]
            continue
        if states[state, CAPTURES]:
            special += 1
            asked[-special, 0], asked[-special, 1], asked[-special, 2] = node, state, CAPTURED
        for b in range(states[state, FIRST_BRANCH], states[state, LAST_BRANCH]):
            wide = branches[b, 2] and end - node > big
            behind = branches[b, 1]
            if behind == SAME:
                behind = tail
            elif tail == EXIT:
                behind = EXIT_BEHIND - behind
            if wide or (tail != NOTHING and tail != EXIT and branches[b, 1] != SAME):
                if open_questions + special + 2 >= asked.shape[0]:
                    return left, open_questions, special, seen, True
                special += 1
                asked[-special, 0], asked[-special, 1] = node, b if wide else state
                if not wide:
                    asked[-special, 2] = NESTED
                else:
                    asked[-special, 2] = WIDE if tail == NOTHING else WIDE_EXIT
                continue
            if count >= room:
                return left, open_questions, special, seen, True
            head = branches[b, 3 if heights[node] <= branches[b, 4] else 0]
            work[count, 0], work[count, 1], work[count, 2] = node, head, behind
            count += 1
        if states[state, FIRST_TEXT] == states[state, LAST_TEXT]:
            continue
        # Texts are in ascending order: those that agree with a path are a range of them.
        stack[base, 0], stack[base, 1] = states[state, FIRST_TEXT], states[state, LAST_TEXT]
        i = node + 1
        while i < end:
            level = trie[i, DEPTH]
            place = level - 1 - base
            wanted = trie[i, BYTE]
            low, high = stack[level - 1, 0], stack[level - 1, 1]
            last = high
            while low < high:  # the first whose byte is at least the node's
                middle = (low + high) >> 1
                if text_bytes[texts[middle, 0] + place] < wanted:
                    low = middle + 1
                else:
                    high = middle
            high = low
            while high < last and text_bytes[texts[high, 0] + place] == wanted:
                step = 1  # of those with this byte, the last: by growing strides
                while high + step < last and text_bytes[texts[high + step, 0] + place] == wanted:
                    high += step
                    step *= 2
                high += 1
            if low == high:
                i = trie[i, SKIP]
                continue
            _allow(token_ids, trie[i, TOKENS], trie[i + 1, TOKENS], mask)
            leaf = trie[i, SKIP] == i + 1
            while low < high and texts[low, 1] - texts[low, 0] == place + 1:  # those that end here
                if not leaf or tail == EXIT or tail <= EXIT_BEHIND:
                    if count >= room:
                        return left, open_questions, special, seen, True
                    work[count, 0], work[count, 1], work[count, 2] = i, texts[low, 2], tail
                    count += 1
                low += 1
            stack[level, 0], stack[level, 1] = low, high
            i = i + 1 if low < high else trie[i, SKIP]
    return left, open_questions, special, seen, False


@njit(cache=True, nogil=True)
def follow(
    shared: Any,
    rows: Any,
    states: Any,
    branches: Any,
    texts: Any,
    text_bytes: Any,
    token: bytes,
    start: int,
    beside_captures: bool,
    now: Any,
    then: Any,
) -> int:
    """Follow the bytes of one token from a state; `now` gets what the states behind it are made of.

    Shapes as for `explore`; now, then (w, 5): state and tail, or UNKNOWN, a tail, a range
    of texts and how many bytes of them were read. Captures of the first state are left out if
    `beside_captures`. Returns how many parts there are, -1 if
    a state on the way is not known or has captures, or if there is no room.
    """
    first_own = shared.shape[0]
    parts = 1
    spared = beside_captures
    now[0, 0], now[0, 1], now[0, 2], now[0, 3], now[0, 4] = start, NOTHING, 0, 0, 0
    for byte in token:
        made = 0
        at = 0
        while at < parts:
            state, tail, low, high, place = (
                now[at, 0],
                now[at, 1],
                now[at, 2],
                now[at, 3],
                now[at, 4],
            )
            at += 1
            if state != UNKNOWN:
                row = states[state, ROW]
                if row < 0 and states[state, FIRST_BRANCH] < 0:
                    return -1
                if states[state, CAPTURES] == 1 and not (spared and state == start):
                    return -1
                more = states[state, ACCEPTS] == 1 and tail != NOTHING
                if row < 0:
                    more_parts = states[state, LAST_BRANCH] - states[state, FIRST_BRANCH]
                else:
                    more_parts = 0
                if parts + more_parts + 1 >= now.shape[0] or made + 2 >= then.shape[0]:
                    return -1
                if more:
                    now[parts, 0], now[parts, 1] = tail, NOTHING
                    parts += 1
                if row >= 0:
                    own = row - first_own
                    after = shared[row, byte] if own < 0 else rows[own, byte]
                    if after >= 0:
                        then[made, 0], then[made, 1] = after, tail
                        made += 1
                    continue
                for b in range(states[state, FIRST_BRANCH], states[state, LAST_BRANCH]):
                    behind = tail if branches[b, 1] == SAME else branches[b, 1]
                    if branches[b, 1] != SAME and tail != NOTHING:
                        return -1
                    now[parts, 0], now[parts, 1] = branches[b, 0], behind
                    parts += 1
                low, high = states[state, FIRST_TEXT], states[state, LAST_TEXT]
                place = 0
            last = high
            while low < high:
                middle = (low + high) >> 1
                if text_bytes[texts[middle, 0] + place] < byte:
                    low = middle + 1
                else:
                    high = middle
            high = last
            first = low
            while first < high:
                middle = (first + high) >> 1
                if text_bytes[texts[middle, 0] + place] <= byte:
                    first = middle + 1
                else:
                    high = middle
            while low < high and texts[low, 1] - texts[low, 0] == place + 1:
                if made >= then.shape[0]:
                    return -1
                then[made, 0], then[made, 1] = texts[low, 2], tail
                low += 1
                made += 1
            if low < high:
                if made >= then.shape[0]:
                    return -1
                then[made, 0], then[made, 1], then[made, 2] = UNKNOWN, tail, low
                then[made, 3], then[made, 4] = high, place + 1
                made += 1
        now[:made] = then[:made]
        parts = made
        spared = False
    return parts
