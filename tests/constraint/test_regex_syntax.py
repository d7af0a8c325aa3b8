"""What is refused, with which error and at which offset."""

from __future__ import annotations

import re
from typing import Literal

import pytest

from lockstitch.constraint.regex.compiler import compile_regex
from lockstitch.constraint.regex.utf8 import Utf8Alphabet
from lockstitch.constraint.terms.terms import Terms
from lockstitch.schemas.errors import (
    GrammarTooLargeError,
    InvalidGrammarError,
    UnsupportedGrammarError,
)


def compile_in(dialect: Literal["python", "ecma"], pattern: str) -> None:
    terms = Terms()
    compile_regex(terms, pattern, Utf8Alphabet(terms), dialect=dialect, search=False)


@pytest.mark.parametrize(
    ("pattern", "offset"),
    [
        ("a(b", 1),
        ("a)b", 1),
        ("[a", 0),
        ("[b-a]", 2),
        (r"[\w-z]", 3),
        ("*a", 0),
        ("a|*", 2),
        ("a**", 2),
        ("a{2}{3}", 4),
        ("a{3,2}", 1),
        ("^*", 1),
        (r"\b+", 2),
        ("a\\", 1),
        (r"\q", 0),
        (r"\z", 0),
        (r"[\B]", 1),
        (r"\x4", 0),
        (r"\u{61}", 0),
        (r"\U00110000", 0),
        (r"\N{NO SUCH NAME}", 0),
        (r"\400", 0),
        (r"[\8]", 1),
        (r"(a)\2", 3),
        (r"\p", 0),
        ("a(?i)", 1),
        ("(?i-i:a)", 0),
        ("(?au)a", 0),
        ("(?L)a", 0),
        ("(?-a:b)", 0),
        ("(?z:a)", 0),
        ("(?", 0),
        ("(?P<1>a)", 0),
        ("(?P<n>a)(?P<n>b)", 8),
        ("(?#a", 3),
    ],
)
def test_python_rejects_what_re_rejects(pattern: str, offset: int) -> None:
    with pytest.raises(InvalidGrammarError) as caught:
        compile_in("python", pattern)
    assert caught.value.offset == offset
    with pytest.raises(re.error):
        re.compile(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        r"(",
        r"a**",
        r"a++",
        r"{2}",
        r"x{1}{2}",
        r"(?i)a",
        r"(?P<n>a)",
        r"(?<=a)*",
        r"(?>a)",
        r"\p{L}\-",
        r"\u{61}\-",
        r"[b-a]",
        r"(?ii:a)",
        r"(?-:a)",
    ],
)
def test_ecma_rejects(pattern: str) -> None:
    with pytest.raises(InvalidGrammarError):
        compile_in("ecma", pattern)


def test_the_error_under_flag_u_is_the_one_reported() -> None:
    with pytest.raises(InvalidGrammarError, match="drop the backslash") as caught:
        compile_in("ecma", r"a\-(")
    assert caught.value.offset == 1


@pytest.mark.parametrize(
    ("dialect", "pattern", "feature", "offset"),
    [
        ("python", r"(a)\1", "backreference", 3),
        ("python", r"(?P<n>a)(?P=n)", "backreference", 8),
        ("python", "(a)?(?(1)b|c)", "conditional group", 4),
        ("python", "(?>a|ab)c", "atomic group", 0),
        ("python", "(?:a|b)*+c", "possessive quantifier", 7),
        ("python", "(?<=a(?=b))c", "lookahead inside a lookbehind", 0),
        ("python", r"a\p{Script=Greek}", r"\p{Script=Greek}", 1),
        ("ecma", r"(a)\1", "backreference", 3),
        ("ecma", r"(?<n>a)\k<n>", "backreference", 7),
        ("ecma", r"(?<n>a)\k<n>\-", "backreference", 7),
        ("ecma", r"[\p{Alphabetic}]", r"\p{Alphabetic}", 1),
    ],
)
def test_refused_by_name(
    dialect: Literal["python", "ecma"], pattern: str, feature: str, offset: int
) -> None:
    with pytest.raises(UnsupportedGrammarError) as caught:
        compile_in(dialect, pattern)
    assert (caught.value.feature, caught.value.offset) == (feature, offset)
    assert str(caught.value).count(feature) == 1


@pytest.mark.parametrize("pattern", ["(" * 60_000, "(?:" * 60_000 + "a" + ")" * 60_000])
def test_deep_nesting_is_a_clean_error(pattern: str) -> None:
    with pytest.raises(GrammarTooLargeError) as caught:
        compile_in("python", pattern)
    assert (caught.value.limit, caught.value.allowed) == ("nested groups", 200)


def test_repetitions_are_limited() -> None:
    compile_in("python", "(?:ab){0,1000000000}")
    for pattern in ["a{1000000001}", "a{" + "9" * 5000 + "}"]:
        with pytest.raises(GrammarTooLargeError) as caught:
            compile_in("python", pattern)
        assert caught.value.offset == 1
