"""Text that a grammar leaves no choice about."""

from __future__ import annotations

from ..constraint.automaton import Automaton
from ..constraint.stepping import step

MOST_BYTES = 1 << 16


def forced_bytes(automaton: Automaton, state: int) -> bytes:
    """Return the longest text that every continuation of a state begins with.

    Ends where the text may end, and after 65 536 bytes.
    """
    forced = bytearray()
    while len(forced) < MOST_BYTES:
        byte = _forced_byte(automaton, state)
        if byte is None:
            break
        forced.append(byte)
        state = step(automaton, state, byte)
    return bytes(forced)


def _forced_byte(automaton: Automaton, state: int) -> int | None:
    """Return the only byte that can follow, None if there are several or the text may end."""
    if automaton.is_accepting(state):
        return None
    found = automaton.alternatives(state)
    firsts = {text[0] for text in found.texts.texts} if found.texts is not None else set[int]()
    if len(firsts) + len(found.branches) + (found.rest is not None) != 1:
        return None
    if firsts:
        return firsts.pop()
    head = found.branches[0].head if found.branches else found.rest
    assert head is not None
    row = automaton.row(head)
    if len(row) != 1 or row[0][0] & (row[0][0] - 1):
        return None
    if found.branches and automaton.is_accepting(head):
        return None
    return row[0][0].bit_length() - 1
