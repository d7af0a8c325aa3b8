"""Characters as UTF-8: a set of code points becomes a small trie of byte sets.

The ranges are cut by the leading byte, and leading bytes with the same set of continuations share a
branch; what is left of a character after its leading bytes is again a set of numbers, so the same
cut serves every byte. Branches are cut once per process, and their terms are built once per arena.
"""

from __future__ import annotations

from collections import defaultdict
from functools import cached_property, lru_cache
from typing import Final

from ..terms.forks import twin
from ..terms.terms import Terms
from .char_sets import ANY_CHAR, CharSet, difference, intersect

MANY_RANGES = 8
FEW_CHARACTERS = 1024
SURROGATES: Final[CharSet] = ((0xD800, 0xDFFF),)

# (code points, bits of the number after the leading byte, marker of the leading byte)
_LENGTHS: Final[tuple[tuple[CharSet, int, int], ...]] = (
    (((0x0, 0x7F),), 0, 0x00),
    (((0x80, 0x7FF),), 6, 0xC0),
    (((0x800, 0xFFFF),), 12, 0xE0),
    (((0x10000, 0x10FFFF),), 18, 0xF0),
)


class Utf8Alphabet:
    """Plain UTF-8. Surrogates have no spelling: a set of nothing else is the empty language.

    Where the text is not inside a lexeme, a few characters from many scripts (`\\d` has 76 times
    ten) can be lexemes of their own: in the middle of one, what follows does not matter, so a
    pattern with `\\d` in a dozen places has the states of one.
    """

    def __init__(self, terms: Terms, *, lexemes: bool = False) -> None:
        """Spell into the arena `terms`."""
        self.terms = terms
        self.spelling = "lexemes" if lexemes else "plain"
        self._known: dict[CharSet, int] = {}
        self._numbers: dict[tuple[CharSet, int, int], int] = {}

    def fork(self, terms: Terms) -> Utf8Alphabet:
        """Return the same for a fork of the arena."""
        other = twin(self)
        other.terms = terms
        other._known, other._numbers = self._known.copy(), self._numbers.copy()
        return other

    @cached_property
    def any_char(self) -> int:
        """Any one character that UTF-8 can write."""
        return self.char(ANY_CHAR)

    def char(self, ranges: CharSet) -> int:
        """Return the spellings of one character of the set; built once per set."""
        found = self._known.get(ranges)
        if found is None:
            found = self._known[ranges] = self._spell(ranges)
        return found

    def _spell(self, ranges: CharSet) -> int:
        if len(ranges) == 1 and ranges[0][0] == ranges[0][1] < 0x80:
            return self.terms.literal(bytes([ranges[0][0]]))
        written = difference(ranges, SURROGATES)
        by_length = [
            self._number(intersect(written, block), bits, marker)
            for block, bits, marker in _LENGTHS
        ]
        spelled = self.terms.union(by_length)
        return self.terms.lexeme(spelled) if self._is_apart(written) else spelled

    def _is_apart(self, ranges: CharSet) -> bool:
        """Return whether the characters are few and in many scripts."""
        if self.spelling == "plain" or len(ranges) < MANY_RANGES or ranges[-1][1] < 0x80:
            return False
        return sum(last - first + 1 for first, last in ranges) <= FEW_CHARACTERS

    def _number(self, ranges: CharSet, bits: int, marker: int) -> int:
        """Return `ranges` as a byte of `marker` plus the bits above `bits`, then the lower bits."""
        if not bits:
            return self.terms.byte_set(sum(_mask(marker | a, marker | b) for a, b in ranges))
        key = (ranges, bits, marker)
        found = self._numbers.get(key)
        if found is None:
            found = self._numbers[key] = self.terms.union(
                self.terms.concat(self.terms.byte_set(mask), self._number(rest, bits - 6, 0x80))
                for mask, rest in _branches(ranges, bits, marker)
            )
        return found


def _mask(low: int, high: int) -> int:
    return (2 << high) - (1 << low)


@lru_cache(4096)
def _branches(ranges: CharSet, bits: int, marker: int) -> tuple[tuple[int, CharSet], ...]:
    """Cut numbers by their bits above `bits`: (mask of bytes, the lower bits that may follow)."""
    rests: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    last = (1 << bits) - 1
    for low, high in ranges:
        for top in range(low >> bits, (high >> bits) + 1):
            start = low & last if top == low >> bits else 0
            stop = high & last if top == high >> bits else last
            rests[top].append((start, stop))
    masks: defaultdict[CharSet, int] = defaultdict(int)
    for top, rest in rests.items():
        masks[tuple(rest)] |= 1 << (marker | top)
    return tuple((mask, rest) for rest, mask in masks.items())
