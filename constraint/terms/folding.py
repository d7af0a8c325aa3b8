"""Counters that no text of some length exhausts, cut to what it can reach.

`x{3000}` and `x{2999}` allow the same next hundred bytes. Folded to the longest token, the states
of a long list or string become one, with one mask.
"""

from __future__ import annotations

from .arena import Kind
from .terms import Terms

DEPTH = 12  # parts of a term, counted from its beginning
WIDTH = 16
_FOLDED = (Kind.CONCAT, Kind.UNION, Kind.LEXEME, Kind.REPEAT)


class Folds:
    """Folds the terms of one arena; only counters near the beginning are looked at."""

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self._known: dict[tuple[int, int, int], int] = {}

    def of(self, term: int, horizon: int) -> int:
        """Return a term that has the same texts of up to `horizon` bytes, and the same ends."""
        return self._fold(term, horizon, DEPTH)

    def _fold(self, term: int, horizon: int, depth: int) -> int:
        if depth == 0 or self.terms.nodes[term][0] not in _FOLDED:
            return term
        key = (term, horizon, depth)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._fold_parts(term, horizon, depth)
        return found

    def _fold_parts(self, term: int, horizon: int, depth: int) -> int:
        terms, node = self.terms, self.terms.nodes[term]
        if node[0] is Kind.CONCAT:
            head, tail = (self._fold(part, horizon, depth - 1) for part in node[1:])
            return term if (head, tail) == node[1:] else terms.concat(head, tail)
        if node[0] is Kind.UNION and len(node[1]) <= WIDTH:
            members = tuple(self._fold(part, horizon, depth - 1) for part in node[1])
            return term if members == node[1] else terms.union(members)
        if node[0] is Kind.LEXEME:
            inner = self._fold(node[1], horizon, depth - 1)
            return term if inner == node[1] else terms.lexeme(inner)
        if node[0] is not Kind.REPEAT or terms.nullable(node[1]):
            return term
        _, inner, low, high = node
        low = min(low, horizon + 1)
        return terms.repeat(inner, low, None if high is None or high > horizon else high)
