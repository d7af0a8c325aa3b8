"""Host names: RFC 1123, section 2.1, RFC 5890, section 2.3.2, RFC 5891, RFC 5893.

A name has at most 253 octets and a label 63. Whether a label of other letters fits is a matter of
its encoded form, whose length is bounded from above by how many characters there are and how far
apart they may lie. Labels that begin with `xn--` are decoded as they are read and have to be valid;
others have no two hyphens in the third and fourth place. Beside a label that is written from the
right all labels have to obey the rule for such domains.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator
from functools import cache, lru_cache
from typing import Final, NamedTuple

from ..regex.char_sets import CharSet, chars, difference, intersect, union
from .idna import Letter, letters
from .labels import Label, step
from .machine import Speller, SteppedMachine
from .punycode import (
    ENCODED,
    WINDOW,
    WINDOWS,
    decoded_label,
    digits_needed,
    least_number,
    missing_digits,
)

NAME_OCTETS: Final = 253
LABEL_OCTETS: Final = 63
ACE: Final = "xn--"
SUBSET: Final = (
    "encoded labels (xn--) with capitals, with letters of more than one window of 256 code points "
    "or of none of the alphabets below U+1200 and the kana, with basic characters beside other "
    "than Latin letters or with a hyphen or a first digit among them, and those with a prefix that "
    "no single further letter could make valid, are not written"
)
IDN_SUBSET: Final = (
    SUBSET.removesuffix(" are not written")
    + ", labels of other letters that could be longer than 63 octets when encoded (18 letters of "
    "one alphabet, 9 of any always fit), marks that could combine with the letter before them, "
    "rare sequences of marks, non-joiners between letters of rare scripts, and characters that "
    "the interpreter's Unicode version does not know are not written"
)

_ASCII: Final[CharSet] = ((0, 0x7F),)
_BASIC_CHARS: Final[CharSet] = ((0x30, 0x39), (0x61, 0x7A))
MOST_STEPS: Final = 1 << 14
ROOM_STEP: Final = 16
_ONE_LETTER: Final = 4  # octets of a hyphen and of the number that inserts U+00DF
_CAPITALS: Final[CharSet] = ((0x41, 0x5A),)
_DOT: Final = chars(".")
_DOTS: Final = chars(".\u3002\uff0e\uff61")  # RFC 3490, section 3.1
_STANDINGS: Final = {
    "any": frozenset(("any", "left", "right")),
    "left": frozenset(("any", "left")),
    "right": frozenset(("any", "right")),
}

# Alone, without other letters beside them, characters of ASCII differ in less.
_ONLY_ASCII: Final = (
    (Letter("L", alone=False), None, ((0x41, 0x5A), (0x61, 0x7A))),
    (Letter("N", alone=False), None, ((0x30, 0x39),)),
    (Letter("O", alone=False, itself="-"), None, chars("-")),
)

# A span: the first and the last code point that the characters beyond ASCII lie in.
Span = tuple[int, int]
_BMP: Final[Span] = (0x80, 0xFFFF)
_ALL: Final[Span] = (0x80, 0x10FFFF)


class Place(NamedTuple):
    """A place in a label; `room` octets are left for it and all that follows."""

    room: int
    domain: str = "any"  # the standing of the labels before
    label: Label = Label()
    basic: int = 0  # characters of ASCII
    wide: int = 0  # other characters
    span: Span | None = None
    capital: bool = False
    start: str = ""  # as far as it is a prefix of xn--


def least_room(room: int, octets: int, horizon: int) -> int:
    """Return how much of some room decides about `horizon` bytes, behind `octets` of a label.

    A byte takes one octet, and a label asks whether there are 63. In steps, so that the places of a
    label mostly have the same.
    """
    return min(room, -(-(octets + horizon + LABEL_OCTETS) // ROOM_STEP) * ROOM_STEP)


def first_place(room: int) -> Place:
    """Return the place before a name of at most `room` octets, and never more than 253."""
    return Place(min(room, NAME_OCTETS))


class Basic(NamedTuple):
    """A place behind `xn--` and `basic` letters and digits that come before another hyphen."""

    room: int
    domain: str
    basic: int = 0

    @property
    def text(self) -> str:
        """What stands for it before the digits."""
        return "a" * self.basic + "-"


class Encoded(NamedTuple):
    """A place behind `xn--` and `text`, of which the part before a hyphen is replaced by `a`."""

    room: int
    domain: str
    text: str = ""


State = Place | Basic | Encoded


class Hosts(SteppedMachine):
    """The machine of host names."""

    def __init__(self, speller: Speller, *, international: bool) -> None:
        super().__init__(speller)
        self._international = international

    @property
    def kind(self) -> str:
        """The name of the machine."""
        return f"{type(self).__name__} {self._international}"

    def accepts(self, state: State) -> bool:
        """Return whether the name may end here."""
        return _domain(state) is not None

    def min_length(self, key: State) -> int:
        """Return the length of a shortest rest; that of an encoded label may be too long."""
        missing = None if isinstance(key, Place) else _missing(key)
        return super().min_length(key) if missing is None else missing

    def folded(self, state: State, horizon: int) -> Hashable:
        """Return the state with no more room than decides about so many bytes."""
        if self._international:  # a byte may take many octets
            return state
        return state._replace(room=least_room(state.room, _octets(state), horizon))

    def steps(self, state: State) -> Iterable[tuple[CharSet, Hashable]]:
        """Return the next characters, and the dot."""
        return _steps(state, self._international)


@lru_cache(MOST_STEPS, typed=True)
def _steps(state: State, international: bool) -> tuple[tuple[CharSet, State], ...]:
    """Return the next characters, and the dot, each with the place behind them.

    They are the same in every grammar, and take twenty times as long as the terms made of them.
    """
    places: defaultdict[State, list[CharSet]] = defaultdict(list)
    for ranges, place in _within(state, international):
        places[place].append(ranges)
    domain = _domain(state)
    if domain is not None and not isinstance(state, Basic):
        room = state.room - _octets(state) - 1
        if room > 0:
            places[Place(room, domain)].append(_DOTS if international else _DOT)
    return tuple((_union(tuple(sets)), place) for place, sets in places.items())


def _domain(state: State) -> str | None:
    """Return the standing of the labels so far, None if the last is not complete."""
    if isinstance(state, Basic):
        return None
    found = decoded_label(state.text) if isinstance(state, Encoded) else state.label
    if found is None or not found.can_end or found.standing not in _STANDINGS[state.domain]:
        return None
    return found.standing if state.domain == "any" else state.domain


def _within(state: State, international: bool) -> Iterator[tuple[CharSet, State]]:
    if isinstance(state, Place):
        return _chars(state, international)
    return _basic_letters(state) if isinstance(state, Basic) else _encoded(state)


def _chars(place: Place, international: bool) -> Iterator[tuple[CharSet, State]]:
    if place.start == "xn-":
        for state in (Basic(place.room, place.domain), Encoded(place.room, place.domain)):
            if _missing(state) is not None:
                yield chars("-"), state
    if international and not place.wide:
        capital = step(place.label, Letter("L"))
        if capital:
            yield from _checked(_CAPITALS, _basic(place, capital, ""), capital=True)
    for letter, span, ranges in _groups(international and not place.capital):
        label = step(place.label, letter)
        if label is None:
            continue
        if span is None:
            yield from _ascii(place, label, ranges)
        else:
            wide = place.wide + 1
            joined = _joined(place.span, span)
            yield from _checked(
                ranges, place._replace(label=label, wide=wide, span=joined, start="")
            )


def _ascii(place: Place, label: Label, ranges: CharSet) -> Iterator[tuple[CharSet, State]]:
    """Yield the moves by characters of ASCII; those of `xn--` are told from the others."""
    length = len(place.start)
    following = chars(ACE[length]) if length == place.basic < 3 and not place.wide else ()
    if intersect(ranges, following):
        start = place.start + ACE[length]
        yield from _checked(following, _basic(place, label, start))
        ranges = difference(ranges, following)
    yield from _checked(ranges, _basic(place, label, ""))


def _basic(place: Place, label: Label, start: str) -> Place:
    return place._replace(label=label, basic=place.basic + 1, start=start)


def _checked(
    ranges: CharSet, place: Place, *, capital: bool = False
) -> Iterator[tuple[CharSet, State]]:
    """Yield the move if the label can be finished from there."""
    side = {"R": "right", "W": "left"}.get(place.label.side, "any")
    if ranges and side in _STANDINGS[place.domain] and _fits(place):
        yield ranges, place._replace(capital=True) if capital else place


def _fits(place: Place) -> bool:
    label = place.label
    debt = label.debt
    if place.domain == "right" and not label.good_end:
        debt = max(debt, 1)
    room = min(place.room, LABEL_OCTETS)
    if not place.wide:
        return place.basic + debt <= room
    span = _ALL if label.need or label.kana == "." else place.span
    return (
        max(
            most_octets(place.basic + debt, place.wide, span or _ALL),
            most_octets(place.basic, place.wide + debt, span or _ALL),
        )
        <= room
    )


def _octets(state: State) -> int:
    """Return how many octets the label has, at most."""
    if isinstance(state, Basic):
        return len(ACE) + state.basic
    if isinstance(state, Encoded):
        return len(ACE) + len(state.text)
    if not state.wide:
        return state.basic
    return most_octets(state.basic, state.wide, state.span or _ALL)


def _missing(state: Basic | Encoded) -> int | None:
    """Return how many characters complete the label, None if it is left out."""
    room = min(state.room, LABEL_OCTETS) - len(ACE)
    if isinstance(state, Encoded):
        return missing_digits(state.text, room, _STANDINGS[state.domain])
    if not state.basic:
        after = _missing(state._replace(basic=1))
        return None if after is None else 1 + after
    if state.basic + _ONE_LETTER > room:
        return None
    after = missing_digits(state.text, room, _STANDINGS[state.domain])
    return None if after is None else 1 + after


def _basic_letters(state: Basic) -> Iterator[tuple[CharSet, State]]:
    """Yield a letter, behind it digits too, and the hyphen that ends them."""
    longer = state._replace(basic=state.basic + 1)
    if _missing(longer) is not None:
        yield _BASIC_CHARS if state.basic else _BASIC_CHARS[1:], longer
    if state.basic:
        yield chars("-"), Encoded(state.room, state.domain, state.text)


def _encoded(state: Encoded) -> Iterator[tuple[CharSet, State]]:
    for char in ENCODED:
        place = state._replace(text=state.text + char)
        if _missing(place) is not None:
            yield chars(char), place


def _joined(left: Span | None, right: Span) -> Span:
    if left is None or left == right:
        return right
    return _BMP if max(left[1], right[1]) <= _BMP[1] else _ALL


@lru_cache(1 << 12)
def _union(sets: tuple[CharSet, ...]) -> CharSet:
    return union(*sets)


@cache
def _groups(international: bool) -> tuple[tuple[Letter, Span | None, CharSet], ...]:
    """Return the characters of labels by what the rules ask of them and by their spans."""
    if not international:
        return _ONLY_ASCII
    windows = [(start, start + WINDOW - 1) for start in WINDOWS]
    found: list[tuple[Letter, Span | None, CharSet]] = [*_ascii_groups()]
    for letter, ranges in letters().items():
        rest = difference(ranges, _ASCII)
        for span in (*windows, _BMP, _ALL):
            inside = intersect(rest, (span,))
            rest = difference(rest, inside)
            if inside:
                found.append((letter, span, inside))
    return tuple(found)


def _ascii_groups() -> tuple[tuple[Letter, None, CharSet], ...]:
    """Return the groups of ASCII beside other letters; capitals are told apart before."""
    return (
        (Letter("L", alone=False), None, ((0x61, 0x6B), (0x6D, 0x7A))),
        (Letter("L", alone=False, itself="l"), None, chars("l")),
        (Letter("N"), None, ((0x30, 0x39),)),
        (Letter("O", itself="-"), None, chars("-")),
    )


@lru_cache(1 << 14)
def most_octets(basic: int, wide: int, span: Span) -> int:
    """Return how long `xn--` and a label encoded after it can get.

    With `length` characters, an insertion that skips `n` code points writes a number below
    `(n + 1) * length`. So each digit count takes at least so many code points to skip, and how many
    insertions can skip that many is limited by the span.
    """
    length = basic + wide
    octets = len(ACE) + (basic + 1 if basic else 0) + digits_needed((span[1] - 0x7F) * length)
    for count in range(1, 9):
        skips = -(-(least_number(count) + 1) // length) - 1
        fitting = (span[1] - span[0]) // skips if skips > 0 else wide
        octets += min(wide - 1, fitting)
    return octets


def hostname(speller: Speller) -> int:
    """Return the names of RFC 1123, encoded labels included."""
    return Hosts(speller, international=False).term(first_place(NAME_OCTETS))


def idn_hostname(speller: Speller) -> int:
    """Return the names of RFC 5890: `hostname`, and labels of other letters."""
    return Hosts(speller, international=True).term(first_place(NAME_OCTETS))
