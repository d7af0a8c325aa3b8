"""Encoded labels, RFC 3492: which are valid, and which of their prefixes can still become so.

An encoded label is its basic characters, a hyphen, and a list of insertions, each a number. What it
decodes to depends on every digit, so each prefix is a state of its own; to keep them few, all
insertions lie in one window of 256 code points, and beside basic characters in Latin letters up to
U+024F. These go with any basic characters, of which only the number matters: they are read as `a`.

A prefix goes on if the number being read can be finished with a letter that makes the whole label
valid; the first candidates are tried. What only two more insertions could save is left out. Along
the way to the completion found there is always that completion, as one of fewer candidates, so
whatever may begin can also be finished.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Final, NamedTuple

from .idna import letter_of
from .labels import Label, step

_BASE, _START, _SKEW, _DAMP, _MOST = 36, 72, 38, 700, 26
_DIGITS: Final = {char: value for value, char in enumerate("abcdefghijklmnopqrstuvwxyz0123456789")}
_CANDIDATES: Final = 8
_LATIN: Final = 0x24F
_NEVER: Final = 1 << 30
WINDOW: Final = 0x100
WINDOWS: Final = (*range(0, 0x1200, WINDOW), 0x3000)  # alphabets; the others have wider gaps
ENCODED: Final = "".join(_DIGITS)


def _threshold(place: int, bias: int) -> int:
    return min(max(_BASE * place - bias, 1), _MOST)


def _adapt(delta: int, count: int, *, first: bool) -> int:
    delta //= _DAMP if first else 2
    delta += delta // count
    bias = 0
    while delta > 35 * _MOST // 2:
        delta //= 35
        bias += _BASE
    return bias + _BASE * delta // (delta + _SKEW)


class Insertions(NamedTuple):
    """A prefix of an encoded label, decoded; `delta` and what follows it are the open number."""

    codes: tuple[int, ...]
    limit: int = WINDOWS[-1] + WINDOW - 1  # the last code point that may be inserted
    inserted: bool = False
    code: int = 0x80  # the last inserted
    at: int = 0  # behind the last inserted
    bias: int = _START
    delta: int = 0
    weight: int = 1
    place: int = 1

    def read(self, digit: int) -> Insertions | None:
        """Return the place after one more digit, None past the limit."""
        delta = self.delta + digit * self.weight
        if self.target(delta)[0] > self.limit:
            return None
        threshold = _threshold(self.place, self.bias)
        if digit < threshold:
            return self.insert(delta)
        weight = self.weight * (_BASE - threshold)
        return self._replace(delta=delta, weight=weight, place=self.place + 1)

    def target(self, delta: int) -> tuple[int, int]:
        """Return the code point that a number inserts, and where."""
        more, index = divmod(self.at + delta, len(self.codes) + 1)
        return self.code + more, index

    def insert(self, delta: int) -> Insertions:
        """Return the place after the whole number `delta`."""
        code, index = self.target(delta)
        codes = (*self.codes[:index], code, *self.codes[index:])
        bias = _adapt(delta, len(codes), first=not self.inserted)
        limit = self.limit if self.limit == _LATIN else code | (WINDOW - 1)
        return Insertions(codes, limit, True, code, index + 1, bias)

    def digits(self, rest: int) -> int:
        """Return how many digits more the number needs if `rest` times the weight is missing."""
        place, count = self.place, 1
        while rest >= (threshold := _threshold(place, self.bias)):
            rest = (rest - threshold) // (_BASE - threshold)
            place, count = place + 1, count + 1
        return count

    def completions(self, room: int) -> Iterator[tuple[int, tuple[int, ...]]]:
        """Yield (digits it takes, decoded label) for ends of the open number within `room`."""
        codes = _plain_codes(_sides(self.codes))
        length, rest = len(self.codes) + 1, 0
        for _ in range(_CANDIDATES):
            code, _ = self.target(self.delta + rest * self.weight)
            while code <= self.limit and (least := codes[bisect_left(codes, code)]) != code:
                missing = (least - self.code) * length - self.at - self.delta
                rest = -(-missing // self.weight)
                code, _ = self.target(self.delta + rest * self.weight)
            count = self.digits(rest)
            if code > self.limit or count > room:
                return
            yield count, self.insert(self.delta + rest * self.weight).codes
            rest += 1


def digits_needed(number: int, bias: int = _START) -> int:
    """Return how many digits a number takes; the first bias of a label is the default."""
    return Insertions((), bias=bias).digits(number)


@cache
def least_number(count: int) -> int:
    """Return the least number that takes `count` digits at some bias."""
    return min(_least_number(count, bias) for bias in range(256))


def _least_number(count: int, bias: int) -> int:
    number, weight = 0, 1
    for place in range(1, count):
        threshold = _threshold(place, bias)
        number += threshold * weight
        weight *= _BASE - threshold
    return number


@cache
def _plain_codes(sides: str) -> list[int]:
    """Return the code points of one or both sides on which no rule hangs, and an end."""
    plain = sorted(
        code
        for code, letter in letter_of().items()
        if code > 0x7F
        and code - code % WINDOW in WINDOWS
        and letter.side in sides
        and not (letter.mark or letter.joins_before or letter.itself)
    )
    return [*plain, _NEVER]


def _sides(codes: tuple[int, ...]) -> str:
    letters = letter_of()
    known = {letters[code].side for code in codes if code in letters}
    return "L" if "L" in known else "R" if "R" in known else "LR"


@lru_cache(1 << 16)
def _decode(text: str) -> Insertions | None:
    if text.endswith("-"):
        return Insertions(tuple(map(ord, text[:-1])), _LATIN)
    if not text:
        return Insertions(())
    before = _decode(text[:-1])
    after = before and before.read(_DIGITS[text[-1]])
    return after if after and after.code - after.code % WINDOW in WINDOWS else None


@lru_cache(1 << 14)
def read_label(codes: tuple[int, ...]) -> Label | None:
    """Return the place behind a decoded label, None if it breaks a rule."""
    letters = letter_of()
    label: Label | None = Label()
    for code in codes:
        if label is None or code not in letters:
            return None
        label = step(label, letters[code])
    return label


def decoded_label(text: str) -> Label | None:
    """Return what the label behind `xn--` decodes to, None unless it is valid by itself."""
    found = _decode(text)
    if found is None or found.place > 1 or not found.inserted:
        return None
    label = read_label(found.codes)
    return label if label and label.can_end else None


def missing_digits(text: str, room: int, allowed: frozenset[str]) -> int | None:
    """Return how many digits complete a label of at most `room` characters, None if unknown.

    `text` is what is behind `xn--`; the label has a `standing` that is allowed. No more than one
    letter is inserted.
    """
    found = _decode(text)
    if found is None or len(text) > room:
        return None
    label = decoded_label(text)
    if label and label.standing in allowed:
        return 0
    for count, codes in found.completions(room - len(text)):
        label = read_label(codes)
        if label and label.can_end and label.standing in allowed:
            return count
    return None
