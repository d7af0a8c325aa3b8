"""Sets of numbers as values: bounds and steps of any size, closed under and, or, not.

Nothing here passes through floats: bounds are decimals and steps are fractions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from math import lcm
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Bound:
    """One end of an interval; `closed` says whether `value` itself belongs to it."""

    value: Decimal
    closed: bool


class NumberSet(NamedTuple):
    """The numbers between two bounds (None: unbounded) that are multiples of `step`, if given.

    `avoid` lists steps whose multiples are left out. Whole numbers are the multiples of 1.
    """

    low: Bound | None = None
    high: Bound | None = None
    step: Fraction | None = None
    avoid: frozenset[Fraction] = frozenset()

    @property
    def integer(self) -> bool:
        """Whether all numbers of the set are whole."""
        return self.step is not None and self.step.denominator == 1

    def intersect(self, other: NumberSet) -> NumberSet:
        """Return the numbers that are in both sets; the result may be empty."""
        return NumberSet(
            _tighter(self.low, other.low, 1),
            _tighter(self.high, other.high, -1),
            _common_multiple(self.step, other.step),
            self.avoid | other.avoid,
        )

    def is_void(self) -> bool:
        """Return whether the bounds and steps contradict each other at first sight."""
        if self.step is not None and any((self.step / s).denominator == 1 for s in self.avoid):
            return True
        low, high = self.low, self.high
        if low is None or high is None or low.value < high.value:
            return False
        value = Fraction(low.value)
        on_step = self.step is None or (value / self.step).denominator == 1
        avoided = any((value / step).denominator == 1 for step in self.avoid)
        return low.value > high.value or not (low.closed and high.closed and on_step) or avoided

    def contains(self, number: Fraction) -> bool:
        """Return whether a number lies between the bounds and on the steps."""
        if self.step is not None and (number / self.step).denominator != 1:
            return False
        if any((number / step).denominator == 1 for step in self.avoid):
            return False
        return all(
            bound is None
            or (number - Fraction(bound.value)) * side > 0
            or (bound.closed and number == Fraction(bound.value))
            for bound, side in ((self.low, 1), (self.high, -1))
        )

    def without(self, points: Iterable[Decimal]) -> Iterator[NumberSet]:
        """Yield sets whose union is this set less some numbers."""
        inside = sorted(p for p in points if self.contains(Fraction(p)))
        ends = [None, *(Bound(p, closed=False) for p in inside), None]
        for low, high in pairwise(ends):
            yield self.intersect(NumberSet(low, high))

    def complement(self) -> Iterator[NumberSet]:
        """Yield sets whose union is every number that is not in this set."""
        if self.low is not None:
            yield NumberSet(high=Bound(self.low.value, not self.low.closed))
        if self.high is not None:
            yield NumberSet(low=Bound(self.high.value, not self.high.closed))
        if self.step is not None:
            yield NumberSet(avoid=frozenset((self.step,)))
        for step in self.avoid:
            yield NumberSet(step=step)


WHOLE = Fraction(1)


def _common_multiple(first: Fraction | None, second: Fraction | None) -> Fraction | None:
    if first is None or second is None:
        return first or second
    shared = lcm(first.denominator, second.denominator)
    return Fraction(lcm(int(first * shared), int(second * shared)), shared)


def places_of(step: Fraction) -> int:
    """Return how many decimal places a fraction has whose decimal expansion ends."""
    places = 0
    while (step * 10**places).denominator != 1:
        places += 1
    return places


def point(value: Decimal) -> NumberSet:
    """Return the set of one number."""
    end = Bound(value, closed=True)
    return NumberSet(end, end)


def _tighter(first: Bound | None, second: Bound | None, sign: int) -> Bound | None:
    if first is None or second is None:
        return first or second
    if first.value == second.value:
        return first if not first.closed else second
    return first if (first.value - second.value) * sign > 0 else second
