"""Following one token through the states of a grammar, behind a mask that met them.

A step of a document needs the mask of a state and then the state behind one token. The states on
the way are known from the mask, so the bytes of the token are followed through the same arrays.
"""

from __future__ import annotations

from typing import Any

from numba import njit

from .columns import (
    ACCEPTS,
    CAPTURES,
    FIRST_BRANCH,
    FIRST_TEXT,
    LAST_BRANCH,
    LAST_TEXT,
    NOTHING,
    ROW,
    SAME,
    UNKNOWN,
)

ASK = -2  # less a state


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

    Shapes as for `kernels.explore`; now, then (w, 5): state and tail, or UNKNOWN, a tail, a range
    of texts and how many bytes of them were read. Captures of the first state are left out if
    `beside_captures`. Returns how many parts there are, -1 if a state on the way has captures, or
    if there is no room, `ASK - state` if one is not known.
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
                    return int(ASK - state)
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
