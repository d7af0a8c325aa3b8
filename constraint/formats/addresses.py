r"""Addresses of machines and UUIDs: RFC 3986, section 3.2.2, RFC 4291, section 2.2, RFC 9562.

An IPv4 address has four decimal numbers without leading zeros. An IPv6 address is eight groups, the
last two of which may be written as an IPv4 address, and one `::` may stand for one group or more;
RFC 3986 spells that out as nine cases. A zone is no part of an address.
"""

from __future__ import annotations

from typing import Final

from .machine import Speller

_OCTET: Final = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
IPV4: Final = rf"(?:(?:{_OCTET}\.){{3}}{_OCTET})"
HEX: Final = r"[\dA-Fa-f]"
_GROUP: Final = rf"{HEX}{{1,4}}"
_LAST: Final = rf"(?:{_GROUP}:{_GROUP}|{IPV4})"


def _before(most: int) -> str:
    """Return up to `most` groups in front of `::`."""
    if not most:
        return ""
    return rf"(?:{_GROUP}(?::{_GROUP}){{0,{most - 1}}})?"


def _short_cases(gap: int) -> str:
    """Return the addresses with a `::` that stands for `gap` groups or more."""
    cases = [rf"{_before(6 - gap - n)}::(?:{_GROUP}:){{{n}}}{_LAST}" for n in range(7 - gap)]
    return "|".join([*cases, rf"{_before(7 - gap)}::{_GROUP}", rf"{_before(8 - gap)}::"])


_FULL: Final = rf"(?:{_GROUP}:){{6}}{_LAST}"
IPV6: Final = rf"(?:{_FULL}|{_short_cases(1)})"
IPV6_IN_MAIL: Final = rf"(?:{_FULL}|{_short_cases(2)})"  # RFC 5321, section 4.1.3
UUID: Final = rf"{HEX}{{8}}-(?:{HEX}{{4}}-){{3}}{HEX}{{12}}"


def ipv4(speller: Speller) -> int:
    """Return the dotted quads."""
    return speller.regex(IPV4)


def ipv6(speller: Speller) -> int:
    """Return the textual forms of RFC 4291, section 2.2."""
    return speller.regex(IPV6)


def uuid(speller: Speller) -> int:
    """Return RFC 9562, section 4: 32 digits of any version and variant, in either case."""
    return speller.regex(UUID)
