"""The characters of internationalized labels: RFC 5892, with the classes of RFC 5893.

What a label may contain is derived from the properties of characters, as section 3 of RFC 5892 does
it, from the interpreter's own Unicode tables; a character that these do not know yet is left out.
Two things are not in the tables and are written down here: joining types (for Arabic, Syriac, N'Ko,
Mandaic and Adlam; others count as not joining) and the scripts that contextual rules ask for. The
scan takes about a quarter of a second, once per process, and only if a label is asked for.

A label must be in normalization form C. That is decided by looking at neighbours, on the safe side:
a character that may combine with the one before it is allowed only behind characters that never
combine, and of marks with unusual combining classes no two may meet.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from typing import Final, NamedTuple

from ..regex.char_sets import CharSet, contains, normal, points

MIDDLE_DOT, KERAIA, GERESH, GERSHAYIM = "\u00b7", "\u0375", "\u05f3", "\u05f4"
NON_JOINER, JOINER, KATAKANA_DOT = "\u200c", "\u200d", "\u30fb"


class Letter(NamedTuple):
    """What the rules ask of a character; all characters of one value are alike."""

    side: str  # "L", "R" (or AL), "N" (EN), "A" (AN), "M" (NSM), "O" another
    mark: bool = False  # no label begins with it
    order: int = 0  # combining class; -1 is any unusual one
    joins_before: bool = False  # normalization may join it to what is before
    alone: bool = True  # normalization joins nothing to it
    linking: str = ""  # joining type "D", "R" or "T"
    script: str = ""  # "g" Greek, "h" Hebrew, "k" Hiragana, Katakana or Han
    itself: str = ""  # the character, where a rule names it


_BLOCK: Final = 64
_PVALID: Final = frozenset(map(ord, "\xdf\u03c2\u06fd\u06fe\u0f0b\u3007"))  # section 2.6
_DISALLOWED: Final[CharSet] = points((0x640, 0x7FA, 0x302E, 0x302F, *range(0x3031, 0x3036), 0x303B))
_IGNORED: Final[CharSet] = normal(
    (
        *((0x34F, 0x34F), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F), (0x3164, 0x3164)),
        *((0xFE00, 0xFE0F), (0xFFA0, 0xFFA0), (0xE0000, 0xE0FFF)),  # default ignorable
        *((0x1100, 0x11FF), (0xA960, 0xA97C), (0xD7B0, 0xD7FB)),  # old Hangul
        *((0x20D0, 0x20FF), (0x1D100, 0x1D1FF), (0x1D200, 0x1D24F)),  # section 2.7
    )
)
_LETTER_DIGITS: Final = frozenset(("Ll", "Lu", "Lo", "Nd", "Lm", "Mn", "Mc"))
_UNIFORM: Final = (
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xAC00, 0xD7A3),
    (0x20000, 0x2F7FF),
    (0x30000, 0x323AF),
)
_USUAL_ORDERS: Final = (0, 7, 9, 220, 230)
_SCRIPTS: Final[dict[str, CharSet]] = {
    "g": ((0x370, 0x373), (0x375, 0x377), (0x37A, 0x37D), (0x388, 0x3E1), (0x3F3, 0x3FF),
          (0x1F00, 0x1FFF)),
    "h": ((0x591, 0x5F4),),
    "k": ((0x3005, 0x3007), (0x3041, 0x3096), (0x309D, 0x309E), (0x30A1, 0x30FA),
          (0x30FD, 0x30FE), (0x31F0, 0x31FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF),
          (0x20000, 0x2F7FF), (0x30000, 0x323AF)),
}  # fmt: skip
_DUAL: Final = """
620 626 628 62a-62e 633-63f 641-647 649-64a 66e-66f 678-687 69a-6bf 6c1-6c2 6cc 6ce 6d0-6d1 6fa-6fc
6ff 712-714 71a-71d 71f-727 729 72b 72d-72e 74e-758 75c-76a 76d-770 772 775-777 77a-77f 7ca-7ea
841-845 848 84a-853 855 860 862-865 868 886 889-88d 88f 8a0-8a9 8af-8b0 8b3-8b8 8ba-8c8 1e900-1e943
"""
_RIGHT: Final = """
622-625 627 629 62f-632 648 671-673 675-677 688-699 6c0 6c3-6cb 6cd 6cf 6d2-6d3 6d5 6ee-6ef 710
715-719 71e 728 72a 72c 72f 74d 759-75b 76b-76c 771 773-774 778-779 840 846-847 849 854 856-858 867
869-86a 870-882 88e 8aa-8ac 8ae 8b1-8b2 8b9
"""


def _ranges(text: str) -> CharSet:
    pairs = (part.partition("-") for part in text.split())
    return normal((int(low, 16), int(high or low, 16)) for low, _, high in pairs)


def _stable(text: str) -> bool:
    """Return whether folding and normalization change nothing; section 2.2."""
    nfkc = unicodedata.normalize("NFKC", text)
    return text == unicodedata.normalize("NFKC", nfkc.casefold())


def _blocks() -> Iterator[str]:
    """Yield all characters beyond ASCII that may be assigned a value, in blocks."""
    for start in range(0x80, 0x32400, _BLOCK):
        if not 0xD7C0 <= start < 0xF900:  # surrogates and private use
            yield "".join(map(chr, range(start, start + _BLOCK)))


def _is_uniform(block: str) -> bool:
    """Return whether one character of a block speaks for all: ideographs, Hangul syllables."""
    inside = any(low <= ord(block[0]) and ord(block[-1]) <= high for low, high in _UNIFORM)
    return inside and all(unicodedata.category(char) == "Lo" for char in block)


def _is_valid(char: str) -> bool:
    code = ord(char)
    if code in _PVALID:
        return True
    if unicodedata.category(char) not in _LETTER_DIGITS:
        return False
    return _stable(char) and not (contains(_DISALLOWED, code) or contains(_IGNORED, code))


@cache
def _compositions() -> tuple[frozenset[str], frozenset[str]]:
    """Return the first and the second halves of what form C composes."""
    first, second = set(), set()
    for code in range(0xC0, 0x30000):
        parts = unicodedata.decomposition(chr(code)).split()
        if len(parts) == 2 and not parts[0].startswith("<"):
            pair = "".join(chr(int(part, 16)) for part in parts)
            if unicodedata.normalize("NFC", pair) == chr(code):
                first.add(pair[0])
                second.add(pair[1])
    return frozenset(first), frozenset(second)


_SIDES: Final = {"L": "L", "R": "R", "AL": "R", "EN": "N", "AN": "A", "NSM": "M"}


def _letter(char: str) -> Letter:
    category = unicodedata.category(char)
    order = unicodedata.combining(char)
    first, second = _compositions()
    code = ord(char)
    linking = "D" if contains(_joining()[0], code) else "R" if contains(_joining()[1], code) else ""
    scripts = (name for name, ranges in _SCRIPTS.items() if contains(ranges, code))
    return Letter(
        side=_SIDES.get(unicodedata.bidirectional(char), "O"),
        mark=category[0] == "M",
        order=order if order in _USUAL_ORDERS else -1,
        joins_before=char in second,
        alone=char not in first,
        linking="T" if category == "Mn" and code != 0x1171E else linking,
        script=next(scripts, ""),
        itself=char if char in "l-\xb7\u0375\u05f3\u05f4\u200c\u200d\u30fb" else "",
    )


@cache
def _joining() -> tuple[CharSet, CharSet]:
    return _ranges(_DUAL), _ranges(_RIGHT)


@cache
def letters() -> dict[Letter, CharSet]:
    """Return the characters that a label may contain, by what the rules ask of them."""
    found: defaultdict[Letter, list[tuple[int, int]]] = defaultdict(list)
    named = f"{MIDDLE_DOT}{KERAIA}{GERESH}{GERSHAYIM}{NON_JOINER}{JOINER}{KATAKANA_DOT}"
    for block in ("abcdefghijklmnopqrstuvwxyz0123456789-", named, *_blocks()):
        if _is_uniform(block):
            found[_letter(block[0])].append((ord(block[0]), ord(block[-1])))
            continue
        for char in block:
            if block is named or char.isascii() or _is_valid(char):
                found[_letter(char)].append((ord(char), ord(char)))
    return {letter: normal(ranges) for letter, ranges in found.items()}


@cache
def letter_of() -> dict[int, Letter]:
    """Return the same by code point."""
    return {
        code: letter
        for letter, ranges in letters().items()
        for low, high in ranges
        for code in range(low, high + 1)
    }


@cache
def allowed_codes() -> list[int]:
    """Return all code points beyond ASCII that a label may contain, in order."""
    return sorted(code for code in letter_of() if code > 0x7F)
