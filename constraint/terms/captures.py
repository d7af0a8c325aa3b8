"""Captures read by more than one byte at a time."""

from __future__ import annotations

from .terms import Terms


def end_of(terms: Terms, capture: int, text: bytes) -> int:
    """Return how many bytes of a text a capture reads at most."""
    head = terms.nodes[capture][1]
    for at, byte in enumerate(text, 1):
        head = terms.step(head, byte)
        if head <= terms.EPSILON:
            return at
    return len(text)


def behind(terms: Terms, capture: int, text: bytes) -> int:
    """Return what is left of a capture behind a text that does not go beyond its end."""
    terms.spend(1)
    _, head, owner, key, before = terms.nodes[capture]
    rest = terms.walk(head, text)
    return rest and terms.captured(rest, owner, key, before + text)
