r"""How JSON values are spelled in bytes: characters, strings, fixed values and the gaps between
tokens.

A string is decoded text in quotes, and each character has one spelling or several (`A`, `\u0041`).
Decoding is a function, so a language over decoded text becomes a language over spellings by
replacing each character with its set of spellings, and union, intersection and complement keep
their meaning inside the universe of well-formed strings. `JsonAlphabet` is that replacement;
regexes and lengths are built on top of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cached_property

from ..regex.char_sets import CharSet, contains, intersect, normal
from ..regex.utf8 import Utf8Alphabet
from ..terms.arena import Kind
from ..terms.forks import twin
from ..terms.terms import Terms
from .style import TextStyle

SHORT_ESCAPES = {0x22: '"', 0x5C: "\\", 0x2F: "/", 8: "b", 12: "f", 10: "n", 13: "r", 9: "t"}
CANONICAL_ESCAPES = {code: name for code, name in SHORT_ESCAPES.items() if code != 0x2F}
RAW: CharSet = ((0x20, 0x21), (0x23, 0x5B), (0x5D, 0xD7FF), (0xE000, 0x10FFFF))
EVERY_CHARACTER: CharSet = ((0, 0xD7FF), (0xE000, 0x10FFFF))

MOST_TEXTS = 64  # strings that are fixed texts and no lexeme
MOST_UNCOUNTED = 64  # blanks of a gap; states that count would not pay


class JsonAlphabet:
    """Characters as they are spelled inside a JSON string."""

    def __init__(self, terms: Terms, style: TextStyle) -> None:
        self.terms = terms
        self.raw = Utf8Alphabet(terms)
        self.any_spelling = style.escapes == "any"
        self.spelling = f"json {style.escapes}"
        self._known: dict[CharSet, int] = {}

    def fork(self, terms: Terms) -> JsonAlphabet:
        """Return the same for a fork of the arena."""
        other = twin(self)
        other.terms = terms
        other.raw, other._known = self.raw.fork(terms), self._known.copy()
        return other

    @cached_property
    def any_char(self) -> int:
        """The spellings of one character, any at all."""
        return self.char(EVERY_CHARACTER)

    def char(self, ranges: Iterable[tuple[int, int]]) -> int:
        """Return the spellings of one character out of the (first, last) code point ranges."""
        key = normal(ranges)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._spellings(key)
        return found

    def _spellings(self, ranges: CharSet) -> int:
        parts = [self.raw.char(intersect(ranges, RAW)), *self._short_escapes(ranges)]
        if self.any_spelling:
            parts.append(self._unicode_escapes(ranges))
        else:
            parts.extend(self._control_escapes(ranges))
        return self.terms.union(parts)

    def _short_escapes(self, ranges: CharSet) -> list[int]:
        escapes = SHORT_ESCAPES if self.any_spelling else CANONICAL_ESCAPES
        return [
            self.terms.literal(b"\\" + name.encode())
            for code, name in escapes.items()
            if contains(ranges, code)
        ]

    def _control_escapes(self, ranges: CharSet) -> list[int]:
        return [
            self.terms.literal(b"\\u%04x" % code)
            for low, high in intersect(ranges, ((0, 0x1F),))
            for code in range(low, high + 1)
            if code not in SHORT_ESCAPES
        ]

    def _unicode_escapes(self, ranges: CharSet) -> int:
        parts = [
            self._hex_range(low, high, 4)
            for low, high in intersect(ranges, ((0, 0xD7FF), (0xE000, 0xFFFF)))
        ]
        parts.extend(
            self._pairs(low, high) for low, high in intersect(ranges, ((0x10000, 0x10FFFF),))
        )
        return self.terms.concat(self.terms.literal(b"\\u"), self.terms.union(parts))

    def _pairs(self, low: int, high: int) -> int:
        r"""Return `HHHH\uLLLL` for the surrogate pairs of a range above U+FFFF."""
        first, last = low - 0x10000, high - 0x10000
        blocks = []
        for top, inner in _split(first, last, 0x400):
            lead = self._hex_range(0xD800 + top[0], 0xD800 + top[1], 4)
            trail = self._hex_range(0xDC00 + inner[0], 0xDC00 + inner[1], 4)
            blocks.append(self.terms.concat(lead, self.terms.literal(b"\\u"), trail))
        return self.terms.union(blocks)

    def _hex_range(self, low: int, high: int, width: int) -> int:
        """Return the hexadecimal spellings, in either case, of the numbers in [low, high]."""
        if width == 0:
            return self.terms.EPSILON
        return self.terms.union(
            self.terms.concat(self._hex_digit(*top), self._hex_range(*inner, width - 1))
            for top, inner in _split(low, high, 16 ** (width - 1))
        )

    def _hex_digit(self, low: int, high: int) -> int:
        mask = 0
        for value in range(low, high + 1):
            digit = f"{value:x}"
            mask |= 1 << ord(digit) | 1 << ord(digit.upper())
        return self.terms.byte_set(mask)


def _split(low: int, high: int, size: int) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Cut [low, high] into at most three (leading digits, trailing digits) boxes of base `size`."""
    (top_low, rest_low), (top_high, rest_high) = divmod(low, size), divmod(high, size)
    if top_low == top_high:
        return [((top_low, top_low), (rest_low, rest_high))]
    boxes = []
    if rest_low:
        boxes.append(((top_low, top_low), (rest_low, size - 1)))
        top_low += 1
    last = []
    if rest_high != size - 1:
        last.append(((top_high, top_high), (0, rest_high)))
        top_high -= 1
    if top_low <= top_high:
        boxes.append(((top_low, top_high), (0, size - 1)))
    return boxes + last


class JsonText:
    """The fixed parts of a JSON text in one arena and one style."""

    def __init__(self, terms: Terms, style: TextStyle) -> None:
        self.terms = terms
        self.style = style
        self.alphabet = JsonAlphabet(terms, style)
        space = {"compact": terms.EPSILON, "spaced": terms.literal(b" ")}
        blank = terms.byte_set(1 << 32 | 1 << 9 | 1 << 10 | 1 << 13)
        flexible = style.whitespace == "flexible"
        if flexible and style.max_whitespace <= MOST_UNCOUNTED:
            terms.uncounted.add(blank)
        nothing = terms.EPSILON
        blanks = terms.repeat(blank, 0, style.max_whitespace) if flexible else nothing
        self.gap = terms.lexeme(blanks)
        self.after_comma = self.gap if flexible else space[style.whitespace]
        after = blanks if flexible else self.after_comma

        def sign(before: int, text: bytes, behind: int) -> int:
            """Return a sign and what is around it, one lexeme where there may be any blanks."""
            whole = terms.concat(before, terms.literal(text), behind)
            return terms.lexeme(whole) if flexible else whole

        self.comma, self.colon = sign(blanks, b",", after), sign(blanks, b":", after)
        self.open_array, self.open_object = (sign(nothing, c, blanks) for c in (b"[", b"{"))
        self.close_array, self.close_object = (sign(blanks, c, nothing) for c in (b"]", b"}"))
        self.quote = terms.literal(b'"')
        self.after_colon: dict[int, int] = {}
        """A colon and a value as one lexeme, by the value."""
        self.arrays_after_colon: dict[int, int] = {}
        """A colon and an array of such values as one lexeme, by the value."""
        self._names: dict[str, int] = {}

    def join_colon(self, values: Iterable[int], items: Iterable[int]) -> None:
        """Make one lexeme of a colon with its blanks and each of some values, or arrays of items.

        What many members are is then known by its rows, from the name to the end of the value.
        """
        terms = self.terms
        if terms.nodes[self.colon][0] == Kind.LEXEME:
            colon = self._opened(self.colon)
            for value in values:
                joined = terms.concat(colon, self._opened(value))
                self.after_colon[value] = terms.lexeme(joined, counted=False)
            for item in items:
                joined = terms.concat(colon, self._array_of(self._opened(item)))
                self.arrays_after_colon[item] = terms.lexeme(joined, counted=False)

    def _array_of(self, item: int) -> int:
        """Return the arrays of any number of items."""
        terms = self.terms
        begin, comma, end = map(self._opened, (self.open_array, self.comma, self.close_array))
        more = terms.repeat(terms.concat(comma, item), 0, None)
        some = terms.concat(item, more, end)
        return terms.concat(begin, terms.union([terms.literal(b"]"), some]))

    def _opened(self, term: int) -> int:
        """Return a row of texts and lexemes without the marks around the lexemes."""
        node = self.terms.nodes[term]
        if node[0] == Kind.CONCAT:
            return self.terms.concat(self._opened(node[1]), self._opened(node[2]))
        return int(node[1]) if node[0] == Kind.LEXEME else term

    def fork(self, terms: Terms) -> JsonText:
        """Return the same for a fork of the arena."""
        other = twin(self)
        other.terms = terms
        other.alphabet, other._names = self.alphabet.fork(terms), self._names.copy()
        return other

    @cached_property
    def any_body(self) -> int:
        """Every decoded text, spelled, without quotes."""
        return self.terms.repeat(self.alphabet.any_char, 0, None)

    @cached_property
    def any_closed(self) -> int:
        """Every string without its first quote, one lexeme."""
        return self.closed(self.any_body)

    def body(self, text: str) -> int:
        """Return the spellings of one decoded text, without quotes.

        Raises ValueError for a lone surrogate, which no UTF-8 text can hold.
        """
        if self.style.escapes == "canonical":
            return self.terms.literal(canonical_body(text))
        text.encode()
        return self.terms.concat(*(self.alphabet.char(((ord(c), ord(c)),)) for c in text))

    def string(self, body: int) -> int:
        """Return strings with the given bodies; what lies between the quotes is one lexeme.

        A few fixed texts are told as such.
        """
        nodes = self.terms.nodes
        members = nodes[body][1] if nodes[body][0] == Kind.UNION else (body,)
        if len(members) <= MOST_TEXTS and all(nodes[m][0] == Kind.LITERAL for m in members):
            return self.terms.union([self.terms.literal(b'"%b"' % nodes[m][1]) for m in members])
        return self.terms.concat(self.quote, self.closed(body))

    def closed(self, body: int) -> int:
        """Return the lexeme of a body and its closing quote, `EMPTY` if the body is empty."""
        return self.terms.living_lexeme(self.terms.concat(body, self.quote))

    def name_length(self, name: str) -> int:
        """Return how many bytes a property name takes at least, with its quotes."""
        return 2 + len(canonical_body(name))

    def name(self, name: str) -> int:
        """Return the spellings of a property name in quotes; remembered, names come again."""
        found = self._names.get(name)
        if found is None:
            if self.style.escapes == "canonical":
                found = self.terms.literal(b'"%b"' % canonical_body(name))
            else:
                found = self.terms.concat(self.quote, self.body(name), self.quote)
            self._names[name] = found
        return found


_encode = json.JSONEncoder(ensure_ascii=False).encode


def canonical_body(text: str) -> bytes:
    """Return the canonical spelling of a decoded text, without quotes."""
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return text.encode()
    return _encode(text)[1:-1].encode()
