r"""The character classes that have names: \d \w \s of both dialects, \p{...}, and case folding.

Python's own classes are asked of the `re` module and the properties of `unicodedata`, once per
process, so they follow the Unicode version of the running interpreter. Only planes 0 to 3 and 14
are scanned (Unicode has no characters on 4 to 13, and 15 and 16 are private use), which takes about
20 ms.

A property which `unicodedata` cannot answer exactly (scripts, Alphabetic, emoji) is refused by
name: an approximation would let wrong text through.
"""

from __future__ import annotations

import re
import unicodedata
from array import array
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable
from functools import cache, lru_cache
from itertools import groupby
from typing import Final, Literal

from ...schemas.errors import UnsupportedGrammarError
from .char_sets import (
    ANY_CHAR,
    CharSet,
    chars,
    complement,
    difference,
    normal,
    points,
    union,
)

Fold = Literal["python", "ascii", "ecma", "legacy"]

NEWLINE: Final = chars("\n")
ECMA_LINE_ENDS: Final = chars("\n\r\u2028\u2029")
ASCII_DIGIT: Final[CharSet] = ((0x30, 0x39),)
ASCII_WORD: Final[CharSet] = ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A))
ASCII_SPACE: Final = chars(" \t\n\r\f\v")
WHITE_SPACE: Final = union(
    chars("\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000"), ((0x2000, 0x200A),)
)
ECMA_SPACE: Final = union(difference(WHITE_SPACE, chars("\x85")), chars("\ufeff"))

_SCANNED = ((0, 0x3FFFF), (0xE0000, 0xEFFFF))
_PRIVATE: CharSet = ((0xF0000, 0xFFFFD), (0x100000, 0x10FFFD))

_CATEGORIES = """
C Other|Cc Control cntrl|Cf Format|Cn Unassigned|Co Private_Use|Cs Surrogate|
L Letter|LC Cased_Letter|Ll Lowercase_Letter|Lm Modifier_Letter|Lo Other_Letter|Lt Titlecase_Letter|
Lu Uppercase_Letter|M Mark Combining_Mark|Mc Spacing_Mark|Me Enclosing_Mark|Mn Nonspacing_Mark|
N Number|Nd Decimal_Number digit|Nl Letter_Number|No Other_Number|P Punctuation punct|
Pc Connector_Punctuation|Pd Dash_Punctuation|Pe Close_Punctuation|Pf Final_Punctuation|
Pi Initial_Punctuation|Po Other_Punctuation|Ps Open_Punctuation|S Symbol|Sc Currency_Symbol|
Sk Modifier_Symbol|Sm Math_Symbol|So Other_Symbol|Z Separator|Zl Line_Separator|
Zp Paragraph_Separator|Zs Space_Separator
"""
_CATEGORY_NAMES: Final = {
    name: names.split()[0] for names in _CATEGORIES.split("|") for name in names.split()
}


@cache
def _scanned_text() -> str:
    codes = array("I", (c for low, high in _SCANNED for c in range(low, high + 1)))
    return codes.tobytes().decode(f"utf-{8 * codes.itemsize}", "surrogatepass")


@cache
def python_class(letter: str) -> CharSet:
    r"""The characters of \d, \w or \s in Python's str patterns without the ASCII flag."""
    text = _scanned_text()
    found = re.finditer(rf"\{letter}+", text)
    return normal((ord(text[m.start()]), ord(text[m.end() - 1])) for m in found)


@cache
def _by_category() -> dict[str, CharSet]:
    found: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    text = _scanned_text()
    start = 0
    for category, run in groupby(map(unicodedata.category, text)):
        end = start + sum(1 for _ in run)
        found[category].append((ord(text[start]), ord(text[end - 1])))
        start = end
    found["Co"].extend(_PRIVATE)
    sets = {name: normal(ranges) for name, ranges in found.items()}
    sets["Cn"] = complement(union(*(s for name, s in sets.items() if name != "Cn")))
    return sets


def _category(short: str) -> CharSet:
    if short == "LC":
        return union(*(_by_category()[name] for name in ("Ll", "Lt", "Lu")))
    return union(*(s for name, s in _by_category().items() if name.startswith(short)))


def _such_that(test: Callable[[str], bool]) -> CharSet:
    return points(ord(c) for c in _scanned_text() if test(c))


_PROPERTIES: Final[dict[str, Callable[[], CharSet]]] = {
    "Any": lambda: ANY_CHAR,
    "ASCII": lambda: ((0, 0x7F),),
    "Assigned": lambda: complement(_category("Cn")),
    "ASCII_Hex_Digit": lambda: chars("0123456789ABCDEFabcdef"),
    "White_Space": lambda: WHITE_SPACE,
    "Uppercase": lambda: _such_that(str.isupper),
    "Lowercase": lambda: _such_that(str.islower),
    "XID_Start": lambda: difference(_such_that(str.isidentifier), chars("_")),
    "XID_Continue": lambda: _such_that(lambda c: f"a{c}".isidentifier()),
}
_SHORT_PROPERTIES: Final = {
    "AHex": "ASCII_Hex_Digit",
    "space": "White_Space",
    "Upper": "Uppercase",
    "Lower": "Lowercase",
    "XIDS": "XID_Start",
    "XIDC": "XID_Continue",
}


@lru_cache(256)
def unicode_property(expression: str) -> CharSet:
    r"""The set of \p{expression}, spelled as ECMA-262 does (`Lu`, `Letter`, `gc=Nd`, `ASCII`).

    Raises UnsupportedGrammarError, without an offset, for every other property.
    """
    name, equals, value = expression.partition("=")
    if equals and name in ("General_Category", "gc") and value in _CATEGORY_NAMES:
        return _category(_CATEGORY_NAMES[value])
    if not equals and name in _CATEGORY_NAMES:
        return _category(_CATEGORY_NAMES[name])
    name = _SHORT_PROPERTIES.get(name, name)
    if not equals and name in _PROPERTIES:
        return _PROPERTIES[name]()
    raise UnsupportedGrammarError(
        rf"\p{{{expression}}}",
        "this property is not known exactly here; use a general category such as \\p{L}, "
        "or write out the ranges",
    )


def _python_key(char: str) -> str:
    lower = char.lower()
    return (lower if len(lower) == 1 else lower[0]).upper()


def _ecma_key(char: str) -> str:
    folded = _LATER_FOLDS.get(char, char.casefold())
    if len(folded) > 1:
        folded = char.lower()
    return folded if len(folded) == 1 else char


def _legacy_key(char: str) -> str:
    upper = char.upper()
    return char if len(upper) > 1 or (upper.isascii() and not char.isascii()) else upper


# Simple case foldings added by Unicode 15.1; older interpreters know only the full ones.
_LATER_FOLDS: Final = {"\u1fd3": "\u0390", "\u1fe3": "\u03b0", "\ufb05": "\ufb06"}
_KEYS: Final[dict[Fold, Callable[[str], str]]] = {
    "python": _python_key,
    "ascii": lambda char: char.lower() if char.isascii() else char,
    "ecma": _ecma_key,
    "legacy": _legacy_key,
}


@cache
def _orbits(fold: Fold) -> dict[int, CharSet]:
    """For every code point that equals others but for case: the set of them all."""
    key = _KEYS[fold]
    groups: defaultdict[str, list[int]] = defaultdict(list)
    text = _scanned_text()
    for at in range(0, len(text), 64):
        block = text[at : at + 64]
        if not block == block.lower() == block.upper() == block.casefold():
            for char in block:
                groups[key(char)].append(ord(char))
    return {code: points(codes) for codes in groups.values() if len(codes) > 1 for code in codes}


@cache
def _cased(fold: Fold) -> list[int]:
    return sorted(_orbits(fold))


@lru_cache(4096)
def fold_case(ranges: CharSet, fold: Fold) -> CharSet:
    """`ranges` and every character that equals one of them when case is ignored.

    "python" is `re` with IGNORECASE, "ascii" the same with ASCII, "ecma" the flags i and u of
    ECMA-262, "legacy" its flag i alone.
    """
    orbits, cased = _orbits(fold), _cased(fold)
    extra: set[tuple[int, int]] = set()
    for low, high in ranges:
        for code in cased[bisect_left(cased, low) : bisect_left(cased, high + 1)]:
            extra.update(orbits[code])
    return union(ranges, tuple(extra)) if extra else ranges
