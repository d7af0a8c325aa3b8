"""Repetitions in the row of parts that a term is, and the same terms with the bounds left open.

The items of a long array leave the same term behind each of them but for the bounds of `item{299,}`
somewhere in it. While the bounds are further away than one token reaches, nothing depends on them:
a term whose bounds are *marks*, numbers that no grammar has, tells what happens for all of them,
and how far a mark has come down tells how many repetitions were begun. Every rule of the arena
holds for all bounds above one, or compares two bounds and changes no language; so what is derived
from a mark is derived for each number that is large enough.
"""

from __future__ import annotations

from typing import NamedTuple

from .arena import HIGH_MARK, LOW_MARK, Kind
from .terms import Terms

FEW = 8  # repetitions; fewer are told apart
Bounds = tuple[int, int | None]


class Spine(NamedTuple):
    """The parts of `before inner{low,high} rest`; which of the bounds are there."""

    before: tuple[int, ...]
    inner: int
    rest: int
    has_low: bool
    has_high: bool


class Spines:
    """Finds and fills the repetitions of one arena."""

    def __init__(self, terms: Terms) -> None:
        self.terms = terms

    def of(self, term: int) -> tuple[Spine, Bounds] | None:
        """Return the last repetition of many in a row of parts, and its bounds.

        What is repeated has parts itself: characters are for `counters`.
        """
        nodes, parts, found = self.terms.nodes, list[int](), None
        while True:
            concat = nodes[term][0] == Kind.CONCAT
            head, rest = nodes[term][1:] if concat else (term, self.terms.EPSILON)
            node = nodes[head]
            if node[0] == Kind.REPEAT and nodes[node[1]][0] == Kind.CONCAT:
                _, inner, low, high = node
                many = low >= FEW or (high is not None and high >= FEW)
                if many and not self.terms.nullable(inner):
                    spine = Spine(tuple(parts), inner, rest, low > 0, high is not None)
                    found = spine, (low, high)
            if not concat:
                return found
            parts.append(head)
            term = rest

    def term(self, spine: Spine, low: int, high: int | None) -> int:
        """Return the term of a repetition with some bounds."""
        terms = self.terms
        return terms.concat(*spine.before, terms.repeat(spine.inner, low, high), spine.rest)

    def template(self, spine: Spine) -> int:
        """Return the term with marks in the place of the bounds."""
        low = LOW_MARK if spine.has_low else 0
        return self.term(spine, low, HIGH_MARK if spine.has_high else None)

    def behind(self, spine: Spine, term: int) -> tuple[Spine, int] | None:
        """Return the repetition of a term behind a template, and how many were begun on the way.

        None where it is not one row of parts with the same repetition in it.
        """
        found = self.of(term)
        if found is None:
            return None
        after, (low, high) = found
        begun = LOW_MARK - low if spine.has_low else HIGH_MARK - (high or 0)
        same = after[1:] == spine[1:] and (high is None or high + begun == HIGH_MARK)
        return (after, begun) if same else None

    def reach(self, spine: Spine) -> int:
        """Return how many repetitions any walk from a template with this part has begun."""
        return self.terms.marked.get(spine.inner, 0)
