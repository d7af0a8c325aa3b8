"""Numbers with an exponent against exact arithmetic: every short spelling, every prefix."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction

import pytest

from lockstitch.constraint.grammar import compile_grammar
from lockstitch.constraint.terms.shortest import Shortest
from lockstitch.constraint.terms.terms import Terms
from lockstitch.constraint.text.number_set import Bound, NumberSet, point
from lockstitch.constraint.text.numbers import NumberText
from lockstitch.constraint.text.scientific import Scientific
from lockstitch.constraint.text.style import TextStyle

EVERYTHING = TextStyle("flexible", "any", "any")
POWERS = list(range(-7, 8))


def mantissas(letters: str, width: int) -> Iterator[str]:
    """Every mantissa of up to `width` of some digits on each side of the point."""
    parts = [d for n in range(1, width + 1) for d in itertools.product(letters, repeat=n)]
    whole = [digits for digits in parts if digits == ("0",) or digits[0] != "0"]
    for before in map("".join, whole):
        yield before
        yield from (f"{before}.{''.join(after)}" for after in parts)


def drawn_set(rng: random.Random) -> NumberSet:
    """A set between 0.001 and 1000 with ends of one digit."""
    ends = [Decimal(f"{rng.choice('1234567')}e{rng.randint(-3, 2)}") for _ in "ab"]
    low, high = (Bound(end, rng.random() < 0.5) for end in sorted(ends))
    steps = [Fraction(s) for s in ("1", "2", "3", "5", "7", "0.5", "0.25", "10", "0.1", "12")]
    step = rng.choice(steps) if rng.random() < 0.6 else None
    avoid = frozenset(rng.sample(steps, rng.choice((0, 0, 1, 2))))
    return NumberSet(Bound(Decimal(0), True) if rng.random() < 0.3 else low, high, step, avoid)


def narrow_set(rng: random.Random) -> NumberSet:
    """A set whose ends have two digits that differ in the last one."""
    first, power = rng.choice((10, 11, 15, 50, 51, 9)), rng.randint(-3, 1)
    last = first + rng.choice((0, 1, 1, 2))
    low, high = (Bound(Decimal(f"{n}e{power}"), rng.random() < 0.5) for n in (first, last))
    return drawn_set(rng)._replace(low=low, high=high)


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize(
    ("draw", "letters", "width"), [(drawn_set, "01257", 2), (narrow_set, "015", 3)]
)
def test_every_spelling_and_every_prefix(
    seed: int, draw: Callable[[random.Random], NumberSet], letters: str, width: int
) -> None:
    numbers, terms = draw(random.Random(seed)), Terms()
    term = Scientific(terms, numbers, width).term()
    drawn = list(mantissas(letters, width))
    inside = {
        f"{mantissa}e{power}"
        for mantissa in drawn
        for power in POWERS
        if numbers.contains(Fraction(Decimal(f"{mantissa}e{power}")))
    }
    prefixes = {text[:n] for text in inside for n in range(len(text) + 1)}
    digits = set("0123456789").difference(letters)  # may lead on where the others do not
    for mantissa in drawn:
        left = terms.walk(term, mantissa.encode())
        for power in POWERS:
            text = f"e{power}"
            assert terms.accepts(left, text.encode()) == (mantissa + text in inside)
        if mantissa in prefixes:
            assert left != terms.EMPTY
        elif left != terms.EMPTY:
            spelled = Shortest(terms).text(left).decode()
            assert digits & set(spelled) or abs(int(spelled.partition("e")[2])) > 7, mantissa
            assert numbers.contains(Fraction(Decimal(mantissa + spelled)))


@pytest.mark.parametrize("seed", range(40))
def test_a_walk_never_ends_where_no_number_does(seed: int) -> None:
    rng = random.Random(f"walk {seed}")
    numbers, terms = drawn_set(rng), Terms()
    low, high = numbers.low, numbers.high
    wide = numbers._replace(
        low=low and Bound(low.value + Decimal("1.234567e-5"), low.closed),
        high=high and Bound(high.value * Decimal("1.00731"), high.closed),
        step=numbers.step and numbers.step * rng.choice((1, 37)),
    )
    term = Scientific(terms, wide, 9).term()
    for _ in range(60 if term else 0):
        state, text = term, ""
        while state != terms.EPSILON:
            ends = terms.nullable(state)
            row = terms.row(state)
            assert ends or row, (wide, text)
            if ends and (not row or rng.random() < 0.5):
                break
            mask, state = rng.choice(row)
            text += chr(rng.choice([b for b in range(128) if mask >> b & 1]))
        assert wide.contains(Fraction(Decimal(text))), (wide, text)


@pytest.mark.parametrize("seed", range(20))
def test_lengths_are_those_of_shortest_texts(seed: int) -> None:
    numbers, terms = drawn_set(random.Random(f"length {seed}")), Terms()
    term = Scientific(terms, numbers, 2).term()
    if term == terms.EMPTY:
        return
    layer, length, shortest = {term}, 0, Shortest(terms)
    while not any(terms.nullable(state) for state in layer):
        layer = {after for state in layer for _, after in terms.row(state)}
        length += 1
    assert shortest.length(term) == length == len(shortest.text(term))


@pytest.mark.parametrize(
    ("schema", "inside", "outside"),
    [
        ({"enum": [5.3e-7]}, ["5.3e-07", "5.3E-7", "0.00000053", "53e-8"], ["5.3e-6", "5.31e-7"]),
        ({"minimum": 0}, ["1e5", "1E+2", "1.5e-3", "0e9", "-0e1"], ["-1e5", "-1e-5"]),
        ({"minimum": 0, "maximum": 1000}, ["1e2", "5e-1", "1e3"], ["1001e0", "1e4"]),
        ({"type": "integer"}, ["1e2", "10e1", "1.5e1", "100e-2", "1e308"], ["1e-1", "1.55e1"]),
        ({"type": "integer", "maximum": 500}, ["1e2", "-1e2", "5.00e+02"], ["501e0", "1e3"]),
        ({"multipleOf": 0.5}, ["5e-1", "25e-1", "1e9"], ["25e-2", "1e-1"]),
        ({"const": 100}, ["1e2", "1E2", "100.0", "0.1e3", "10000e-2"], ["1e1", "1.01e2"]),
        ({"not": {"type": "integer"}}, ["1e-1", "15e-1"], ["1e1", "10e-1", "1.5e1"]),
        ({"type": "number"}, ["1.7e308", "1e308", "1e-400", "0e999"], ["1.8e308", "1e309"]),
        ({"exclusiveMinimum": 0}, ["1e-323"], ["1e-400", "0e5"]),
        ({"minimum": 9007199254740993}, ["9007199254740993e0"], ["9007199254740992e0"]),
        ({"multipleOf": 1000}, ["1e3", "12e4", "1.5e4"], ["1e2", "1.5e3"]),
        ({"multipleOf": 9973, "maximum": 20000}, ["1.9946e4", "9973e0"], ["9.974e3"]),
    ],
)
def test_keywords_of_numbers_hold_for_exponents(
    schema: dict[str, object], inside: list[str], outside: list[str]
) -> None:
    grammar = compile_grammar({"type": "json", "value": schema}, style=EVERYTHING)
    for text in inside:
        assert grammar.accepts(text.encode()), text
    for text in outside:
        assert not grammar.accepts(text.encode()), text


def test_an_integer_of_draft_4_has_no_exponent() -> None:
    draft = "http://json-schema.org/draft-04/schema#"
    schema = {"$schema": draft, "type": "integer"}
    grammar = compile_grammar({"type": "json", "value": schema}, style=EVERYTHING)
    assert grammar.accepts(b"100")
    assert not grammar.accepts(b"1e2")


def test_different_items_differ_in_every_spelling() -> None:
    schema = {"type": "array", "items": {"type": "number"}, "uniqueItems": True}
    grammar = compile_grammar({"type": "json", "value": schema}, style=EVERYTHING)
    for text in ("[1,1e1]", "[1e2,1e3,100.5]", "[0.5,5e-2]", "[0,1e0,-1e0]"):
        assert grammar.accepts(text.encode()), text
    for text in ("[100,1e2]", "[1e2,100]", "[5e-1,0.50]", "[0,-0e1]", "[1e1,0.1e2]"):
        assert not grammar.accepts(text.encode()), text


def test_the_last_of_few_values_has_all_its_spellings() -> None:
    schema = {"items": {"enum": [1, 20]}, "uniqueItems": True, "minItems": 2, "type": "array"}
    grammar = compile_grammar({"type": "json", "value": schema}, style=EVERYTHING)
    for text in ("[2e1,1e0]", "[1,20]", "[10e-1,0.2e2]"):
        assert grammar.accepts(text.encode()), text
        assert json.loads(text)
    assert not grammar.accepts(b"[1,1e0]")


def test_a_number_of_one_value_keeps_its_digits() -> None:
    terms, text = Terms(), "12345678901234567890123.456"
    speller = NumberText(terms, EVERYTHING)
    term = speller.term(point(Decimal(text)))
    assert terms.accepts(term, b"1.2345678901234567890123456e22")
    assert not terms.accepts(term, b"1.2345678901234567890123457e22")
    assert terms.walk(term, b"1.2345678901234567890123457") == terms.EMPTY


@pytest.mark.parametrize(
    ("low", "high", "step", "avoid"),
    [
        (("15", False), ("16", True), "5", ()),
        (("14", True), ("15", False), "5", ()),
        (("10", True), ("10.9", True), "1", ("10",)),
        (("2", True), ("4", False), "1", ("2", "3")),
        (("0.15", False), ("0.2", False), "0.05", ()),
        (("7", False), ("13.9", True), "7", ()),
        (("100", True), ("900", True), "100", ("25",)),
    ],
)
def test_a_set_of_no_number_has_no_spelling(
    low: tuple[str, bool], high: tuple[str, bool], step: str, avoid: tuple[str, ...]
) -> None:
    first, last = (Bound(Decimal(value), closed) for value, closed in (low, high))
    numbers = NumberSet(first, last, Fraction(step), frozenset(map(Fraction, avoid)))
    terms = Terms()
    assert Scientific(terms, numbers, 64).term() == terms.EMPTY
