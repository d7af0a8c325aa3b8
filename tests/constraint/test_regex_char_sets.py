"""Character sets against the interpreter's own tables, and their spelling in UTF-8."""

from __future__ import annotations

import random
import re
import sys
import unicodedata
from collections import defaultdict
from itertools import pairwise

import pytest

from lockstitch.constraint.regex.char_classes import fold_case, python_class, unicode_property
from lockstitch.constraint.regex.char_sets import (
    ANY_CHAR,
    CharSet,
    chars,
    complement,
    contains,
    difference,
    intersect,
    normal,
    partition,
    union,
)
from lockstitch.constraint.regex.utf8 import Utf8Alphabet
from lockstitch.constraint.terms.terms import Terms
from lockstitch.schemas.errors import UnsupportedGrammarError

EVERY_CODE = range(sys.maxunicode + 1)


def codes(ranges: CharSet) -> set[int]:
    return {code for low, high in ranges for code in range(low, high + 1)}


def random_set(seed: int) -> CharSet:
    source = random.Random(seed)
    starts = (source.randrange(100) for _ in range(8))
    return normal((start, start + source.randrange(9)) for start in starts)


@pytest.mark.parametrize("seed", range(20))
def test_arithmetic_is_that_of_sets(seed: int) -> None:
    left, right = random_set(seed), random_set(seed + 1000)
    assert codes(union(left, right)) == codes(left) | codes(right)
    assert codes(intersect(left, right)) == codes(left) & codes(right)
    assert codes(difference(left, right)) == codes(left) - codes(right)
    assert complement(complement(left)) == left
    assert union(left, complement(left)) == ANY_CHAR
    assert all(contains(left, code) == (code in codes(left)) for code in range(120))
    for (_, high), (low, _) in pairwise(union(left, right)):
        assert high + 1 < low


def test_partition_classes_are_disjoint_and_atomic() -> None:
    sets = tuple(random_set(seed) for seed in range(3))
    classes = partition(sets)
    assert union(*classes) == ANY_CHAR
    assert sum(high - low + 1 for ranges in classes for low, high in ranges) == len(EVERY_CODE)
    for ranges in sets:
        assert all(intersect(ranges, members) in ((), members) for members in classes)


@pytest.mark.parametrize("letter", "dws")
def test_python_classes(letter: str) -> None:
    everything = "".join(map(chr, EVERY_CODE))
    assert codes(python_class(letter)) == {ord(c) for c in re.findall(rf"\{letter}", everything)}


def test_general_categories() -> None:
    members: defaultdict[str, set[int]] = defaultdict(set)
    for code in EVERY_CODE:
        members[unicodedata.category(chr(code))].add(code)
    for short, expected in members.items():
        assert codes(unicode_property(f"gc={short}")) == expected
    letters = set().union(*(found for short, found in members.items() if short[0] == "L"))
    assert codes(unicode_property("Letter")) == codes(unicode_property("L")) == letters


def test_other_properties() -> None:
    assert unicode_property("Any") == ANY_CHAR
    assert unicode_property("ASCII") == ((0, 0x7F),)
    assert unicode_property("digit") == unicode_property("Nd")
    assert contains(unicode_property("Uppercase"), ord("Ⅷ"))
    assert not contains(unicode_property("XID_Start"), ord("_"))
    assert contains(unicode_property("XID_Continue"), ord("_"))
    assert unicode_property("LC") == union(*map(unicode_property, ("Lu", "Ll", "Lt")))


@pytest.mark.parametrize(
    "name", ["Script=Latin", "sc=Grek", "Alphabetic", "lu", "Lu=Yes", "", "gc=Foo"]
)
def test_unknown_properties_are_refused(name: str) -> None:
    with pytest.raises(UnsupportedGrammarError):
        unicode_property(name)


def cased_text() -> str:
    return "".join(
        c for c in map(chr, EVERY_CODE) if not c == c.lower() == c.upper() == c.casefold()
    )


def test_case_folding_is_that_of_re() -> None:
    text = cased_text() + "\u0345"
    for char in text:
        expected = re.findall(f"(?i){re.escape(char)}", text)
        folded = fold_case(chars(char), "python")
        assert [c for c in text if contains(folded, ord(c))] == expected
        assert codes(folded) <= set(map(ord, text))


def test_ascii_and_ecma_case_folding() -> None:
    assert fold_case(chars("k"), "ascii") == chars("kK")
    assert fold_case(chars("é"), "ascii") == chars("é")
    assert fold_case(chars("k"), "ecma") == chars("kK\u212a")
    assert fold_case(chars("k"), "legacy") == chars("kK")
    assert fold_case(chars("ß"), "ecma") == chars("ßẞ")
    assert fold_case(chars("ß"), "legacy") == chars("ß")
    assert fold_case(chars("i"), "ecma") == chars("iI")
    assert fold_case(chars("ᾀ"), "ecma") == chars("ᾀᾈ")


@pytest.mark.parametrize(
    "ranges",
    [
        ANY_CHAR,
        ((0x7F, 0x80),),
        ((0x7FF, 0x800),),
        ((0xD7FF, 0xE000),),
        ((0xFFFF, 0x10000),),
        ((0x10FFFF, 0x10FFFF),),
        ((0x61, 0x61), (0xE9, 0x3FF), (0x1F600, 0x1F64F)),
    ],
)
def test_utf8_spells_exactly_the_set(ranges: CharSet) -> None:
    terms = Terms()
    term = Utf8Alphabet(terms).char(ranges)
    near = {edge + step for pair in ranges for edge in pair for step in (-64, -1, 0, 1, 64)}
    source = random.Random(0)
    near |= {source.randrange(0x110000) for _ in range(2000)}
    for code in near & set(EVERY_CODE):
        spelled = chr(code).encode("utf-8", "surrogatepass")
        expected = contains(ranges, code) and not 0xD800 <= code <= 0xDFFF
        assert terms.accepts(term, spelled) is expected, hex(code)
    for spelled in (
        b"",
        b"\xc1\xa1",
        b"\xe0\x80\xa1",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"aa",
        b"\xc3",
    ):
        assert not terms.accepts(term, spelled)


def test_a_big_class_stays_small_and_is_shared() -> None:
    terms = Terms()
    alphabet = Utf8Alphabet(terms)
    word = alphabet.char(python_class("w"))
    size = len(terms)
    assert size < 1500
    assert alphabet.char(python_class("w")) == word
    assert len(terms) == size
    assert alphabet.char(((0xD800, 0xDFFF),)) == alphabet.char(()) == terms.EMPTY
