r"""What a backslash means, in the three readings of a pattern.

"python" is `re` with str patterns, plus \p{...}. "unicode" is ECMA-262 with flag u, where every
unknown escape is an error. "legacy" is ECMA-262 without it (Annex B), where an unknown escape is
the character itself; there the escapes that only flag u gives a meaning are errors rather than
silently something else.
"""

from __future__ import annotations

import unicodedata
from typing import Final, Literal, NoReturn

from ...schemas.errors import InvalidGrammarError, UnsupportedGrammarError
from .char_classes import (
    ASCII_DIGIT,
    ASCII_SPACE,
    ASCII_WORD,
    ECMA_SPACE,
    fold_case,
    python_class,
    unicode_property,
)
from .char_sets import CharSet, complement

Mode = Literal["python", "unicode", "legacy"]
Escape = int | CharSet | str  # a code point, a class, or the letter of an assertion

OCTAL: Final = "01234567"
DIGITS: Final = "0123456789"
HEX: Final = "0123456789abcdefABCDEF"
_CONTROLS: Final = {"f": 0x0C, "n": 0x0A, "r": 0x0D, "t": 0x09, "v": 0x0B}
_PYTHON_HEX: Final = {"x": 2, "u": 4, "U": 8}
_SYNTAX: Final = "^$\\.*+?()[]{}|/"


class Source:
    """A pattern with a reading position; all errors carry an offset into it."""

    def __init__(self, pattern: str, mode: Mode) -> None:
        """Start at the first character."""
        self.pattern = pattern
        self.mode = mode
        self.at = 0

    def peek(self, count: int = 1) -> str:
        """Return the next characters, fewer at the end."""
        return self.pattern[self.at : self.at + count]

    def take(self, text: str) -> bool:
        """Skip `text` if it comes next."""
        if not self.pattern.startswith(text, self.at):
            return False
        self.at += len(text)
        return True

    def next(self) -> str:
        """Return and skip one character; empty at the end."""
        char = self.pattern[self.at : self.at + 1]
        self.at += 1
        return char

    def run(self, allowed: str, most: int) -> str:
        """Return and skip up to `most` characters out of `allowed`."""
        start = self.at
        while self.at - start < most and self.peek() and self.peek() in allowed:
            self.at += 1
        return self.pattern[start : self.at]

    def until(self, end: str, what: str) -> str:
        """Return the text before `end` and skip both."""
        stop = self.pattern.find(end, self.at)
        if stop < 0:
            self.fail(f"{what} is not closed, add {end!r}", self.at)
        text = self.pattern[self.at : stop]
        self.at = stop + len(end)
        return text

    def fail(self, reason: str, offset: int) -> NoReturn:
        """Raise InvalidGrammarError."""
        raise InvalidGrammarError(reason, offset=offset)


class Escapes:
    """Reads the escapes of one source, from the character after the backslash on."""

    def __init__(self, source: Source) -> None:
        """Read from `source`, whose position moves."""
        self.source = source
        self._group_count: int | None = None

    def read(self, *, in_class: bool, ascii_only: bool, fold: bool) -> Escape:
        """Return the meaning of the escape; refuses backreferences by name."""
        source = self.source
        start = source.at - 1
        letter = source.next()
        if not letter:
            source.fail("the pattern ends in a lone backslash, double it", start)
        if letter in "dwsDWS":
            return self.named_class(letter, ascii_only=ascii_only, fold=fold)
        if letter in "pP":
            return self._property(letter, start)
        if letter in DIGITS:
            return self._digits(letter, start, in_class)
        if letter in _CONTROLS:
            return _CONTROLS[letter]
        if letter in "bB" and not (in_class and letter == "B"):
            return 0x08 if in_class else letter
        if source.mode == "python":
            return self._python(letter, start, in_class)
        return self._ecma(letter, start, in_class)

    def named_class(self, letter: str, *, ascii_only: bool, fold: bool) -> CharSet:
        r"""Return \d, \w, \s or, with a capital letter, the complement."""
        kind = letter.lower()
        if self.source.mode != "python":
            found = {"d": ASCII_DIGIT, "w": ASCII_WORD, "s": ECMA_SPACE}[kind]
            if fold and self.source.mode == "unicode":
                found = fold_case(found, "ecma")
        elif ascii_only:
            found = {"d": ASCII_DIGIT, "w": ASCII_WORD, "s": ASCII_SPACE}[kind]
        else:
            found = python_class(kind)
        return found if letter == kind else complement(found)

    def _property(self, letter: str, start: int) -> Escape:
        source = self.source
        if source.mode == "legacy" and source.peek() != "{":
            return ord(letter)
        if source.mode == "legacy":
            source.fail(rf"\{letter}{{...}} needs a pattern that is valid under flag u", start)
        if not source.take("{"):
            source.fail(rf"write \{letter} with a property name in braces", start)
        expression = source.until("}", rf"\{letter}{{")
        try:
            found = unicode_property(expression)
        except UnsupportedGrammarError as error:
            raise UnsupportedGrammarError(
                error.feature, error.reason.partition(": ")[2], offset=start
            ) from None
        return found if letter == "p" else complement(found)

    def _digits(self, first: str, start: int, in_class: bool) -> int:
        if self.source.mode == "unicode":
            return self._unicode_digits(first, start, in_class)
        octal = self._octal(first, in_class)
        if octal is not None:
            return octal
        if self.source.mode == "python" and in_class:
            self.source.fail(rf"\{first} is no escape in a class", start)
        if self.source.mode == "legacy" and first in "89" and self._number(first) > self.groups():
            return ord(first)
        if self._number(first) > self.groups():
            self.source.fail(rf"there is no group {self._number(first)}", start)
        self._refuse_backreference(start)

    def _octal(self, first: str, in_class: bool) -> int | None:
        """Read an octal escape, where the mode sees one."""
        source = self.source
        python = source.mode == "python"
        digits = first + source.peek(2)
        if first not in OCTAL:
            return None
        if python and not in_class and first != "0":
            is_octal = len(digits) == 3 and all(d in OCTAL for d in digits)
        else:
            is_octal = python or first == "0" or in_class or self._number(first) > self.groups()
        if not is_octal:
            return None
        digits = first + source.run(OCTAL, 2 if python or first in "0123" else 1)
        if python and int(digits, 8) > 0o377:
            source.fail("octal escapes end at 377", source.at - len(digits) - 1)
        return int(digits, 8)

    def _unicode_digits(self, first: str, start: int, in_class: bool) -> int:
        if first == "0" and self.source.peek() not in tuple(DIGITS):
            return 0
        if first == "0" or in_class or self._number(first) > self.groups():
            self.source.fail(rf"\{first} is neither a character nor a group here", start)
        self._refuse_backreference(start)

    def _number(self, first: str) -> int:
        at = self.source.at
        number = int(first + self.source.run(DIGITS, 9))
        self.source.at = at
        return number

    def _refuse_backreference(self, start: int) -> NoReturn:
        raise UnsupportedGrammarError(
            "backreference",
            "a text that must repeat itself is not a regular language; spell the alternatives out",
            offset=start,
        )

    def groups(self) -> int:
        """Return how many capturing groups the whole pattern has."""
        if self._group_count is None:
            self._group_count = count_groups(self.source.pattern)
        return self._group_count

    def _python(self, letter: str, start: int, in_class: bool) -> Escape:
        source = self.source
        if letter in _PYTHON_HEX:
            return self._hex(_PYTHON_HEX[letter], letter, start)
        if letter == "a":
            return 0x07
        if letter == "N" and source.take("{"):
            return self._character_name(start)
        if letter in "AZ" and not in_class:
            return letter
        if letter.isascii() and letter.isalpha():
            source.fail(rf"\{letter} is no escape, drop the backslash", start)
        return ord(letter)

    def _hex(self, count: int, letter: str, start: int) -> int:
        digits = self.source.run(HEX, count)
        if len(digits) < count or int(digits, 16) > 0x10FFFF:
            self.source.fail(rf"\{letter} needs {count} hexadecimal digits of a character", start)
        return int(digits, 16)

    def _character_name(self, start: int) -> int:
        name = self.source.until("}", r"\N{")
        try:
            found = unicodedata.lookup(name)
        except KeyError:
            found = ""
        if len(found) != 1:
            self.source.fail(f"no character is named {name!r}", start)
        return ord(found)

    def _ecma(self, letter: str, start: int, in_class: bool) -> Escape:
        source = self.source
        if letter == "c":
            return self._control(start, in_class)
        if letter == "x":
            return self._ecma_hex(2, letter, start)
        if letter == "u":
            return self._ecma_unicode(start)
        if letter == "k" and (source.mode == "unicode" or "(?<" in source.pattern):
            self._refuse_named(start)
        if source.mode == "unicode" and not (letter in _SYNTAX or (in_class and letter == "-")):
            source.fail(rf"\{letter} is no escape, drop the backslash", start)
        return ord(letter)

    def _refuse_named(self, start: int) -> None:
        name = self.source.until(">", r"\k<") if self.source.take("<") else ""
        named = self.source.pattern.replace("(?<=", "").replace("(?<!", "")
        if name and f"(?<{name}>" in named:
            self._refuse_backreference(start)
        if self.source.mode == "unicode" or "(?<" in named:
            self.source.fail(rf"\k needs the name of a group, not {name!r}", start)
        self.source.at = start + 2

    def _control(self, start: int, in_class: bool) -> int:
        letter = self.source.peek()
        legacy_class = self.source.mode == "legacy" and in_class
        if letter.isascii() and (
            letter.isalpha() or (legacy_class and (letter.isalnum() or letter == "_"))
        ):
            self.source.at += 1
            return ord(letter) % 32
        if self.source.mode == "unicode":
            self.source.fail(r"\c needs a letter", start)
        self.source.at -= 1  # the backslash stands for itself, the c is read again
        return 0x5C

    def _ecma_hex(self, count: int, letter: str, start: int) -> int:
        at = self.source.at
        digits = self.source.run(HEX, count)
        if len(digits) == count:
            return int(digits, 16)
        if self.source.mode == "unicode":
            self.source.fail(rf"\{letter} needs {count} hexadecimal digits", start)
        self.source.at = at
        return ord(letter)

    def _ecma_unicode(self, start: int) -> int:
        source = self.source
        if source.peek() == "{":
            return self._braced_unicode(start)
        first = self._ecma_hex(4, "u", start)
        if 0xD800 <= first < 0xDC00 and source.peek(2) == "\\u":
            digits = source.peek(6)[2:]
            if len(digits) == 4 and all(d in HEX for d in digits):
                second = int(digits, 16)
                if 0xDC00 <= second < 0xE000:
                    source.at += 6
                    return 0x10000 + ((first - 0xD800) << 10) + second - 0xDC00
        return first

    def _braced_unicode(self, start: int) -> int:
        source = self.source
        if source.mode == "legacy":
            source.fail(r"\u{...} needs a pattern that is valid under flag u", start)
        source.next()
        digits = source.until("}", r"\u{").lstrip("0") or "0"
        if len(digits) > 6 or any(d not in HEX for d in digits) or int(digits, 16) > 0x10FFFF:
            source.fail(r"\u{...} needs the hexadecimal number of a character", start)
        return int(digits, 16)


def count_groups(pattern: str) -> int:
    """Return the number of capturing groups, named ones included, of a pattern."""
    count = at = 0
    in_class = False
    while at < len(pattern):
        char = pattern[at]
        if char == "\\":
            at += 1
        elif in_class:
            in_class = char != "]"
        elif char == "[":
            in_class = True
        elif char == "(":
            count += _captures(pattern[at : at + 4])
        at += 1
    return count


def _captures(opening: str) -> bool:
    if not opening.startswith("(?"):
        return True
    return opening.startswith("(?P<") or (opening[:3] == "(?<" and opening[3:] not in ("=", "!"))
