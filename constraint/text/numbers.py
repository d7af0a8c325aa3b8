"""Sets of numbers as terms over their decimal spelling, exact for bounds of any size.

A bound cuts the plain decimals digit by digit: with no leading zeros a longer integer part is
larger, and among equal lengths the first digit that differs decides. So "at least b" and "at most
b" are each a short term, and an interval is their intersection. Every value has such a spelling, so
the canonical style writes an exponent only where nothing bounds the number; all spellings with one
are in `scientific.py`.

Digits are bounded by the style, since a model can write digits for ever. Where a bound meets a
fraction, a number keeps to 15 significant digits unless the bound itself has more: decimals of that
size stay in order when a reader turns them into binary64, so a validator that uses floats agrees
(IEEE 754-2019, 5.12.2). A zero of the negative branch ("-0") is written in the style of any
spelling only.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from functools import reduce

from ..terms.forks import twin
from ..terms.recipes import recalled
from ..terms.terms import Terms
from .multiples import Multiples
from .number_set import WHOLE, Bound, NumberSet
from .scientific import Scientific
from .style import TextStyle

DIGITS = 0x3FF << 48  # bytes 0 to 9
EXACT_DIGITS = 15


class NumberText:
    """Spells sets of numbers in one arena and one style.

    `integral_floats` says whether `1.0` may stand for an integer where the style allows it; draft 4
    says no. Without `exponents`, a value has only few spellings (1, 1.0, -0).
    """

    def __init__(
        self,
        terms: Terms,
        style: TextStyle,
        *,
        integral_floats: bool = True,
        exponents: bool = True,
    ) -> None:
        self.terms = terms
        self.style = style
        self.exponents = exponents
        self.digits = style.digits
        self.any_spelling = style.escapes == "any"
        self.integral_floats = integral_floats and self.any_spelling
        self.digit = terms.byte_set(DIGITS)
        self.zero = terms.literal(b"0")
        self.nonzero = terms.byte_set(DIGITS & ~(1 << 48))
        self.multiples = Multiples(terms)
        self._e = terms.byte_set(1 << ord("e") | 1 << ord("E"))
        self._known: dict[NumberSet, int] = {}
        self._scaled: dict[NumberSet, int] = {}

    def fork(self, terms: Terms) -> NumberText:
        """Return the same for a fork of the arena."""
        other = twin(self)
        other.terms, other.multiples = terms, Multiples(terms)
        other._known, other._scaled = self._known.copy(), self._scaled.copy()
        return other

    def without_integral_floats(self) -> NumberText:
        """Return the same for draft 4, to which `1.0` is no integer."""
        if not self.integral_floats:
            return self
        return NumberText(self.terms, self.style, integral_floats=False, exponents=self.exponents)

    def term(self, numbers: NumberSet) -> int:
        """Return the texts that spell a number of the set; `EMPTY` if there are none."""
        found = self._known.get(numbers)
        if found is None:
            key = (numbers, self.digits, self.any_spelling, self.integral_floats, self.exponents)
            found = recalled(self.terms, key, lambda: self._living(numbers))
            self._known[numbers] = found
        return found

    def _living(self, numbers: NumberSet) -> int:
        return self.terms.living_lexeme(self._build(numbers))

    def _build(self, numbers: NumberSet) -> int:
        if numbers.low == numbers.high and numbers.low is not None and not self.any_spelling:
            return self._single(numbers, numbers.low)
        spellings = [self._without_exponent(numbers)]
        if self.exponents:
            spellings.append(self.with_exponent(numbers))
        return self.terms.union(spellings)

    def with_exponent(self, numbers: NumberSet) -> int:
        """Return the spellings with an exponent: in the style of any spelling all there are."""
        found = self._scaled.get(numbers)
        if found is None:
            found = self._scaled[numbers] = self._build_scaled(numbers)
        return found

    def _build_scaled(self, numbers: NumberSet) -> int:
        terms = self.terms
        if self.any_spelling and (self.integral_floats or not numbers.integer):
            parts = (
                Scientific(terms, n, self.digits).term() for n in (numbers, _mirrored(numbers))
            )
            signed = zip((terms.EPSILON, terms.literal(b"-")), parts, strict=True)
            return terms.union(terms.concat(sign, part) for sign, part in signed)
        if numbers != NumberSet():
            return terms.EMPTY
        plain = self._plain(self.digits, self.digits, integer=False)
        exponent = terms.union([self._exponent("-"), self._exponent("+")])
        return terms.concat(self._sign(), plain, exponent)

    def _without_exponent(self, numbers: NumberSet) -> int:
        if numbers in (NumberSet(), NumberSet(step=WHOLE)):
            plain = self._plain(self.digits, self.digits, integer=numbers.integer)
            return self.terms.concat(self._sign(), plain)
        negative = self._magnitudes(_mirrored(numbers), negative=True)
        minus = self.terms.literal(b"-")
        positive = self._magnitudes(numbers, negative=False)
        return self.terms.union([positive, self.terms.concat(minus, negative)])

    def _single(self, numbers: NumberSet, end: Bound) -> int:
        """Return the one canonical spelling of one number."""
        if not numbers.contains(Fraction(end.value)):
            return self.terms.EMPTY
        before, after = _digits_of(end.value)
        text = f"{before}.{after}" if after else before
        return self.terms.literal(("-" * (end.value < 0) + text).encode())

    def _sign(self) -> int:
        return self.terms.repeat(self.terms.literal(b"-"), 0, 1)

    def _exponent(self, sign: str) -> int:
        """Return an exponent; two digits keep any number inside binary64."""
        terms = self.terms
        signs = terms.repeat(terms.literal(sign.encode()), 1 if sign == "-" else 0, 1)
        return terms.concat(self._e, signs, terms.repeat(self.digit, 1, 2))

    def _whole(self, most: int) -> int:
        return self.terms.union(
            [
                self.zero,
                self.terms.concat(self.nonzero, self.terms.repeat(self.digit, 0, most - 1)),
            ]
        )

    def _fraction(self, most: int, *, integer: bool) -> int:
        """Return an optional decimal point with digits; an integer's are zeros, if allowed."""
        if integer and not self.integral_floats:
            return self.terms.EPSILON
        digit = self.zero if integer else self.digit
        return self.terms.repeat(
            self.terms.concat(self.terms.literal(b"."), self.terms.repeat(digit, 1, most)), 0, 1
        )

    def _plain(self, whole: int, fraction: int, *, integer: bool) -> int:
        return self.terms.concat(self._whole(whole), self._fraction(fraction, integer=integer))

    def _magnitudes(self, numbers: NumberSet, *, negative: bool) -> int:
        """Return the unsigned decimals of a set."""
        low, high = numbers.low, numbers.high
        if high is not None and (high.value < 0 or (high.value == 0 and not high.closed)):
            return self.terms.EMPTY
        if low is not None and low.value < 0:
            low = None
        parts = [self._shape(low, high, numbers.integer)]
        if low is not None:
            parts.append(self._compared(low, above=True))
        if high is not None:
            parts.append(self._compared(high, above=False))
        if numbers.step is not None and numbers.step != WHOLE:
            parts.append(self.multiples.term(numbers.step))
        parts += [self.terms.complement(self.multiples.term(step)) for step in numbers.avoid]
        if negative and not self.any_spelling:
            parts.append(self._compared(Bound(Decimal(0), closed=False), above=True))
        return self.terms.intersect(parts)

    def _shape(self, low: Bound | None, high: Bound | None, integer: bool) -> int:
        """Return decimals with enough digits for the bounds and few enough for exact comparison."""
        whole, fraction = self.digits, self.digits
        for bound in (low, high):
            if bound is not None:
                before, after = _digits_of(bound.value)
                whole, fraction = max(whole, len(before)), max(fraction, len(after) + 1)
        plain = self._plain(whole, fraction, integer=integer)
        if integer or self.any_spelling:
            return plain
        needed = [sum(map(len, _digits_of(bound.value))) for bound in (low, high) if bound]
        most = max([EXACT_DIGITS, *needed])
        return self.terms.intersect([plain, self._few_digits(whole, most)])

    def _few_digits(self, whole: int, most: int) -> int:
        """Return digit strings that have no point, or at most `most` digits around it."""
        terms = self.terms
        digit_or_point = terms.byte_set(DIGITS | 1 << ord("."))
        return terms.union(
            [terms.repeat(self.digit, 1, whole), terms.repeat(digit_or_point, 1, most + 1)]
        )

    def _compared(self, bound: Bound, *, above: bool) -> int:
        """Return unsigned decimals on one side of a bound that is not negative."""
        terms = self.terms
        before, after = _digits_of(bound.value)
        rest = terms.repeat(terms.concat(terms.literal(b"."), self._any_digits(1)), 0, 1)
        beyond = self._other_lengths(len(before), above=above)
        ladder = self._fraction_side(after, closed=bound.closed, above=above)
        for index in reversed(range(len(before))):
            decided = self._digits_beside(before[index], above=above)
            remaining = terms.repeat(self.digit, *[len(before) - index - 1] * 2)
            ladder = terms.union(
                [
                    terms.concat(terms.literal(before[index].encode()), ladder),
                    terms.concat(decided, remaining, rest),
                ]
            )
        return terms.union([ladder, terms.concat(beyond, rest)])

    def _any_digits(self, least: int) -> int:
        return self.terms.repeat(self.digit, least, None)

    def _other_lengths(self, length: int, *, above: bool) -> int:
        """Return integer parts that are decided by their length alone."""
        terms = self.terms
        if above:
            return terms.concat(self.nonzero, self._any_digits(length))
        if length == 1:
            return terms.EMPTY
        return terms.union(
            [self.zero, terms.concat(self.nonzero, terms.repeat(self.digit, 0, length - 2))]
        )

    def _digits_beside(self, digit: str, *, above: bool) -> int:
        value = int(digit)
        chosen = range(value + 1, 10) if above else range(value)
        return self.terms.byte_set(reduce(lambda mask, d: mask | 1 << (48 + d), chosen, 0))

    def _fraction_side(self, after: str, *, closed: bool, above: bool) -> int:
        """Return what may follow an integer part equal to the bound's."""
        terms = self.terms
        zeros = terms.repeat(self.zero, 0, None)
        if above:
            end = self._any_digits(0)
            if not closed:
                end = terms.concat(zeros, self.nonzero, self._any_digits(0))
        else:
            end = zeros if closed else terms.EMPTY
        ladder = end
        for index in reversed(range(len(after))):
            decided = terms.concat(
                self._digits_beside(after[index], above=above), self._any_digits(0)
            )
            stop = terms.EMPTY if above else self._ended_below(after[index:], closed=closed)
            step = terms.concat(terms.literal(after[index].encode()), ladder)
            ladder = terms.union([step, decided, stop])
        pointed = terms.intersect([ladder, self._any_digits(1)])
        equal_is_in = (closed and not after) or (not above and bool(after))
        bare = terms.EPSILON if equal_is_in else terms.EMPTY
        return terms.union([bare, terms.concat(terms.literal(b"."), pointed)])

    def _ended_below(self, remaining: str, *, closed: bool) -> int:
        """Return the empty text if a fraction that ends here is still below the bound."""
        below = closed or any(digit != "0" for digit in remaining)
        return self.terms.EPSILON if below else self.terms.EMPTY


def _mirrored(numbers: NumberSet) -> NumberSet:
    """Return the set of the numbers with the other sign."""
    return NumberSet(_negated(numbers.high), _negated(numbers.low), *numbers[2:])


def _negated(bound: Bound | None) -> Bound | None:
    return None if bound is None else Bound(-bound.value, bound.closed)


def _digits_of(value: Decimal) -> tuple[str, str]:
    """Return the digits of |value| before and after the point, without needless zeros."""
    before, _, after = f"{abs(value):f}".partition(".")
    return before.lstrip("0") or "0", after.rstrip("0")
