"""Terms that are made after a recipe: the same language, and the same cost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockstitch import GrammarError, compile_grammar
from lockstitch.constraint.regex.compiler import compile_regex
from lockstitch.constraint.regex.utf8 import Utf8Alphabet
from lockstitch.constraint.terms import recipes
from lockstitch.constraint.terms.fingerprint import fingerprint
from lockstitch.constraint.terms.terms import Terms

FUEL = 10**9
PATTERNS = st.sampled_from(
    ["a", "[a-z]{2,5}", "(a|bc)*d?", "(?!ab)[a-c]{1,3}", "é+|日", "^x(?=y)y*$", r"\d{3}-\d", ".*"]
)


@pytest.fixture(autouse=True)
def no_recipes() -> None:
    recipes._recipes.clear()


def new_arena(others: list[str]) -> tuple[Terms, Utf8Alphabet]:
    """Return an arena in which terms have other numbers than in the one before."""
    terms = Terms(fuel=FUEL)
    for text in others:
        terms.union((terms.literal(text.encode()), terms.repeat(terms.literal(b"q"), 0, None)))
    return terms, Utf8Alphabet(terms)


@given(PATTERNS, st.lists(st.text(min_size=1, max_size=3), max_size=5), st.booleans())
def test_a_recipe_gives_the_same_language_for_the_same_fuel(
    pattern: str, others: list[str], search: bool
) -> None:
    recipes._recipes.clear()
    found = []
    for texts in ([], others, others[:1]):
        terms, alphabet = new_arena(texts)
        before = terms.fuel
        term = compile_regex(terms, pattern, alphabet, dialect="ecma", search=search)
        spent = before - terms.fuel
        samples = ("", "a", "ab", "abc", "bcd", "xy", "é", "123-4", "日", "cc")
        accepts = [terms.accepts(term, sample.encode()) for sample in samples]
        found.append((fingerprint(terms, term), spent, accepts, terms.is_empty(term)))
    assert found[0] == found[1] == found[2]


def test_the_second_grammar_follows_the_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    grammar = {"type": "json", "value": {"type": "string", "pattern": "^[a-f]{3}$"}}
    first = compile_grammar(grammar)

    def refused(*_: object, **__: object) -> None:
        raise AssertionError("the pattern is parsed again")

    monkeypatch.setattr("lockstitch.constraint.regex.compiler.parse_regex", refused)
    second = compile_grammar(grammar)
    for text in (b'"abc"', b'"abg"', b'"ab"', b'"abcd"'):
        assert first.accepts(text) == second.accepts(text) == (text == b'"abc"')


def test_errors_are_not_remembered() -> None:
    for _ in range(2):
        with pytest.raises(GrammarError) as caught:
            compile_grammar({"type": "json", "value": {"properties": {"a": {"pattern": "(("}}}})
        assert caught.value.pointer == "/properties/a/pattern"


def test_spellings_are_told_apart() -> None:
    """A quote is spelled with a backslash in a JSON text, and plain in a regex."""
    for _ in range(2):
        quoted = compile_grammar({"type": "json", "value": {"type": "string", "pattern": '^"$'}})
        plain = compile_grammar({"type": "regex", "value": '"'})
        assert quoted.accepts(b'"\\""')
        assert plain.accepts(b'"')
        assert not plain.accepts(b'\\"')


def test_recipes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipes, "MOST_RECIPES", 10)
    for number in range(30):
        compile_grammar({"type": "regex", "value": f"a{{{number},60}}"})
    assert len(recipes._recipes) <= 10
    monkeypatch.setattr(recipes, "MOST_NODES", 5)
    before = dict(recipes._recipes)
    compile_grammar({"type": "regex", "value": "a|bcd|[x-z]+y|éé*|q{3,8}r"})
    assert dict(recipes._recipes) == before
