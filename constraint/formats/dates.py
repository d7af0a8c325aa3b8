r"""Dates, times and durations: RFC 3339, sections 5.6 and 5.7 and appendix A.

A day is valid with its month, and 29 February with its year: one that 4 divides, and 400 if 100
does. A leap second is inserted at 23:59:60 UTC, so only one minute of the day may have a second 60,
and which one depends on the offset; nobody can know the days on which seconds will be inserted, so
each day may have one. `T` and `Z` may be small (section 5.6), an offset is required, and a second
may have any number of decimals.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from .machine import Machine, Speller

_LEAP_YEAR: Final = r"(?:\d\d(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)"
_DAY: Final = (
    r"(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\d|3[01])"
    r"|(?:0[469]|11)-(?:0[1-9]|[12]\d|30)"
    r"|02-(?:0[1-9]|1\d|2[0-8]))"
)
_DATE: Final = rf"(?:\d{{4}}-{_DAY}|{_LEAP_YEAR}-02-29)"
_HOUR: Final = r"(?:[01]\d|2[0-3])"
_FRACTION: Final = r"(?:\.\d+)?"
_TIME: Final = rf"{_HOUR}:[0-5]\d:[0-5]\d{_FRACTION}(?:[Zz]|[+-]{_HOUR}:[0-5]\d)"

_CLOCK: Final = r"T(?:\d+H(?:\d+M(?:\d+S)?)?|\d+M(?:\d+S)?|\d+S)"
_CALENDAR: Final = r"(?:\d+D|\d+M(?:\d+D)?|\d+Y(?:\d+M(?:\d+D)?)?)"
_DURATION: Final = rf"P(?:{_CALENDAR}(?:{_CLOCK})?|{_CLOCK}|\d+W)"


def date(speller: Speller) -> int:
    """Return `full-date`; the calendar is Gregorian in all of the years 0000 to 9999."""
    return speller.regex(_DATE)


def time(speller: Speller) -> int:
    """Return `full-time`, leap seconds included."""
    return speller.terms.union((speller.regex(_TIME), LeapSeconds(speller).term("")))


def date_time(speller: Speller) -> int:
    """Return `date-time`."""
    return speller.terms.concat(speller.regex(f"{_DATE}[Tt]"), time(speller))


def duration(speller: Speller) -> int:
    """Return `duration`: units in order and without gaps, weeks alone (appendix A)."""
    return speller.regex(_DURATION)


class LeapSeconds(Machine):
    """Times with second 60; a state is the part of `HH:MM` that has been read."""

    def __init__(self, speller: Speller) -> None:
        super().__init__(speller)
        self._sixty = speller.regex(f":60{_FRACTION}")

    def min_length(self, state: str) -> int:
        """Return what is left of `HH:MM:60` and an offset; at 23:59 that may be one letter."""
        return len("HH:MM:60") - len(state) + (1 if "23:59".startswith(state) else len("+HH:MM"))

    def accepts(self, state: str) -> bool:
        """Return False: no text ends in the hours or minutes."""
        return False

    def moves(self, state: str) -> Iterator[int]:
        """Yield the digits that may come next, and the colon after the hours."""
        if len(state) == 2:
            yield self.terms.concat(self.speller.text(":"), self.term(state + ":"))
            return
        last = {0: 2, 3: 5}.get(len(state), 3 if state == "2" else 9)
        for digit in range(last + 1):
            text = f"{state}{digit}"
            follow = self._second(text) if len(text) == 5 else self.term(text)
            yield self.terms.concat(self.speller.text(str(digit)), follow)

    def _second(self, clock: str) -> int:
        """Return the second and the two offsets, or three, with which it is 23:59:60 UTC."""
        minute = int(clock[:2]) * 60 + int(clock[3:])
        east, west = (minute + 1) % 1440, 1439 - minute
        offsets = [
            self.speller.text(f"{sign}{offset // 60:02}:{offset % 60:02}")
            for sign, offset in (("+", east), ("-", west))
        ]
        if clock == "23:59":
            offsets.append(self.speller.regex("[Zz]"))
        return self.terms.concat(self._sixty, self.terms.union(offsets))
