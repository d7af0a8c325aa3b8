r"""Classes in brackets: the part of the grammar of patterns that compares characters.

A range must not run backwards, so the character before a dash is remembered: exactly if it is a
letter, a digit, a space or an escape, otherwise by the block it lies in, and then the range has to
end behind the block.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Final, NamedTuple

from ..regex.char_sets import LAST, CharSet, chars, difference, intersect
from .machine import Machine, Speller

WRITTEN: Final[CharSet] = ((0, 0xD7FF), (0xE000, LAST))
_PLAIN: Final = difference(WRITTEN, chars(r"\]-"))
_SETS: Final = (
    r"\\(?:[dDsSwW]|[pP]\{(?:C[cfnos]?|L[lmotu]?|M[cen]?|N[dlo]?|P[cdefios]?|S[ckmo]?|Z[lps]?)\})"
)
_WIDE: Final = r"\\(?:c[A-Za-z]|u\{0{0,8}(?:[\dA-Fa-f]{1,5}|10[\dA-Fa-f]{4})\})"
_ESCAPES: Final = {
    **dict(zip("bfnrtv", (8, 12, 10, 13, 9, 11), strict=True)),
    **{char: ord(char) for char in r"^$\.*+?()[]{}|/-"},
}
_BLOCKS: Final[CharSet] = (
    (0x00, 0x1F),
    (0x21, 0x2F),
    (0x3A, 0x40),
    (0x5B, 0x60),
    (0x7B, 0x7F),
    (0x80, 0xFF),
    (0x100, 0x7FF),
    (0x800, 0xFFFF),
    (0x10000, LAST),
)
_EXACT: Final = (0x20, *range(0x30, 0x3A), *range(0x41, 0x5B), *range(0x61, 0x7B))


class Class(NamedTuple):
    """A place inside a class."""

    after: Hashable  # the state behind the class
    low: int | None = None  # the least end of a range that starts here; None: none can start
    single: bool = True  # what is before may stand before a dash that is not the last member
    dash: bool = False  # behind the dash of a range


class Hex(NamedTuple):
    """A place in a hexadecimal escape."""

    place: Class
    value: int
    left: int  # digits to come


class ClassMachine(Machine):
    """The machine of classes; `outside` is the machine of what is behind them."""

    def __init__(self, speller: Speller, outside: Machine) -> None:
        super().__init__(speller)
        self._outside = outside
        self._sets = speller.regex(_SETS)
        self._wide = speller.regex(_WIDE)

    def accepts(self, state: Class | Hex) -> bool:
        """Return False: a class has to be closed."""
        return False

    def min_length(self, key: Class | Hex) -> int:
        """Return the length of a shortest rest: the digits, the bracket and what is around."""
        place, digits = (key, 0) if isinstance(key, Class) else (key.place, key.left)
        return digits + 1 + self._outside.min_length(place.after)

    def moves(self, state: Class | Hex) -> Iterator[int]:
        """Yield the ways to go on."""
        if isinstance(state, Hex):
            yield from self._hex(state)
        else:
            yield self.terms.concat(self.speller.text("]"), self._outside.term(state.after))
            yield from self._range_end(state) if state.dash else self._members(state)

    def _members(self, place: Class) -> Iterator[int]:
        fresh = Class(place.after)
        for low, high in _BLOCKS:
            follow = fresh._replace(low=high + 1)
            yield self.on(intersect(_PLAIN, ((low, high),)), self.term(follow))
        for code in _EXACT:
            yield self.on(((code, code),), self.term(fresh._replace(low=code)))
        for char, code in _ESCAPES.items():
            yield self._text(f"\\{char}", fresh._replace(low=code))
        yield self._text(r"\x", Hex(fresh, 0, 2))
        yield self._text(r"\u", Hex(fresh, 0, 4))
        many = self.term(fresh._replace(single=False))
        yield self.terms.concat(self.terms.union((self._sets, self._wide)), many)
        if not place.single or place.low is not None:
            yield self._text("-", place._replace(dash=True))
        else:
            yield self._text("-", fresh._replace(low=0x2D))

    def _range_end(self, place: Class) -> Iterator[int]:
        if place.low is None:
            return
        fresh = Class(place.after)
        ends = difference(WRITTEN, chars(r"\]"))
        yield self.on(intersect(ends, ((place.low, LAST),)), self.term(fresh))
        for char, code in _ESCAPES.items():
            if code >= place.low:
                yield self._text(f"\\{char}", fresh)
        for letter, digits in (("x", 2), ("u", 4)):
            if place.low < 16**digits:
                yield self._text(f"\\{letter}", Hex(place, 0, digits))

    def _text(self, text: str, state: Class | Hex) -> int:
        return self.terms.concat(self.speller.text(text), self.term(state))

    def _hex(self, state: Hex) -> Iterator[int]:
        least = (state.place.low or 0) if state.place.dash else 0
        for digit in range(16):
            value, left = state.value * 16 + digit, state.left - 1
            if _surrogate(value, left) or _most(value, left) < least:
                continue
            follow: Class | Hex = Hex(state.place, value, left)
            if not left:
                fresh = Class(state.place.after)
                follow = fresh if state.place.dash else fresh._replace(low=value)
            yield self.on(chars(f"{digit:x}{digit:X}"), self.term(follow))


def _surrogate(value: int, left: int) -> bool:
    return 0xD8 <= value << 4 * left >> 8 <= 0xDF and left <= 2 and value << 4 * left > 0xFF


def _most(value: int, left: int) -> int:
    """Return the largest number with these leading digits that is no surrogate."""
    most = (value + 1 << 4 * left) - 1
    return 0xD7FF if 0xD800 <= most <= 0xDFFF else most
