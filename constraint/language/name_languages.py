"""Languages of property names: cells between patterns, and the names of small ones.

Patterns overlap; a name obeys the schemas of all patterns that it matches. So the space of names is
cut into cells, one for each combination of patterns that some name has, and within a cell every
name obeys the same schemas. A cell with few names is better told name by name: only then can it be
used up.

Source: key-space preparation of Attouche et al. (VLDB 2022).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ..schema.shapes import Pattern
from ..terms.terms import Terms

MOST_NAMES = 64
MOST_STATES = 4000
MOST_ENDLESS_STATES = 300
VISIT_WORK = 20  # pairs of rows that could be made in the same time


@dataclass(frozen=True, slots=True)
class Cell:
    """Names inside some patterns and outside others: their language, plain and as spelled."""

    inside: frozenset[Pattern]
    plain: int
    spelled: int


def cut(terms: Terms, universe: Pattern, patterns: Iterable[Pattern]) -> list[Cell]:
    """Return the cells that have a name. Cost: two emptiness searches a cell and pattern."""
    cells = [Cell(frozenset(), universe.plain, universe.spelled)]
    for pattern in dict.fromkeys(patterns):
        plain, spelled = pattern.plain, pattern.spelled
        sides: tuple[tuple[frozenset[Pattern], int, int], ...] = (
            (frozenset((pattern,)), plain, spelled),
            (frozenset(), terms.complement(plain), terms.complement(spelled)),
        )
        halves = [
            Cell(
                cell.inside | more,
                terms.intersect((cell.plain, names)),
                terms.intersect((cell.spelled, texts)),
            )
            for cell in cells
            for more, names, texts in sides
        ]
        cells = [half for half in halves if not terms.is_empty(half.plain)]
    return cells


def few_names(terms: Terms, language: int) -> list[str] | None:
    """Return all names of a language, shortest first, or None if there are more than 64."""
    counts = count_names(terms, language)
    if counts is None or counts > MOST_NAMES:
        return None
    return sorted((text.decode() for text in _texts(terms, language)), key=lambda n: (len(n), n))


def count_names(terms: Terms, language: int) -> int | None:
    """Return how many texts a language has; None if it has a cycle or too many states to tell."""
    done: dict[int, int] = {}
    open_terms: set[int] = set()
    stack = [(language, False)]
    while stack:
        term, leaving = stack.pop()
        if leaving:
            open_terms.discard(term)
            row = terms.row(term)
            done[term] = terms.nullable(term) + sum(m.bit_count() * done[s] for m, s in row)
        elif term in open_terms or len(done) > MOST_STATES:
            return None
        elif term not in done:
            open_terms.add(term)
            stack.append((term, True))
            stack.extend((s, False) for _, s in terms.row(term) if s not in done)
            if any(s in open_terms for _, s in terms.row(term)):
                return None
    return done[language]


def is_endless(terms: Terms, language: int) -> bool:
    """Return whether every text that is begun has infinitely many ends; False if it is not known.

    Then no choice of finitely many names that are taken leaves a text without an end. It holds if
    each state has a successor: among finitely many, every way then leads into a circle.
    Cost: the rows of the language's states, of which 300 are looked at.
    """
    met = dict.fromkeys([language])
    open_terms = [language]
    while open_terms:
        row = terms.row(open_terms.pop())
        new = [successor for _, successor in row if successor not in met]
        met.update(dict.fromkeys(new))
        open_terms.extend(new)
        if not row or len(met) > MOST_ENDLESS_STATES:
            return False
    return True


def _texts(terms: Terms, language: int) -> Iterator[bytes]:
    stack = [(language, b"")]
    while stack:
        term, text = stack.pop()
        if terms.nullable(term):
            yield text
        for mask, successor in terms.row(term):
            while mask:
                bit = mask & -mask
                mask ^= bit
                stack.append((successor, text + bytes([bit.bit_length() - 1])))


def first_names(terms: Terms, language: int, without: frozenset[str]) -> Iterator[str]:
    """Yield names of a language that is not small, about shortest first, never one of `without`.

    A few bytes of each set are tried, so not every name comes, but as many as are wanted.
    """
    width, given = 2, set(without)
    while width <= 256:
        for text in _breadth_first(terms, language, width):
            name = text.decode()
            if name not in given:
                given.add(name)
                yield name
        width *= 4


def _breadth_first(terms: Terms, language: int, width: int) -> Iterator[bytes]:
    layer, visited = [(language, b"")], 0
    while layer and visited < MOST_STATES:
        below: list[tuple[int, bytes]] = []
        for term, text in layer:
            visited += 1
            terms.spend(VISIT_WORK)
            if terms.nullable(term):
                yield text
            for mask, successor in terms.row(term):
                below.extend((successor, text + bytes([byte])) for byte in _some(mask, width))
        layer = below[:MOST_STATES]


def _some(mask: int, most: int) -> list[int]:
    printable = [b for b in b"abcdefghijklmnopqrstuvwxyz0123456789_-" if mask >> b & 1][:most]
    if printable:
        return printable
    return [b for b in range(256) if mask >> b & 1][:most]
