"""Names of languages that are the same in every grammar and process.

A term is a number in its arena. Its fingerprint is a hash of how it is built, so what was learnt of
a language under one grammar (the tokens inside a string, say) is found again under another.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from hashlib import blake2b
from typing import Any

from .arena import Kind
from .recipes import parts_of
from .terms import Terms


class NamedOwner(ABC):
    """An owner whose references mean the same in every grammar and process."""

    @abstractmethod
    def name(self, key: Any) -> bytes:
        """Return a name of the language that a reference stands for."""


def fingerprint(terms: Terms, term: int) -> bytes | None:
    """Return 16 bytes that name the language of a term; None if it depends on a reference.

    Most references have a meaning in one grammar only. Cost: one hash for each part not met before.
    """
    known, nodes = terms.fingerprints, terms.nodes
    stack = [] if term in known else [term]
    while stack:
        top = stack[-1]
        parts = parts_of(nodes[top])
        missing = [part for part in parts if part not in known]
        if missing:
            stack.extend(missing)
            continue
        stack.pop()
        known[top] = _digest(nodes[top], [known[part] for part in parts])
    return known[term]


def _digest(node: tuple[object, ...], parts: list[bytes | None]) -> bytes | None:
    """Hash a node from the hashes of its parts; the order of a union's members does not count."""
    if node[0] == Kind.REFERENCE and isinstance(node[1], NamedOwner):
        return digest_of(node[1].name(node[2]))
    if node[0] in (Kind.REFERENCE, Kind.CAPTURE) or None in parts:
        return None
    digests = [part for part in parts if part is not None]
    if node[0] in (Kind.UNION, Kind.INTERSECT):
        digests.sort()
    fields = node[2:] if node[0] == Kind.REPEAT else () if digests else node[1:]
    return digest_of(repr((int(node[0]), fields, digests)).encode())  # type: ignore[call-overload]


def digest_of(text: bytes) -> bytes:
    """Return 16 bytes for a text."""
    return blake2b(text, digest_size=16).digest()
