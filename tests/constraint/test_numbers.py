"""Number sets against exact decimal arithmetic, on every short text of a small alphabet."""

from __future__ import annotations

import itertools
import json
import random
import re
from decimal import Decimal
from fractions import Fraction

import pytest

from lockstitch.constraint.terms.terms import Terms
from lockstitch.constraint.text.number_set import Bound, NumberSet, point
from lockstitch.constraint.text.numbers import NumberText
from lockstitch.constraint.text.style import TextStyle

TEXTS = [
    text
    for n in range(1, 6)
    for letters in itertools.product("0159.-", repeat=n)
    if re.fullmatch(r"-?(0|[1-9]\d*)(\.\d+)?", text := "".join(letters))
]
VALUES = ["0", "1", "-1", "0.5", "-0.5", "5", "15", "1.5", "10.05", "-9.1", "0.05", "100"]
VALUES += ["51", "-51", "99.9", "0.1"]
BOUNDS = [None] + [Bound(Decimal(value), closed) for value in VALUES for closed in (True, False)]


def belongs(text: str, numbers: NumberSet, style: TextStyle) -> bool:
    value, low, high = Decimal(text), numbers.low, numbers.high
    if numbers.integer and (value % 1 or (style.escapes == "canonical" and "." in text)):
        return False
    if style.escapes == "canonical" and text.startswith("-") and not value and (low or high):
        return False
    above = low is None or value > low.value or (low.closed and value == low.value)
    below = high is None or value < high.value or (high.closed and value == high.value)
    return above and below


@pytest.mark.parametrize("escapes", ["canonical", "any"])
@pytest.mark.parametrize("integer", [False, True])
def test_intervals_are_exact(escapes: str, integer: bool) -> None:
    rng, terms = random.Random(escapes), Terms()
    style = TextStyle(escapes=escapes)  # type: ignore[arg-type]
    speller = NumberText(terms, style)
    for low, high in itertools.product(BOUNDS, BOUNDS):
        numbers = NumberSet(low, high, Fraction(1) if integer else None)
        term = speller.term(numbers)
        for text in rng.sample(TEXTS, 40):
            expected = belongs(text, numbers, style)
            if escapes == "canonical" and low == high and low is not None:
                continue  # a single number has a single spelling
            assert terms.accepts(term, text.encode()) == expected, (numbers, text)


@pytest.mark.parametrize(
    ("low", "inside", "outside"),
    [
        ("9007199254740993", "9007199254740993", "9007199254740992"),
        ("18446744073709551615", "18446744073709551615", "18446744073709551614"),
        ("1e300", "1" + "0" * 300, "9" * 300),
        ("-9223372036854775808", "-9223372036854775808", "-9223372036854775809"),
        ("1e-20", "0.00000000000000000001", "0.000000000000000000009"),
    ],
)
def test_bounds_do_not_pass_through_floats(low: str, inside: str, outside: str) -> None:
    terms = Terms()
    term = NumberText(terms, TextStyle(escapes="any")).term(
        NumberSet(low=Bound(Decimal(low), closed=True))
    )
    assert terms.accepts(term, inside.encode())
    assert not terms.accepts(term, outside.encode())


def test_a_fraction_under_a_bound_stays_under_it_as_a_float() -> None:
    terms = Terms()
    term = NumberText(terms, TextStyle()).term(
        NumberSet(high=Bound(Decimal(1), closed=False), low=Bound(Decimal(0), closed=False))
    )
    text = "0."
    while terms.walk(term, (text + "9").encode()) != terms.EMPTY:
        text += "9"
    assert len(text) > 12
    assert json.loads(text) < 1.0


def test_intersections_keep_the_tighter_bound() -> None:
    open_three = NumberSet(low=Bound(Decimal(3), closed=False))
    closed_three = NumberSet(low=Bound(Decimal("3.0"), closed=True), step=Fraction(1))
    both = open_three.intersect(closed_three)
    assert both.low == Bound(Decimal(3), closed=False)
    assert both.integer


def test_one_number_has_one_canonical_spelling() -> None:
    for value, expected in (("5", "5"), ("1e2", "100"), ("-2.50", "-2.5"), ("0", "0")):
        terms = Terms()
        term = NumberText(terms, TextStyle()).term(point(Decimal(value)))
        assert terms.accepts(term, expected.encode())
        for other in ("5.0", "1e2", "-2.50", "0.0", "-0", "05"):
            assert not terms.accepts(term, other.encode())
