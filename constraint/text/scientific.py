"""Decimals with an exponent as terms: one left-to-right reading for bounds and steps together.

A number is 0.D times a power of ten, D its digits from the first that is not 0. Whether it lies
between two bounds is decided by that power and by comparing D with the digits of the bounds, so a
state keeps two comparisons instead of the digits; whether it is a multiple needs a remainder of D
and how many zeros ended it. The exponents that complete a mantissa are then an interval of whole
numbers: bounds and steps cut it from below and above, steps that are avoided from above.

A place from which no number of the set can be written is never offered: `_completes` decides
by arithmetic on the digits to come, without a search, however far the bounds are apart. The
derivation is in docs/numbers.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import gcd, lcm
from typing import NamedTuple

from ..terms.terms import Terms
from .number_set import Bound, NumberSet, places_of

WIDEST = 3  # digits of an exponent
MOST_DIGITS = 256  # of a bound; a mantissa with more could not be scaled back by three digits
LARGEST = Bound(Decimal("1.7976931348623157e308"), closed=True)  # binary64; above is infinity
SMALLEST = Bound(Decimal("5e-324"), closed=True)  # below, a reader takes a number for zero
NO_LIMIT = Bound(Decimal("1e-700"), closed=True)  # for sets in which zero is as good


class Place(NamedTuple):
    """A place in a mantissa, read as 0.D times 10 to the power `size`.

    `places` counts the digits behind the point, -1 before it. `low` and `high` compare D with the
    digits of the bounds: -1 smaller, 0 equal so far, 1 greater. `read` is the remainder of D
    without the `zeros` that end it; `more` says that a digit must follow.
    """

    places: int = -1
    size: int = 0
    low: int = 0
    high: int = 0
    read: int = 0
    zeros: int = 0
    more: bool = True

    @property
    def digits(self) -> int:
        """Return the length of D."""
        return self.size + max(self.places, 0)


@dataclass(frozen=True, slots=True)
class _End:
    """A bound as 0.`digits` times 10 to the power `size`."""

    digits: str
    size: int
    closed: bool

    def next(self, at: int, count: int) -> int:
        """Return the digits `at` to `at + count` as a number; behind the last are zeros."""
        return int(self.digits[at : at + count].ljust(count, "0") or "0")


class _Step(NamedTuple):
    """A step of `factor` times 10 to the power `-scale`; 10 does not divide the factor."""

    factor: int
    scale: int

    def least(self, read: int) -> int | None:
        """Return the least power of ten that makes the number `read` ends a multiple, if any."""
        for power in range(self.factor.bit_length() + 1):
            if read * 10**power % self.factor == 0:
                return power - self.scale
        return None


class Scientific:
    """The unsigned numbers of one set, each with an exponent; the owner of their references.

    `most` bounds the digits on each side of the point.
    """

    def __init__(self, terms: Terms, numbers: NumberSet, most: int) -> None:
        self.terms = terms
        low, high = numbers.low, numbers.high
        self.zero = numbers.contains(Fraction(0))
        dense = numbers.step is None and not numbers.avoid
        least = NO_LIMIT if self.zero and dense else SMALLEST
        if low is None or low.value < least.value:
            low = least
        if high is None or high.value > LARGEST.value:
            high = LARGEST
        self.void = high.value < low.value
        self.low, self.high = _end(low), _end(high)
        self.most = max(min(most, MOST_DIGITS), *(len(end.digits) + 1 for end in self._ends))
        self.step = None if numbers.step is None else _step(numbers.step)
        self.avoid = [_step(step) for step in sorted(numbers.avoid)]
        self.modulus = lcm(*(step.factor for step in self._steps))
        self._expanded: dict[Place, int] = {}
        self._lengths: dict[Place, int] = {}

    @property
    def _ends(self) -> tuple[_End, _End]:
        return self.low, self.high

    @property
    def _steps(self) -> list[_Step]:
        return [*([self.step] if self.step else []), *self.avoid]

    def term(self) -> int:
        """Return the spellings, `EMPTY` if there are none."""
        if self.most > MOST_DIGITS or (self.void and not self.zero):
            return self.terms.EMPTY
        return self._state(Place())

    def _state(self, at: Place) -> int:
        if not self._alive(at):
            return self.terms.EMPTY
        return self.terms.reference(self, at, nullable=False, certain=True)

    def expand(self, key: Place) -> int:
        """Return what may follow at a place of the mantissa, or the exponent."""
        found = self._expanded.get(key)
        if found is None:
            found = self._expanded[key] = self._build(key)
        return found

    def _build(self, at: Place) -> int:
        terms = self.terms
        parts = [
            terms.concat(terms.byte_set(mask), self._state(after))
            for after, mask in self._successors(at).items()
        ]
        powers = self._powers(at)
        if powers:
            e = terms.byte_set(1 << ord("e") | 1 << ord("E"))
            parts.append(terms.concat(e, self._exponent(powers)))
        return terms.union(parts)

    def _successors(self, at: Place) -> dict[Place, int]:
        """Return the places after one more byte of the mantissa, with the bytes that lead there."""
        found: dict[Place, int] = {}
        for digit in range(10):
            after = self._after(at, digit)
            if after is not None and self._alive(after):
                found[after] = found.get(after, 0) | 1 << (ord("0") + digit)
        pointed = at._replace(places=0, more=True)
        if at.places < 0 and not at.more and self._alive(pointed):
            found[pointed] = 1 << ord(".")
        return found

    def _after(self, at: Place, digit: int) -> Place | None:
        """Return the place after a digit, None where no digit may be."""
        if at.places < 0:
            if at.digits == self.most or (at.digits == 0 and not at.more):
                return None
            at = at._replace(size=at.size + (at.digits > 0 or digit > 0))
        elif at.places == self.most:
            return None
        else:
            leads = at.digits == 0 and digit == 0
            at = at._replace(places=at.places + 1, size=at.size - leads)
        at = at._replace(more=False)
        return self._noted(at, digit) if at.digits else at

    def _noted(self, at: Place, digit: int) -> Place:
        """Return a place with comparisons and remainder brought up to its last digit."""
        signs = [
            sign or _sign(digit - end.next(at.digits - 1, 1))
            for sign, end in zip((at.low, at.high), self._ends, strict=True)
        ]
        at = at._replace(low=signs[0], high=signs[1])
        if self.modulus == 1 and not self._steps:
            return at
        if digit == 0:
            return at._replace(zeros=at.zeros + 1)
        return at._replace(read=(at.read * 10 ** (at.zeros + 1) + digit) % self.modulus, zeros=0)

    def _powers(self, at: Place) -> range:
        """Return the exponents that complete a mantissa which ends here."""
        if at.more:
            return range(0)
        if at.digits == 0:
            return range(-999, 1000) if self.zero else range(0)
        if self.void:
            return range(0)
        low = self.low.size + (not self._fits(at, self.low, at.low, 1))
        high = self.high.size - (not self._fits(at, self.high, at.high, -1))
        significant = at.digits - at.zeros
        if self.step:
            least = self.step.least(at.read)
            if least is None:
                return range(0)
            low = max(low, significant + least)
        for step in self.avoid:
            least = step.least(at.read)
            if least is not None:
                high = min(high, significant + least - 1)
        return range(max(low - at.size, -999), min(high - at.size, 999) + 1)

    def _fits(self, at: Place, end: _End, sign: int, side: int) -> bool:
        """Return whether 0.D is on the right side of a bound's digits: 1 above, -1 below."""
        if sign == 0 and at.digits < len(end.digits):
            sign = -1
        return sign == side or (sign == 0 and end.closed)

    def _alive(self, at: Place) -> bool:
        """Return whether a number of the set can still be written from a place."""
        if self.void or (at.digits == 0 and self.zero):
            return at.digits == 0 and self.zero
        room = self.most - max(at.places, 0)
        if at.places < 0 and (at.digits or at.more):
            room += self.most - at.digits
        return bool(self._powers(at._replace(more=False))) or self._completes(at, room)

    def _completes(self, at: Place, room: int) -> bool:
        """Return whether 1 to `room` more digits and an exponent can end a number of the set."""
        known = [len(end.digits) - at.digits for end in self._ends]
        most = max(0, *known) + len(str(self.modulus)) + 3
        return any(
            self._fillable(at, count, size)
            for count in range(1, min(most, room) + 1)
            for size in self._sizes(at, count)
        )

    def _sizes(self, at: Place, count: int) -> Iterator[int]:
        """Yield the powers of a whole number that decide: at the bounds, and where steps change."""
        low, high = self.low.size, self.high.size
        found = {low, low + 1, high - 1, high}
        for step in self._steps:
            start = at.digits + count - step.scale
            found.update(range(start, start + step.factor.bit_length() + 2))
        return (size for size in sorted(found) if low <= size <= high)

    def _fillable(self, at: Place, count: int, size: int) -> bool:
        """Return whether `count` digits, the last not 0, make D times 10^size one of the set."""
        first, last = 10 ** (count - 1) if at.digits == 0 else 0, 10**count - 1
        if size == self.low.size:
            if at.low < 0:
                return False
            if at.low == 0:
                strict = at.digits + count < len(self.low.digits) or not self.low.closed
                first = max(first, self.low.next(at.digits, count) + strict)
        if size == self.high.size:
            if at.high > 0:
                return False
            if at.high == 0:
                strict = at.digits + count >= len(self.high.digits) and not self.high.closed
                last = min(last, self.high.next(at.digits, count) - strict)
        return self._has_multiple(at, count, size, range(first, last + 1))

    def _has_multiple(self, at: Place, count: int, size: int, digits: range) -> bool:
        """Return whether one of the next digits, as numbers, makes a multiple, of none avoided.

        As many residue classes as there are steps leave one of 2^n numbers in a row free if they
        leave any (Crittenden and Vanden Eynden 1969), so a few are tried.
        """
        before = at.read * 10 ** (at.zeros + count)
        stride, first = 1, digits.start
        if self.step:
            power = size - at.digits - count + self.step.scale
            if power < 0:
                return False
            stride = self.step.factor // gcd(self.step.factor, 10**power)
            first += -(before + first) % stride
        tried = range(first, digits.stop, stride)[: 2 << len(self.avoid)]
        return any(
            number % 10 and not self._avoided(before + number, size - at.digits - count)
            for number in tried
        )

    def _avoided(self, number: int, power: int) -> bool:
        return any(
            power + step.scale >= 0 and number * 10 ** (power + step.scale) % step.factor == 0
            for step in self.avoid
        )

    def _exponent(self, powers: range) -> int:
        """Return the spellings of the exponents of an interval."""
        terms, low, high = self.terms, powers[0], powers[-1]
        parts = []
        for sign, least, first, last in (("+", 0, low, high), ("-", 1, -high, -low)):
            digits = [
                self._counts(width, max(first, 0), min(last, 10**width - 1))
                for width in range(1, WIDEST + 1)
            ]
            signs = terms.repeat(terms.literal(sign.encode()), least, 1)
            parts.append(terms.concat(signs, terms.union(digits)))
        return terms.union(parts)

    def _counts(self, width: int, first: int, last: int) -> int:
        """Return the numbers of an interval written with `width` digits."""
        terms = self.terms
        if first > last:
            return terms.EMPTY
        if width == 0:
            return terms.EPSILON
        unit = 10 ** (width - 1)
        rests: dict[int, int] = {}
        for digit in range(first // unit, last // unit + 1):
            low, high = max(first - digit * unit, 0), min(last - digit * unit, unit - 1)
            rest = self._counts(width - 1, low, high)
            rests[rest] = rests.get(rest, 0) | 1 << (ord("0") + digit)
        return terms.union(terms.concat(terms.byte_set(m), rest) for rest, m in rests.items())

    def min_length(self, key: Place) -> int:
        """Return the length of a shortest rest, breadth first; an exponent takes 2 to 5 bytes."""
        found = self._lengths.get(key)
        if found is None:
            found = self._lengths[key] = self._measure(key)
        return found

    def _measure(self, key: Place) -> int:
        best, depth, layer = 1 << 30, 0, {key}
        while depth + 2 < best:
            for at in layer:
                powers = self._powers(at)
                if powers:
                    best = min(best, depth + 1 + _shortest(powers))
            layer = {after for at in layer for after in self._successors(at)}
            depth += 1
        return best


def _shortest(powers: range) -> int:
    """Return the length of the shortest exponent of an interval."""
    low, high = powers[0], powers[-1]
    if low <= 0 <= high:
        return 1
    return len(str(low if low > 0 else high))


def _sign(number: int) -> int:
    return (number > 0) - (number < 0)


def _end(bound: Bound) -> _End:
    digits = "".join(map(str, bound.value.as_tuple().digits)).lstrip("0")
    return _End(digits.rstrip("0"), bound.value.adjusted() + 1, bound.closed)


def _step(step: Fraction) -> _Step:
    scale = places_of(step)
    factor = int(step * 10**scale)
    while factor % 10 == 0:
        factor, scale = factor // 10, scale - 1
    return _Step(factor, scale)
