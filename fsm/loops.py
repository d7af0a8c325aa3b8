"""States that lead back to themselves: subtrees of the trie that need no walk.

Inside a string or a pattern like `[^,]*` nearly every character leads back to the same state. What
a subtree of the trie is spelled with is known once for each vocabulary: which ASCII bytes occur
below a node, and whether all paths from there are the beginnings of whole characters. Where a state
leads back to itself by all of them, all tokens of the subtree are allowed, and none is looked at.

Bytes above ASCII are judged by the character, as a byte alone leads to a state in the middle of
one. Which bytes make a character is RFC 3629, section 4: eight states between two characters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

Words = npt.NDArray[np.uint64]
Pairs = Sequence[tuple[int, int]]
ASCII = (1 << 128) - 1
FEWEST = 32  # bytes that lead back, below which a walk is short anyway
WORD = (1 << 64) - 1
# Bits of the third word: a byte above ASCII is below, or what makes no characters.
ABOVE_ASCII, CHARACTERS = 1, 2
BELOW = 3  # the column of contents that has the bytes directly below a node
LOOP_COLUMNS = 4
ALWAYS = 1 << 40  # in the fourth: how many bytes below a node it holds for
# A state of UTF-8, and what it takes: (first byte, last byte, state behind).
WHOLE = 0  # between two characters
_LATER = (0x80, 0xBF)
SPELLING = (
    (
        (0xC2, 0xDF, 1),
        (0xE0, 0xE0, 4),
        (0xE1, 0xEC, 2),
        (0xED, 0xED, 5),
        (0xEE, 0xEF, 2),
        (0xF0, 0xF0, 6),
        (0xF1, 0xF3, 3),
        (0xF4, 0xF4, 7),
    ),
    ((*_LATER, WHOLE),),
    ((*_LATER, 1),),
    ((*_LATER, 2),),
    ((0xA0, 0xBF, 1),),
    ((0x80, 0x9F, 1),),
    ((0x90, 0xBF, 2),),
    ((0x80, 0x8F, 2),),
)


def _spelled() -> npt.NDArray[np.int8]:
    """Return the state of UTF-8 behind each state and byte above ASCII, -1 for none: (8, 256)."""
    behind = np.full((len(SPELLING), 256), -1, np.int8)
    behind[WHOLE, :128] = WHOLE
    for state, spans in enumerate(SPELLING):
        for first, last, after in spans:
            behind[state, first : last + 1] = after
    return behind


BEHIND = _spelled()


@njit(cache=True, nogil=True)
def spell(byte: Any, parent: Any, behind: Any, contents: Any) -> None:
    """Note what is below each node of a trie.

    Shapes: byte, parent (n,), those of a trie in depth-first order; behind (8, 256), above;
    contents (n + 1, 4) uint64, all zeros: the ASCII bytes below as 128 bits, then bit 0 for any
    other byte, bit 1 + s for a path that does not go on from state s of UTF-8; at last bit
    `byte & 63` for each byte directly below. Cost: 8 steps a node.
    """
    one = np.uint64(1)
    for node in range(byte.shape[0] - 1, 0, -1):
        value, above = byte[node], parent[node]
        contents[above, 0] |= contents[node, 0]
        contents[above, 1] |= contents[node, 1]
        contents[above, BELOW] |= one << np.uint64(value & 63)
        below = contents[node, 2]
        broken = below & one
        if value < 64:
            contents[above, 0] |= one << np.uint64(value)
        elif value < 128:
            contents[above, 1] |= one << np.uint64(value - 64)
        else:
            broken = one
        for state in range(behind.shape[0]):
            after = behind[state, value]
            if after < 0 or (below >> np.uint64(1 + after)) & one:
                broken |= one << np.uint64(1 + state)
        contents[above, 2] |= broken


def contents_of(byte: npt.NDArray[np.uint8], parent: npt.NDArray[np.int32]) -> Words:
    """Return what is below each node of a trie, as `spell` notes it: (n + 1, 4)."""
    contents = np.zeros((len(byte) + 1, 4), np.uint64)
    spell(byte, parent, BEHIND, contents)
    return contents


def may_loop(state: int, row: Pairs) -> bool:
    """Return whether so many bytes lead from a state to itself that `loop_of` is worth a look."""
    return any(after == state and mask.bit_count() >= FEWEST for mask, after in row)


def loop_of(state: int, row: Callable[[int], Pairs], accepts: Callable[[int], bool]) -> list[int]:
    """Return by what a state does not lead back to itself, to be and-ed with `contents_of`: (4,).

    The last number is `ALWAYS`: it does so however long a text is. `row` has the (byte mask,
    successor) pairs of a state. Cost: the rows of up to a dozen states.
    """
    ascii_bytes = sum(mask & ASCII for mask, after in row(state) if after == state)
    characters = _any_character(state, row, accepts)
    missing = ASCII & ~ascii_bytes
    return [missing & WORD, missing >> 64, CHARACTERS if characters else ABOVE_ASCII, ALWAYS]


def chain_of(state: int, row: Callable[[int], Pairs]) -> list[int] | None:
    """Return what `loop_of` does of a state that counts single bytes; None if nothing is counted.

    By the same bytes it leads to the next state, and so on: as many of them as the last number
    says may follow in a row, whatever may follow behind each.
    """
    pairs = row(state)
    if len(pairs) != 1 or pairs[0][0] & ~ASCII:
        return None
    (counted, after), reach = pairs[0], 1
    while [mask for mask, _ in row(after)] == [counted]:
        ((_, after),), reach = row(after), reach + 1
    missing = ASCII & ~counted
    return [missing & WORD, missing >> 64, ABOVE_ASCII, reach]


def _any_character(state: int, row: Callable[[int], Pairs], accepts: Callable[[int], bool]) -> bool:
    """Return whether each character above ASCII leads back, and no text may end in its middle."""
    met = {(WHOLE, state)}
    left = [(WHOLE, state)]
    while left:
        spelled, at = left.pop()
        pairs = row(at)
        for first, last, after in SPELLING[spelled]:
            span = (1 << last + 1) - (1 << first)
            reached = [successor for mask, successor in pairs if mask & span]
            if sum(mask & span for mask, _ in pairs) != span:
                return False
            if after == WHOLE and any(successor != state for successor in reached):
                return False
            if after != WHOLE and any(accepts(successor) for successor in reached):
                return False
            new = {(after, successor) for successor in reached if after != WHOLE} - met
            met |= new
            left += new
    return True
