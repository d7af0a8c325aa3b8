r"""Mailboxes: RFC 5321, sections 4.1.2, 4.1.3 and 4.5.3.1, and RFC 6531, section 3.3.

A local part has at most 64 octets and a mailbox 254, so a state counts octets; international
addresses allow every character beyond ASCII in the local part, of two to four octets. The domain is
a host name, or an address in brackets.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from typing import Final, Literal, NamedTuple

from ..regex.char_sets import CharSet, chars, normal
from .addresses import IPV4, IPV6_IN_MAIL
from .hostnames import Hosts, State, first_place, least_room
from .machine import Speller

LOCAL_OCTETS: Final = 64
MAILBOX_OCTETS: Final = 254  # a path has 256, two of which are its angle brackets
SUBSET: Final = (
    "domains that are left out of the host names, and address literals with a tag other than IPv6 "
    "are not written"
)

_ALNUM: Final[CharSet] = ((0x30, 0x39), (0x41, 0x5A), (0x61, 0x7A))
_ATOM: Final = normal((*_ALNUM, *chars("!#$%&'*+-/=?^_`{|}~")))
_QUOTED: Final[CharSet] = ((0x20, 0x21), (0x23, 0x5B), (0x5D, 0x7E))
_WIDE: Final[tuple[tuple[int, CharSet], ...]] = (
    (2, ((0x80, 0x7FF),)),
    (3, ((0x800, 0xD7FF), (0xE000, 0xFFFF))),
    (4, ((0x10000, 0x10FFFF),)),
)


class Local(NamedTuple):
    """A place in the local part, behind `octets` of it."""

    place: Literal["start", "atom", "dot", "quoted", "escaped", "end"] = "start"
    octets: int = 0


class Domain(NamedTuple):
    """The place behind the `@`; `room` octets are left for a host name."""

    room: int


class Mail(Hosts):
    """The machine of local parts, and of the host names behind them."""

    def __init__(self, speller: Speller, *, international: bool) -> None:
        super().__init__(speller, international=international)
        self._wide = _WIDE if international else ()
        self._literal = speller.regex(rf"\[(?:{IPV4}|[Ii][Pp][Vv]6:{IPV6_IN_MAIL})\]")

    def accepts(self, state: Local | Domain | State) -> bool:
        """Return whether a text may end here: in a domain only."""
        return not isinstance(state, Local | Domain) and super().accepts(state)

    def min_length(self, key: Local | Domain | State) -> int:
        """Return the length of a shortest rest."""
        if isinstance(key, Local | Domain):
            return self.searched_length(key)
        return super().min_length(key)

    def folded(self, state: Local | Domain | State, horizon: int) -> Hashable:
        """Return the state with no more room for a domain than decides about so many bytes."""
        if isinstance(state, Local):
            return state
        if isinstance(state, Domain):
            return Domain(least_room(state.room, 0, horizon))
        return super().folded(state, horizon)

    def steps(self, state: Local | Domain | State) -> Iterable[tuple[CharSet, Hashable]]:
        """Return the next characters of the part that the text is in."""
        if isinstance(state, Domain):
            return super().steps(first_place(state.room))
        return self._in_local(state) if isinstance(state, Local) else super().steps(state)

    def others(self, state: Local | Domain | State) -> Iterable[int]:
        """Return the address in brackets that may stand for a domain."""
        return (self._literal,) if isinstance(state, Domain) else ()

    def _in_local(self, state: Local) -> Iterator[tuple[CharSet, Hashable]]:
        left = LOCAL_OCTETS - state.octets
        if state.place == "quoted":
            yield from self._quoted(state.octets, left)
        elif state.place == "escaped":
            yield ((0x20, 0x7E),), Local("quoted", state.octets + 1)
        elif state.place != "end":
            yield from self._chars(_ATOM, "atom", state.octets, left)
        if state.place == "start":
            yield chars('"'), Local("quoted", 1)
        if state.place == "atom" and left >= 2:
            yield chars("."), Local("dot", state.octets + 1)
        if state.place in ("atom", "end"):
            yield chars("@"), Domain(MAILBOX_OCTETS - state.octets - 1)

    def _quoted(self, octets: int, left: int) -> Iterator[tuple[CharSet, Local]]:
        yield chars('"'), Local("end", octets + 1)
        yield from self._chars(_QUOTED, "quoted", octets, left - 1)
        if left >= 3:
            yield chars("\\"), Local("escaped", octets + 1)

    def _chars(
        self, ascii_chars: CharSet, place: Literal["atom", "quoted"], octets: int, left: int
    ) -> Iterator[tuple[CharSet, Local]]:
        for size, ranges in ((1, ascii_chars), *self._wide):
            if size <= left:
                yield ranges, Local(place, octets + size)


def email(speller: Speller) -> int:
    """Return `Mailbox` of RFC 5321."""
    return Mail(speller, international=False).term(Local())


def idn_email(speller: Speller) -> int:
    """Return `Mailbox` as RFC 6531 extends it."""
    return Mail(speller, international=True).term(Local())
