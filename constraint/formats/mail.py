r"""Mailboxes: RFC 5321, sections 4.1.2, 4.1.3 and 4.5.3.1, and RFC 6531, section 3.3.

A local part has at most 64 octets and a mailbox 254, so a state counts octets; international
addresses allow every character beyond ASCII in the local part, of two to four octets. The domain is
a host name, or an address in brackets.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal, NamedTuple

from ..regex.char_sets import CharSet, chars, normal
from .addresses import IPV4, IPV6_IN_MAIL
from .hostnames import Hosts
from .machine import Machine, Speller

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

    place: Literal["start", "atom", "dot", "quoted", "end"] = "start"
    octets: int = 0


class Mail(Machine):
    """The machine of local parts; what follows is a term of its own."""

    def __init__(self, speller: Speller, *, international: bool) -> None:
        super().__init__(speller)
        self._wide = _WIDE if international else ()
        self._hosts = Hosts(speller, international=international)
        self._literal = speller.regex(rf"\[(?:{IPV4}|[Ii][Pp][Vv]6:{IPV6_IN_MAIL})\]")

    def accepts(self, state: Local) -> bool:
        """Return False: a domain has to follow."""
        return False

    def moves(self, state: Local) -> Iterator[int]:
        """Yield the ways to go on."""
        left = LOCAL_OCTETS - state.octets
        if state.place == "quoted":
            yield from self._quoted(state.octets, left)
        elif state.place != "end":
            yield from self._chars(_ATOM, "atom", state.octets, left)
        if state.place == "start":
            yield self._then('"', Local("quoted", 1))
        if state.place == "atom" and left >= 2:
            yield self._then(".", Local("dot", state.octets + 1))
        if state.place in ("atom", "end"):
            room = MAILBOX_OCTETS - state.octets - 1
            domain = self.terms.union((self._hosts.start(room), self._literal))
            yield self.terms.concat(self.speller.text("@"), domain)

    def _quoted(self, octets: int, left: int) -> Iterator[int]:
        yield self._then('"', Local("end", octets + 1))
        yield from self._chars(_QUOTED, "quoted", octets, left - 1)
        if left >= 3:
            escaped = self.on(((0x20, 0x7E),), self.term(Local("quoted", octets + 2)))
            yield self.terms.concat(self.speller.text("\\"), escaped)

    def _chars(
        self, ascii_chars: CharSet, place: Literal["atom", "quoted"], octets: int, left: int
    ) -> Iterator[int]:
        for size, ranges in ((1, ascii_chars), *self._wide):
            if size <= left:
                yield self.on(ranges, self.term(Local(place, octets + size)))

    def _then(self, text: str, state: Local) -> int:
        return self.terms.concat(self.speller.text(text), self.term(state))


def email(speller: Speller) -> int:
    """Return `Mailbox` of RFC 5321."""
    return Mail(speller, international=False).term(Local())


def idn_email(speller: Speller) -> int:
    """Return `Mailbox` as RFC 6531 extends it."""
    return Mail(speller, international=True).term(Local())
