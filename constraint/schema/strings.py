"""Strings of a schema in two spellings: as in a JSON text, and plain, to reason about names."""

from __future__ import annotations

from typing import Protocol

from ..regex.compiler import Alphabet
from ..regex.utf8 import Utf8Alphabet
from ..terms.arena import Kind
from ..terms.forks import twin
from ..terms.terms import Terms
from .shapes import KeyClass


class SchemaText(Protocol):
    """How strings are spelled: in a JSON text, or plain."""

    terms: Terms

    @property
    def alphabet(self) -> Alphabet:
        """The spellings of characters."""
        ...

    @property
    def any_body(self) -> int:
        """The spellings of all texts."""
        ...

    def body(self, text: str) -> int:
        """Return the spellings of one text."""
        ...


class PlainText:
    """Strings as plain UTF-8, the form in which names are reasoned about."""

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self.alphabet = Utf8Alphabet(terms)
        self.any_body = terms.repeat(self.alphabet.any_char, 0, None)

    def fork(self, terms: Terms) -> PlainText:
        """Return the same for a fork of the arena."""
        other = twin(self)
        other.terms, other.alphabet = terms, self.alphabet.fork(terms)
        return other

    def body(self, text: str) -> int:
        """Return the UTF-8 of one text."""
        return self.terms.literal(text.encode())


def both(terms: Terms, character: int, first: int, second: int) -> int:
    """Return the strings in both languages; lengths, in characters, become one pair of bounds."""
    members, lengths = set[int](), False
    low, high = 0, None
    for language in (first, second):
        node = terms.nodes[language]
        for member in node[1] if node[0] == Kind.INTERSECT else (language,):
            node = terms.nodes[member]
            if node[0] == Kind.REPEAT and node[1] == character:
                lengths, low = True, max(low, node[2])
                high = node[3] if high is None else min(high, high if node[3] is None else node[3])
            else:
                members.add(member)
    if high is not None and high < low:
        return terms.EMPTY
    if lengths:  # also of any length: complements are only in it cut to whole characters
        members.add(terms.repeat(character, low, high))
    return terms.intersect(members)


def covers(terms: Terms, keys: KeyClass, name: str) -> bool:
    """Return whether a class of names has `name`."""
    if keys.name is not None:
        return keys.name == name
    if name in keys.without:
        return False
    text = name.encode()
    return all(terms.accepts(pattern.plain, text) for pattern in keys.inside) and not any(
        terms.accepts(pattern.plain, text) for pattern in keys.outside
    )
