"""Regular expressions: from a pattern to the term of all texts it accepts.

The front end in its four steps: parse (`regex_syntax`), find the left contexts its lookbehinds need
(`regex_context`), lower to terms (`regex_lowering`), with characters spelled by an alphabet: UTF-8
for plain text, JSON spellings inside a string.
"""

from __future__ import annotations

from typing import Literal

from ..terms.recipes import recalled
from ..terms.terms import Terms
from .ast import Syntax
from .char_sets import ANY_CHAR
from .lowering import Alphabet, Lowering
from .syntax import parse_regex

Dialect = Literal["python", "ecma"]

__all__ = ["Alphabet", "compile_regex"]


def compile_regex(
    terms: Terms,
    pattern: str,
    alphabet: Alphabet,
    *,
    dialect: Dialect,
    search: bool,
) -> int:
    """Return the term of the whole texts that match, in the spelling of `alphabet`.

    With `search` it is enough that some part of the text matches. Raises GrammarError with the code
    point offset in the pattern: InvalidGrammarError, UnsupportedGrammarError (named constructs that
    are not enforced) or GrammarTooLargeError. Cost: linear in the pattern, less if it was compiled
    before; counters are not expanded.
    """
    key = (pattern, dialect, search, alphabet.spelling)
    return recalled(terms, key, lambda: _compile(terms, pattern, alphabet, dialect, search))


def _compile(terms: Terms, pattern: str, alphabet: Alphabet, dialect: Dialect, search: bool) -> int:
    syntax = Syntax()
    root = parse_regex(syntax, pattern, python=dialect == "python")
    rest = terms.EPSILON
    if search:
        any_text = syntax.repeat(syntax.chars(ANY_CHAR), 0, None)
        root = syntax.concat((any_text, root))
        rest = terms.repeat(alphabet.any_char, 0, None)
    return Lowering(terms, alphabet, syntax, root).compile(root, rest)
