"""What all grammars of one style begin with: strings, numbers and gaps, made once a process.

A grammar has an arena of its own, so that dropping it frees everything. But most of what a small
schema needs is the same in each of them: the spellings of characters, any string, any number, and
their first rows. These are made once; a grammar begins with a fork of that arena, in which the same
numbers mean the same terms, and pays for copying a few lists.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from ..schema.strings import PlainText
from ..terms.arena import Kind
from ..terms.fingerprint import fingerprint
from ..terms.shortest import Shortest
from ..terms.terms import Terms
from ..text.json_text import JsonText
from ..text.number_set import WHOLE, NumberSet
from ..text.numbers import NumberText
from ..text.style import TextStyle

ROW_DEPTH = 3  # bytes of a common lexeme whose rows are made beforehand
MOST_ROWS = 200


@dataclass(frozen=True, slots=True)
class Prelude:
    """The arena of a grammar that begins, and who writes into it."""

    terms: Terms
    text: JsonText
    plain: PlainText
    numbers: NumberText
    shortest: Shortest

    @classmethod
    def of(cls, style: TextStyle, fuel: float) -> Prelude:
        """Return a fork of what the style has in common, the caller's own."""
        common = _common(style)
        terms = common.terms.fork(fuel)
        return cls(
            terms,
            common.text.fork(terms),
            common.plain.fork(terms),
            common.numbers.fork(terms),
            common.shortest.fork(terms),
        )


@lru_cache(maxsize=16)
def _common(style: TextStyle) -> Prelude:
    terms = Terms()
    text, plain = JsonText(terms, style), PlainText(terms)
    numbers, shortest = NumberText(terms, style), Shortest(terms)
    for word in (b"null", b"true", b"false", b"{", b"}", b"[", b"]", b",", b":"):
        terms.literal(word)
    common = [text.gap, text.comma, text.colon, text.string(text.any_body)]
    common += [text.closed(text.any_body), plain.any_body]
    if not numbers.any_spelling:  # those have references, whose owner works in one arena
        common += [numbers.term(NumberSet()), numbers.term(NumberSet(step=WHOLE))]
    for term in common:
        shortest.length(term)
        _know_rows(terms, term)
    assert all(node[0] not in (Kind.REFERENCE, Kind.CAPTURE) for node in terms.nodes)
    for term in range(len(terms)):
        fingerprint(terms, term)
    return Prelude(terms, text, plain, numbers, shortest)


def _know_rows(terms: Terms, term: int) -> None:
    """Make the rows of the states that the first bytes of a lexeme lead to."""
    layer, known = [term], {term}
    for _ in range(ROW_DEPTH):
        found = [state for at in layer for _, state in terms.row(at) if state not in known]
        layer = list(dict.fromkeys(found))
        known.update(layer)
        if len(known) > MOST_ROWS:
            return
