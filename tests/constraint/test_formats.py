"""The languages of `format`, against the official suite, the RFCs and other readers of them."""

from __future__ import annotations

import ipaddress
import json
import random
import re
import unicodedata
from collections.abc import Callable
from contextlib import suppress
from datetime import date
from typing import Any

import pytest
from jsonschema import FormatChecker
from shared_data import SUITE, need

from lockstitch.constraint.formats.hostnames import most_octets
from lockstitch.constraint.formats.language import FORMATS, SUBSETS, format_language
from lockstitch.constraint.regex.ast import Syntax
from lockstitch.constraint.regex.syntax import Parser
from lockstitch.constraint.regex.utf8 import Utf8Alphabet
from lockstitch.constraint.terms.shortest import Shortest
from lockstitch.constraint.terms.terms import Terms
from lockstitch.constraint.text.json_text import JsonAlphabet
from lockstitch.constraint.text.style import TextStyle
from lockstitch.schemas.errors import GrammarTooLargeError, UnsupportedGrammarError

DRAFTS = ("draft2020-12", "draft2019-09", "draft7", "draft6", "draft4")
# Valid texts of the suite that the subsets leave out, by draft.
LEFT_OUT = {"draft2020-12": 15, "draft2019-09": 15, "draft7": 15, "draft6": 1, "draft4": 1}


class Language:
    """One format in one arena, in plain text."""

    def __init__(self, name: str) -> None:
        self.terms = Terms()
        self.start = format_language(self.terms, name, Utf8Alphabet(self.terms))

    def accepts(self, text: str) -> bool:
        return self.terms.accepts(self.start, text.encode())

    def walk(self, choice: random.Random, stop: float, prefix: str = "") -> str:
        """Return a random text; it never has to go back, since no state is a dead end."""
        term = self.terms.walk(self.start, prefix.encode())
        text = bytearray(prefix.encode())
        while not (self.terms.nullable(term) and choice.random() < stop):
            if len(text) > 80:
                return (text + Shortest(self.terms).text(term)).decode()
            row = self.terms.row(term)
            if not row:
                assert self.terms.nullable(term), bytes(text)
                break
            mask, term = choice.choice(row)
            text.append(choice.choice([b for b in range(256) if mask >> b & 1]))
        return text.decode()


@pytest.fixture(scope="module")
def languages() -> Callable[[str], Language]:
    known: dict[str, Language] = {}

    def find(name: str) -> Language:
        return known.setdefault(name, known.get(name) or Language(name))

    return find


def suite_cases(draft: str) -> list[tuple[str, str, bool]]:
    """Return (format, text, valid) for the instances that are strings, to which formats apply."""
    return [
        (group["schema"]["format"], case["data"], case["valid"])
        for path in sorted(need(SUITE / draft / "optional" / "format").glob("*.json"))
        for group in json.loads(path.read_text())
        for case in group["tests"]
        if isinstance(case["data"], str) and group["schema"].get("format") in FORMATS
    ]


@pytest.mark.parametrize("draft", DRAFTS)
def test_official_suite(draft: str, languages: Callable[[str], Language]) -> None:
    missed = []
    for name, text, valid in suite_cases(draft):
        if languages(name).accepts(text):
            assert valid, (name, text)
        elif valid:
            missed.append((name, text))
    assert {name for name, _ in missed} <= SUBSETS.keys()
    assert len(missed) == LEFT_OUT[draft], missed


def test_official_suite_spelled_in_json() -> None:
    """Every spelling of a text is read like the text itself."""
    terms = Terms()
    alphabet = JsonAlphabet(terms, TextStyle(escapes="any"))
    plain, spelled = {}, {}
    for name in FORMATS:
        plain[name] = format_language(terms, name, Utf8Alphabet(terms))
        spelled[name] = format_language(terms, name, alphabet)
    for name, text, _ in suite_cases("draft2020-12"):
        expected = terms.accepts(plain[name], text.encode())
        for escaped in (json.dumps(text, ensure_ascii=False), json.dumps(text)):
            assert terms.accepts(spelled[name], escaped[1:-1].encode()) is expected, (name, text)


# Cases by hand: format, texts that are valid, texts that are not.
CASES = {
    "date": ("2000-02-29 2024-02-29 0000-02-29", "1900-02-29 2023-02-29 2023-04-31 2023-00-10"),
    "time": (
        "00:00:60+00:01 12:34:60.5+12:35 22:59:60-01:00 23:59:60z",  # 5.6: 23:59:60 in UTC
        "00:00:60+00:00 12:34:60+12:34 23:59:60+24:00 12:00Z 12:00:00.Z",
    ),
    "date-time": ("2016-12-31t15:59:60-08:00", "2016-12-31 15:59:59Z 2016-12-31T15:59:60-07:00"),
    "duration": ("P1W PT1H1M1S P1Y1M1DT1S", "P1W1D P1DT P1S PT1H1S P1Y1D P"),  # appendix A
    "email": (
        '"a\\"b"@x "@"@[IPv6:1:2:3:4:5:6:7:8] ' + "a" * 64 + "@x a@[IPv6:1::2.3.4.5]",
        'a"b@x "a\\"@x a@[IPv6:1:2:3:4:5:6:7::] a@[1.2.3] a@x- ' + "a" * 65 + "@x",
    ),
    "idn-email": ("\u00fc@\u00fc.de " + "\u00fc" * 32 + "@x", "\u00fc" * 32 + "a@x \u00fc@\u00fc_"),
    "hostname": (
        "a.b-c 1.2.3.4 xn--mnchen-3ya.de xn--e1afmkfd.xn--p1ai XY.Z " + "a." * 126 + "a",
        "a_b a- a..b ab--c Xn--a xn--mnchen-3y xn-- " + "a." * 126 + "aa",
    ),
    "idn-hostname": (
        "m\u00fcnchen.de \u05d0\u05d1.com \u65e5\u672c\u8a9e\u3002jp XY.\u0444 \u0431--\u0431.x "
        "\u0921\u093c.in \u05d0\u0301",  # marks that cannot join the letter before them
        "e\u0301 \u00c4 \u05d0.1a 1a.\u05d0 a.\u05d0a \u200d a\u200db "
        "\u0921\u094d\u0301\u0323 \ufb01 \u2665",
    ),
    "ipv4": ("0.0.0.0 255.255.255.255", "256.1.1.1 01.1.1.1 1.1.1 1.1.1.1.1"),
    "ipv6": (
        ":: ::1 1:: 1:2:3:4:5:6:7:: ::2:3:4:5:6:7:8 1::3:4:5:6:7:8 ::1.2.3.4 1:2:3:4:5:6:1.2.3.4",
        ": ::: 1::2::3 1:2:3:4:5:6:7:8:: 1:2:3:4:5:6:7 1.2.3.4:: ::1.2.3 fe80::1%1 12345::",
    ),
    "uri": (
        "a: a:b a:/ a:// a:///p http://[::1]:80/a?b#c http://[v1.a:b] x://u:p@h:/",
        "1:b a a:[ a://[::1 a://[::1]x a://h:p a:%4 a:#a#b http://\u00fc",
    ),
    "uri-reference": ("a/b:c ?q #f // ./a:b //h:1", "1:b :a a|b //[::1]1 %"),
    "iri": (
        "http://\u00fc/\u00fc?\ue000#\u00fc a:\U000e1000\U000dfffd",
        "http://h/\ue000 a:\ufffe a:\ufdd0 a:\U000e0001 a:\U0001fffe",
    ),
    "iri-reference": ("\u00fc/\u00fc:b ?\ue000", "\ue000 \\\u00fc"),
    "uri-template": (
        "{a} {+a,b*,c:3}/{?x} a'b {a.b_c} {%41}",
        "{ } {a {a:0} {a:10000} {a,} {=a} {!a} {a.} {-a} < % {a*:3}",
    ),
    "uuid": ("00000000-0000-0000-0000-00000000000F", "0000000-00000-0000-0000-000000000000 0"),
    "json-pointer": ("/ /a/~0~1 //", "a /~ /~2 #/a"),
    "relative-json-pointer": ("0 10/a 1# 0/", "01 -1 0## 0#/a a"),
    "regex": (
        r"a|b (?:) () | ^$ (?=a)b (?<!a|b) (a)\1 (?<n>a)\k<n> (?<ab>)(?<c>) [a-z\-\]] [^] [] [--a] "
        r"[a-] [\d-] \u{10ffff} \p{Lu} a{2} a{2,} a{2,10}? [\x00-\x1f] [\u00e0-\u00ff] \0 \/ [\b] "
        r"(?<a>)(?<b>)",
        r"( ) a** a{2,1} a{20,3} { } ] (?=a)* ^* \b+ \1 (a)\2 \k<n> (?<n>)(?<n>) (?<1>) [z-a] [a "
        r"\a [\d-a] [a-\d] \u{110000} \p{L (?i)a (?P<n>a) \c1 \x1 [\x20-\x1f] "
        r"\00 \- \_ (?<a>|(?<a>)) [\u00ff-\u00e0] (?>a) a{,2} +",
    ),
}


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_cases_for_and_against(name: str, languages: Callable[[str], Language]) -> None:
    valid, invalid = CASES[name]
    for text in valid.split(" "):
        assert languages(name).accepts(text), text
    for text in invalid.split(" "):
        assert not languages(name).accepts(text), text


def test_a_mailbox_fits_into_a_path(languages: Callable[[str], Language]) -> None:
    """RFC 5321, section 4.5.3.1.3: 256 octets with the angle brackets."""
    domain = "a." * 94 + "a"
    assert languages("email").accepts("a" * 64 + "@" + domain)
    assert not languages("email").accepts("a" * 64 + "@a" + domain)


# Other readers


def is_date(text: str) -> bool:
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        return False
    year, month, day = map(int, text.split("-"))
    try:
        date(year or 400, month, day)  # the year 0, a leap year, is none of Python's
    except ValueError:
        return False
    return True


def is_time(text: str) -> bool:
    found = re.fullmatch(
        r"([01]\d|2[0-3]):([0-5]\d):([0-5]\d|60)(?:\.\d+)?(?:[zZ]|([+-])([01]\d|2[0-3]):([0-5]\d))",
        text,
        re.ASCII,
    )
    if not found:
        return False
    hour, minute, second, sign, *offset = found.groups()
    shift = int(offset[0]) * 60 + int(offset[1]) if sign else 0
    utc = int(hour) * 60 + int(minute) + (shift if sign == "-" else -shift)
    return second != "60" or utc % 1440 == 1439


def is_date_time(text: str) -> bool:
    return is_date(text[:10]) and text[10:11] in ("T", "t") and is_time(text[11:])


def is_ipv4(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True


def is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return "%" not in text


EXACT: dict[str, Callable[[str], bool]] = {
    "date": is_date,
    "time": is_time,
    "date-time": is_date_time,
    "ipv4": is_ipv4,
    "ipv6": is_ipv6,
    "uuid": lambda t: bool(re.fullmatch(r"[\da-fA-F]{8}(-[\da-fA-F]{4}){3}-[\da-fA-F]{12}", t)),
    "json-pointer": lambda t: bool(re.fullmatch(r"(?s:(/([^/~]|~[01])*)*)", t)),
}


def changed(text: str, letters: str, choice: random.Random) -> str:
    """Return the text with one character replaced, added or dropped."""
    at = choice.randrange(len(text) + 1)
    letter = choice.choice([*letters, ""])
    return f"{text[:at]}{letter}{text[at + choice.randrange(2) :]}"


@pytest.mark.parametrize("name", sorted(EXACT))
def test_walks_and_their_neighbours(name: str, languages: Callable[[str], Language]) -> None:
    language, reader = languages(name), EXACT[name]
    choice = random.Random(name)
    for _ in range(150):
        text = language.walk(choice, 0.2)
        assert reader(text), text
        for _ in range(5):
            other = changed(text, "0123456789abf:.-+TZz~/", choice)
            assert language.accepts(other) is reader(other), other


@pytest.mark.parametrize("name", ["date", "ipv4", "ipv6", "uuid"])
def test_walks_are_valid_for_jsonschema(name: str, languages: Callable[[str], Language]) -> None:
    choice = random.Random(7)
    for _ in range(100):
        text = languages(name).walk(choice, 0.3)
        if not text.startswith("0000"):  # the year that Python does not have
            FormatChecker().check(text, name)


def test_date_times_are_valid_for_jsonschema(
    languages: Callable[[str], Language],
) -> None:
    choice = random.Random(8)
    for _ in range(150):
        text = languages("date-time").walk(choice, 0.3)
        if ":60" not in text[11:19] and not text.startswith("0000"):
            FormatChecker().check(text, "date-time")


def test_every_minute_has_its_leap_second(languages: Callable[[str], Language]) -> None:
    language = languages("time")
    for minute in range(0, 1440, 7):
        clock = f"{minute // 60:02}:{minute % 60:02}:60"
        offsets = [
            f"{sign}{shift // 60:02}:{shift % 60:02}" for sign in "+-" for shift in range(1440)
        ]
        right = [offset for offset in offsets if is_time(clock + offset)]
        assert len(right) == 2
        for offset in (*right, *random.Random(minute).sample(offsets, 20)):
            assert language.accepts(clock + offset) is (offset in right), clock + offset


def test_patterns_are_read_by_our_own_parser(languages: Callable[[str], Language]) -> None:
    """It reads ECMA-262 under flag u, and was tested by itself; it refuses what is no pattern."""
    choice = random.Random(9)
    read = 0
    for _ in range(60):
        text = languages("regex").walk(choice, 0.1)
        with suppress(UnsupportedGrammarError, GrammarTooLargeError):  # but InvalidGrammarError
            Parser(Syntax(), text, "unicode").parse()
            read += 1
    assert read > 30


def is_international(idna: Any, text: str) -> bool:
    """Return whether `idna` encodes every label, with the rule for domains beside it."""
    labels = re.split("[.\u3002\uff0e\uff61]", text)
    try:
        encoded = idna.encode(text)
        decoded = [idna.decode(p) if p.startswith("xn--") else p.lower() for p in labels]
        if any(unicodedata.bidirectional(c) in ("R", "AL", "AN") for c in "".join(decoded)):
            for label in decoded:
                idna.check_bidi(label, check_ltr=True)
    except idna.IDNAError:
        return False
    return len(encoded) <= 253


STARTS: tuple[str, ...] = (
    "",
    "xn--",
    "xn--mnchen-",
    "\u05d0.",
    "\u0628\u064a",
    "ll\u00b7",
    "\u0915\u094d",
)
STARTS += ("\u03b1\u0375", "\u30ab\u30fb", "1", "\u05d0.xn--")


@pytest.mark.parametrize("start", STARTS, ids=ascii)
def test_walks_are_valid_for_idna(start: str, languages: Callable[[str], Language]) -> None:
    idna = pytest.importorskip("idna", reason="needs the idna package as an oracle")
    choice = random.Random(start)
    for _ in range(25):
        text = languages("idn-hostname").walk(choice, 0.2, start)
        assert is_international(idna, text), ascii(text)


def test_neighbours_of_names_are_valid_for_idna(languages: Callable[[str], Language]) -> None:
    idna = pytest.importorskip("idna", reason="needs the idna package as an oracle")
    choice = random.Random(10)
    letters = "al-.1\u00b7\u05d0\u0660\u06f0\u200d\u200c\u0301\u094d\u30fb\u3041\u0375\u03b1\u302e"
    accepted = 0
    for _ in range(80):
        text = languages("idn-hostname").walk(choice, 0.3)
        for _ in range(4):
            text = changed(text, letters, choice)
            if languages("idn-hostname").accepts(text):
                accepted += 1
                assert is_international(idna, text), ascii(text)
    assert accepted > 50


def test_encoded_labels_are_never_longer_than_the_bound() -> None:
    choice = random.Random(11)
    for _ in range(3000):
        low, high = choice.choice([(0x80, 0xFF), (0x400, 0x4FF), (0x80, 0xFFFF), (0x80, 0x10FFFF)])
        codes = [min(high, low + int(2 ** (choice.random() * 21))) for _ in range(12)]
        text = "".join(chr(c) for c in codes if not 0xD800 <= c < 0xE000) or "\u00ff"
        basic = choice.randrange(12)
        text = "a" * (basic // 2) + text[: choice.randrange(1, 13)] + "a" * (basic - basic // 2)
        wide = len(text) - basic
        assert 4 + len(text.encode("punycode")) <= most_octets(basic, wide, (low, high)), ascii(
            text
        )


# States


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_every_state_has_the_completion_that_it_promises(
    name: str, languages: Callable[[str], Language]
) -> None:
    language = languages(name)
    terms, shortest, choice = language.terms, Shortest(language.terms), random.Random(12)
    for _ in range(6):
        text = language.walk(choice, 0.3).encode()[:60]
        term = language.start
        for byte in text:
            term = terms.step(term, byte)
            rest = shortest.text(term)
            assert terms.accepts(term, rest)
            assert len(rest) == shortest.length(term)


def test_what_is_left_out_is_said() -> None:
    assert SUBSETS.keys() <= FORMATS
    assert all(sentence.endswith("not written") for sentence in SUBSETS.values())
