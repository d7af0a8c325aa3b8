"""The language of compiled regexes, text by text, against `re` and interegular."""

from __future__ import annotations

import random
import re
import warnings
from collections.abc import Iterable
from itertools import product
from typing import Literal

import interegular
import pytest

from lockstitch.constraint.regex.compiler import compile_regex
from lockstitch.constraint.regex.utf8 import Utf8Alphabet
from lockstitch.constraint.terms.terms import Terms
from lockstitch.constraint.text.json_text import JsonAlphabet
from lockstitch.constraint.text.style import TextStyle
from lockstitch.schemas.errors import GrammarTooLargeError, UnsupportedGrammarError

Dialect = Literal["python", "ecma"]


def texts(alphabet: str, longest: int) -> list[str]:
    return ["".join(t) for n in range(longest + 1) for t in product(alphabet, repeat=n)]


TEXTS = [*texts("ab\n_", 4), *texts("aé -", 3)]


def accepted(
    pattern: str,
    candidates: Iterable[str],
    *,
    dialect: Dialect = "python",
    search: bool = False,
) -> list[str]:
    terms = Terms()
    term = compile_regex(terms, pattern, Utf8Alphabet(terms), dialect=dialect, search=search)
    return [text for text in candidates if terms.accepts(term, text.encode())]


PATTERNS = r"""
a
ab|ba|
(a|b)*a
a{2,3}b{0}
(?:a|b_){1,2}
(a*)*b
(a|b|)+
a??b+?
.*
(?s:.*)
[^a]*
[^\n_]+
\w+
\W*
\s|\S\S
^a
a$
^$
a\Z
\Aa
(?m:^a$)*
(?m:(?:^|b)a$\n?)+
\bab\b
a\bb
.*\b.*\n
\Ba
\B
a\B.*
(?a:\b\w+\b).*
(?:\b|a)*b
(?:a|\b){2,3}
(?:^|a){2}b
(?:^a|b)*
(?:(?:^)?a|_)+
(?=a)..
(?=.*b)[ab]{2,3}
(?!ab)[ab]+
(?:(?!ab).)*
(?:(?!ab)[ab_]){2,3}
(?=(?!ab).b)..
(?!)
(?:(?=a))*b
(?:(?=a)|b)+a
(?<=a)b
.*(?<=a)b
.*(?<!a)b
(?<!a)b|a
[ab]+(?<!b)
[ab]+(?<!ab)
[ab]+(?<=ab|ba)
[ab_]*(?<=\bab)
[ab_]*(?<!\b_)
.*(?<=a\b).*
.*(?<!b\B)a?
.*(?<=(?<!a)b)_
.*(?<=a{2})b
(?:(?<!a)a|b)+
(?:(?<=b)a|b){1,3}
(?:a(?<=a)){2,}
(?:\b(?:a|(?!b)_)+\b\n?)*
(?:(?:\b|a)+|(?=b)b)+
(?:(?:^|b){2,3}a){2}
((?:a$)|\n)*
a*+b
a?+a
a{1,2}+a
[ab]++
(?>ab)*
(?i)aB*
(?i:A)b
(?i)[A-B]+
(?x) a | b c? # choice
a(?#comment)*
""".strip("\n").split("\n")


ONLY_PYTHON = re.compile(r"\(\?[aimsx#>]|\+\+|[*?}]\+|\\[AZ]|^\\B$")


@pytest.mark.parametrize("search", [False, True])
@pytest.mark.parametrize("pattern", PATTERNS)
def test_python_dialect_is_re(pattern: str, search: bool) -> None:
    reference = re.compile(pattern)
    match = reference.search if search else reference.fullmatch
    expected = [text for text in TEXTS if match(text)]
    assert accepted(pattern, TEXTS, search=search) == expected


@pytest.mark.parametrize("pattern", [p for p in PATTERNS if not ONLY_PYTHON.search(p)])
def test_ecma_search_is_re_where_they_agree(pattern: str) -> None:
    # re with ASCII classes, and its $ spelled \Z, reads these patterns as ECMA-262 does
    reference = re.compile(re.sub(r"(?<!\\)\$", r"\\Z", pattern), re.ASCII)
    expected = [text for text in TEXTS if reference.search(text)]
    assert accepted(pattern, TEXTS, dialect="ecma", search=True) == expected


class Generator:
    """Random patterns over a few characters, dense in assertions."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def pattern(self, depth: int) -> str:
        choice = self.random.choice
        branches = choice([1, 1, 1, 2, 3])
        return "|".join(
            "".join(self.item(depth) for _ in range(choice([0, 1, 1, 2, 2, 3])))
            for _ in range(branches)
        )

    def item(self, depth: int) -> str:
        choice = self.random.choice
        quantifiers = ["", "", "", "*", "+", "?", "{2}", "{0,2}", "{1,3}", "{2,}", "*?", "{,2}"]
        if self.random.random() < 0.2:
            assertion = choice(["^", "$", r"\b", r"\B", r"\A", r"\Z"])
            quantifier = choice(quantifiers)
            return f"(?:{assertion}){quantifier}" if quantifier else assertion
        return self.atom(depth) + choice(quantifiers)

    def atom(self, depth: int) -> str:
        choice = self.random.choice
        if depth and self.random.random() < 0.5:
            kinds = ["(?:%s)", "(%s)", "(?=%s)", "(?!%s)", "(?<=%s)", "(?<!%s)", "(?m:%s)"]
            return choice(kinds) % self.pattern(depth - 1)
        return choice(["a", "b", "_", r"\n", "é", ".", "[^a]", r"\w", r"\W", r"\s", "[ab]"])


@pytest.mark.parametrize("seed", range(8))
def test_random_patterns_are_re(seed: int) -> None:
    generator = Generator(seed)
    compared = 0
    for _ in range(40):
        pattern = generator.pattern(3)
        try:
            with warnings.catch_warnings(action="ignore"):
                reference = re.compile(pattern)
            found = accepted(pattern, TEXTS)
        except (re.error, UnsupportedGrammarError):
            continue  # `re` has no variable lookbehind, we have no lookahead inside one
        expected = [text for text in TEXTS if reference.fullmatch(text)]
        assert found == expected, pattern
        compared += 1
    assert compared > 20


@pytest.mark.parametrize(
    "pattern",
    [
        "(a|b)*abb",
        "a{2,4}(b|_){1,3}",
        "[^a_]*b",
        "(a|ab)(b|_)?",
        "(a?b?)*_",
        "a.{2}b",
    ],
)
def test_interegular_agrees(pattern: str) -> None:
    machine = interegular.parse_pattern(pattern).to_fsm()
    candidates = texts("ab_", 6)
    assert accepted(pattern, candidates) == [t for t in candidates if machine.accepts(t)]


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("a$", ["xa"], ["a\n"]),
        ("a.b", ["a\u0085b"], ["a\u2028b", "a\rb", "a\nb"]),
        (r"^\d$", ["7"], ["٣"]),
        (r"^\w$", ["_"], ["é"]),
        (r"^\s$", ["\ufeff", "\u2003", "\v"], ["\u200b", "\u0085", "\x1c"]),
        (r"^[^]$", ["\n"], [""]),
        (r"[]", [], ["", "a"]),
        (r"^\p{Lu}\P{Lu}[^\p{L}]$", ["Éa1"], ["ea1", "ÉA1", "Éaa"]),
        (r"^\u{1F600}\ud83d\ude00$", ["😀😀"], ["😀"]),
        (r"^\cJ\x41\0$", ["\nA\0"], ["J"]),
        (r"^(?i:K)$", ["k", "K", "\u212a"], ["ﬀ"]),
        (r"^(?i:[^x])\w$", ["ya"], ["xa", "Xa"]),
        (r"^(?i:\w)$", ["\u017f", "\u212a"], ["é"]),
        (r"(?<=^|,)a", ["a", "b,a"], ["ba"]),
        (r"(?<=\$\d+(?:\.\d*)?)x", ["$1x", "a$12.5x"], ["$x", "1x"]),
        (r"\B", ["", "ab"], ["a"]),
        # Annex B, where flag u would refuse the pattern
        (r"^\-\_\:\@$", ["-_:@"], ["\\-"]),
        (r"^a]b}{$", ["a]b}{"], ["ab"]),
        (r"^x{,2}$", ["x{,2}"], ["xx"]),
        (r"^[\w-.]$", ["-", ".", "a"], [","]),
        (r"^\07\8\-$", ["\x078-"], []),
        (r"^\c\-$", ["\\c-"], []),
        (r"^(?=a)*b$", ["b"], ["ab"]),
        (r"^\k<a>\-$", ["k<a>-"], []),
    ],
)
def test_ecma(pattern: str, matching: list[str], others: list[str]) -> None:
    found = accepted(pattern, matching + others, dialect="ecma", search=True)
    assert found == matching


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        (r"\p{L}+\P{L}", ["é1"], ["1é"]),
        (r"\d\s\w", ["٣\x1cé"], ["a b"]),
        (r"(?a)\d\s\w", ["3 e"], ["٣ e", "3 é"]),
        (r"(?i)straße", ["STRAßE", "straẞe"], ["strasse"]),
        (r"(?ai)k", ["K"], ["\u212a"]),
        (r"[]a]+", ["]a"], ["[a"]),
        (r"a{,2}{", ["aa{"], ["a{,2}{"]),
        (r"x{}y{1,2", ["x{}y{1,2"], ["xy"]),
        (r"\101\x42\u0043\U00000044\N{LATIN SMALL LETTER E}", ["ABCDe"], []),
        (r"(?P<n>a)(?<m>b)", ["ab"], []),
        (r"(?-i:a)(?s-i:.)", ["a\n"], ["A\n"]),
        ("\ud800|a", ["a"], []),
    ],
)
def test_python(pattern: str, matching: list[str], others: list[str]) -> None:
    assert accepted(pattern, matching + others) == matching


def test_counters_are_not_expanded() -> None:
    terms = Terms()
    start = compile_regex(terms, ".{0,20000}", Utf8Alphabet(terms), dialect="python", search=False)
    assert len(terms) < 100
    assert terms.accepts(start, "é".encode() * 300)
    terms = Terms()
    compile_regex(
        terms, "(?:(?!end).){0,1000000}", Utf8Alphabet(terms), dialect="ecma", search=True
    )
    assert len(terms) < 100


def test_depth_does_not_use_the_stack() -> None:
    plain = "(?:" * 200 + "a" + "|b)*" * 200
    assert accepted(plain, ["ab", "ac"]) == ["ab"]
    asserting = r"(?:\b" * 200 + "a" + "|b)*" * 200
    assert accepted(asserting, ["ab", "ac"]) == [t for t in ["ab"] if re.fullmatch("a|b|ab", t)]


def test_too_many_contexts_are_refused() -> None:
    with pytest.raises(GrammarTooLargeError) as caught:
        accepted(".*(?<=a.{12})b", [])
    assert caught.value.limit == "contexts for its lookbehinds"


@pytest.mark.parametrize(
    "pattern", ["^a", "a$", "(?!a).é", r"\bé", r'(?<!")a', r"^(?=.*\\)[^a]*$", r"[^\W_]"]
)
def test_json_spellings_do_not_change_the_language(pattern: str) -> None:
    terms = Terms()
    alphabet = JsonAlphabet(terms, TextStyle(escapes="any"))
    term = compile_regex(terms, pattern, alphabet, dialect="ecma", search=True)
    spelling = random.Random(pattern)
    for text in texts('aé"\\\n', 3):
        spelled = "".join(_spelled(char, spelling) for char in text)
        expected = re.search(pattern, text, re.ASCII) is not None
        if pattern == "a$":
            expected = text.endswith("a")
        assert terms.accepts(term, spelled.encode()) is expected, (text, spelled)


def _spelled(char: str, spelling: random.Random) -> str:
    short = {'"': '\\"', "\\": "\\\\", "\n": "\\n"}
    long = f"\\u{ord(char):04{spelling.choice('xX')}}"
    return spelling.choice([short.get(char, char), long])
