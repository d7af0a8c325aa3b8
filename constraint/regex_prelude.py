"""What regular expressions begin with: the digits of all scripts, made once a process.

`\\d` stands for the digits of 76 scripts. It is a lexeme of its own in a pattern, whose two dozen
states are the same in each of them, as those of numbers are in JSON.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from .parts import SharedStates, lexemes_in
from .regex.char_classes import python_class
from .regex.utf8 import Utf8Alphabet
from .terms.fingerprint import fingerprint
from .terms.terms import Terms

REGEXES = "regular expressions"


class BegunRegex(NamedTuple):
    """The arena of a pattern that begins, how characters are spelled in it, and its states."""

    terms: Terms
    alphabet: Utf8Alphabet
    shared: SharedStates


def begun_regex(fuel: float) -> BegunRegex:
    """Return a fork of what patterns have in common, the caller's own."""
    common = _common()
    terms = common.terms.fork(fuel)
    return BegunRegex(terms, common.alphabet.fork(terms), common.shared)


def shared_by_regexes() -> SharedStates:
    """Return the states that all patterns have in common."""
    return _common().shared


@lru_cache(maxsize=1)
def _common() -> BegunRegex:
    terms = Terms()
    alphabet = Utf8Alphabet(terms, lexemes=True)
    digits = alphabet.char(python_class("d"))
    states = lexemes_in(terms, [digits])
    fingerprint(terms, digits)
    return BegunRegex(terms, alphabet, SharedStates.of(REGEXES, terms, len(terms), states))
