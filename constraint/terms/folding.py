"""Counters that no text of some length exhausts, cut to what it can reach.

`x{3000}` and `x{2999}` allow the same next hundred bytes. Folded to the longest token, the states
of a long list or string become one, with one mask.

In an intersection (a pattern with a `maxLength`) an upper bound also decides whether a text can
still end in time. It makes no difference as long as there is room for the horizon and then for the
longest of the shortest ends that the other members ask for; so these are measured, where they have
few states.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .arena import MARKED, Kind
from .terms import Terms

DEPTH = 12  # parts of a term, counted from its beginning
WIDTH = 16
MOST_STATES = 300  # of an intersection without its counter
_FOLDED = (Kind.CONCAT, Kind.UNION, Kind.LEXEME, Kind.REPEAT, Kind.INTERSECT)


class Folds:
    """Folds the terms of one arena; only counters near the beginning are looked at."""

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self._known: dict[tuple[int, int, int], int] = {}
        self._longest: dict[int, int | None] = {}

    def of(self, term: int, horizon: int) -> int:
        """Return a term that has the same texts of up to `horizon` bytes, and the same ends."""
        return self._fold(term, horizon, DEPTH)

    def _fold(self, term: int, horizon: int, depth: int) -> int:
        if depth == 0 or not self.terms.counts(term) or self.terms.nodes[term][0] not in _FOLDED:
            return term
        key = (term, horizon, depth)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._fold_parts(term, horizon, depth)
        return found

    def _fold_parts(self, term: int, horizon: int, depth: int) -> int:
        terms, node = self.terms, self.terms.nodes[term]
        if node[0] == Kind.CONCAT:
            head, tail = (self._fold(part, horizon, depth - 1) for part in node[1:])
            return term if (head, tail) == node[1:] else terms.concat(head, tail)
        if node[0] == Kind.UNION and len(node[1]) <= WIDTH:
            members = tuple(self._fold(part, horizon, depth - 1) for part in node[1])
            return term if members == node[1] else terms.union(members)
        if node[0] == Kind.LEXEME:
            inner = self._fold(node[1], horizon, depth - 1)
            return term if inner == node[1] else terms.living_lexeme(inner)
        if node[0] == Kind.INTERSECT:
            return self._fold_intersection(term, horizon)
        if node[0] != Kind.REPEAT or terms.nullable(node[1]):
            return term
        _, inner, low, high = node
        if max(low, high or 0) >= MARKED:
            return term
        low = min(low, horizon + 1)
        return terms.repeat(inner, low, None if high is None or high > horizon else high)

    def _fold_intersection(self, term: int, horizon: int) -> int:
        terms, nodes = self.terms, self.terms.nodes
        free, least = [], None
        for member in nodes[term][1]:
            node = nodes[member]
            if node[0] == Kind.REPEAT and node[2] == 0 and node[3] is not None:
                least = node[3] if least is None else min(least, node[3])
                member = terms.repeat(node[1], 0, None)
            elif _is_reference(nodes, member):
                return term  # the states of machines are many
            free.append(member)
        if least is None or least <= horizon:
            return term
        found = terms.intersect(free)
        longest = self._longest_end(found)
        return term if longest is None or least < horizon + longest else found

    def _longest_end(self, term: int) -> int | None:
        """Return how long a shortest end may be from any state of a term, None for many states.

        An upper bound in bytes; each `x` of a counter takes one at least. What is learnt of a term
        holds for its states. Cost: the rows of the states.
        """
        if term not in self._longest:
            before = self._states_before(term)
            many = len(before) > MOST_STATES
            longest = None if many else _farthest(before, self.terms.nullable)
            for state in before:  # also of many: looking again from each would cost as much
                self._longest.setdefault(state, longest)
        return self._longest[term]

    def _states_before(self, term: int) -> dict[int, set[int]]:
        """Return the states of a term, each with those that lead to it; not all if many."""
        before: dict[int, set[int]] = {term: set()}
        queue = [term]
        for state in queue:
            for _, after in self.terms.row(state):
                if after not in before:
                    before[after] = set()
                    queue.append(after)
                before[after].add(state)
            if len(queue) > MOST_STATES:
                break
        return before


def _is_reference(nodes: list[tuple[Any, ...]], term: int) -> bool:
    """Return whether a term begins with a reference."""
    head = nodes[nodes[term][1]] if nodes[term][0] == Kind.CONCAT else nodes[term]
    return bool(head[0] == Kind.REFERENCE)


def _farthest(before: dict[int, set[int]], ends: Callable[[int], bool]) -> int:
    """Return how many steps the state that is farthest from an end has to go."""
    layer, met, steps = {state for state in before if ends(state)}, set[int](), -1
    while layer:
        met |= layer
        layer = {state for after in layer for state in before[after]} - met
        steps += 1
    return max(steps, 0)
