r"""Regular expressions as a language: the grammar of ECMA-262, section 22.2.1, under flag u.

Groups nest, so a state holds one letter for each open group: whether it is an assertion, after
which no quantifier may follow. What a pattern must not contradict is remembered as far as that
takes little: how many groups there are, names of one letter, and the start of a range in a class
or of bounds, which must not run backwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from ..regex.char_sets import CharSet, chars, difference, union
from .class_patterns import WRITTEN, Class, ClassMachine
from .machine import Machine, Speller

MOST_OPEN: Final = 64
MOST_ROUNDS: Final = 999  # in bounds
SUBSET: Final = (
    "more than 64 open groups, bounds above 999, references to groups not yet opened or beyond "
    r"\9, a second group with a name of several letters and \k with such a name, escaped "
    "surrogates, ranges between some neighbours that are neither letters nor digits, properties "
    "other than general categories, and groups with flags are not written"
)

_DIGITS: Final = chars("0123456789")
_LETTERS: Final[CharSet] = ((0x41, 0x5A), (0x61, 0x7A))
_WORD: Final = union(_DIGITS, _LETTERS, chars("_"))
_PLAIN: Final = difference(WRITTEN, chars(r"^$\.*+?()[]{}|"))
_ATOM: Final = (
    r"\.|\\(?:[fnrtvdDsSwW\^$\\.*+?()\[\]{}|/]|c[A-Za-z]|x[\dA-Fa-f]{2}"
    r"|u(?:[\dA-CE-Fa-ce-f][\dA-Fa-f]|[Dd][0-7])[\dA-Fa-f]{2}"
    r"|u\{0{0,8}(?:[\dA-Fa-f]{1,5}|10[\dA-Fa-f]{4})\}"
    r"|[pP]\{(?:C[cfnos]?|L[lmotu]?|M[cen]?|N[dlo]?|P[cdefios]?|S[ckmo]?|Z[lps]?)\})"
)


class Outside(NamedTuple):
    """A place outside of classes."""

    open: str = ""  # a letter for each open group: "a" an assertion, "g" another
    groups: int = 0  # that capture, up to 9
    names: str = ""  # of one letter, in order
    long_name: bool = False
    atom: bool = False  # a quantifier may follow
    number: bool = False  # no digit may follow


class Bounds(NamedTuple):
    """A place in the bounds of a quantifier."""

    outside: Outside
    low: str = ""
    high: str | None = None


class Name(NamedTuple):
    """A place in a group's name: at its start, behind its first letter, behind its second."""

    captured: Outside
    letter: str = ""
    long: bool = False


State = Outside | Bounds | Name


class Patterns(Machine):
    """The machine of patterns; starts at `Outside()`."""

    def __init__(self, speller: Speller) -> None:
        super().__init__(speller)
        self._classes = ClassMachine(speller, self)
        self._atom = speller.regex(_ATOM)
        self._assertion = speller.regex(r"[\^$]|\\[bB]")
        self._repetition = speller.regex(r"[*+?]\??")

    def accepts(self, state: State) -> bool:
        """Return whether all groups are closed."""
        return isinstance(state, Outside) and not state.open

    def min_length(self, key: State) -> int:
        """Return the length of a shortest rest: what is begun, and a parenthesis a group."""
        if isinstance(key, Bounds):
            return _missing_digits(key) + 1 + len(key.outside.open)
        if isinstance(key, Name):
            return _missing_name(key) + 1 + len(key.captured.open)
        return len(key.open)

    def moves(self, state: State) -> Iterator[int]:
        """Yield the ways to go on."""
        if isinstance(state, Bounds):
            yield from self._bounds(state)
        elif isinstance(state, Name):
            yield from self._name(state)
        else:
            yield from self._outside(state)

    def _then(self, text: str, state: State) -> int:
        return self.terms.concat(self.speller.text(text), self.term(state))

    def _outside(self, state: Outside) -> Iterator[int]:
        concat = self.terms.concat
        after = state._replace(atom=True, number=False)
        idle = state._replace(atom=False, number=False)
        yield self.on(difference(_PLAIN, _DIGITS) if state.number else _PLAIN, self.term(after))
        yield concat(self._atom, self.term(after))
        yield concat(self._assertion, self.term(idle))
        yield self._then("|", idle)
        yield self._then(r"\0", after._replace(number=True))
        for number in range(1, state.groups + 1):
            yield self._then(rf"\{number}", after._replace(number=True))
        for name in state.names:
            yield self._then(rf"\k<{name}>", after)
        yield concat(self.speller.regex(r"\[\^?"), self._classes.term(Class(after)))
        if state.atom:
            yield concat(self._repetition, self.term(idle))
            yield self._then("{", Bounds(idle))
        if state.open:
            assertion = state.open[-1] == "a"
            yield self._then(")", idle._replace(open=state.open[:-1], atom=not assertion))
        if len(state.open) < MOST_OPEN:
            yield from self._openings(idle)

    def _openings(self, idle: Outside) -> Iterator[int]:
        inner = idle._replace(open=idle.open + "g")
        captured = inner._replace(groups=min(idle.groups + 1, 9))
        yield self._then("(?:", inner)
        look = self.speller.regex(r"\(\?<?[=!]")
        yield self.terms.concat(look, self.term(idle._replace(open=idle.open + "a")))
        yield self._then("(", captured)
        if not captured.long_name or len(captured.names) < 52:
            yield self._then("(?<", Name(captured))

    def _name(self, state: Name) -> Iterator[int]:
        captured, letter = state.captured, state.letter
        if state.long:
            yield self.on(_WORD, self.term(state))
            yield self._then(">", captured._replace(long_name=True))
        elif not letter:
            yield from (
                self._then(chr(code), state._replace(letter=chr(code)))
                for low, high in _LETTERS
                for code in range(low, high + 1)
                if not captured.long_name or chr(code) not in captured.names
            )
        else:
            if letter not in captured.names:
                names = "".join(sorted(captured.names + letter))
                yield self._then(">", captured._replace(names=names))
            if not captured.long_name:
                yield self.on(_WORD, self.term(Name(captured, long=True)))

    def _bounds(self, state: Bounds) -> Iterator[int]:
        text = state.low if state.high is None else state.high
        for digit in "0123456789":
            if text != "0" and len(text) < 3 and self._reaches(state, text + digit):
                part = {"low": text + digit} if state.high is None else {"high": text + digit}
                yield self._then(digit, state._replace(**part))  # type: ignore[arg-type]
        if text and (state.high is None or int(state.high) >= int(state.low)):
            yield self.terms.concat(self.speller.regex(r"\}\??"), self.term(state.outside))
        if state.high is None and text:
            yield self.terms.concat(self.speller.regex(r",\}\??"), self.term(state.outside))
            yield self._then(",", state._replace(high=""))

    def _reaches(self, state: Bounds, text: str) -> bool:
        """Return whether some number of at most three digits that starts so is no less than low."""
        if state.high is None or text == "0":
            return state.high is None or int(state.low) == 0
        return int(text.ljust(3, "9")) >= int(state.low)


def _missing_digits(state: Bounds) -> int:
    if state.high is None:
        return 0 if state.low else 1
    counts = range(0 if state.high else 1, 4)
    return next(n for n in counts if int(state.high + "9" * n) >= int(state.low))


def _missing_name(state: Name) -> int:
    if state.long:
        return 0
    names = state.captured.names
    if not state.letter:
        return 1 if len(names) < 52 else 2
    return int(state.letter in names)


def regex(speller: Speller) -> int:
    """Return the patterns of ECMA-262 under flag u."""
    return Patterns(speller).term(Outside())
